/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts against the public schemas in docs/receipts, which are part of this program: their words
 * are read here, none is written again. docs/decisions/0004 says why no library does it. */
#include "cli/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define PATH_ROOM 200u
#define WANT_ROOM 300u

static const char *const texts[RECEIPT_KINDS] = {[RECEIPT_ADMISSION] =
#include "attempt-admission-receipt.v0.1.schema.inc"
                                                     , [RECEIPT_SETTLEMENT] =
#include "budget-settlement-receipt.v0.1.schema.inc"
};

static const json_t *schema_of(enum receipt_kind kind)
{
    static json_t *schemas[RECEIPT_KINDS]; /* kept while the program runs */

    if (schemas[kind] == NULL)
        schemas[kind] = json_loads(texts[kind], 0, NULL);
    return schemas[kind];
}

enum receipt_kind receipt_kind_of(const json_t *receipt)
{
    static const char *const names[] = {"recordType", "schemaVersion"};
    const json_t *want;

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        for (unsigned kind = 0; kind < RECEIPT_KINDS; kind++) {
            want = json_object_get(schema_of((enum receipt_kind)kind), "properties");
            want = json_object_get(json_object_get(want, names[i]), "const");
            if (json_equal(want, json_object_get(receipt, names[i])))
                return (enum receipt_kind)kind;
        }
    return RECEIPT_KINDS;
}

/* ---- what a schema wants, in words -------------------------------------------------------- */

static const char *string_of(const json_t *schema, const char *keyword)
{
    return json_string_value(json_object_get(schema, keyword));
}

/* "one of admit, reject"; a constant; "an integer of at least 0". */
static const char *wish(const json_t *schema, char out[WANT_ROOM])
{
    const char *type = string_of(schema, "type"), *pattern = string_of(schema, "pattern");
    const json_t *choices = json_object_get(schema, "enum"), *choice;
    size_t i, used = 0;

    if (string_of(schema, "const") != NULL)
        (void)snprintf(out, WANT_ROOM, "%s", string_of(schema, "const"));
    else if (choices == NULL)
        (void)snprintf(out, WANT_ROOM, "%s %s%s%s%s", strchr("aeio", *type) != NULL ? "an" : "a",
                       type, json_object_get(schema, "minimum") != NULL ? " of at least 0" : "",
                       pattern != NULL ? " that begins with " : "",
                       pattern != NULL ? pattern + 1 : "");
    else
        json_array_foreach(choices, i, choice)
        {
            used += (size_t)snprintf(out + used, WANT_ROOM - used, "%s%s", i > 0 ? ", " : "one of ",
                                     json_string_value(choice));
        }
    return out;
}

static bool takes_any_text(const json_t *schema)
{
    return json_object_get(schema, "const") == NULL && json_object_get(schema, "enum") == NULL &&
           json_object_get(schema, "pattern") == NULL;
}

/* ---- keywords ----------------------------------------------------------------------------- */

static bool is_type(const char *type, const json_t *value)
{
    static const struct {
        const char *name;
        json_type types[2];
    } rows[] = {
        {"object", {JSON_OBJECT, JSON_OBJECT}},    {"string", {JSON_STRING, JSON_STRING}},
        {"boolean", {JSON_TRUE, JSON_FALSE}},      {"number", {JSON_INTEGER, JSON_REAL}},
        {"integer", {JSON_INTEGER, JSON_INTEGER}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, type) == 0)
            return json_typeof(value) == rows[i].types[0] || json_typeof(value) == rows[i].types[1];
    return false;
}

/* The keywords that these schemas use. "object" ones are looked at by members_against(). */
static bool keyword_holds(const char *keyword, const json_t *rule, const json_t *value)
{
    const json_t *choice;
    size_t i;

    if (strcmp(keyword, "type") == 0)
        return is_type(json_string_value(rule), value);
    if (strcmp(keyword, "const") == 0)
        return json_equal(rule, value);
    if (strcmp(keyword, "minimum") == 0)
        return json_number_value(value) >= json_number_value(rule);
    if (strcmp(keyword, "pattern") == 0) /* of the form "^text" */
        return strncmp(json_string_value(value), json_string_value(rule) + 1,
                       json_string_length(rule) - 1) == 0;
    if (strcmp(keyword, "enum") != 0)
        return true;
    json_array_foreach(rule, i, choice)
    {
        if (json_equal(choice, value))
            return true;
    }
    return false;
}

static void against(struct receipt_check *check, const json_t *schema, const json_t *value,
                    const char *path);

static void join(char out[PATH_ROOM], const char *path, const char *name)
{
    (void)snprintf(out, PATH_ROOM, "%s%s%s", path, *path != '\0' ? "." : "", name);
}

static void members_against(struct receipt_check *check, const json_t *schema, const json_t *value,
                            const char *path)
{
    const json_t *properties = json_object_get(schema, "properties"), *member, *inner, *required;
    const json_t *rest = json_object_get(schema, "additionalProperties");
    char where[PATH_ROOM], want[WANT_ROOM];
    const char *name;
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, required)
    {
        name = json_string_value(required);
        join(where, path, name);
        if (json_object_get(value, name) == NULL)
            receipt_violation(check, where, NULL, "%s",
                              wish(json_object_get(properties, name), want));
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        inner = json_object_get(properties, name);
        join(where, path, name);
        if (inner == NULL)
            inner = rest;
        if (json_is_object(inner))
            against(check, inner, member, where);
        else
            receipt_violation(check, where, member, "no member of that name");
    }
}

static void against(struct receipt_check *check, const json_t *schema, const json_t *value,
                    const char *path)
{
    char want[WANT_ROOM];
    const char *keyword;
    const json_t *rule;

    if (string_of(schema, "type") != NULL && !is_type(string_of(schema, "type"), value)) {
        receipt_violation(check, path, value, "%s", wish(schema, want));
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)schema, keyword, rule)
    {
        if (!keyword_holds(keyword, rule, value))
            receipt_violation(check, path, value, "%s", wish(schema, want));
    }
    if (json_is_string(value) && json_string_length(value) == 0 && takes_any_text(schema) &&
        strncmp(path, "labels.", 7) != 0)
        receipt_violation(check, path, value, "a string that is not empty");
    if (json_is_integer(value) && json_integer_value(value) > SIDE_JSON_INTEGER_MAX)
        receipt_violation(check, path, value,
                          "at most %lld: beyond it JSON does not tell integers "
                          "apart",
                          (long long)SIDE_JSON_INTEGER_MAX);
    if (json_is_object(value))
        members_against(check, schema, value, path);
}

void receipt_against_schema(struct receipt_check *check, enum receipt_kind kind,
                            const json_t *receipt)
{
    against(check, schema_of(kind), receipt, "");
}
