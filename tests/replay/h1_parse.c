/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of HTTP/1.1 request heads (RFC 9112), without I/O.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/replay/h1_parse.h"

static const char token_chars[] = "!#$%&'*+-.^_`|~0123456789"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Cuts the line that `*at` stands on and moves `*at` to the next. */
static char *line_cut(char **at)
{
    char *line = *at;
    char *end = strstr(line, "\r\n");

    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 2;
    return line;
}

static int version_read(const char *text, int *minor_out)
{
    if (strncmp(text, "HTTP/", 5))
        return 400;
    if (strcmp(text, "HTTP/1.1") && strcmp(text, "HTTP/1.0"))
        return 505;
    *minor_out = text[7] - '0';
    return 0;
}

static int request_line_read(char *line, struct h1_head *head)
{
    size_t method_bytes = strspn(line, token_chars);
    char *target = line + method_bytes + 1, *version;

    if (!method_bytes || line[method_bytes] != ' ')
        return 400;
    line[method_bytes] = '\0';
    version = strchr(target, ' ');
    if (!version || version == target)
        return 400;
    *version = '\0';
    head->method = line;
    head->target = target;
    return version_read(version + 1, &head->minor);
}

static bool value_is_clean(const char *value)
{
    for (const unsigned char *at = (const unsigned char *)value; *at; at++)
        if ((*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

static int field_read(char *line, struct h1_head *head)
{
    size_t name_bytes = strspn(line, token_chars), value_bytes;
    char *value = line + name_bytes + 1;

    if (!name_bytes || line[name_bytes] != ':')
        return 400;
    if (head->field_count == REPLAY_FIELDS_MAX)
        return 431;
    line[name_bytes] = '\0';
    value += strspn(value, " \t");
    value_bytes = strlen(value);
    while (value_bytes && strchr(" \t", value[value_bytes - 1]))
        value_bytes--;
    value[value_bytes] = '\0';
    head->fields[head->field_count++] = (struct field){line, value};
    return value_is_clean(value) ? 0 : 400;
}

int h1_head_parse(char *text, struct h1_head *head_out)
{
    char *at = text, *line = line_cut(&at);
    int status = line ? request_line_read(line, head_out) : 400;

    head_out->field_count = 0;
    while (!status) {
        line = line_cut(&at);
        if (!line)
            return 400;
        if (!*line)
            return *at ? 400 : 0;
        status = field_read(line, head_out);
    }
    return status;
}

/* ---- framing ------------------------------------------------------------------------------- */

static int length_read(const char *value, struct h1_framing *framing)
{
    size_t digits = strspn(value, "0123456789");
    int64_t length;

    if (!digits || value[digits])
        return 400;
    length = digits > 18 ? INT64_MAX : strtoll(value, NULL, 10);
    if (framing->length >= 0 && framing->length != length)
        return 400;
    framing->length = length;
    return (uint64_t)length > REPLAY_BODY_BYTES_MAX ? 413 : 0;
}

static int coding_read(const char *value, struct h1_framing *framing)
{
    if (framing->chunked)
        return 400;
    framing->chunked = true;
    return evutil_ascii_strcasecmp(value, "chunked") ? 501 : 0;
}

static int connection_read(const char *value, struct h1_framing *framing)
{
    while (*value) {
        size_t bytes = strcspn(value, ", \t");

        if (bytes == 5 && !evutil_ascii_strncasecmp(value, "close", 5))
            framing->close = true;
        value += bytes;
        value += strspn(value, ", \t");
    }
    return 0;
}

static int expect_read(const char *value, struct h1_framing *framing)
{
    framing->expects_continue = true;
    return evutil_ascii_strcasecmp(value, "100-continue") ? 417 : 0;
}

static int host_read(const char *value, struct h1_framing *framing)
{
    (void)value;
    framing->hosts++;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(const char *value, struct h1_framing *framing);
} framing_fields[] = {
    {"content-length", length_read},
    {"transfer-encoding", coding_read},
    {"connection", connection_read},
    {"expect", expect_read},
    {"host", host_read},
};

static int framing_field_read(const struct field *field, struct h1_framing *framing)
{
    for (size_t i = 0; i < sizeof framing_fields / sizeof *framing_fields; i++)
        if (!evutil_ascii_strcasecmp(field->name, framing_fields[i].name))
            return framing_fields[i].read(field->value, framing);
    return 0;
}

int h1_framing_read(const struct h1_head *head, struct h1_framing *framing_out)
{
    struct h1_framing framing = {.length = -1, .close = head->minor == 0};

    for (size_t i = 0; i < head->field_count; i++) {
        int status = framing_field_read(&head->fields[i], &framing);

        if (status)
            return status;
    }
    if (framing.chunked && (framing.length >= 0 || head->minor == 0))
        return 400;
    if (head->minor == 1 && framing.hosts != 1)
        return 400;
    framing.expects_continue &= head->minor == 1;
    *framing_out = framing;
    return 0;
}

int64_t h1_chunk_size(const char *line)
{
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    const char *after = line + digits + strspn(line + digits, " \t");

    if (!digits || digits > 15 || (*after && *after != ';'))
        return -1;
    return (int64_t)strtoull(line, NULL, 16);
}
