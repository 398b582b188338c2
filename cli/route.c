/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball route`: which tier and model a task gets, on record before it is told; `flyball registry
 * check`: whether a registry can be routed by. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sidecar/routing.h"

extern char **environ;

static void take_nothing(void *data, const char *line, size_t length)
{
    (void)data, (void)line, (void)length;
}

static bool log_it(json_t *record)
{
    (void)json_object_set_new(record, "verb", json_string("route"));
    return cli_ask(record, take_nothing, NULL) == CLI_OK ||
           cli_fail(CLI_UNAVAILABLE,
                    "decision_log_failure: the choice could not be written down, so "
                    "it does not count") == CLI_OK;
}

/* The rules as they are configured, and who is blocked under them. */
struct router {
    struct side_spec *spec;
    struct side_routing *routing;
    const struct gov_routing *gov; /* of it */
    char timezone[64];
    int64_t requests, tokens; /* of a provider's guardrail; 0: it has none */
    json_t *blocked;          /* providers */
};

static bool router_read(struct router *router, const char *config, struct side_error *error)
{
    struct side_spec *spec = calloc(1, sizeof *spec);
    const char *const *env = (const char *const *)environ;

    if (spec == NULL)
        return side_fail(error, "out of memory");
    side_spec_init(spec);
    if (side_config_read(spec, config, NULL, env, error) &&
        side_quality_env(&spec->quality, env, error) &&
        (spec->routing[0] != '\0' || side_fail(error, "the configuration has no 'routing:'")))
        router->routing = side_routing_new(spec->routing, error);
    if (router->routing != NULL) {
        router->gov = &router->routing->gov;
        memcpy(router->timezone, spec->timezone, sizeof router->timezone);
        if (spec->quality.guards[SIDE_GUARD_PROVIDER].on) {
            router->requests = spec->quality.guards[SIDE_GUARD_PROVIDER].requests;
            router->tokens = spec->quality.guards[SIDE_GUARD_PROVIDER].tokens;
        }
    }
    router->spec = spec;
    return router->routing != NULL;
}

static void take_blocked(void *data, const char *line, size_t length)
{
    (void)json_array_append_new(((struct router *)data)->blocked,
                                json_loadb(line, length, 0, NULL));
}

static bool blocked_read(struct router *router)
{
    router->blocked = json_array();
    return cli_ask(json_pack("{s:s,s:s,s:I,s:I}", "verb", "blocked", "timezone", router->timezone,
                             "requests", (json_int_t)router->requests, "tokens",
                             (json_int_t)router->tokens),
                   take_blocked, router) == CLI_OK;
}

static bool is_blocked(const void *data, const char *provider)
{
    const struct router *router = data;
    json_t *row;
    size_t i;

    json_array_foreach(router->blocked, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "provider"));

        if (name != NULL && strcmp(name, provider) == 0)
            return true;
    }
    return false;
}

/* ---- a task ------------------------------------------------------------------------------- */

static int route(struct router *router, const json_t *json)
{
    static const char *paths[SIDE_TASK_PATHS];
    const char *id, *agent = json_string_value(json_object_get(json, "agent"));
    struct gov_selection selection;
    struct side_error error = {{0}};
    struct side_agent prefers;
    struct gov_task task;
    json_t *out, *record;
    char chain[SIDE_CHAIN_TEXT], *text;
    bool logged;

    if (!side_task_read(json, paths, &task, &id, &error))
        return cli_usage("route", "%s", error.text);
    if (!blocked_read(router))
        return CLI_UNAVAILABLE;
    side_agent_find(router->spec, agent != NULL ? agent : "", &prefers);
    task.preferred = prefers.preferred;
    gov_select_model(&task, router->gov, is_blocked, router, &selection);
    out = side_selection_json(&selection);
    record = json_pack(
        "{s:s,s:s*,s:s,s:s,s:s,s:s*,s:s*,s:s*,s:s,s:b,s:s}", "task_id", id, "agent", agent, "tier",
        gov_tier_name(selection.model != NULL ? selection.tier : selection.wanted), "risk",
        gov_risk_name(selection.risk), "complexity", gov_complexity_name(selection.complexity),
        "governance", selection.governance, "model",
        selection.model != NULL ? selection.model->id : NULL, "requested",
        json_string_value(json_object_get(json_object_get(json, "signals"), "model")),
        "reason_text", json_string_value(json_object_get(out, "reason")), "requires_approval",
        selection.requires_approval, "chain", side_chain_text(&selection, chain));
    text = json_dumps(out, JSON_COMPACT);
    logged = log_it(record);
    if (logged && text != NULL)
        (void)puts(text);
    free(text);
    json_decref(out);
    if (!logged)
        return CLI_UNAVAILABLE;
    return selection.model != NULL ? CLI_OK : 1;
}

static int route_file(struct router *router, const char *path)
{
    size_t bytes;
    char *text = cli_slurp(path, &bytes);
    json_error_t where;
    json_t *json = text != NULL ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where) : NULL;
    int code;

    if (text == NULL)
        return CLI_USAGE;
    if (!json_is_object(json))
        code = json == NULL ? cli_usage("route", "%s:%d:%d: not JSON: %s", path, where.line,
                                        where.column, where.text)
                            : cli_usage("route", "%s: a task is a JSON object", path);
    else
        code = route(router, json);
    json_decref(json);
    free(text);
    return code;
}

/* ---- escalation --------------------------------------------------------------------------- */

struct last {
    const char *task;
    json_t *record; /* the last one of that task */
};

static void take_event(void *data, const char *line, size_t length)
{
    struct last *last = data;
    json_t *json = json_loadb(line, length, 0, NULL);
    const char *event = json_string_value(json_object_get(json, "event"));
    const char *task = json_string_value(json_object_get(json, "task_id"));

    if (event != NULL && task != NULL && strcmp(event, "MODEL_SELECTED") == 0 &&
        strcmp(task, last->task) == 0) {
        json_decref(last->record);
        last->record = json_incref(json);
    }
    json_decref(json);
}

static bool who_check(const char *actor, const char *reason, struct side_error *error)
{
    json_t *record = json_object();
    bool ok = cli_text_put(record, "actor", actor, error) &&
              cli_text_put(record, "reason", reason, error);

    json_decref(record);
    return ok;
}

/* A new record beside the one that was: nothing of it is changed. */
static int escalate(struct router *router, const char *task, const char *to, const char *reason,
                    const char *actor)
{
    struct last last = {.task = task};
    const struct gov_model *model;
    unsigned tier = gov_tier_by_name(to);
    struct side_error error = {{0}};
    const char *from;
    json_t *out;
    bool logged;

    if (tier == GOV_TIERS)
        return cli_usage("route", "--to '%s' is none of T0 to T4", to);
    if (!who_check(actor, reason, &error))
        return cli_usage("route", "%s", error.text);
    if (!blocked_read(router) ||
        cli_ask(json_pack("{s:s,s:b}", "verb", "events", "all", 1), take_event, &last) != CLI_OK)
        return CLI_UNAVAILABLE;
    if (last.record == NULL)
        return cli_fail(1, "no task '%s' has been routed", task);
    from = json_string_value(json_object_get(last.record, "tier_selected"));
    model = gov_model_of(router->gov, tier, is_blocked, router);
    if (from == NULL || gov_tier_by_name(from) <= tier || model == NULL) {
        int code = model == NULL
                       ? cli_fail(1, "no_models_in_tier:%s", to)
                       : cli_fail(1, "task '%s' is at %s, which is not below %s", task, from, to);

        json_decref(last.record); /* from is of it */
        return code;
    }
    out = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "task_id", task, "tier", to, "model", model->id,
                    "from", from, "reason", reason, "actor", actor);
    logged = log_it(json_pack("{s:s,s:s,s:O,s:O,s:s,s:s,s:s,s:s,s:b,s:O}", "task_id", task, "tier",
                              to, "risk", json_object_get(last.record, "risk_level"), "complexity",
                              json_object_get(last.record, "complexity_level"), "model", model->id,
                              "reason_text", "escalation", "why", reason, "actor", actor,
                              "requires_approval",
                              json_is_true(json_object_get(last.record, "requires_approval")),
                              "chain", json_object_get(last.record, "classifier_chain")));
    if (logged && json_dumpf(out, stdout, JSON_COMPACT) == 0)
        (void)puts("");
    json_decref(out);
    json_decref(last.record);
    return logged ? CLI_OK : CLI_UNAVAILABLE;
}

int cli_route(int argc, char **argv)
{
    static const struct option rows[] = {
        {"task", required_argument, NULL, 't'},
        {"escalate", required_argument, NULL, 'e'},
        {"to", required_argument, NULL, 'o'},
        {"reason", required_argument, NULL, 'r'},
        {"actor", required_argument, NULL, 'a'},
        {"config", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    const char *task = NULL, *escalated = NULL, *to = NULL, *reason = NULL, *config = NULL;
    const char *actor = cli_login();
    struct side_error error = {{0}};
    struct router router = {0};
    int id, code;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        const char **slots[] = {['t'] = &task,   ['e'] = &escalated, ['o'] = &to,
                                ['r'] = &reason, ['a'] = &actor,     ['c'] = &config};

        if (id == '?')
            return cli_usage("route", "'%s' is no option, or needs a value", argv[optind - 1]);
        *slots[id] = optarg;
    }
    if (optind != argc || (task == NULL) == (escalated == NULL))
        return cli_usage("route", "--task FILE or --escalate TASK is expected");
    if (escalated != NULL && (to == NULL || reason == NULL))
        return cli_usage("route", "--escalate needs --to TIER and --reason R");
    if (!router_read(&router, config, &error))
        code = cli_usage("route", "%s", error.text);
    else if (task != NULL)
        code = route_file(&router, task);
    else
        code = escalate(&router, escalated, to, reason, actor);
    side_routing_free(router.routing);
    free(router.spec);
    json_decref(router.blocked);
    return code;
}

int cli_registry(int argc, char **argv)
{
    struct side_routing *routing = calloc(1, sizeof *routing);
    struct side_error error = {{0}};
    int code = CLI_OK;

    if (routing == NULL || argc < 2 || strcmp(argv[1], "check") != 0)
        code = cli_no_verb("registry", argv[1], "check");
    else if (argc != 3)
        code = cli_usage("registry", "check: one FILE is expected");
    else if (access(argv[2], R_OK) != 0)
        code = cli_fail(CLI_USAGE, "%s: %s", argv[2], strerror(errno));
    else if (!side_registry_read(argv[2], routing, &error))
        code = cli_fail(1, "%s", error.text);
    else
        (void)printf("%s: %zu models, %u tiers in the fallback chain\n", argv[2],
                     routing->gov.model_count, routing->gov.chain_count);
    side_routing_free(routing);
    return code;
}
