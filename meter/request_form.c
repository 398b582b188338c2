/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is a form (multipart/form-data, RFC 7578): the APIs that take files. Of the fields
 * those count that decide the cost; files count by their bytes. What the preloaded object says of a
 * form that libcurl makes is such a form too, with the files left out and their sizes told. */
#include "meter/request.h"

#include <stdio.h>

#define BOUNDARY_MAX 72u
#define FIELD_NAME   64u

struct form {
    const char *p, *end;
    char boundary[BOUNDARY_MAX + 4]; /* "\r\n--" and the boundary */
    size_t boundary_bytes;
};

struct part {
    char name[FIELD_NAME];
    bool file;
    uint64_t told_bytes; /* by a Content-Length; 0: by none */
    const char *body;
    size_t bytes;
};

/* Fields that decide something; all others are text. */
static const struct {
    const char *name;
    uint8_t field;
    enum scan_type type;
} fields[] = {
    {"model", REQUEST_MODEL, SCAN_STRING},
    {"n", REQUEST_CHOICES, SCAN_NUMBER},
    {"stream", REQUEST_STREAM, SCAN_TRUE},
};

bool request_is_form(const char *content_type, const char *body, size_t bytes)
{
    return (content_type != NULL && strncasecmp(content_type, "multipart/", 10) == 0) ||
           (bytes >= 2 && memcmp(body, "--", 2) == 0);
}

/* The boundary as the header says it, else as the body begins with it. */
static bool boundary_find(struct form *form, const char *content_type)
{
    const char *at = content_type != NULL ? strcasestr(content_type, "boundary=") : NULL;
    size_t bytes;

    if (at != NULL) {
        at += 9;
        at += *at == '"';
        bytes = strcspn(at, "\";, \t");
    } else {
        const char *stop = memchr(form->p, '\r', (size_t)(form->end - form->p));

        at = form->p + 2;
        bytes = stop != NULL && stop > at ? (size_t)(stop - at) : 0;
    }
    if (bytes == 0 || bytes > BOUNDARY_MAX)
        return false;
    memcpy(form->boundary, "\r\n--", 4);
    memcpy(form->boundary + 4, at, bytes);
    form->boundary_bytes = bytes + 4;
    return true;
}

/* The next boundary, with the line end before it; NULL: there is none. Moves behind it. The first
 * may begin the body. */
static const char *boundary_pass(struct form *form, bool first)
{
    size_t skip = first ? 2 : 0;
    const char *found = memmem(form->p, (size_t)(form->end - form->p), form->boundary + skip,
                               form->boundary_bytes - skip);

    if (found != NULL)
        form->p = found + form->boundary_bytes - skip;
    return found;
}

/* A parameter's value, name="file", in a header's line. */
static bool parameter(const char *line, size_t bytes, const char *name, char *out, size_t room)
{
    const char *at = memmem(line, bytes, name, strlen(name)), *stop;

    if (at == NULL)
        return false;
    at += strlen(name);
    stop = memchr(at, '"', (size_t)(line + bytes - at));
    if (stop == NULL || (size_t)(stop - at) >= room)
        return false;
    memcpy(out, at, (size_t)(stop - at));
    out[stop - at] = '\0';
    return true;
}

static void header_read(struct part *part, const char *line, size_t bytes)
{
    static const char disposition[] = "content-disposition:", length[] = "content-length:";
    int64_t told = 0;

    if (bytes > sizeof disposition && strncasecmp(line, disposition, sizeof disposition - 1) == 0) {
        part->file = memmem(line, bytes, "filename", 8) != NULL;
        (void)parameter(line, bytes, " name=\"", part->name, sizeof part->name);
    }
    if (bytes > sizeof length && strncasecmp(line, length, sizeof length - 1) == 0) {
        line += sizeof length; /* and a blank */
        (void)meter_count_parse(line, bytes - sizeof length, &told);
        part->told_bytes = (uint64_t)told;
    }
}

/* Header lines and the blank one behind them; false: the form does not go on. */
static bool headers_read(struct form *form, struct part *part)
{
    const char *line;

    if (form->end - form->p < 2 || memcmp(form->p, "\r\n", 2) != 0)
        return false; /* "--": the last boundary */
    form->p += 2;
    for (;;) {
        line = form->p;
        form->p = memmem(line, (size_t)(form->end - line), "\r\n", 2);
        if (form->p == NULL)
            return false;
        if (form->p == line)
            return true; /* at the line end that the next boundary may begin with */
        header_read(part, line, (size_t)(form->p - line));
        form->p += 2;
    }
}

static bool part_read(struct form *form, struct part *part)
{
    const char *stop;

    memset(part, 0, sizeof *part);
    if (!headers_read(form, part))
        return false;
    part->body = form->p + 2;
    stop = boundary_pass(form, false);
    if (stop == NULL)
        return false;
    part->bytes = stop > part->body ? (size_t)(stop - part->body) : 0;
    return true;
}

static void part_take(struct request_read *read, const struct part *part)
{
    struct scan_value value = {.type = SCAN_STRING, .bytes = part->body, .count = part->bytes};
    uint64_t bytes = part->told_bytes > part->bytes ? part->told_bytes : part->bytes;

    if (part->file) {
        read->files++;
        read->file_bytes = meter_add(read->file_bytes, bytes);
        return;
    }
    text_begin(&read->text);
    text_add(&read->text, part->body, part->bytes);
    read->bad_bytes += meter_utf8_bad(part->body, part->bytes);
    read->scan.strings_bytes = meter_add(read->scan.strings_bytes, bytes);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcmp(fields[i].name, part->name) != 0)
            continue;
        value.type = fields[i].type;
        if (value.type == SCAN_TRUE && !(part->bytes == 4 && memcmp(part->body, "true", 4) == 0))
            value.type = SCAN_FALSE;
        request_field_end(read, fields[i].field, &value);
    }
}

enum meter_err request_form(struct request_read *read, const char *content_type, size_t bytes,
                            struct meter_error *error)
{
    struct form form = {.p = read->body, .end = read->body + bytes};
    struct part part;

    if (!boundary_find(&form, content_type) || boundary_pass(&form, true) == NULL) {
        if (error != NULL)
            (void)snprintf(error->text, sizeof error->text, "the form has no boundary");
        return METER_NOT_JSON;
    }
    while (part_read(&form, &part))
        part_take(read, &part);
    request_form_files(read);
    return METER_OK;
}
