/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a governed request: collected before the transfer, because the sidecar has to see it
 * before a byte of it leaves. It goes to the sidecar in the question, a larger one as a sealed
 * memfd. A body that the application hands out by a read callback is taken from it now and played
 * back to libcurl, read for read. */
#include "shim/shim_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* The host may have a limit of file sizes; who writes beyond it is ended (SIGXFSZ). */
static bool may_grow(int fd, size_t count)
{
    struct rlimit limit;
    off_t at = lseek(fd, 0, SEEK_CUR);

    return at >= 0 && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           (limit.rlim_cur == RLIM_INFINITY || (uint64_t)at + count <= limit.rlim_cur);
}

bool shim_memfd_add(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;

    if (!may_grow(fd, count))
        return false;
    while (count > 0) {
        ssize_t written = write(fd, at, count);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        at += written;
        count -= (size_t)written;
    }
    return true;
}

static int memfd_make(void)
{
    int fd = memfd_create("flyball-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    return fd < 0 ? fd : client_fd_away(fd);
}

static bool map(struct shim_body *body)
{
    if (body->count == 0)
        return true;
    body->bytes = client_map(body->memfd, body->count, false);
    body->mapped = body->bytes != NULL;
    return body->mapped;
}

/* ---- from the application's memory -------------------------------------------------------- */

static enum shim_body_result from_memory(const struct shim_handle *handle, struct shim_body *out)
{
    int64_t size = shim_option(handle, SLOT_BODY_BYTES);

    out->bytes = shim_option_pointer(handle, SLOT_BODY);
    out->count = size >= 0 ? (size_t)size : strlen((const char *)out->bytes);
    if (out->count > WIRE_BODY_MAX)
        return SHIM_BODY_TOO_LARGE;
    out->here = out->count <= WIRE_BODY_HERE;
    if (out->here)
        return SHIM_BODY_OK;
    out->memfd = memfd_make();
    if (out->memfd < 0 || !shim_memfd_add(out->memfd, out->bytes, out->count) ||
        fcntl(out->memfd, F_ADD_SEALS, SEALS) != 0)
        return SHIM_BODY_NO_MEMORY;
    return SHIM_BODY_OK;
}

/* ---- from the application's read callback ------------------------------------------------- */

#define PIECE_BYTES 65536u /* as much as libcurl asks for by default */

static bool note_piece(struct shim_body *body, size_t count)
{
    if ((body->piece_count & (body->piece_count - 1)) == 0) { /* 0, 1, 2, 4, 8 ...: full */
        size_t room = body->piece_count == 0 ? 1 : 2 * body->piece_count;
        uint32_t *grown = realloc(body->pieces, room * sizeof *grown);

        if (grown == NULL)
            return false;
        body->pieces = grown;
    }
    body->pieces[body->piece_count++] = (uint32_t)count;
    return true;
}

static size_t call_reader(const struct shim_handle *handle, char *buffer, size_t count)
{
    void *data = shim_option_pointer(handle, SLOT_READ_DATA);
    curl_read_callback reader;
    int64_t bits = shim_option(handle, SLOT_READ);

    if (bits == 0)
        return fread(buffer, 1, count, data);
    memcpy(&reader, &bits, sizeof reader);
    return reader(buffer, 1, count, data);
}

/* The size that was announced ends the body too: libcurl would not ask for more. */
static int64_t announced(const struct shim_handle *handle)
{
    return shim_option(handle, handle->method == SHIM_PUT ? SLOT_INFILE_BYTES : SLOT_BODY_BYTES);
}

static enum shim_body_result drain(const struct shim_handle *handle, struct shim_body *out,
                                   char *buffer)
{
    int64_t limit = announced(handle);

    while (limit < 0 || (int64_t)out->count < limit) {
        size_t ask = PIECE_BYTES, got;

        if (limit >= 0 && limit - (int64_t)out->count < (int64_t)ask)
            ask = (size_t)(limit - (int64_t)out->count);
        got = call_reader(handle, buffer, ask);
        if (got == 0)
            return SHIM_BODY_OK;
        if (got == CURL_READFUNC_ABORT)
            return SHIM_BODY_ABORTED;
        if (got > ask) /* CURL_READFUNC_PAUSE: it does not have it now */
            return SHIM_BODY_UNREADABLE;
        out->count += got;
        if (out->count > WIRE_BODY_MAX)
            return SHIM_BODY_TOO_LARGE;
        if (!shim_memfd_add(out->memfd, buffer, got) || !note_piece(out, got))
            return SHIM_BODY_NO_MEMORY;
    }
    return SHIM_BODY_OK;
}

static enum shim_body_result from_reader(const struct shim_handle *handle, struct shim_body *out)
{
    enum shim_body_result result = SHIM_BODY_NO_MEMORY;
    char *buffer = malloc(PIECE_BYTES);

    out->drained = true;
    out->memfd = memfd_make();
    if (buffer != NULL && out->memfd >= 0)
        result = drain(handle, out, buffer);
    free(buffer);
    if (result != SHIM_BODY_OK)
        return result;
    if (fcntl(out->memfd, F_ADD_SEALS, SEALS) != 0 || !map(out))
        return SHIM_BODY_NO_MEMORY;
    return SHIM_BODY_OK;
}

static enum shim_body_result from_form(const struct shim_handle *handle, struct shim_body *out)
{
    size_t count = 0;

    out->memfd = memfd_make();
    if (out->memfd < 0 || !shim_form_describe(handle, out->memfd, &count) ||
        fcntl(out->memfd, F_ADD_SEALS, SEALS) != 0)
        return SHIM_BODY_NO_MEMORY;
    out->count = count; /* of the description: libcurl sends the form itself */
    out->form_changes = shim_form_changes(handle);
    return SHIM_BODY_OK;
}

/* libcurl has begun to read: what was taken from the reader now would be missing there. */
static enum shim_body_result from_reader_in_use(const struct shim_handle *handle, bool in_use,
                                                struct shim_body *out)
{
    return in_use ? SHIM_BODY_UNREADABLE : from_reader(handle, out);
}

static enum shim_body_result collect(struct shim_handle *handle, bool in_use, struct shim_body *out)
{
    bool given = shim_option_pointer(handle, SLOT_BODY) != NULL;

    *out = (struct shim_body){.memfd = -1};
    switch (handle->method) {
    case SHIM_POST:
        if (given)
            return from_memory(handle, out);
        return shim_option(handle, SLOT_BODY_BYTES) == 0 ? SHIM_BODY_OK
                                                         : from_reader_in_use(handle, in_use, out);
    case SHIM_PUT:
        return from_reader_in_use(handle, in_use, out);
    case SHIM_MIME:
    case SHIM_FORM:
        return from_form(handle, out);
    case SHIM_GET:
    case SHIM_HEAD:
        break;
    }
    return SHIM_BODY_OK;
}

/* Of a body that is not all here nothing is told or played: what there is may lie nowhere. */
enum shim_body_result shim_body_collect(struct shim_handle *handle, bool in_use,
                                        struct shim_body *out)
{
    enum shim_body_result result = collect(handle, in_use, out);
    bool drained = out->drained;

    if (result == SHIM_BODY_OK)
        return result;
    shim_body_release(out);
    out->drained = drained;
    return result;
}

/* ---- to libcurl --------------------------------------------------------------------------- */

/* Plays the body back in the pieces in which it came, so that a chunked upload looks the same. */
static size_t play(char *buffer, size_t size, size_t count, void *data)
{
    struct shim_body *body = data;
    size_t room = size * count, take = body->count - body->read_at;

    if (!body->rewritten && body->piece_left == 0 && body->piece_at < body->piece_count)
        body->piece_left = body->pieces[body->piece_at++];
    if (!body->rewritten && take > body->piece_left)
        take = body->piece_left;
    if (take > room)
        take = room;
    if (take > 0)
        memcpy(buffer, body->bytes + body->read_at, take);
    body->read_at += take;
    if (!body->rewritten)
        body->piece_left -= take;
    return take;
}

static int rewind_to(void *data, curl_off_t offset, int origin)
{
    struct shim_body *body = data;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > body->count)
        return CURL_SEEKFUNC_CANTSEEK;
    body->read_at = (size_t)offset;
    body->piece_at = 0;
    body->piece_left = 0;
    for (size_t left = (size_t)offset; left > 0 && body->piece_at < body->piece_count;) {
        size_t piece = body->pieces[body->piece_at++];

        body->piece_left = piece > left ? piece - left : 0;
        left -= piece > left ? left : piece;
    }
    return CURL_SEEKFUNC_OK;
}

