/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball correct` and `flyball reprice`: charging calls that have ended something else. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

extern char **environ;

/* ---- correct --------------------------------------------------------------------------------- */

struct printing {
    bool json;
};

static void take_correction(void *data, const char *line, size_t length)
{
    const struct printing *printing = data;
    json_t *json = printing->json ? NULL : json_loadb(line, length, 0, NULL);

    if (json == NULL)
        (void)printf("%.*s\n", (int)length, line);
    else
        (void)printf("%s: $%s -> $%s\n", json_string_value(json_object_get(json, "call_id")),
                     json_string_value(json_object_get(json, "from_usd")),
                     json_string_value(json_object_get(json, "to_usd")));
    json_decref(json);
}

/* CLI_OK, or the exit code of a mistake that has been told. */
static int correct_read(int argc, char **argv, json_t *request, bool *json)
{
    static const struct option rows[] = {
        {"cost", required_argument, NULL, 'c'},
        {"reason", required_argument, NULL, 'r'},
        {"actor", required_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    struct side_error error = {{0}};
    int64_t cost_pusd;
    int id;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id == 'j')
            *json = true;
        else if (id == '?')
            return cli_usage("correct", "'%s' is no option, or needs a value", argv[optind - 1]);
        else if (id == 'c' &&
                 (!meter_usd_parse(optarg, strlen(optarg), &cost_pusd) || cost_pusd < 0))
            return cli_usage("correct", "--cost: '%s' is no amount in USD, such as 5.00", optarg);
        else if (id == 'c')
            (void)json_object_set_new(request, "cost_usd", json_string(optarg));
        else if (!cli_text_put(request, id == 'r' ? "reason" : "actor", optarg, &error))
            return cli_usage("correct", "%s", error.text);
    }
    if (optind + 1 != argc)
        return cli_usage("correct", "the id of one call is expected");
    (void)json_object_set_new(request, "call", json_string(argv[optind]));
    if (json_object_get(request, "cost_usd") == NULL || json_object_get(request, "reason") == NULL)
        return cli_usage("correct", "--cost and --reason are needed");
    return CLI_OK;
}

int cli_correct(int argc, char **argv)
{
    json_t *request = json_pack("{s:s,s:s}", "verb", "correct", "actor", cli_login());
    struct printing printing = {false};
    int code = correct_read(argc, argv, request, &printing.json);

    if (code == CLI_OK && cli_inside_run())
        code = cli_refuse_inside("correct");
    if (code == CLI_OK)
        return cli_ask(request, take_correction, &printing);
    json_decref(request);
    return code;
}

/* ---- reprice --------------------------------------------------------------------------------- */

struct repricing {
    bool json, quiet;
    long long changed, same, unpriced;
    int64_t before_pusd, after_pusd;
};

static int64_t amount_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));
    int64_t pusd = 0;

    return text != NULL && meter_usd_parse(text, strlen(text), &pusd) ? pusd : 0;
}

static void take_price(void *data, const char *line, size_t length)
{
    struct repricing *repricing = data;
    json_t *json = json_loadb(line, length, 0, NULL);
    const char *why = json_string_value(json_object_get(json, "why_not"));
    int64_t from = amount_of(json, "from_usd"), to = amount_of(json, "to_usd");

    repricing->before_pusd += from;
    repricing->after_pusd += to;
    repricing->changed += from != to;
    repricing->unpriced += why != NULL;
    repricing->same += from == to && why == NULL;
    if (repricing->json && !repricing->quiet)
        (void)printf("%.*s\n", (int)length, line);
    else if (from != to && !repricing->quiet)
        (void)printf("%s  %-10s %-28s $%s -> $%s  %s\n",
                     json_string_value(json_object_get(json, "ts")),
                     json_string_value(json_object_get(json, "provider")),
                     json_string_value(json_object_get(json, "model")),
                     json_string_value(json_object_get(json, "from_usd")),
                     json_string_value(json_object_get(json, "to_usd")),
                     json_string_value(json_object_get(json, "price_row")));
    json_decref(json);
}

/* The price file that the configuration names, or the one that was asked for; the sidecar has to
 * find it from wherever it is. */
static int prices_put(json_t *request, const char *file)
{
    struct side_error error = {{0}};
    struct side_spec *spec = calloc(1, sizeof *spec);
    char *path = NULL;
    int code = CLI_OK;

    if (spec == NULL)
        return cli_fail(CLI_UNAVAILABLE, "out of memory");
    side_spec_init(spec);
    if (file == NULL && !side_config_read(spec, NULL, NULL, (const char *const *)environ, &error))
        code = cli_fail(CLI_USAGE, "%s", error.text);
    else if (file == NULL && spec->price_file[0] != '\0')
        file = spec->price_file;
    if (file != NULL && (path = realpath(file, NULL)) == NULL)
        code = cli_fail(CLI_USAGE, "%s: cannot be read", file);
    if (path != NULL)
        (void)json_object_set_new(request, "prices", json_string(path));
    free(path);
    free(spec);
    return code;
}

static int reprice_read(int argc, char **argv, json_t *request, struct repricing *repricing)
{
    static const struct option rows[] = {
        {"since", required_argument, NULL, 't'},
        {"prices", required_argument, NULL, 'p'},
        {"apply", no_argument, NULL, 'y'},
        {"actor", required_argument, NULL, 'a'},
        {"reason", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    const char *prices = NULL;
    struct side_error error = {{0}};
    int64_t since_ns;
    int id;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id == 'j')
            repricing->json = true;
        else if (id == 'y')
            (void)json_object_set_new(request, "apply", json_true());
        else if (id == 'p')
            prices = optarg;
        else if (id == 't' && cli_time_parse(optarg, &since_ns))
            (void)json_object_set_new(request, "since_ns", json_integer(since_ns));
        else if (id == 't')
            return cli_usage("reprice", "--since: '%s' is no time, such as " CLI_TIMES, optarg);
        else if (id == '?')
            return cli_usage("reprice", "'%s' is no option, or needs a value", argv[optind - 1]);
        else if (!cli_text_put(request, id == 'a' ? "actor" : "reason", optarg, &error))
            return cli_usage("reprice", "%s", error.text);
    }
    if (optind < argc)
        return cli_usage("reprice", "'%s': no argument is expected", argv[optind]);
    if (json_object_get(request, "since_ns") == NULL)
        return cli_usage("reprice", "--since is needed");
    return prices_put(request, prices);
}

static void print_sum(const struct repricing *repricing, bool applied)
{
    char before[METER_USD_TEXT], after[METER_USD_TEXT];

    if (!repricing->json)
        (void)printf("%lld calls %s, %lld stay, %lld are not charged by a price: $%s -> $%s\n",
                     repricing->changed, applied ? "changed" : "would change", repricing->same,
                     repricing->unpriced, meter_usd_text(repricing->before_pusd, before),
                     meter_usd_text(repricing->after_pusd, after));
}

/* What was sent to be written is, once the same question finds nothing more to change. */
static int is_applied(const json_t *request)
{
    json_t *again = json_copy((json_t *)(uintptr_t)request);
    struct repricing left = {.quiet = true};
    int code;

    (void)json_object_del(again, "apply");
    code = cli_ask(again, take_price, &left);
    if (code == CLI_OK && left.changed != 0)
        code = cli_fail(CLI_NOT, "%lld calls have not been corrected; ask again", left.changed);
    return code;
}

int cli_reprice(int argc, char **argv)
{
    json_t *request = json_pack("{s:s,s:s,s:s}", "verb", "reprice", "actor", cli_login(), "reason",
                                "repriced by the price book");
    struct repricing repricing = {0};
    int code = reprice_read(argc, argv, request, &repricing);
    bool apply = json_is_true(json_object_get(request, "apply"));

    if (code == CLI_OK && apply && cli_inside_run())
        code = cli_refuse_inside("reprice --apply");
    if (code == CLI_OK)
        code = cli_ask(json_incref(request), take_price, &repricing);
    if (code == CLI_OK && apply)
        code = is_applied(request);
    if (code == CLI_OK)
        print_sum(&repricing, apply);
    json_decref(request);
    return code;
}
