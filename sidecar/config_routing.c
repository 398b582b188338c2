/* SPDX-License-Identifier: Apache-2.0 */
/* Routing, as the configuration has it: it travels as JSON, and is read (with its registry) here
 * once to see that it is sound. */
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

static json_t *json_of(struct side_reader *reader, const yaml_node_t *node)
{
    json_t *out = NULL;

    if (node->type == YAML_SCALAR_NODE)
        return scalar_of(node);
    if (node->type == YAML_MAPPING_NODE) {
        out = json_object();
        (void)side_read_pairs(reader, node, pair_add, out);
    } else if (node->type == YAML_SEQUENCE_NODE) {
        out = json_array();
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top; item++)
            (void)json_array_append_new(out, json_of(reader, side_read_node(reader, *item)));
    }
    return out;
}

/* A relative file is meant from where the configuration stands. */
static bool registry_place(struct side_reader *reader, const yaml_node_t *node, json_t *json)
{
    const char *text = json_string_value(json_object_get(json, "registry"));
    const char *slash = strrchr(reader->file, '/');
    char path[1024], *real;

    if (text == NULL)
        return side_read_fail(reader, node, "routing needs a 'registry', which is a file");
    if (*text == '/' || slash == NULL)
        (void)snprintf(path, sizeof path, "%s", text);
    else
        (void)snprintf(path, sizeof path, "%.*s/%s", (int)(slash - reader->file), reader->file,
                       text);
    real = realpath(path, NULL);
    if (real == NULL)
        return side_read_fail(reader, node, "%s: %s", path, strerror(errno));
    (void)json_object_set_new(json, "registry", json_string(real));
    free(real);
    return true;
}

static bool take(struct side_reader *reader, const yaml_node_t *node, json_t *json)
{
    char *text = registry_place(reader, node, json) ? json_dumps(json, JSON_COMPACT) : NULL;
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
        reader->spec->caps_pusd[0] = routing->daily_pusd;
        reader->spec->caps_pusd[1] = routing->weekly_pusd;
        reader->spec->caps_pusd[2] = routing->per_task_pusd;
    }
    side_routing_free(routing);
    free(text);
    return ok || side_read_fail(reader, node, "%s", error.text);
}

bool side_read_routing(struct side_reader *reader, const yaml_node_t *value)
{
    json_t *json = value->type == YAML_MAPPING_NODE ? json_of(reader, value) : NULL;
    bool ok = json != NULL ? reader->error->text[0] == '\0' && take(reader, value, json)
                           : side_read_fail(reader, value, "a mapping is expected");

    json_decref(json);
    return ok;
}