static bool install_reader(struct shim_handle *handle, struct shim_body *body)
{
    int64_t data = (int64_t)(intptr_t)body;
    bool put = handle->method == SHIM_PUT;

    if (body->rewritten && announced(handle) >= 0 &&
        shim_override(handle, put ? SLOT_INFILE_BYTES : SLOT_BODY_BYTES,
                      put ? CURLOPT_INFILESIZE_LARGE : CURLOPT_POSTFIELDSIZE_LARGE,
                      (int64_t)body->count) != CURLE_OK)
        return false;
    return shim_override(handle, SLOT_READ, CURLOPT_READFUNCTION,
                         shim_bits((void (*)(void))play)) == CURLE_OK &&
           shim_override(handle, SLOT_READ_DATA, CURLOPT_READDATA, data) == CURLE_OK &&
           shim_override(handle, SLOT_SEEK, CURLOPT_SEEKFUNCTION,
                         shim_bits((void (*)(void))rewind_to)) == CURLE_OK &&
           shim_override(handle, SLOT_SEEK_DATA, CURLOPT_SEEKDATA, data) == CURLE_OK;
}

bool shim_body_install(struct shim_handle *handle, struct shim_body *body)
{
    if (body->drained)
        return install_reader(handle, body);
    if (!body->rewritten)
        return true;
    return shim_override(handle, SLOT_BODY, CURLOPT_POSTFIELDS, (int64_t)(intptr_t)body->bytes) ==
               CURLE_OK &&
           shim_override(handle, SLOT_BODY_BYTES, CURLOPT_POSTFIELDSIZE_LARGE,
                         (int64_t)body->count) == CURLE_OK;
}

void shim_body_rewind(struct shim_body *body)
{
    (void)rewind_to(body, 0, SEEK_SET);
}

static void unmap(struct shim_body *body)
{
    if (body->mapped)
        (void)munmap((void *)(uintptr_t)body->bytes, body->count);
    body->mapped = false;
    body->bytes = NULL;
}

bool shim_body_replace(struct shim_body *body, int memfd, size_t count)
{
    unmap(body);
    if (body->memfd >= 0)
        (void)close(body->memfd);
    body->memfd = memfd;
    body->count = count;
    body->read_at = 0;
    body->rewritten = true;
    return map(body);
}

void shim_body_release(struct shim_body *body)
{
    unmap(body);
    if (body->memfd >= 0)
        (void)close(body->memfd);
    free(body->pieces);
    *body = (struct shim_body){.memfd = -1};
}
