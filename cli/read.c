/* SPDX-License-Identifier: Apache-2.0 */
/* The reading commands: status, runs, calls, events, receipts. The sidecar answers with JSON lines;
 * with
 * --json they are printed as they are, else as columns. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

/* ---- options ------------------------------------------------------------------------------ */

int64_t cli_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool cli_time_parse(const char *text, int64_t *ns_out)
{
    struct tm parts = {0};
    const char *end;
    int64_t ago_ms, fraction_ns = 0;

    if (side_duration_parse(text, &ago_ms)) {
        *ns_out = cli_now_ns() - ago_ms * 1000000;
        return true;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (end != NULL && *end == '.') /* as answers have it */
        for (int64_t unit = 100000000; *++end >= '0' && *end <= '9'; unit /= 10)
            fraction_ns += (*end - '0') * unit;
    if (end == NULL) {
        memset(&parts, 0, sizeof parts);
        end = strptime(text, "%Y-%m-%d", &parts);
    }
    if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0))
        return false;
    *ns_out = (int64_t)timegm(&parts) * 1000000000 + fraction_ns;
    return true;
}

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

/* CLI_OK, or the exit code of a mistake that has been told. */
static int options_read(int argc, char **argv, json_t *request, bool *json)
{
    static const struct option rows[] = {
        {"run", required_argument, NULL, 'r'},  {"session", required_argument, NULL, 's'},
        {"all", no_argument, NULL, 'a'},        {"since", required_argument, NULL, 't'},
        {"follow", no_argument, NULL, 'f'},     {"json", no_argument, NULL, 'j'},
        {"kind", required_argument, NULL, 'k'}, {NULL, 0, NULL, 0},
    };
    int64_t since_ns;
    int id, selectors = 0;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        selectors += id == 'r' || id == 's' || id == 'a';
        if (id == 'r' || id == 's')
            set(request, id == 'r' ? "run" : "session", json_string(optarg));
        else if (id == 'a' || id == 'f')
            set(request, id == 'a' ? "all" : "follow", json_true());
        else if (id == 'j')
            *json = true;
        else if (id == 'k' &&
                 (strcmp(optarg, "admission") == 0 || strcmp(optarg, "settlement") == 0))
            set(request, "kind", json_string(optarg));
        else if (id == 'k')
            return cli_usage(argv[0], "--kind: '%s' is none of admission, settlement", optarg);
        else if (id == 't' && cli_time_parse(optarg, &since_ns))
            set(request, "since_ns", json_integer(since_ns));
        else if (id == 't')
            return cli_usage(argv[0], "--since: '%s' is no time, such as " CLI_TIMES, optarg);
        else
            return cli_usage(argv[0], "'%s' is no option, or needs a value", argv[optind - 1]);
    }
    if (selectors > 1)
        return cli_usage(argv[0], "one of --run, --session and --all");
    return optind == argc ? CLI_OK
                          : cli_usage(argv[0], "'%s': no argument is expected", argv[optind]);
}

/* ---- values ------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "-";
}

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static long long tokens_sum(const json_t *tokens, const char *const *names)
{
    long long total = 0;

    for (; *names != NULL; names++)
        total += number_of(tokens, *names);
    return total;
}

static long long tokens_in(const json_t *tokens)
{
    static const char *const names[] = {
        "input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in", NULL};

    return tokens_sum(tokens, names);
}

static long long tokens_out(const json_t *tokens)
{
    static const char *const names[] = {"output", "audio_out", "image_out", NULL};

    return tokens_sum(tokens, names);
}

/* A dimension's amount for people, from its JSON. "-": it is not there. */
static const char *amount_text(const json_t *map, enum gov_dim dim, char out[SIDE_AMOUNT_TEXT])
{
    int64_t amount;

    return cli_amount_of(map, dim, &amount) ? side_amount_text(dim, amount, out) : "-";
}

/* ---- people ------------------------------------------------------------------------------- */

