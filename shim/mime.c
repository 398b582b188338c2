/* SPDX-License-Identifier: Apache-2.0 */
/* Forms. libcurl has no way to read a curl_mime again, so what the application puts into one is
 * noted: the name of a part, its text when it is short, its size. The description that the sidecar
 * gets is itself multipart text, with files left empty. The old curl_httppost can be read back. */
#include "shim/shim_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOUNDARY "flyball-form"

struct part {
    struct part *next;
    const void *key; /* libcurl's part */
    char *name;
    char *text; /* NULL: not short text */
    char *path; /* of a file that libcurl will read; NULL: none */
    size_t bytes;
    bool file;
    void *subform; /* a curl_mime inside; NULL: none */
    struct shim_form *form;
};

struct shim_form {
    const struct shim_curl *curl;
    struct part *parts, **tail;
    unsigned changes;
};

static char *copy_bytes(const char *bytes, size_t count)
{
    char *copy = malloc(count + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

/* A part that cannot be noted is only not described: the sidecar then cannot read the model, and
 * refuses. */
void shim_mime_made(const curl_mime *mime, const struct shim_curl *curl)
{
    struct shim_form *form = mime != NULL ? calloc(1, sizeof *form) : NULL;

    if (form == NULL)
        return;
    form->curl = curl;
    form->tail = &form->parts;
    if (!shim_map_put(mime, SHIM_MIME_FORM, form))
        free(form);
}

void shim_mime_part_added(const curl_mime *mime, const curl_mimepart *key)
{
    struct shim_form *form = shim_map_find(mime, SHIM_MIME_FORM);
    struct part *part = form != NULL && key != NULL ? calloc(1, sizeof *part) : NULL;

    if (part == NULL)
        return;
    part->key = key;
    part->form = form;
    if (!shim_map_put(key, SHIM_MIME_PART, part)) {
        free(part);
        return;
    }
    *form->tail = part;
    form->tail = &part->next;
    form->changes++;
}

static void part_free(struct part *part)
{
    free(part->name);
    free(part->text);
    free(part->path);
    free(part);
}

void shim_form_free(struct shim_form *form)
{
    while (form != NULL && form->parts != NULL) {
        struct part *part = form->parts;

        form->parts = part->next;
        part_free(part);
    }
    free(form);
}

void shim_mime_freed(const curl_mime *mime)
{
    struct shim_form *form = shim_map_find(mime, SHIM_MIME_FORM);

    if (form == NULL)
        return;
    shim_map_take(mime, SHIM_MIME_FORM);
    for (struct part *part = form->parts; part != NULL; part = part->next) {
        shim_map_take(part->key, SHIM_MIME_PART);
        if (part->subform != NULL)
            shim_mime_freed(part->subform);
    }
    shim_form_free(form);
}

void shim_mime_named(const curl_mimepart *key, const char *name)
{
    struct part *part = shim_map_find(key, SHIM_MIME_PART);

    if (part == NULL)
        return;
    part->form->changes++;
    free(part->name);
    part->name = name != NULL ? strdup(name) : NULL;
}

/* text NULL: the content is a callback's, of so many bytes or SHIM_BYTES_UNKNOWN. */
void shim_mime_filled(const curl_mimepart *key, const char *text, size_t bytes)
{
    struct part *part = shim_map_find(key, SHIM_MIME_PART);

    if (part == NULL)
        return;
    if (text != NULL && bytes == CURL_ZERO_TERMINATED)
        bytes = strlen(text);
    part->form->changes++;
    free(part->text);
    free(part->path);
    part->path = NULL;
    part->text = text != NULL && bytes <= SHIM_FORM_TEXT ? copy_bytes(text, bytes) : NULL;
    part->bytes = bytes;
    part->file = text == NULL;
}

void shim_mime_file(const curl_mimepart *key, const char *path)
{
    struct part *part;

    shim_mime_filled(key, NULL, SHIM_BYTES_UNKNOWN);
    part = shim_map_find(key, SHIM_MIME_PART);
    if (part != NULL && path != NULL)
        part->path = strdup(path);
}

void shim_mime_nested(const curl_mimepart *key, curl_mime *mime)
{
    struct part *part = shim_map_find(key, SHIM_MIME_PART);

    if (part != NULL)
        part->subform = mime;
    shim_mime_filled(key, NULL, SHIM_BYTES_UNKNOWN);
}

const struct shim_curl *shim_mime_curl(const curl_mime *mime)
{
    const struct shim_form *form = shim_map_find(mime, SHIM_MIME_FORM);

    return form != NULL ? form->curl : NULL;
}

const struct shim_curl *shim_mime_part_curl(const curl_mimepart *key)
{
    const struct part *part = shim_map_find(key, SHIM_MIME_PART);

    return part != NULL ? part->form->curl : NULL;
}

/* ---- a handle's form ------------------------------------------------------------------------ */

static const struct shim_form *form_of(const struct shim_handle *handle)
{
    return handle->twin_form != NULL ? handle->twin_form
                                     : shim_map_find(handle->mime, SHIM_MIME_FORM);
}

unsigned shim_form_changes(const struct shim_handle *handle)
{
    const struct shim_form *form = form_of(handle);

    return form != NULL ? form->changes : 0;
}

static struct part *part_copy(const struct part *from)
{
    struct part *to = calloc(1, sizeof *to);

    if (to == NULL)
        return NULL;
    to->bytes = from->bytes;
    to->file = from->file;
    to->name = from->name != NULL ? strdup(from->name) : NULL;
    to->path = from->path != NULL ? strdup(from->path) : NULL;
    to->text = from->text != NULL ? copy_bytes(from->text, from->bytes) : NULL;
    if ((from->name == NULL || to->name != NULL) && (from->path == NULL || to->path != NULL) &&
        (from->text == NULL || to->text != NULL))
        return to;
    part_free(to);
    return NULL;
}

struct shim_form *shim_form_copy(const struct shim_handle *handle)
{
    const struct shim_form *from = form_of(handle);
    struct shim_form *to = from != NULL ? calloc(1, sizeof *to) : NULL;

    if (to == NULL)
        return NULL;
    to->tail = &to->parts;
    for (const struct part *part = from->parts; part != NULL; part = part->next) {
        *to->tail = part_copy(part);
        if (*to->tail == NULL) {
            shim_form_free(to);
            return NULL;
        }
        to->tail = &(*to->tail)->next;
    }
    return to;
}

/* ---- describing --------------------------------------------------------------------------- */

struct sink {
    int fd;
    size_t count;
    bool failed;
};

static void put(struct sink *sink, const char *bytes, size_t count)
{
    if (sink->failed || count > WIRE_BODY_MAX - sink->count ||
        !shim_memfd_add(sink->fd, bytes, count))
        sink->failed = true;
    else
        sink->count += count;
}

static void put_text(struct sink *sink, const char *text)
{
    put(sink, text, strlen(text));
}

/* As libcurl writes a name. */
static void put_name(struct sink *sink, const char *name)
{
    for (; *name != '\0'; name++) {
        const char *as = *name == '"'    ? "%22"
                         : *name == '\r' ? "%0D"
                         : *name == '\n' ? "%0A"
                                         : NULL;

        put(sink, as != NULL ? as : name, as != NULL ? 3 : 1);
    }
}

/* What would read as another part is left out: the sidecar then goes by the size. */
static bool is_plain(const struct part *part)
{
    return part->text != NULL &&
           memmem(part->text, part->bytes, "--" BOUNDARY, sizeof "--" BOUNDARY - 1) == NULL;
}

/* A file may have grown since the form was made. */
static size_t bytes_of(const struct part *part)
{
    struct stat info;

    if (part->path != NULL && stat(part->path, &info) == 0 && S_ISREG(info.st_mode))
        return (size_t)info.st_size;
    return part->bytes;
}

static void put_form(struct sink *sink, const struct shim_form *form)
{
    char size[64];

    for (const struct part *part = form->parts; part != NULL; part = part->next) {
        put_text(sink, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"");
        put_name(sink, part->name != NULL ? part->name : "");
        put_text(sink, part->file ? "\"; filename=\"\"\r\n" : "\"\r\n");
        (void)snprintf(size, sizeof size, "Content-Length: %zu\r\n\r\n", bytes_of(part));
        put_text(sink, size);
        if (is_plain(part))
            put(sink, part->text, part->bytes);
        put_text(sink, "\r\n");
    }
    put_text(sink, "--" BOUNDARY "--\r\n");
}

static size_t append_form(void *data, const char *bytes, size_t count)
{
    struct sink *sink = data;

    put(sink, bytes, count);
    return sink->failed ? 0 : count;
}

bool shim_form_describe(const struct shim_handle *handle, int memfd, size_t *count_out)
{
    struct sink sink = {memfd, 0, false};

    if (handle->method == SHIM_FORM) {
        if (handle->form != NULL && handle->curl->formget(handle->form, &sink, append_form) != 0)
            return false;
    } else {
        const struct shim_form *form = form_of(handle);

        if (form != NULL)
            put_form(&sink, form);
    }
    *count_out = sink.count;
    return !sink.failed;
}
