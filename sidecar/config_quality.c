/* SPDX-License-Identifier: Apache-2.0 */
/* Guardrails and quality, as the configuration has them: the same values as the variables. */
#include "sidecar/side_config.h"

#include <string.h>

static bool set(struct side_reader *reader, const yaml_node_t *node, const char *variable,
                const char *key)
{
    const char *text = side_read_text(reader, node);
    struct side_error error = {{0}};

    return text != NULL && (side_quality_set(&reader->spec->quality, variable, text, key, &error) ||
                            side_read_fail(reader, node, "%s", error.text));
}

static bool read_profile(struct side_reader *reader, const yaml_node_t *value)
{
    return set(reader, value, "DEFAULT_PROFILE", "default_profile");
}

static bool read_prefer_local(struct side_reader *reader, const yaml_node_t *value)
{
    return set(reader, value, "PREFER_LOCAL_MODEL", "prefer_local_model");
}

static bool read_local_model(struct side_reader *reader, const yaml_node_t *value)
{
    return set(reader, value, "LOCAL_MODEL_ID", "local_model_id");
}

bool side_read_quality(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"default_profile", read_profile},
        {"prefer_local_model", read_prefer_local},
        {"local_model_id", read_local_model},
        {NULL, NULL},
    };

    return side_read_map(reader, value, keys);
}

/* The user's file cannot turn off what the system's has turned on. */
bool side_read_guardrails(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);

    if (text == NULL)
        return false;
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
        return side_read_fail(reader, value, "'%s' is none of on, off", text);
    if (strcmp(text, "on") == 0)
        side_quality_guard_all(&reader->spec->quality);
    return true;
}
