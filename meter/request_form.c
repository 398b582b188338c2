/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is a form (multipart/form-data, RFC 7578): the APIs that take files. Of the fields
 * those count that decide the cost; files count by their bytes. What the preloaded object says of a
 * form that libcurl makes is such a form too, with the files left out and their sizes told. What a
 * laxer reader might read otherwise is refused: line ends of one byte, anything before the first
 * boundary or behind the last, headers that cannot be read to their end. */
#include "meter/request.h"

#include <stdio.h>

#define BOUNDARY_MAX 72u
#define FIELD_NAME   64u

struct form {
    const char *p, *end;
    char boundary[BOUNDARY_MAX + 2]; /* "--" and the boundary */
    size_t boundary_bytes;
};

struct part {
    char name[FIELD_NAME]; /* "": none, or longer than any that counts */
    bool disposed, named, file;
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
    /* what is to be read stands elsewhere */
    {"url", REQUEST_REFERENCE, SCAN_STRING},
    {"file_url", REQUEST_REFERENCE, SCAN_STRING},
    {"audio_url", REQUEST_REFERENCE, SCAN_STRING},
    {"file_id", REQUEST_REFERENCE, SCAN_STRING},
};

bool request_is_form(const char *content_type, const char *body, size_t bytes)
{
    return (content_type != NULL && strncasecmp(content_type, "multipart/", 10) == 0) ||
           (bytes >= 2 && memcmp(body, "--", 2) == 0);
}

/* ---- boundaries --------------------------------------------------------------------------- */

/* The boundary as the header says it, else as the body begins with it. */
static bool boundary_find(struct form *form, const char *content_type)
{
    const char *at = content_type != NULL ? strcasestr(content_type, "boundary=") : NULL;
    size_t bytes;

    if (at != NULL) {
        bool quoted = at[9] == '"';

        at += 9 + quoted;
        bytes = strcspn(at, quoted ? "\"" : "\";, \t");
        if (quoted && at[bytes] != '"')
            return false;
    } else {
        const char *stop = memchr(form->p, '\r', (size_t)(form->end - form->p));

        at = form->p + 2;
        bytes = stop != NULL && stop > at ? (size_t)(stop - at) : 0;
    }
    if (bytes == 0 || bytes > BOUNDARY_MAX)
        return false;
    memcpy(form->boundary, "--", 2);
    memcpy(form->boundary + 2, at, bytes);
    form->boundary_bytes = bytes + 2;
    return true;
}

/* Moves behind the boundary that the body begins with. */
static bool boundary_first(struct form *form)
{
    size_t left = (size_t)(form->end - form->p);
    size_t skip = left >= 2 && memcmp(form->p, "\r\n", 2) == 0 ? 2 : 0;

    if (left - skip < form->boundary_bytes ||
        memcmp(form->p + skip, form->boundary, form->boundary_bytes) != 0)
        return false;
    form->p += skip + form->boundary_bytes;
    return true;
}

/* The line end before the next boundary; NULL: there is none, or it stands within a line. Moves
 * behind it. */
static const char *boundary_pass(struct form *form)
{
    const char *found =
        memmem(form->p, (size_t)(form->end - form->p), form->boundary, form->boundary_bytes);

    if (found == NULL || found - form->p < 2 || memcmp(found - 2, "\r\n", 2) != 0)
        return NULL;
    form->p = found + form->boundary_bytes;
    return found - 2;
}

/* ---- headers ------------------------------------------------------------------------------ */

/* Line ends too: a header may go on in a line that begins with a blank. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *blanks_pass(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* The value of a parameter, quoted or not; one that is too long becomes "". NULL: it is none. */
static const char *value_read(const char *p, const char *end, char out[FIELD_NAME])
{
    bool quoted = p < end && *p == '"';
    size_t used = 0;

    for (p += quoted; p < end && (quoted ? *p != '"' : *p != ';' && !is_blank(*p)); p++) {
        if (!quoted && *p == '"')
            return NULL;
        if (quoted && *p == '\\' && end - p > 1 && (p[1] == '"' || p[1] == '\\'))
            p++;
        if (used < FIELD_NAME)
            out[used++] = *p;
    }
    out[used < FIELD_NAME ? used : 0] = '\0';
    if (quoted)
        return p < end ? p + 1 : NULL;
    return used > 0 ? p : NULL;
}

static bool is_word(const char *word, size_t bytes, const char *want)
{
    return bytes == strlen(want) && strncasecmp(word, want, bytes) == 0;
}

/* A parameter of a disposition; NULL: it is none, or one that says what another reader may take for
 * the name. */
static const char *parameter_read(struct part *part, const char *p, const char *end)
{
    char value[FIELD_NAME];
    const char *word = p;
    size_t bytes;

    while (p < end && *p != '=' && *p != ';' && !is_blank(*p))
        p++;
    bytes = (size_t)(p - word);
    p = blanks_pass(p, end);
    if (p == end || *p != '=' || bytes == 0)
        return NULL;
    p = value_read(blanks_pass(p + 1, end), end, value);
    if (p == NULL)
        return NULL;
    if (is_word(word, bytes, "name")) {
        if (part->named)
            return NULL;
        part->named = true;
        memcpy(part->name, value, sizeof part->name);
    } else if (bytes > 4 && strncasecmp(word, "name*", 5) == 0) {
        return NULL;
    }
    part->file |=
        is_word(word, bytes, "filename") || (bytes > 8 && strncasecmp(word, "filename*", 9) == 0);
    return p;
}

