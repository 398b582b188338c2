/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of people who decide: `flyball approvals`, `approve`, `deny`, `extend`, `pause`,
 * `resume`, `stop`, `reset`, `override`. Each is one question to the sidecar, whose answer is
 * printed as it is with --json, else in words. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* ---- what a verb takes ------------------------------------------------------------------------
 */

enum takes {
    TAKES_ID = 1 << 0,       /* the beginning of a question's, or an override's, id */
    TAKES_RUN = 1 << 1,      /* the beginning of a run's id */
    TAKES_AMOUNTS = 1 << 2,  /* DIM=N behind it, at least one */
    TAKES_SELECTOR = 1 << 3, /* --run, --session or --all */
    TAKES_POLICY = 1 << 4,
    TAKES_EXTEND = 1 << 5,
    TAKES_DELTA = 1 << 6,
    NEEDS_REASON = 1 << 7,
    READS = 1 << 8, /* decides nothing */
};

static void print_question(const json_t *answer);
static void print_answer(const json_t *answer);
static void print_run(const json_t *answer);
static void print_override(const json_t *answer);

static const struct order {
    const char *name; /* as on the command line */
    const char *verb; /* as the sidecar calls it */
    unsigned takes;
    void (*print)(const json_t *answer);
    const char *nothing; /* what is said to people where there is nothing to print */
} orders[] = {
    {"approvals", "approvals", READS, print_question, NULL},
    {"approve", "approve", TAKES_ID | TAKES_EXTEND, print_answer, NULL},
    {"deny", "deny", TAKES_ID, print_answer, NULL},
    {"extend", "extend", TAKES_RUN | TAKES_AMOUNTS, print_run, NULL},
    {"pause", "pause", TAKES_RUN, print_run, NULL},
    {"resume", "resume", TAKES_RUN, print_run, NULL},
    {"stop", "stop", TAKES_SELECTOR | NEEDS_REASON, print_run,
     "no run is live; those that begin are stopped, until `flyball reset`"},
    {"reset", "reset", TAKES_SELECTOR | TAKES_POLICY, print_run,
     "nothing had to be lifted of a run"},
    {"override add", "override.add", TAKES_SELECTOR | TAKES_DELTA | NEEDS_REASON, print_override,
     NULL},
    {"override list", "override.list", READS, print_override, NULL},
    {"override revoke", "override.revoke", TAKES_ID, print_override, NULL},
};

static const struct order *order_find(const char *name)
{
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        if (strcmp(orders[i].name, name) == 0)
            return &orders[i];
    return NULL;
}

/* The command whose --help has it. */
static const char *command_of(const struct order *order)
{
    return strncmp(order->name, "override", 8) == 0 ? "override" : order->name;
}

/* ---- amounts ----------------------------------------------------------------------------------
 */

bool cli_amount_put(json_t *request, const char *map_name, const char *text,
                    struct side_error *error)
{
    const char *value;
    enum gov_dim dim = cli_dim_split(text, "", &value, error);
    json_t *map = json_object_get(request, map_name);

    if (dim == GOV_DIMS)
        return false;
    if (map == NULL) {
        map = json_object();
        (void)json_object_set_new(request, map_name, map);
    }
    return side_amount_put(map, dim, value, error);
}

static bool expires_put(json_t *request, const char *text, struct side_error *error)
{
    int64_t ms, ns;

    if (side_duration_parse(text, &ms) && ms > 0 && ms < SIDE_WAIT_MOST_MS)
        ns = cli_now_ns() + ms * 1000000;
    else if (!cli_time_parse(text, &ns) || ns <= cli_now_ns())
        return side_fail(
            error, "--expires: '%s' is no time to come, such as 2h or 2026-11-22T10:00:00Z", text);
    (void)json_object_set_new(request, "expires_ns", json_integer(ns));
    return true;
}

/* ---- options ----------------------------------------------------------------------------------
 */

static const struct option rows[] = {
    {"run", required_argument, NULL, 'r'},
    {"session", required_argument, NULL, 's'},
    {"all", no_argument, NULL, 'a'},
    {"policy", no_argument, NULL, 'p'},
    {"extend", required_argument, NULL, 'e'},
    {"delta", required_argument, NULL, 'd'},
    {"expires", required_argument, NULL, 't'},
    {"actor", required_argument, NULL, 'w'},
    {"reason", required_argument, NULL, 'y'},
    {"json", no_argument, NULL, 'j'},
    {NULL, 0, NULL, 0},
};

