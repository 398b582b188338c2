/* SPDX-License-Identifier: Apache-2.0 */
/* `notify:`, as the configuration has it: who is told of what. It travels as JSON. */
#include "sidecar/json.h"
#include "sidecar/side_config.h"
#include "sidecar/side_int.h"

#include <stdlib.h>
#include <string.h>

static bool name_is_new(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
            return false;
    return true;
}

static bool read_event(struct side_reader *reader, const yaml_node_t *node)
{
    static const struct side_key names[] = {
        {"warning", NULL}, {"exhausted", NULL}, {"approval", NULL}, {NULL, NULL}};
    const char *text = side_read_text(reader, node);
    const struct side_key *name = names;
    json_t *list = json_object_get(reader->rule, "on");

    if (text == NULL)
        return false;
    while (name->name != NULL && strcmp(name->name, text) != 0)
        name++;
    if (name->name == NULL)
        return side_read_unknown(reader, node, text, names);
    if (!name_is_new(list, text))
        return side_read_fail(reader, node, "'%s' is given twice", text);
    return json_array_append_new(list, json_string(text)) == 0;
}

static bool read_on(struct side_reader *reader, const yaml_node_t *value)
{
    side_json_set(reader->rule, "on", json_array());
    return side_read_list(reader, value, read_event);
}

/* The sidecar is elsewhere: a path from here would lead nowhere. */
static bool read_word(struct side_reader *reader, const yaml_node_t *node)
{
    const char *text = side_read_text(reader, node);
    json_t *list = json_object_get(reader->rule, "command");

    if (text == NULL)
        return false;
    if (json_array_size(list) == 0 &&
        (*text == '\0' || (*text != '/' && strchr(text, '/') != NULL)))
        return side_read_fail(reader, node, "'%s' is neither a full path nor a name in PATH", text);
    if (json_array_size(list) == SIDE_CHILD_WORDS)
        return side_read_fail(reader, node, "more than %u words", SIDE_CHILD_WORDS);
    return json_array_append_new(list, json_string(text)) == 0 ||
           side_read_fail(reader, node, "'%s' is not UTF-8", text);
}

static bool read_command(struct side_reader *reader, const yaml_node_t *value)
{
    side_json_set(reader->rule, "command", json_array());
    return side_read_list(reader, value, read_word);
}

static bool read_webhook(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    size_t scheme = text == NULL                            ? 0
                    : strncasecmp(text, "http://", 7) == 0  ? 7
                    : strncasecmp(text, "https://", 8) == 0 ? 8
                                                            : 0;

    if (text == NULL)
        return false;
    if (scheme == 0 || strcspn(text + scheme, "/?#") == 0 || strpbrk(text, " \t\r\n") != NULL)
        return side_read_fail(reader, value,
                              "'%s' is not an address that begins with http:// or "
                              "https://",
                              text);
    side_json_set(reader->rule, "webhook", json_string(text));
    return true;
}

static bool read_rule(struct side_reader *reader, const yaml_node_t *node)
{
    static const struct side_key keys[] = {
        {"on", read_on}, {"command", read_command}, {"webhook", read_webhook}, {NULL, NULL}};
    const json_t *command, *webhook;

    if (json_array_size(reader->rules) == SIDE_NOTIFY_RULES)
        return side_read_fail(reader, node, "more than %u rules", SIDE_NOTIFY_RULES);
    reader->rule = json_object();
    (void)json_array_append_new(reader->rules, reader->rule);
    if (!side_read_map(reader, node, keys))
        return false;
    if (json_array_size(json_object_get(reader->rule, "on")) == 0)
        return side_read_fail(reader, node, "it needs 'on': warning, exhausted, approval");
    command = json_object_get(reader->rule, "command");
    webhook = json_object_get(reader->rule, "webhook");
    return (json_array_size(command) > 0) != (webhook != NULL) ||
           side_read_fail(reader, node, "it needs a 'command' or a 'webhook'");
}

bool side_read_notify(struct side_reader *reader, const yaml_node_t *value)
{
    char *text = NULL;
    bool ok;

    reader->rules = json_array();
    ok = side_read_list(reader, value, read_rule);
    if (ok)
        text = json_dumps(reader->rules, JSON_COMPACT);
    if (ok && (text == NULL || strlen(text) >= sizeof reader->spec->notify))
        ok = side_read_fail(reader, value, "the rules are longer than %u bytes", SIDE_NOTIFY_TEXT);
    if (ok)
        memcpy(reader->spec->notify, text, strlen(text) + 1);
    free(text);
    json_decref(reader->rules);
    return ok;
}