static bool disposition_read(struct part *part, const char *p, const char *end)
{
    bool first = !part->disposed;

    part->disposed = true;
    for (; p < end && *p != ';'; p++)
        if (*p == '=' || *p == '"')
            return false;
    while (p != NULL && p < end) {
        if (*p != ';')
            return false;
        p = blanks_pass(p + 1, end);
        if (p < end && *p != ';')
            p = parameter_read(part, p, end);
        if (p != NULL)
            p = blanks_pass(p, end);
    }
    return first && p != NULL;
}

/* No control bytes but tabs, and line ends that a blank goes on behind. */
static bool is_text(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '\r' && end - p > 1 && p[1] == '\n')
            p++;
        else if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return false;
    }
    return true;
}

static bool header_read(struct part *part, const char *line, size_t bytes)
{
    const char *end = line + bytes, *colon = memchr(line, ':', bytes), *value;
    size_t name = colon != NULL ? (size_t)(colon - line) : 0;
    int64_t told = 0;

    if (name == 0 || !is_text(line, end))
        return false;
    for (size_t i = 0; i < name; i++)
        if (is_blank(line[i]))
            return false;
    value = blanks_pass(colon + 1, end);
    if (is_word(line, name, "content-disposition"))
        return disposition_read(part, value, end);
    if (is_word(line, name, "content-type")) /* a form within is not looked into */
        return end - value < 10 || strncasecmp(value, "multipart/", 10) != 0;
    if (is_word(line, name, "content-length") &&
        meter_count_parse(value, (size_t)(end - value), &told) && (uint64_t)told > part->told_bytes)
        part->told_bytes = (uint64_t)told;
    return true;
}

/* The end of a header, whose later lines begin with a blank; NULL: it has none. */
static const char *header_end(const char *line, const char *end)
{
    const char *at = line, *stop;

    for (;;) {
        stop = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (stop == NULL || stop == line || end - stop < 3 || (stop[2] != ' ' && stop[2] != '\t'))
            return stop;
        at = stop + 2;
    }
}

/* Headers and the blank line behind them. */
static bool headers_read(struct form *form, struct part *part)
{
    if (form->end - form->p < 2 || memcmp(form->p, "\r\n", 2) != 0)
        return false;
    form->p += 2;
    for (;;) {
        const char *line = form->p, *stop = header_end(line, form->end);

        if (stop == line)
            return true; /* at the line end that the next boundary may begin with */
        if (stop == NULL || !header_read(part, line, (size_t)(stop - line)))
            return false;
        form->p = stop + 2;
    }
}

/* ---- parts -------------------------------------------------------------------------------- */

static bool part_read(struct form *form, struct part *part)
{
    const char *stop;

    memset(part, 0, sizeof *part);
    if (!headers_read(form, part))
        return false;
    part->body = form->p + 2;
    stop = boundary_pass(form);
    if (stop == NULL)
        return false;
    part->bytes = stop > part->body ? (size_t)(stop - part->body) : 0;
    return true;
}

/* A field that decides something does so in a file too: what is told of a form has a file wherever
 * the content was not seen. */
static void part_take(struct request_read *read, const struct part *part)
{
    struct scan_value value = {.bytes = part->body,
                               .count = part->bytes,
                               .at = (uint64_t)(part->body - read->body),
                               .size = part->bytes};
    uint64_t bytes = part->told_bytes > part->bytes ? part->told_bytes : part->bytes;

    if (part->file) {
        read->files++;
        read->file_bytes = meter_add(read->file_bytes, bytes);
        if (read->reader->files == MEDIA_AUDIO && part->bytes > 0 &&
            !sound_bytes_are_dense(part->body, part->bytes))
            request_elsewhere(read);
    } else {
        text_begin(&read->text);
        text_add(&read->text, part->body, part->bytes);
        read->bad_bytes += meter_utf8_bad(part->body, part->bytes);
        read->scan.strings_bytes = meter_add(read->scan.strings_bytes, bytes);
    }
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcmp(fields[i].name, part->name) != 0)
            continue;
        value.type = fields[i].type;
        if (value.type == SCAN_TRUE && !(part->bytes == 4 && memcmp(part->body, "true", 4) == 0))
            value.type = SCAN_FALSE;
        request_field_end(read, fields[i].field, &value);
    }
}

/* Behind a boundary: it is the last, and nothing follows. */
static bool is_end(const struct form *form)
{
    return form->end - form->p >= 2 && memcmp(form->p, "--", 2) == 0 &&
           blanks_pass(form->p + 2, form->end) == form->end;
}

enum meter_err request_form(struct request_read *read, const char *content_type, size_t bytes,
                            struct meter_error *error)
{
    struct form form = {.p = read->body, .end = read->body + bytes};
    struct part part;
    struct meter_error none;
    char *text = error != NULL ? error->text : none.text;

    if (!boundary_find(&form, content_type) || !boundary_first(&form)) {
        (void)snprintf(text, sizeof none.text, "the form does not begin with its boundary");
        return METER_NOT_JSON;
    }
    while (!is_end(&form)) {
        size_t at = (size_t)(form.p - read->body);

        if (!part_read(&form, &part)) {
            (void)snprintf(text, sizeof none.text,
                           "a part of the form cannot be read, or it has no end, at byte %zu", at);
            return METER_NOT_JSON;
        }
        part_take(read, &part);
    }
    request_form_files(read);
    return METER_OK;
}