static bool is_taken(const struct order *order, int id)
{
    switch (id) {
    case 'r':
    case 's':
    case 'a':
        return (order->takes & TAKES_SELECTOR) != 0;
    case 'p':
        return (order->takes & TAKES_POLICY) != 0;
    case 'e':
        return (order->takes & TAKES_EXTEND) != 0;
    case 'd':
    case 't':
        return (order->takes & TAKES_DELTA) != 0;
    case 'w':
    case 'y':
        return (order->takes & READS) == 0;
    default:
        return id == 'j';
    }
}

static bool option_put(json_t *request, int id, const char *value, struct side_error *error)
{
    switch (id) {
    case 'r':
        return cli_text_put(request, "run", value, error);
    case 's':
        return cli_text_put(request, "session", value, error);
    case 'a':
        return json_object_set_new(request, "all", json_true()) == 0;
    case 'e':
        return cli_amount_put(request, "extend", value, error);
    case 'd':
        return cli_amount_put(request, "delta", value, error);
    case 't':
        return expires_put(request, value, error);
    case 'w':
        return cli_text_put(request, "actor", value, error);
    case 'y':
        return cli_text_put(request, "reason", value, error);
    default:
        return true;
    }
}

static bool has(const json_t *request, const char *name)
{
    return json_object_get(request, name) != NULL;
}

/* What is still missing; NULL: nothing. */
static const char *missing(const struct order *order, const json_t *request, bool policy)
{
    int selectors = has(request, "run") + has(request, "session") + has(request, "all") + policy;

    if ((order->takes & TAKES_SELECTOR) != 0 && selectors != 1)
        return (order->takes & TAKES_POLICY) != 0
                   ? "one of --run, --session, --all and --policy is needed"
                   : "one of --run, --session and --all is needed";
    if ((order->takes & NEEDS_REASON) != 0 && !has(request, "reason"))
        return "--reason is needed";
    if ((order->takes & TAKES_DELTA) != 0 &&
        (!has(request, "delta") || !has(request, "expires_ns")))
        return "--delta and --expires are needed";
    if ((order->takes & TAKES_AMOUNTS) != 0 && !has(request, "extend"))
        return "which limit? DIM=N, such as cost_usd=1.00";
    return NULL;
}

/* False: error says what is wrong. */
static bool words_read(const struct order *order, int count, char **words, json_t *request,
                       struct side_error *error)
{
    bool named = (order->takes & (TAKES_ID | TAKES_RUN)) != 0;

    if (named && (count == 0 || strchr(words[0], '=') != NULL))
        return side_fail(error, "%s",
                         (order->takes & TAKES_RUN) != 0 ? "the id of a run is expected"
                                                         : "an id is expected");
    if (named)
        (void)json_object_set_new(request, (order->takes & TAKES_RUN) != 0 ? "run" : "id",
                                  json_string(words[0]));
    for (int i = named; i < count; i++) {
        if ((order->takes & TAKES_AMOUNTS) == 0)
            return side_fail(error, "'%s': no argument is expected", words[i]);
        if (!cli_amount_put(request, "extend", words[i], error))
            return false;
    }
    return true;
}

/* CLI_OK, or the exit code of a mistake that has been told. */
static int order_read(const struct order *order, int argc, char **argv, json_t *request, bool *json)
{
    struct side_error error = {{0}};
    const char *what;
    bool policy = false;
    int id;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (!is_taken(order, id))
            return cli_usage(command_of(order), "'%s' is no option, or needs a value",
                             argv[optind - 1]);
        policy = policy || id == 'p';
        *json = *json || id == 'j';
        if (!option_put(request, id, optarg, &error))
            return cli_usage(command_of(order), "%s", error.text);
    }
    if (!words_read(order, argc - optind, argv + optind, request, &error))
        return cli_usage(command_of(order), "%s", error.text);
    what = missing(order, request, policy);
    if (what != NULL)
        return cli_usage(command_of(order), "%s", what);
    if (policy) /* back to the limits as they are configured */
        (void)json_object_set_new(request, "verb", json_string("override.revoke"));
    return CLI_OK;
}

/* ---- words ------------------------------------------------------------------------------------
 */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "-";
}

/* "$1.00 of cost_usd, 90,000 of llm_tokens" */
static void print_amounts(const json_t *map, const char *sign)
{
    const char *name, *comma = "";
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        enum gov_dim dim = gov_dim_by_name(name);
        int64_t amount = 0;
        char text[SIDE_AMOUNT_TEXT];

        (void)cli_amount_of(map, dim, &amount);
        (void)printf("%s%s %s%s", comma, name, sign, side_amount_text(dim, amount, text));
        comma = ", ";
    }
}

