/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration files: the system's, and over it the user's. */
#include "sidecar/side_config.h"
#include "sidecar/side_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_FILE "/etc/flyball/flyball.yaml"

static bool copy_text(struct side_reader *reader, const yaml_node_t *node, char *out, size_t size)
{
    const char *text = side_read_text(reader, node);

    if (text == NULL)
        return false;
    if (strlen(text) >= size)
        return side_read_fail(reader, node, "'%.40s...' is longer than %zu characters", text,
                              size - 1);
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool read_choice(struct side_reader *reader, const yaml_node_t *node, const char *yes,
                        const char *no, bool *out)
{
    const char *text = side_read_text(reader, node);

    if (text == NULL)
        return false;
    if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
        return side_read_fail(reader, node, "'%s' is none of %s, %s", text, yes, no);
    *out = strcmp(text, yes) == 0;
    return true;
}

/* ---- providers, prices -------------------------------------------------------------------- */

static bool provider_name(struct side_reader *reader, const yaml_node_t *value)
{
    char *name = reader->provider.name;

    return copy_text(reader, value, name, sizeof reader->provider.name) &&
           (meter_provider_by_name(name) != NULL ||
            side_read_fail(reader, value, "no provider is called '%s'", name));
}

/* Whose host it would be is not to be guessed. */
static bool host_is_known(const struct side_spec *spec, const char *host)
{
    for (unsigned i = 0; i < spec->provider_count; i++)
        if (strcmp(spec->providers[i].host, host) == 0)
            return true;
    return false;
}

static bool provider_host(struct side_reader *reader, const yaml_node_t *node)
{
    struct side_spec *spec = reader->spec;
    char *host;

    if (spec->provider_count == SIDE_PROVIDERS_MAX)
        return side_read_fail(reader, node, "more than %u hosts", SIDE_PROVIDERS_MAX);
    host = spec->providers[spec->provider_count].host;
    if (!copy_text(reader, node, host, sizeof spec->providers[0].host))
        return false;
    for (char *c = host; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    if (*host == '\0' || strpbrk(host, "/ \t@") != NULL)
        return side_read_fail(reader, node, "'%s' is not a host or host:port", host);
    if (host_is_known(spec, host))
        return side_read_fail(reader, node, "'%s' is given twice", host);
    spec->provider_count++;
    return true;
}

static bool provider_hosts(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_list(reader, value, provider_host);
}

static bool read_provider(struct side_reader *reader, const yaml_node_t *node)
{
    static const struct side_key keys[] = {
        {"name", provider_name},
        {"hosts", provider_hosts},
        {"upstream", NULL},
        {NULL, NULL},
    };
    unsigned first = reader->spec->provider_count;

    memset(&reader->provider, 0, sizeof reader->provider);
    if (!side_read_map(reader, node, keys))
        return false;
    if (reader->provider.name[0] == '\0')
        return side_read_fail(reader, node, "a provider needs a 'name'");
    if (first == reader->spec->provider_count)
        return side_read_fail(reader, node, "a provider needs 'hosts'");
    for (unsigned i = first; i < reader->spec->provider_count; i++)
        memcpy(reader->spec->providers[i].name, reader->provider.name,
               sizeof reader->provider.name);
    return true;
}

static bool read_providers(struct side_reader *reader, const yaml_node_t *value)
{
    reader->spec->provider_count = 0;
    return side_read_list(reader, value, read_provider);
}

static bool prices_override(struct side_reader *reader, const yaml_node_t *value)
{
    char path[1024], *real;

    if (!side_read_path(reader, value, path, sizeof path))
        return false;
    real = realpath(path, NULL);
    if (real == NULL || strlen(real) >= sizeof reader->spec->price_file) {
        free(real);
        return side_read_fail(reader, value, "%s: %s", path, strerror(errno));
    }
    memcpy(reader->spec->price_file, real, strlen(real) + 1);
    free(real);
    return true;
}

static bool prices_unknown(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    size_t room = sizeof reader->spec->unknown_row;

    if (text == NULL)
        return false;
    if (strcmp(text, "deny") == 0) {
        reader->spec->unknown_model = SIDE_UNKNOWN_DENY;
    } else if (strcmp(text, "warn") == 0) {
        reader->spec->unknown_model = SIDE_UNKNOWN_WARN;
    } else if (strcmp(text, "cap") == 0) {
        reader->spec->unknown_model = SIDE_UNKNOWN_CAP;
    } else if (strncmp(text, "price=", 6) == 0 && strchr(text, '/') != NULL &&
               strlen(text + 6) < room) {
        reader->spec->unknown_model = SIDE_UNKNOWN_ROW;
        (void)snprintf(reader->spec->unknown_row, room, "%s", text + 6);
    } else {
        return side_read_fail(reader, value,
                              "'%s' is none of deny, cap, warn, price=PROVIDER/MODEL", text);
    }
    return true;
}

static bool read_prices(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"override", prices_override}, {"unknown_model", prices_unknown}, {NULL, NULL}};

    return side_read_map(reader, value, keys);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static bool read_clamp(struct side_reader *reader, const yaml_node_t *value)
{
    return read_choice(reader, value, "fit", "off", &reader->spec->clamp);
}

static bool read_ask(struct side_reader *reader, const yaml_node_t *value)
{
    return read_choice(reader, value, "on", "off", &reader->spec->ask_usage);
}

static bool read_refuse(struct side_reader *reader, const yaml_node_t *value)
{
    return read_choice(reader, value, "curl-error", "http", &reader->spec->refuse_curl);
}

static bool read_wait(struct side_reader *reader, const yaml_node_t *value, int64_t *ms_out)
{
    const char *text = side_read_text(reader, value);
    int64_t ms;

    if (text == NULL)
        return false;
    if (!side_duration_parse(text, &ms) || ms > SIDE_WAIT_MOST_MS)
        return side_read_fail(reader, value, "'%s' is not a duration, such as 45s", text);
    *ms_out = ms;
    return true;
}

static bool read_busy_wait(struct side_reader *reader, const yaml_node_t *value)
{
    return read_wait(reader, value, &reader->spec->busy_wait_ms);
}

static bool read_approval_timeout(struct side_reader *reader, const yaml_node_t *value)
{
    return read_wait(reader, value, &reader->spec->approval_timeout_ms);
}

static bool read_timezone(struct side_reader *reader, const yaml_node_t *value)
{
    struct side_error why = {{0}};

    return copy_text(reader, value, reader->spec->timezone, sizeof reader->spec->timezone) &&
           (side_zone_find(reader->spec->timezone, &why) != NULL ||
            side_read_fail(reader, value, "%s", why.text));
}

static bool read_top(struct side_reader *reader, const yaml_node_t *node)
{
    static const struct side_key keys[] = {
        {"governance", side_read_governance},
        {"session_budget_limits", side_read_session_limits},
        {"windows", side_read_windows},
        {"providers", read_providers},
        {"prices", read_prices},
        {"clamp_output", read_clamp},
        {"ask_usage", read_ask},
        {"busy_wait", read_busy_wait},
        {"refuse", read_refuse},
        {"timezone", read_timezone},
        {"ceilings", side_read_ceilings},
        {"guardrails", side_read_guardrails},
        {"quality", side_read_quality},
        {"approval_timeout", read_approval_timeout},
        {"routing", side_read_routing},
        {"agents", side_read_agents},
        {"notify", side_read_notify},
        {"guard", NULL},
        {"keys", NULL},
        {"cacert", NULL},
        {"anchor", side_read_anchor},
        {"on_unavailable", NULL},
        {"retention", side_read_retention},
        {NULL, NULL},
    };

    return side_read_map(reader, node, keys);
}

/* ---- files -------------------------------------------------------------------------------- */

static bool load(struct side_reader *reader, yaml_parser_t *parser, yaml_document_t *document)
{
    return yaml_parser_load(parser, document) ||
           side_fail(reader->error, "%s:%zu:%zu: %s", reader->file, parser->problem_mark.line + 1,
                     parser->problem_mark.column + 1,
                     parser->problem != NULL ? parser->problem : "not YAML");
}

/* An empty file asks for nothing, an empty document as well. */
static bool is_empty(const yaml_node_t *root)
{
    return root == NULL || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0 &&
                            root->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
}

static bool read_one(struct side_reader *reader, yaml_parser_t *parser)
{
    yaml_document_t document;
    const yaml_node_t *root;
    bool ok;

    if (!load(reader, parser, &document))
        return false;
    root = yaml_document_get_root_node(&document);
    reader->document = &document;
    ok = is_empty(root) || read_top(reader, root);
    yaml_document_delete(&document);
    return ok;
}

/* What stands behind the first document would be passed over. */
static bool read_end(struct side_reader *reader, yaml_parser_t *parser)
{
    yaml_document_t document;
    bool ok;

    if (!load(reader, parser, &document))
        return false;
    ok = yaml_document_get_root_node(&document) == NULL ||
         side_fail(reader->error, "%s:%zu:%zu: a second document begins here", reader->file,
                   document.start_mark.line + 1, document.start_mark.column + 1);
    yaml_document_delete(&document);
    return ok;
}

static bool read_document(struct side_reader *reader, FILE *file)
{
    yaml_parser_t parser;
    bool ok;

    if (!yaml_parser_initialize(&parser))
        return side_fail(reader->error, "%s: out of memory", reader->file);
    yaml_parser_set_input_file(&parser, file);
    ok = read_one(reader, &parser) && read_end(reader, &parser);
    yaml_parser_delete(&parser);
    return ok;
}

static bool read_file(struct side_reader *reader, const char *path, bool must)
{
    FILE *file = fopen(path, "re");
    bool ok;

    if (file == NULL)
        return (!must && (errno == ENOENT || errno == ENOTDIR)) ||
               side_fail(reader->error, "%s: %s", path, strerror(errno));
    reader->file = path;
    ok = read_document(reader, file);
    (void)fclose(file);
    return ok;
}

static bool read_users(struct side_reader *reader, const char *file, const char *const *env)
{
    const char *by_env = side_env_find(env, "FLYBALL_CONFIG");
    const char *base = side_env_find(env, "XDG_CONFIG_HOME"), *home = side_env_find(env, "HOME");
    char path[1024];

    if (file != NULL || (by_env != NULL && *by_env != '\0'))
        return read_file(reader, file != NULL ? file : by_env, true);
    if (base != NULL && *base == '/')
        (void)snprintf(path, sizeof path, "%s/flyball/flyball.yaml", base);
    else if (home != NULL && *home == '/')
        (void)snprintf(path, sizeof path, "%s/.config/flyball/flyball.yaml", home);
    else
        return true;
    return read_file(reader, path, false);
}

/* A name that no policy has: error with those that there are. */
static bool policy_is_there(const json_t *policies, const char *name, const char *who,
                            struct side_error *error)
{
    char all[300] = "none is";
    const char *other;
    const json_t *value;
    size_t used = 0;

    if (json_object_get(policies, name) != NULL)
        return true;
    json_object_foreach((json_t *)(uintptr_t)policies, other, value)
    {
        if (used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s'%s'",
                                     used > 0 ? ", " : "these are: ", other);
    }
    return side_fail(error, "%sno policy is called '%s'; %s", who, name, all);
}

/* What an agent is given has to be there before it is needed. */
static bool agents_have_policies(const struct side_spec *spec, const json_t *policies,
                                 struct side_error *error)
{
    json_t *agents = spec->agents[0] != '\0' ? json_loads(spec->agents, 0, NULL) : NULL;
    const char *name, *policy;
    json_t *agent;
    char who[96];
    bool ok = true;

    json_object_foreach(agents, name, agent)
    {
        policy = json_string_value(json_object_get(agent, "policy"));
        (void)snprintf(who, sizeof who, "agents: '%s': ", name);
        ok = ok && (policy == NULL || policy_is_there(policies, policy, who, error));
    }
    json_decref(agents);
    return ok;
}

static bool read_all(struct side_reader *reader, const char *file, const char *const *env)
{
    reader->system = true;
    if (reader->policies == NULL)
        return side_fail(reader->error, "out of memory");
    if (!read_file(reader, SYSTEM_FILE, false))
        return false;
    reader->system = false;
    if (!read_users(reader, file, env) ||
        !agents_have_policies(reader->spec, reader->policies, reader->error))
        return false;
    return reader->policy == NULL ||
           policy_is_there(reader->policies, reader->policy, "", reader->error);
}

json_t *side_config_policies(const char *file, const char *const *env, struct side_error *error)
{
    struct side_spec *spec = calloc(1, sizeof *spec);
    struct side_reader reader = {.spec = spec, .error = error, .policies = json_object()};
    bool ok = spec != NULL || side_fail(error, "out of memory");

    if (ok)
        side_spec_init(spec);
    ok = ok && read_all(&reader, file, env);
    free(spec);
    if (ok)
        return reader.policies;
    json_decref(reader.policies);
    return NULL;
}

static bool read_with(struct side_spec *spec, const char *file, const char *policy,
                      const char *const *env, struct side_error *error)
{
    struct side_reader reader = {
        .spec = spec, .error = error, .policy = policy, .policies = json_object()};
    bool ok = read_all(&reader, file, env);

    json_decref(reader.policies);
    return ok;
}

/* Which policy an agent has is known once everything is read; then that is the one asked for. */
bool side_config_read(struct side_spec *spec, const char *file, const char *policy,
                      const char *const *env, struct side_error *error)
{
    struct side_spec *before = malloc(sizeof *before);
    struct side_agent agent;
    bool ok;

    if (before == NULL)
        return side_fail(error, "out of memory");
    *before = *spec;
    ok = read_with(spec, file, policy, env, error);
    side_agent_find(spec, spec->agent, &agent);
    if (ok && policy == NULL && agent.policy[0] != '\0') {
        *spec = *before;
        ok = read_with(spec, file, agent.policy, env, error);
    }
    free(before);
    return ok;
}
