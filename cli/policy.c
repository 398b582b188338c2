/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball policy`: whether runs can begin under a configuration (check), and what holds of them
 * then (show), as a run computes it: profile, session and ceilings included, flags and variables
 * not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

extern char **environ;

/* ---- reading ------------------------------------------------------------------------------ */

/* policy NULL: none is named. */
static bool spec_read(struct side_spec *spec, const char *file, const char *policy,
                      struct side_error *error)
{
    static const char *const no_variables[] = {NULL};

    side_spec_init(spec);
    if (!side_config_read(spec, file, policy, (const char *const *)environ, error) ||
        !side_spec_env(spec, no_variables, error))
        return false;
    side_spec_finish(spec);
    return true;
}

/* unknown_model: price=PROVIDER/MODEL: a row that is not there would price nothing. */
static int row_check(const struct side_spec *spec, const struct meter_price_book *book)
{
    const char *row = spec->unknown_row, *slash = strchr(row, '/');
    char provider[METER_NAME_MAX] = "";
    struct meter_price price;

    if (spec->unknown_model != SIDE_UNKNOWN_ROW)
        return CLI_OK;
    (void)snprintf(provider, sizeof provider, "%.*s", (int)(slash - row), row);
    if (meter_price_find_named(book, provider, slash + 1, time(NULL), &price) == METER_OK)
        return CLI_OK;
    return cli_fail(CLI_NOT,
                    "prices: unknown_model: the price book has no '%s'; `flyball prices list` has "
                    "what it has",
                    row);
}

static int prices_check(const struct side_spec *spec)
{
    struct meter_price_book *own = NULL;
    int code = CLI_OK;

    if (spec->price_file[0] != '\0' && cli_price_file_read(spec->price_file, &own) != CLI_OK)
        return CLI_NOT;
    code = row_check(spec, own != NULL ? own : meter_price_book_shipped());
    meter_price_book_free(own);
    return code;
}

/* ---- show --------------------------------------------------------------------------------- */

static bool has_limit(const struct gov_limit *limits)
{
    unsigned dim = 0;

    while (dim < GOV_DIMS && limits[dim].amount == 0)
        dim++;
    return dim < GOV_DIMS;
}

static void show_limits(const char *indent, const struct gov_limit *limits)
{
    char text[SIDE_AMOUNT_TEXT];

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (limits[dim].amount > 0)
            (void)printf("%s%-28s %14s  %s\n", indent, gov_dim_name((enum gov_dim)dim),
                         side_amount_text((enum gov_dim)dim, limits[dim].amount, text),
                         gov_policy_name(limits[dim].policy));
}

/* "global daily", "label:team=search rolling 5h" */
static void window_name(const struct side_window *window, char *out, size_t size)
{
    char text[SIDE_AMOUNT_TEXT] = "";

    if (window->window == GOV_ROLLING)
        (void)side_amount_text(GOV_WALL, window->duration_s * 1000, text);
    (void)snprintf(out, size, "%s%s%s%s%s%s%s", gov_scope_name(window->scope),
                   window->name[0] != '\0' ? ":" : "", window->name,
                   window->window != GOV_WHOLE ? " " : "", gov_window_name(window->window),
                   *text != '\0' ? " " : "", text);
}

/* That of a session is no window. */
static struct side_window session_guard(const struct side_spec *spec)
{
    struct side_window guard = {.scope = GOV_SESSION, .guard = true};

    if (spec->quality.guards[SIDE_GUARD_SESSION].on) {
        guard.limits[GOV_STEPS].amount = spec->quality.guards[SIDE_GUARD_SESSION].requests;
        guard.limits[GOV_TOKENS].amount = spec->quality.guards[SIDE_GUARD_SESSION].tokens;
    }
    return guard;
}

static void show_window(const struct side_window *window)
{
    char name[2 * SIDE_SCOPE_NAME];

    window_name(window, name, sizeof name);
    (void)printf("  %s%s\n", name, window->guard ? ", a guardrail" : "");
    show_limits("    ", window->limits);
}

static void show(const char *name, const struct side_spec *spec)
{
    struct side_window session = session_guard(spec);

    if (name == NULL)
        (void)printf("no policy named\n");
    else
        (void)printf("policy %s\n", name);
    show_limits("  ", spec->limits);
    (void)printf("  thresholds %u", spec->percents[0]);
    for (unsigned i = 1; i < SIDE_PERCENTS && spec->percents[i] > 0; i++)
        (void)printf(", %u", spec->percents[i]);
    (void)printf(" %%; on_exhausted %s\n", side_exhausted_name(spec->on_exhausted));
    if (has_limit(spec->session_limits)) {
        (void)printf("  session\n");
        show_limits("    ", spec->session_limits);
    }
    for (unsigned i = 0; i < spec->window_count; i++)
        show_window(&spec->windows[i]);
    if (has_limit(session.limits))
        show_window(&session);
}

static void limits_put(json_t *out, const struct gov_limit *limits)
{
    json_t *amounts = json_object(), *policies = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        const char *name = gov_dim_name((enum gov_dim)dim);

        if (limits[dim].amount == 0)
            continue;
        (void)json_object_set_new(amounts, name,
                                  side_amount_json((enum gov_dim)dim, limits[dim].amount));
        (void)json_object_set_new(policies, name, json_string(gov_policy_name(limits[dim].policy)));
    }
    (void)json_object_set_new(out, "limits", amounts);
    (void)json_object_set_new(out, "policies", policies);
}

static json_t *window_json(const struct side_window *window)
{
    json_t *out =
        json_pack("{s:s,s:s,s:s,s:I,s:b}", "scope", gov_scope_name(window->scope), "name",
                  window->name, "window", gov_window_name(window->window), "duration_seconds",
                  (json_int_t)window->duration_s, "guardrail", window->guard);

    limits_put(out, window->limits);
    return out;
}

static void show_json(const char *name, const struct side_spec *spec)
{
    json_t *out = json_pack("{s:s?}", "policy", name), *session = json_object();
    json_t *thresholds = json_array(), *windows = json_array();
    struct side_window guard = session_guard(spec);

    limits_put(out, spec->limits);
    limits_put(session, spec->session_limits);
    for (unsigned i = 0; i < SIDE_PERCENTS && spec->percents[i] > 0; i++)
        (void)json_array_append_new(thresholds, json_integer(spec->percents[i]));
    for (unsigned i = 0; i < spec->window_count; i++)
        (void)json_array_append_new(windows, window_json(&spec->windows[i]));
    if (has_limit(guard.limits))
        (void)json_array_append_new(windows, window_json(&guard));
    (void)json_object_set_new(out, "session", session);
    (void)json_object_set_new(out, "thresholds", thresholds);
    (void)json_object_set_new(out, "on_exhausted",
                              json_string(side_exhausted_name(spec->on_exhausted)));
    (void)json_object_set_new(out, "windows", windows);
    if (json_dumpf(out, stdout, JSON_COMPACT) == 0)
        (void)puts("");
    json_decref(out);
}

/* ---- the verbs ---------------------------------------------------------------------------- */

struct asked {
    const char *file; /* NULL: the usual one */
    bool json;
    struct side_spec *spec;
};

static int check(struct asked *asked, const json_t *policies, struct side_error *error)
{
    const char *name, *comma = "";
    const json_t *value;
    int code;

    if (!spec_read(asked->spec, asked->file, NULL, error))
        return cli_fail(CLI_NOT, "%s", error->text);
    code = prices_check(asked->spec);
    if (code != CLI_OK)
        return code;
    (void)printf("%s: runs can begin; policies: ",
                 asked->file != NULL ? asked->file : "the configuration");
    json_object_foreach((json_t *)(uintptr_t)policies, name, value)
    {
        (void)printf("%s%s", comma, name);
        comma = ", ";
    }
    (void)puts(*comma == '\0' ? "none" : "");
    return CLI_OK;
}

static int show_one(struct asked *asked, const char *name, struct side_error *error)
{
    if (!spec_read(asked->spec, asked->file, name, error))
        return cli_fail(CLI_NOT, "%s", error->text);
    if (asked->json)
        show_json(name, asked->spec);
    else
        show(name, asked->spec);
    return CLI_OK;
}

/* What a run gets that names none comes first. */
static int show_all(struct asked *asked, const json_t *policies, struct side_error *error)
{
    int code = json_object_get(policies, "default") == NULL ? show_one(asked, NULL, error) : CLI_OK;
    const char *name;
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)policies, name, value)
    {
        if (code == CLI_OK)
            code = show_one(asked, name, error);
    }
    return code;
}

int cli_policy(int argc, char **argv)
{
    bool shows = argc > 1 && strcmp(argv[1], "show") == 0;
    struct asked asked = {NULL, false, NULL};
    struct side_error error = {{0}};
    json_t *policies;
    int code;

    if (!shows && (argc < 2 || strcmp(argv[1], "check") != 0))
        return cli_no_verb("policy", argv[1], "check, show");
    for (int i = 2; i < argc; i++) {
        if (shows && strcmp(argv[i], "--json") == 0)
            asked.json = true;
        else if (asked.file != NULL || argv[i][0] == '-')
            return cli_usage("policy", "'%s': one FILE is expected, or none", argv[i]);
        else
            asked.file = argv[i];
    }
    if (asked.file != NULL && access(asked.file, R_OK) != 0)
        return cli_fail(CLI_USAGE, "%s: %s", asked.file, strerror(errno));
    policies = side_config_policies(asked.file, (const char *const *)environ, &error);
    if (policies == NULL)
        return cli_fail(CLI_NOT, "%s", error.text);
    asked.spec = malloc(sizeof *asked.spec);
    if (asked.spec == NULL)
        code = cli_fail(CLI_NOT, "out of memory");
    else
        code = shows ? show_all(&asked, policies, &error) : check(&asked, policies, &error);
    free(asked.spec);
    json_decref(policies);
    return code;
}