/* Columns that fit on 80 of a terminal; wider amounts push the others. */
static void print_row(const char *indent, const char *name, const char *spent, const char *held,
                      const char *limit, const char *left)
{
    (void)printf("%s%-*s %11s %11s %11s %11s\n", indent, (int)(30 - strlen(indent)), name, spent,
                 held, limit, left);
}

/* What a run or a window has a limit on; of a run also what was spent. */
static void print_dims(const json_t *of, const char *indent, bool unlimited)
{
    char spent[SIDE_AMOUNT_TEXT], held[SIDE_AMOUNT_TEXT], limit[SIDE_AMOUNT_TEXT],
        left[SIDE_AMOUNT_TEXT];
    const json_t *limits = json_object_get(of, "limits"), *used = json_object_get(of, "spent");
    int64_t amount;

    for (enum gov_dim dim = 0; dim < GOV_DIMS; dim++)
        if (json_object_get(limits, gov_dim_name(dim)) != NULL ||
            (unlimited && cli_amount_of(used, dim, &amount) && amount != 0))
            print_row(indent, gov_dim_name(dim), amount_text(used, dim, spent),
                      amount_text(json_object_get(of, "held"), dim, held),
                      amount_text(limits, dim, limit),
                      amount_text(json_object_get(of, "remaining"), dim, left));
}

static void print_status(const json_t *run)
{
    const json_t *calls = json_object_get(run, "calls"), *reason, *window;
    size_t i;

    (void)printf("run %s  %s\n", text_of(run, "run_id"), text_of(run, "state"));
    (void)printf("  %s, level %s, session %s\n", text_of(run, "argv0"), text_of(run, "level"),
                 text_of(run, "session_id"));
    (void)printf("  started %s, ended %s\n", text_of(run, "started_at"), text_of(run, "ended_at"));
    print_row("  ", "", "spent", "held", "limit", "left");
    print_dims(run, "  ", true);
    json_array_foreach(json_object_get(run, "windows"), i, window)
    {
        (void)printf("  %s %s, until %s\n", text_of(window, "scope"), text_of(window, "window"),
                     text_of(window, "resets_at"));
        print_dims(window, "    ", false);
    }
    (void)printf("  calls: %lld admitted, %lld refused, %lld settled (%lld estimated), "
                 "%lld in flight\n",
                 number_of(calls, "admitted"), number_of(calls, "refused"),
                 number_of(calls, "settled"), number_of(calls, "estimated"),
                 number_of(calls, "in_flight"));
    json_array_foreach(json_object_get(run, "reasons"), i, reason)(void)
        printf("  refuses: %s\n", json_string_value(reason));
}

static void print_run(const json_t *run)
{
    const json_t *calls = json_object_get(run, "calls");

    (void)printf("%s  %-14s %s  $%-12s %6lld calls %6lld refused  %s\n", text_of(run, "run_id"),
                 text_of(run, "state"), text_of(run, "started_at"),
                 text_of(json_object_get(run, "spent"), "cost_usd"), number_of(calls, "admitted"),
                 number_of(calls, "refused"), text_of(run, "argv0"));
}

static void print_call(const json_t *call)
{
    const json_t *tokens = json_object_get(call, "tokens"), *reasons, *status;
    const char *model = json_string_value(json_object_get(call, "model"));
    const char *settlement = json_string_value(json_object_get(call, "settlement"));

    reasons = json_object_get(call, "reasons");
    status = json_object_get(call, "status");
    (void)printf("%s  %-9s %-28s %3lld  %8lld in %8lld out  %s%-14s %s", text_of(call, "ts"),
                 text_of(call, "provider"),
                 model != NULL ? model : text_of(call, "requested_model"),
                 (long long)json_integer_value(status), tokens_in(tokens), tokens_out(tokens),
                 json_is_string(json_object_get(call, "cost_usd")) ? "$" : " ",
                 text_of(call, "cost_usd"), settlement != NULL ? settlement : "in flight");
    if (json_array_size(reasons) > 0)
        (void)printf(" (%s)", json_string_value(json_array_get(reasons, 0)));
    else if (json_is_string(json_object_get(call, "provenance")) &&
             strcmp(text_of(call, "provenance"), "provider-reported") != 0)
        (void)printf(" (%s)", text_of(call, "provenance"));
    (void)printf("\n");
}

