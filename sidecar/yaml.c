/* SPDX-License-Identifier: Apache-2.0 */
/* Walking YAML, which libyaml has read. A mapping is read by a table of its keys; a key that is in
 * no table is an error with file, line, column and the nearest key that is; a key that this version
 * does not act on is an error too: a rule that is accepted and not kept would be a lie. */
#include "sidecar/side_config.h"
#include "sidecar/side_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) bool
side_read_fail(struct side_reader *reader, const yaml_node_t *node, const char *format, ...)
{
    char text[400];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return side_fail(reader->error, "%s:%zu:%zu: %s", reader->file, node->start_mark.line + 1,
                     node->start_mark.column + 1, text);
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

static unsigned distance(const char *a, const char *b)
{
    unsigned row[64], columns = (unsigned)strlen(b);

    if (columns >= 63 || strlen(a) >= 63)
        return 63;
    for (unsigned j = 0; j <= columns; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= columns; j++) {
            unsigned above = row[j];

            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[columns];
}

static const char *nearest(const struct side_key *keys, const char *name)
{
    const char *best = keys[0].name;

    for (const struct side_key *key = keys; key->name != NULL; key++)
        if (distance(name, key->name) < distance(name, best))
            best = key->name;
    return best;
}

/* ---- walking ------------------------------------------------------------------------------ */

const yaml_node_t *side_read_node(struct side_reader *reader, int index)
{
    return yaml_document_get_node(reader->document, index);
}

/* NULL also for a text that has an end in it ("a\0b"): what is behind would be passed over. */
static const char *scalar(const yaml_node_t *node)
{
    const char *text =
        node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;

    return text != NULL && strlen(text) == node->data.scalar.length ? text : NULL;
}

const char *side_read_text(struct side_reader *reader, const yaml_node_t *node)
{
    const char *text = scalar(node);

    if (text == NULL)
        (void)side_read_fail(reader, node, "a single value is expected here");
    return text;
}

static bool is_repeated(struct side_reader *reader, const yaml_node_t *map,
                        const yaml_node_pair_t *upto)
{
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < upto; pair++) {
        const char *a = scalar(side_read_node(reader, pair->key)),
                   *b = scalar(side_read_node(reader, upto->key));

        if (a != NULL && b != NULL && strcmp(a, b) == 0)
            return true;
    }
    return false;
}

bool side_read_list(struct side_reader *reader, const yaml_node_t *node, side_key_handler handle)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return side_read_fail(reader, node, "a list is expected here");
    for (const yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++)
        if (!handle(reader, side_read_node(reader, *item)))
            return false;
    return true;
}

bool side_read_pairs(struct side_reader *reader, const yaml_node_t *map,
                     bool (*each)(struct side_reader *reader, const yaml_node_t *name_node,
                                  const char *name, const yaml_node_t *value, void *data),
                     void *data)
{
    if (map->type != YAML_MAPPING_NODE)
        return side_read_fail(reader, map, "keys with values are expected here");
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name_node = side_read_node(reader, pair->key);
        const char *name = side_read_text(reader, name_node);

        if (name == NULL)
            return false;
        if (is_repeated(reader, map, pair))
            return side_read_fail(reader, name_node, "'%s' is given twice", name);
        if (!each(reader, name_node, name, side_read_node(reader, pair->value), data))
            return false;
    }
    return true;
}

bool side_read_unknown(struct side_reader *reader, const yaml_node_t *name_node, const char *name,
                       const struct side_key *keys)
{
    return side_read_fail(reader, name_node, "unknown key '%s'; the nearest one is '%s'", name,
                          nearest(keys, name));
}

static bool read_key(struct side_reader *reader, const yaml_node_t *name_node, const char *name,
                     const yaml_node_t *value, void *data)
{
    const struct side_key *keys = data, *key = keys;

    while (key->name != NULL && strcmp(key->name, name) != 0)
        key++;
    if (key->name == NULL)
        return side_read_unknown(reader, name_node, name, keys);
    if (key->handle == NULL)
        return side_read_fail(reader, name_node, "'%s' is not supported by this version of Flyball",
                              name);
    return key->handle(reader, value);
}

bool side_read_map(struct side_reader *reader, const yaml_node_t *node, const struct side_key *keys)
{
    return side_read_pairs(reader, node, read_key, (void *)(uintptr_t)keys);
}
