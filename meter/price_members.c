/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a JSON object whose names are not known beforehand, which the scanner of json.c
 * needs: a catalogue of models. Numbers stay text, so that money never becomes a double. No
 * recursion; nothing is copied. */
#include "meter/meter_int.h"

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Behind the closing quote of the string that begins at p; NULL: it does not end. */
static const char *string_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

/* Behind the value that begins at p; NULL: it does not end, or is none. */
static const char *value_end(const char *p, const char *end)
{
    const char *begin = p;
    size_t depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = string_end(p, end);
            if (p == NULL)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (depth > 0 && (*p == '}' || *p == ']')) {
            depth--;
            p++;
        } else if (depth == 0 && strchr(",}] \t\r\n", *p) != NULL) {
            return p > begin ? p : NULL;
        } else {
            p++;
            continue; /* a number, a word, or what stands between the brackets */
        }
        if (depth == 0)
            return p;
    }
    return depth == 0 && p > begin ? p : NULL;
}

static enum price_members bad(const char **at, const char *p)
{
    *at = p;
    return PRICE_MEMBERS_BAD;
}

enum price_members price_member_next(const char **at, const char *end, struct price_member *out)
{
    const char *p = skip_blanks(*at, end), *stop;

    if (p < end && *p == ',')
        p = skip_blanks(p + 1, end);
    if (p < end && *p == '}') {
        *at = p + 1;
        return PRICE_MEMBERS_END;
    }
    stop = p < end && *p == '"' ? string_end(p, end) : NULL;
    if (stop == NULL)
        return bad(at, p);
    out->name = p + 1;
    out->name_bytes = (size_t)(stop - p) - 2;
    p = skip_blanks(stop, end);
    if (p == end || *p != ':')
        return bad(at, p);
    p = skip_blanks(p + 1, end);
    stop = value_end(p, end);
    if (stop == NULL)
        return bad(at, p);
    out->value = p;
    out->value_bytes = (size_t)(stop - p);
    *at = stop;
    return PRICE_MEMBER;
}

bool price_member_is(const struct price_member *member, const char *name)
{
    return member->name_bytes == strlen(name) && memcmp(member->name, name, strlen(name)) == 0;
}

bool price_member_text(const struct price_member *member, char *out, size_t room)
{
    return member->value_bytes >= 2 && member->value[0] == '"' &&
           scan_string_copy(member->value + 1, member->value_bytes - 2, out, room);
}

bool price_element_next(const char **at, const char *end, struct price_member *out)
{
    const char *p = skip_blanks(*at, end), *stop;

    if (p < end && *p == ',')
        p = skip_blanks(p + 1, end);
    stop = p < end && *p != ']' ? value_end(p, end) : NULL;
    if (stop == NULL)
        return false;
    *out = (struct price_member){.name = "", .value = p, .value_bytes = (size_t)(stop - p)};
    *at = stop;
    return true;
}
