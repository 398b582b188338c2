/* SPDX-License-Identifier: Apache-2.0 */
/* Routing, as the configuration has it: keys and shapes are looked at here, where their places are
 * known. It travels as JSON, and is read (with its registry) here once to see that it is sound. */
#include "sidecar/routing.h"
#include "sidecar/side_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *json_of(struct side_reader *reader, const yaml_node_t *node);

/* A plain whole number, or true or false, is one; everything else is a text. */
static json_t *scalar_of(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    size_t length = strlen(text);
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (plain && length > 0 && length < 18 && strspn(text, "0123456789") == length)
        return json_integer(strtoll(text, NULL, 10));
    if (plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return json_boolean(*text == 't');
    return json_string(text);
}

static bool pair_add(struct side_reader *reader, const yaml_node_t *name_node, const char *name,
                     const yaml_node_t *value, void *data)
{
    (void)name_node;
    return json_object_set_new(data, name, json_of(reader, value)) == 0;
}

/* NULL: out of memory; what is wrong with its texts has been looked for before. */
static json_t *json_of(struct side_reader *reader, const yaml_node_t *node)
{
    json_t *out;
    bool ok = true;

    if (node->type == YAML_SCALAR_NODE)
        return scalar_of(node);
    if (node->type == YAML_MAPPING_NODE) {
        out = json_object();
        ok = side_read_pairs(reader, node, pair_add, out);
    } else {
        out = json_array();
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top && ok; item++)
            ok = json_array_append_new(out, json_of(reader, side_read_node(reader, *item))) == 0;
    }
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}

/* ---- what stands where ---------------------------------------------------------------------- */

static bool is_text(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_text(reader, value) != NULL;
}

static bool is_texts(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_list(reader, value, is_text);
}

static bool is_risk_rule(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {{"level", is_text}, {"paths", is_texts}, {NULL, NULL}};

    return side_read_map(reader, value, keys);
}

static bool is_when(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {{"input_tokens", is_text},
                                           {"tools", is_text},
                                           {"files", is_text},
                                           {"thinking", is_text},
                                           {NULL, NULL}};

    return side_read_map(reader, value, keys);
}

static bool is_complexity_rule(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {{"level", is_text}, {"when", is_when}, {NULL, NULL}};

    return side_read_map(reader, value, keys);
}

static bool is_row(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"R0", is_text}, {"R1", is_text}, {"R2", is_text}, {"R3", is_text}, {NULL, NULL}};

    return side_read_map(reader, value, keys);
}

/* A part that is as it should be, into the JSON. */
static bool keep(struct side_reader *reader, const yaml_node_t *value, const char *name)
{
    return json_object_set_new(reader->routing, name, json_of(reader, value)) == 0 ||
           side_read_fail(reader, value, "out of memory");
}

static bool read_risk_rules(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_list(reader, value, is_risk_rule) && keep(reader, value, "risk_rules");
}

static bool read_complexity_rules(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_list(reader, value, is_complexity_rule) &&
           keep(reader, value, "complexity_rules");
}

static bool read_governance(struct side_reader *reader, const yaml_node_t *value)
{
    return is_texts(reader, value) && keep(reader, value, "governance_patterns");
}

static bool read_matrix(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"L0", is_row}, {"L1", is_row}, {"L2", is_row}, {"L3_plus", is_row}, {NULL, NULL}};

    return side_read_map(reader, value, keys) && keep(reader, value, "matrix");
}

static bool read_caps(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {{"daily_usd", is_text},
                                           {"weekly_usd", is_text},
                                           {"per_task_usd", is_text},
                                           {"t0_calls_per_day", is_text},
                                           {NULL, NULL}};

    return side_read_map(reader, value, keys) && keep(reader, value, "caps");
}

static bool read_registry(struct side_reader *reader, const yaml_node_t *value)
{
    char path[1024], *real;

    if (!side_read_path(reader, value, path, sizeof path))
        return false;
    real = realpath(path, NULL);
    if (real == NULL)
        return side_read_fail(reader, value, "%s: %s", path, strerror(errno));
    (void)json_object_set_new(reader->routing, "registry", json_string(real));
    free(real);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool take(struct side_reader *reader, const yaml_node_t *node)
{
    char *text = json_dumps(reader->routing, JSON_COMPACT);
    struct side_error error = {{0}};
    struct side_routing *routing;
    bool ok;

    if (text == NULL)
        return side_read_fail(reader, node, "out of memory");
    if (strlen(text) >= sizeof reader->spec->routing) {
        free(text);
        return side_read_fail(reader, node, "the rules are longer than %u bytes",
                              SIDE_ROUTING_TEXT);
    }
    routing = side_routing_new(text, &error);
    ok = routing != NULL;
    if (ok) {
        memcpy(reader->spec->routing, text, strlen(text) + 1);
        memcpy(reader->spec->caps, routing->caps, sizeof routing->caps);
    }
    side_routing_free(routing);
    free(text);
    return ok || side_read_fail(reader, node, "%s", error.text);
}

bool side_read_routing(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {{"registry", read_registry},
                                           {"risk_rules", read_risk_rules},
                                           {"complexity_rules", read_complexity_rules},
                                           {"governance_patterns", read_governance},
                                           {"matrix", read_matrix},
                                           {"caps", read_caps},
                                           {NULL, NULL}};
    bool ok;

    reader->routing = json_object();
    ok = side_read_map(reader, value, keys) && take(reader, value);
    json_decref(reader->routing);
    return ok;
}
