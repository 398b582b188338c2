/* SPDX-License-Identifier: Apache-2.0 */
/* What people and their programs send as JSON where a command has options: read by a table, into a
 * question to the sidecar. */
#include "sidecar/sidecar.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* value: borrowed; NULL: there is none. Returns false. */
static bool wrong_is(struct side_wrong *wrong, const char *field, const json_t *value,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool wrong_is(struct side_wrong *wrong, const char *field, const json_t *value,
                     const char *format, ...)
{
    va_list arguments;

    (void)snprintf(wrong->field, sizeof wrong->field, "%s", field);
    wrong->value = value;
    va_start(arguments, format);
    (void)vsnprintf(wrong->text, sizeof wrong->text, format, arguments);
    va_end(arguments);
    return false;
}

json_t *side_prose_json(const char *text)
{
    size_t length = strlen(text);
    json_t *json;

    while ((json = json_stringn(text, length)) == NULL && length > 0)
        length--;
    return json;
}

bool side_text_check(const char *text, size_t size, const char *what, struct side_error *error)
{
    if (strlen(text) >= size || *text == '\0')
        return side_fail(error, "%s: 1 to %zu characters are expected", what, size - 1);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return side_fail(error, "%s: a control character is in it", what);
    return true;
}

bool side_amount_put(json_t *map, enum gov_dim dim, const char *text, struct side_error *error)
{
    char in_unit[SIDE_UNIT_TEXT];
    int64_t amount;

    if (!side_amount_parse(dim, side_in_unit(dim, text, in_unit), &amount))
        return side_fail(error, "%s: '%s' is not %s", gov_dim_name(dim), text,
                         side_amount_expected(dim));
    if (amount <= 0)
        return side_fail(error, "%s: more than 0 is expected", gov_dim_name(dim));
    if (json_object_get(map, gov_dim_name(dim)) != NULL)
        return side_fail(error, "%s is given twice", gov_dim_name(dim));
    return json_object_set_new(map, gov_dim_name(dim), json_integer(amount)) == 0;
}

static bool text_read(const struct side_field *field, const json_t *value, json_t *request,
                      struct side_wrong *wrong)
{
    struct side_error error = {{0}};

    if (!json_is_string(value))
        return wrong_is(wrong, field->name, value, "%s: a string is expected", field->name);
    if (!side_text_check(json_string_value(value), field->size, field->name, &error))
        return wrong_is(wrong, field->name, value, "%s", error.text);
    return json_object_set(request, field->as, (json_t *)(uintptr_t)value) == 0;
}

static bool word_read(const struct side_field *field, const json_t *value, json_t *request,
                      struct side_wrong *wrong)
{
    const char *text = json_string_value(value);
    const char *const *word = field->words;
    char all[128] = "";

    while (*word != NULL && (text == NULL || strcmp(*word, text) != 0) &&
           !(word[1] == NULL && json_is_null(value) && (field->flags & SIDE_FIELD_NULL) != 0))
        word++;
    if (*word != NULL)
        return json_object_set_new(request, field->as, json_string(*word)) == 0;
    for (word = field->words; *word != NULL; word++)
        (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
                       word != field->words ? ", " : "", *word);
    return wrong_is(wrong, field->name, value, "%s: one of %s is expected", field->name, all);
}

static bool true_read(const struct side_field *field, const json_t *value, json_t *request,
                      struct side_wrong *wrong)
{
    if (!json_is_true(value))
        return wrong_is(wrong, field->name, value, "%s: true is expected", field->name);
    return json_object_set_new(request, field->as,
                               field->words != NULL ? json_string(field->words[0]) : json_true()) ==
           0;
}

static bool amounts_read(const struct side_field *field, const json_t *value, json_t *request,
                         struct side_wrong *wrong)
{
    json_t *map = json_object(), *amount;
    struct side_error error;
    const char *name;
    char path[48], text[64];

    (void)json_object_set_new(request, field->as, map);
    if (!json_is_object(value))
        return wrong_is(wrong, field->name, value, "%s: an object is expected", field->name);
    json_object_foreach((json_t *)(uintptr_t)value, name, amount)
    {
        enum gov_dim dim = gov_dim_by_name(name);

        (void)snprintf(path, sizeof path, "%s.%.32s", field->name, name);
        error.text[0] = '\0';
        if (dim == GOV_DIMS)
            return wrong_is(wrong, path, amount, "'%.32s' is no dimension", name);
        if (json_is_string(amount) && json_string_length(amount) < sizeof text)
            (void)snprintf(text, sizeof text, "%s", json_string_value(amount));
        else if (json_is_integer(amount))
            (void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(amount));
        else
            return wrong_is(wrong, path, amount, "%s: a string or a whole number is expected",
                            path);
        if (!side_amount_put(map, dim, text, &error))
            return wrong_is(wrong, path, amount, "%s", error.text);
    }
    if (json_object_size(value) == 0 && (field->flags & SIDE_FIELD_NEEDED) != 0)
        return wrong_is(wrong, field->name, value,
                        "%s: at least one is needed, such as {\"cost_usd\": \"1.00\"}",
                        field->name);
    return true;
}

static const struct side_field *find(const struct side_field *fields, const char *name)
{
    while (fields->name != NULL && strcmp(fields->name, name) != 0)
        fields++;
    return fields->name != NULL ? fields : NULL;
}

/* What has to be there, and is not. */
static bool complete(const struct side_field *fields, const json_t *body, struct side_wrong *wrong)
{
    unsigned chosen = 0;
    bool choice = false;
    char names[128] = "";

    for (; fields->name != NULL; fields++) {
        bool there = json_object_get(body, fields->name) != NULL;

        if ((fields->flags & SIDE_FIELD_NEEDED) != 0 && !there)
            return wrong_is(wrong, fields->name, NULL, "%s is needed", fields->name);
        if ((fields->flags & SIDE_FIELD_ONE) != 0) {
            (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                           choice ? ", " : "", fields->name);
            choice = true;
            chosen += there;
        }
    }
    return !choice || chosen == 1 ||
           wrong_is(wrong, names, NULL, "one of %s is needed, and no more", names);
}

bool side_fields_read(const struct side_field *fields, const json_t *body, json_t *request,
                      struct side_wrong *wrong)
{
    static bool (*const kinds[])(const struct side_field *, const json_t *, json_t *,
                                 struct side_wrong *) = {
        [SIDE_FIELD_TEXT] = text_read,
        [SIDE_FIELD_WORD] = word_read,
        [SIDE_FIELD_TRUE] = true_read,
        [SIDE_FIELD_AMOUNTS] = amounts_read,
    };
    const struct side_field *field;
    const char *name;
    json_t *value;

    if (!json_is_object(body))
        return wrong_is(wrong, "", body, "an object is expected");
    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        field = find(fields, name);
        if (field == NULL)
            return wrong_is(wrong, name, value, "'%.40s' is nothing that is known here", name);
        if (!kinds[field->kind](field, value, request, wrong))
            return false;
    }
    return complete(fields, body, wrong);
}
