/* SPDX-License-Identifier: Apache-2.0 */
/* `agents:`, as the configuration has it, and what it says of one. It travels as JSON. */
#include "governor/route.h"
#include "sidecar/json.h"
#include "sidecar/side_config.h"

#include <stdlib.h>
#include <string.h>

#define CONCURRENCY_MOST 1000000

static bool read_tier(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);

    if (text == NULL)
        return false;
    if (gov_tier_by_name(text) == GOV_TIERS)
        return side_read_fail(reader, value, "'%s' is none of T0, T1, T2, T3, T4", text);
    side_json_set(reader->rule, "preferred_tier", json_string(text));
    return true;
}

static bool read_concurrency(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    int64_t most;

    if (text == NULL)
        return false;
    if (!side_amount_parse(GOV_STEPS, text, &most) || most < 1 || most > CONCURRENCY_MOST)
        return side_read_fail(reader, value, "'%s' is not a number of calls from 1 to %d", text,
                              CONCURRENCY_MOST);
    side_json_set(reader->rule, "max_concurrency", json_integer(most));
    return true;
}

static bool read_policy(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);

    if (text == NULL)
        return false;
    if (*text == '\0' || strlen(text) >= sizeof reader->spec->policy)
        return side_read_fail(reader, value, "'%s' is no name of a policy", text);
    side_json_set(reader->rule, "policy", json_string(text));
    return true;
}

static bool read_agent(struct side_reader *reader, const yaml_node_t *name_node, const char *name,
                       const yaml_node_t *value, void *data)
{
    static const struct side_key keys[] = {{"preferred_tier", read_tier},
                                           {"max_concurrency", read_concurrency},
                                           {"policy", read_policy},
                                           {NULL, NULL}};

    if (*name == '\0' || strlen(name) >= sizeof reader->spec->agent)
        return side_read_fail(reader, name_node, "an agent has a name of 1 to %zu characters",
                              sizeof reader->spec->agent - 1);
    reader->rule = json_object();
    side_json_set(data, name, reader->rule);
    return side_read_map(reader, value, keys);
}

bool side_read_agents(struct side_reader *reader, const yaml_node_t *value)
{
    json_t *agents = json_object();
    char *text = NULL;
    bool ok = side_read_pairs(reader, value, read_agent, agents);

    if (ok)
        text = json_dumps(agents, JSON_COMPACT);
    if (ok && (text == NULL || strlen(text) >= sizeof reader->spec->agents))
        ok = side_read_fail(reader, value, "they are longer than %u bytes", SIDE_AGENTS_TEXT);
    if (ok)
        memcpy(reader->spec->agents, text, strlen(text) + 1);
    free(text);
    json_decref(agents);
    return ok;
}

void side_agent_find(const struct side_spec *spec, const char *name, struct side_agent *out)
{
    json_t *agents = spec->agents[0] != '\0' ? json_loads(spec->agents, 0, NULL) : NULL;
    const json_t *agent = json_object_get(agents, name);
    const char *tier = json_string_value(json_object_get(agent, "preferred_tier"));
    const char *policy = json_string_value(json_object_get(agent, "policy"));

    *out = (struct side_agent){
        .preferred = tier != NULL ? gov_tier_by_name(tier) + 1 : 0,
        .max_concurrency = (unsigned)json_integer_value(json_object_get(agent, "max_concurrency")),
    };
    if (policy != NULL)
        (void)snprintf(out->policy, sizeof out->policy, "%s", policy);
    json_decref(agents);
}