static void print_question(const json_t *answer)
{
    (void)printf("%s  run %s  %lld waiting, until %s\n  ", text_of(answer, "checkpoint_id"),
                 text_of(answer, "run_id"),
                 (long long)json_integer_value(json_object_get(answer, "waiting_calls")),
                 text_of(answer, "expires_at"));
    if (json_is_string(json_object_get(answer, "task_class"))) {
        (void)printf("its task requires approval: %s", text_of(answer, "task_class"));
    } else {
        print_amounts(json_object_get(answer, "limits"), "");
        (void)printf("; suggested: ");
        print_amounts(json_object_get(answer, "suggested_extension"), "+");
    }
    (void)printf("\n");
}

static void print_answer(const json_t *answer)
{
    bool has_amounts = json_object_size(json_object_get(answer, "extensions")) > 0;

    (void)printf("%s: run %s ", text_of(answer, "decision"), text_of(answer, "run_id"));
    if (strcmp(text_of(answer, "decision"), "approved") == 0) {
        (void)printf("goes on%s", has_amounts ? ", " : "");
        print_amounts(json_object_get(answer, "extensions"), "+");
    } else {
        (void)printf("is cancelled");
    }
    (void)printf("\n");
}

static void print_run(const json_t *answer)
{
    (void)printf("run %s: %s, was %s; ", text_of(answer, "run_id"), text_of(answer, "state"),
                 text_of(answer, "was"));
    print_amounts(json_object_get(answer, "limits"), "");
    (void)printf("\n");
}

static void print_override(const json_t *answer)
{
    if (has(answer, "was")) { /* of `reset` */
        print_run(answer);
        return;
    }
    (void)printf("%s  %s  %s  until %s  ", text_of(answer, "override_id"), text_of(answer, "what"),
                 text_of(answer, json_is_string(json_object_get(answer, "of")) ? "of" : "scope"),
                 text_of(answer, "expires_at"));
    print_amounts(json_object_get(answer, "delta"), "+");
    (void)printf("  %s: %s\n", text_of(answer, "actor"), text_of(answer, "reason"));
}

struct printing {
    bool json;
    void (*print)(const json_t *answer);
    size_t lines;
};

static void take_line(void *data, const char *line, size_t length)
{
    struct printing *printing = data;
    json_t *answer = printing->json ? NULL : json_loadb(line, length, 0, NULL);

    printing->lines++;
    if (answer == NULL)
        (void)printf("%.*s\n", (int)length, line);
    else if (has(answer, "override_id"))
        print_override(answer);
    else
        printing->print(answer);
    json_decref(answer);
}

/* ---- the commands -----------------------------------------------------------------------------
 */

static int carry_out(const struct order *order, int argc, char **argv)
{
    json_t *request = json_pack("{s:s}", "verb", order->verb);
    struct printing printing = {.print = order->print};
    int code = order_read(order, argc, argv, request, &printing.json);
    bool of_any = has(request, "all") || has(request, "session"); /* also those to come */

    if (code == CLI_OK && (order->takes & READS) == 0 && cli_inside_run())
        code = cli_refuse_inside(order->name);
    if (code == CLI_OK && !of_any && !cli_ledger_is_there()) /* nothing has run or waits */
        code = (order->takes & READS) != 0
                   ? CLI_OK
                   : cli_fail(CLI_NOT, "there is no run yet; start one with `flyball run -- CMD`");
    else if (code == CLI_OK) {
        if (!has(request, "actor"))
            (void)json_object_set_new(request, "actor", json_string(cli_login()));
        code = cli_ask(request, take_line, &printing);
        if (code == CLI_OK && printing.lines == 0 && !printing.json && order->nothing != NULL)
            (void)puts(order->nothing);
        return code;
    }
    json_decref(request);
    return code;
}

int cli_order(int argc, char **argv)
{
    return carry_out(order_find(argv[0]), argc, argv);
}

int cli_override(int argc, char **argv)
{
    const struct order *order = NULL;
    char name[64];

    if (argc > 1) {
        (void)snprintf(name, sizeof name, "override %.40s", argv[1]);
        order = order_find(name);
    }
    if (order == NULL)
        return cli_no_verb("override", argv[1], "add, list, revoke");
    return carry_out(order, argc - 1, argv + 1);
}