/* What an event is about, in a few words: its own members, without those that all have. */
static void print_event(const json_t *event)
{
    static const char *const common[] = {"seq", "ts", "run_id", "session_id", "event", "scopes"};
    const char *name;
    const json_t *value;

    (void)printf("%6lld %s %s %-12s", number_of(event, "seq"), text_of(event, "ts"),
                 text_of(event, "run_id"), text_of(event, "event"));
    json_object_foreach((json_t *)(uintptr_t)event, name, value)
    {
        bool shown = !json_is_null(value);
        char *text;

        for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
            shown = shown && strcmp(common[i], name) != 0;
        if (!shown)
            continue;
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        (void)printf(" %s=%s", name, text != NULL ? text : "");
        free(text);
    }
    (void)printf("\n");
}

/* ---- the commands ------------------------------------------------------------------------- */

struct reading {
    bool json;
    void (*print)(const json_t *line);
};

static void take_line(void *data, const char *line, size_t length)
{
    const struct reading *reading = data;
    json_t *json = reading->json ? NULL : json_loadb(line, length, 0, NULL);

    if (json != NULL)
        reading->print(json);
    else
        (void)printf("%.*s\n", (int)length, line);
    json_decref(json);
    if (fflush(stdout) != 0) /* nobody reads on */
        exit(cli_fail(CLI_NOT, "standard output: %s", strerror(errno)));
}

/* `status --follow`: the status again when an event has changed it. */
struct watch {
    const struct reading *reading;
    const json_t *request;
    json_t *shown; /* what was printed last, by run */
};

static void take_status(void *data, const char *line, size_t length)
{
    const struct watch *watch = data;
    json_t *run = json_loadb(line, length, 0, NULL);
    const char *id = text_of(run, "run_id");

    if (!json_equal(run, json_object_get(watch->shown, id)))
        take_line((void *)(uintptr_t)watch->reading, line, length);
    (void)json_object_set_new(watch->shown, id, run);
}

static void take_event(void *data, const char *line, size_t length)
{
    (void)line, (void)length;
    (void)cli_ask(json_copy((json_t *)(uintptr_t)((struct watch *)data)->request), take_status,
                  data);
}

static int status_follow(json_t *request, const struct reading *reading)
{
    struct watch watch = {reading, request, json_object()};
    json_t *events = json_copy(request);
    int code;

    set(events, "verb", json_string("events"));
    set(events, "since_ns", json_integer((int64_t)time(NULL) * 1000000000));
    (void)json_object_del(request, "follow");
    code = cli_ask(json_copy(request), take_status, &watch);
    if (code == CLI_OK)
        code = cli_ask(events, take_event, &watch);
    json_decref(watch.shown);
    json_decref(request);
    return code;
}

int cli_read(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(const json_t *line);
    } rows[] = {
        {"status", print_status}, {"runs", print_run}, {"calls", print_call},
        {"events", print_event},  {"receipts", NULL},
    };
    json_t *request = json_object();
    struct reading reading = {false, NULL};
    int code = options_read(argc, argv, request, &reading.json);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, argv[0]) == 0)
            reading.print = rows[i].print;
    reading.json = reading.json || reading.print == NULL; /* receipts are for machines */
    if (code != CLI_OK) {
        json_decref(request);
        return code;
    }
    if (!cli_ledger_is_there()) { /* looking makes none */
        json_decref(request);
        return cli_fail(CLI_NOT, "there is no run yet; start one with `flyball run -- CMD`");
    }
    set(request, "verb", json_string(argv[0]));
    return reading.print == print_status && json_object_get(request, "follow") != NULL
               ? status_follow(request, &reading)
               : cli_ask(request, take_line, &reading);
}
