/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: as much of JSON Schema as the receipts' schemas use. A keyword that is not known
 * here fails, so that none is passed over. */
#ifndef FLYBALL_TESTS_SCHEMA_H
#define FLYBALL_TESTS_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool schema_holds(const json_t *schema, const json_t *value, const char *name,
                                char *why, size_t size);

static inline bool schema_type(const char *type, const json_t *value)
{
    return (strcmp(type, "object") == 0 && json_is_object(value)) ||
           (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value));
}

static inline bool schema_enum(const json_t *choices, const json_t *value)
{
    const json_t *choice;
    size_t i;

    json_array_foreach(choices, i, choice)
    {
        if (json_equal(choice, value))
            return true;
    }
    return false;
}

static inline bool schema_required(const json_t *names, const json_t *value)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (json_object_get(value, json_string_value(name)) == NULL)
            return false;
    }
    return true;
}

/* rest: additionalProperties, false or a schema. */
static inline bool schema_members(const json_t *properties, const json_t *rest, const json_t *value,
                                  char *why, size_t size)
{
    const char *name;
    const json_t *member;

    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        const json_t *schema = json_object_get(properties, name);

        if (schema == NULL && json_is_object(rest))
            schema = rest;
        if (schema == NULL && json_is_false(rest))
            (void)snprintf(why, size, "%s is not in the schema", name);
        if (schema == NULL && json_is_false(rest))
            return false;
        if (schema != NULL && !schema_holds(schema, member, name, why, size))
            return false;
    }
    return true;
}

static inline bool schema_keyword(const json_t *schema, const char *keyword, const json_t *rule,
                                  const json_t *value)
{
    static const char *const elsewhere[] = {"$schema",    "$id", "title", "additionalProperties",
                                            "properties", NULL};

    if (strcmp(keyword, "type") == 0)
        return schema_type(json_string_value(rule), value);
    if (strcmp(keyword, "const") == 0)
        return json_equal(rule, value);
    if (strcmp(keyword, "enum") == 0)
        return schema_enum(rule, value);
    if (strcmp(keyword, "required") == 0)
        return schema_required(rule, value);
    if (strcmp(keyword, "minimum") == 0)
        return json_number_value(value) >= json_number_value(rule);
    if (strcmp(keyword, "pattern") == 0) /* "^text" */
        return json_is_string(value) &&
               strncmp(json_string_value(value), json_string_value(rule) + 1,
                       json_string_length(rule) - 1) == 0;
    for (unsigned i = 0; elsewhere[i] != NULL; i++)
        if (strcmp(elsewhere[i], keyword) == 0)
            return true;
    (void)schema;
    return false;
}

static inline bool schema_holds(const json_t *schema, const json_t *value, const char *name,
                                char *why, size_t size)
{
    const char *keyword;
    const json_t *rule;

    json_object_foreach((json_t *)(uintptr_t)schema, keyword, rule)
    {
        if (!schema_keyword(schema, keyword, rule, value)) {
            (void)snprintf(why, size, "%s: %s does not hold", name, keyword);
            return false;
        }
    }
    if (!json_is_object(value))
        return true;
    return schema_members(json_object_get(schema, "properties"),
                          json_object_get(schema, "additionalProperties"), value, why, size);
}

#endif
