/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is a form (multipart/form-data, RFC 7578): the APIs that take files. Of the fields
 * those count that decide the cost; files count by their bytes. What the preloaded object says of a
 * form that libcurl makes is such a form too, with the files left out and their sizes told. What a
 * laxer reader might read otherwise is refused: line ends of one byte, anything before the first
 * boundary or behind the last, headers that cannot be read to their end, two boundaries. */
#include "meter/request.h"

#include <stdio.h>

#define BOUNDARY_MAX 72u
#define VALUE_ROOM   (BOUNDARY_MAX + 1) /* of a parameter; no field that counts is longer */

struct form {
    const char *p, *end;
    char boundary[BOUNDARY_MAX + 2]; /* "--" and the boundary */
    size_t boundary_bytes;
};

struct part {
    char name[VALUE_ROOM]; /* "": none, or longer than any that counts */
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

/* ---- parameters of headers ---------------------------------------------------------------- */

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

/* A parameter of a header; one whose value is too long has "". */
struct parameter {
    const char *name;
    size_t name_bytes;
    bool quoted;
    char value[VALUE_ROOM];
};

/* Behind the value, quoted or not; NULL: it is none. */
static const char *value_read(const char *p, const char *end, struct parameter *out)
{
    size_t used = 0;

    out->quoted = p < end && *p == '"';
    for (p += out->quoted; p < end && (out->quoted ? *p != '"' : *p != ';' && !is_blank(*p)); p++) {
        if (!out->quoted && *p == '"')
            return NULL;
        if (out->quoted && *p == '\\' && end - p > 1 && (p[1] == '"' || p[1] == '\\'))
            p++;
        if (used < VALUE_ROOM)
            out->value[used++] = *p;
    }
    out->value[used < VALUE_ROOM ? used : 0] = '\0';
    if (out->quoted)
        return p < end ? p + 1 : NULL;
    return used > 0 ? p : NULL;
}

static const char *parameter_read(const char *p, const char *end, struct parameter *out)
{
    out->name = p;
    while (p < end && *p != '=' && *p != ';' && !is_blank(*p))
        p++;
    out->name_bytes = (size_t)(p - out->name);
    p = blanks_pass(p, end);
    if (p == end || *p != '=' || out->name_bytes == 0)
        return NULL;
    return value_read(blanks_pass(p + 1, end), end, out);
}

static bool is_word(const char *word, size_t bytes, const char *want)
{
    return bytes == strlen(want) && strncasecmp(word, want, bytes) == 0;
}

static bool is_named(const struct parameter *parameter, const char *want)
{
    return is_word(parameter->name, parameter->name_bytes, want);
}

/* In pieces, or in another alphabet: "name*0", "name*". */
static bool is_piece_of(const struct parameter *parameter, const char *want)
{
    size_t bytes = strlen(want);

    return parameter->name_bytes > bytes && parameter->name[bytes] == '*' &&
           strncasecmp(parameter->name, want, bytes) == 0;
}

/* All of "; name=value; ..."; false: it is no such list, or take did not like one. */
static bool parameters_read(const char *p, const char *end,
                            bool (*take)(void *ctx, const struct parameter *parameter), void *ctx)
{
    struct parameter parameter;

    while (p < end) {
        if (*p != ';')
            return false;
        p = blanks_pass(p + 1, end);
        if (p < end && *p != ';') {
            p = parameter_read(p, end, &parameter);
            if (p == NULL || !take(ctx, &parameter))
                return false;
        }
        p = blanks_pass(p, end);
    }
    return true;
}

/* ---- the content type --------------------------------------------------------------------- */

#define LETTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool boundary_set(struct form *form, const char *boundary, size_t bytes)
{
    if (bytes == 0 || bytes > BOUNDARY_MAX)
        return false;
    memcpy(form->boundary, "--", 2);
    memcpy(form->boundary + 2, boundary, bytes);
    form->boundary_bytes = bytes + 2;
    return true;
}

/* The characters that a boundary may have (RFC 2046), some of them in quotes alone. */
static bool boundary_take(void *ctx, const struct parameter *parameter)
{
    const char *allowed = parameter->quoted ? LETTERS "'()+_,-./:=? " : LETTERS "'+_-.";
    struct form *form = ctx;
    size_t bytes = strlen(parameter->value);

    if (!is_named(parameter, "boundary"))
        return !is_piece_of(parameter, "boundary");
    return form->boundary_bytes == 0 && strspn(parameter->value, allowed) == bytes &&
           boundary_set(form, parameter->value, bytes);
}

static bool type_read(struct form *form, const char *type)
{
    const char *end = type + strlen(type), *p = blanks_pass(type, end);

    p = blanks_pass(p + strspn(p, LETTERS "!#$&^_.+-/"), end);
    return end - type < METER_TYPE_MAX && parameters_read(p, end, boundary_take, form);
}

/* The boundary as the header says it, else as the body begins with it. */
static bool boundary_find(struct form *form, const char *content_type)
{
    const char *stop = memchr(form->p, '\r', (size_t)(form->end - form->p));
    size_t bytes = stop != NULL ? (size_t)(stop - form->p) : 0;

    if (content_type != NULL && !type_read(form, content_type))
        return false;
    return form->boundary_bytes > 0 || (bytes > 2 && boundary_set(form, form->p + 2, bytes - 2));
}

/* ---- headers of parts --------------------------------------------------------------------- */

/* false: what another reader may take for the name, or the name again. */
static bool disposition_take(void *ctx, const struct parameter *parameter)
{
    struct part *part = ctx;

    part->file |= is_named(parameter, "filename") || is_piece_of(parameter, "filename");
    if (!is_named(parameter, "name"))
        return !is_piece_of(parameter, "name");
    if (part->named)
        return false;
    part->named = true;
    memcpy(part->name, parameter->value, sizeof part->name);
    return true;
}

static bool disposition_read(struct part *part, const char *p, const char *end)
{
    bool first = !part->disposed;

    part->disposed = true;
    for (; p < end && *p != ';'; p++)
        if (*p == '=' || *p == '"')
            return false;
    return parameters_read(p, end, disposition_take, part) && first;
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

    if (!boundary_find(&form, content_type)) {
        (void)snprintf(text, sizeof none.text, "the form has no boundary that can be read");
        return METER_NOT_JSON;
    }
    if (!boundary_first(&form)) {
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
