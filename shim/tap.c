/* SPDX-License-Identifier: Apache-2.0 */
/* The tap: what the application accepted of a governed answer is copied to the sidecar, and what
 * was held back, or kept, from it (strip.c). Bytes count once they are accepted: on PAUSE libcurl
 * delivers them again. Sending never blocks the host; what
 * does not fit the socket is kept, and when too much is kept for too long the call is marked, so
 * that the sidecar charges its hold. Delivered bytes are kept until the sidecar says that a
 * restarted one would know them (at most SHIM_TAP_KEEP). */
#include "shim/shim_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* What meter/answer.c and the ledger want to know. */
static const char *const told_headers[] = {
    "content-type",
    "content-encoding",
    "retry-after",
    "date",
    "x-should-retry",
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
    "x-prompt-tokens",
    "x-generated-tokens",
    "x-litellm-response-cost",
};
#define TOLD_HEADERS (sizeof told_headers / sizeof told_headers[0])
#define LINE_BYTES   512u
#define HEAD_BYTES   8192u
_Static_assert((sizeof(struct wire_field) + LINE_BYTES) * TOLD_HEADERS + 64 <= HEAD_BYTES,
               "all of them fit a frame");

/* ---- frames ------------------------------------------------------------------------------- */

static void put_headers(struct shim_call *call, struct wire_writer *w)
{
    const struct shim_curl *curl = call->handle->curl;
    struct curl_header *header;
    char line[LINE_BYTES];
    char *type = NULL;

    if (curl->easy_header == NULL) {
        (void)curl->easy_getinfo(call->handle->easy, CURLINFO_CONTENT_TYPE, &type);
        (void)snprintf(line, sizeof line, "content-type: %s", type != NULL ? type : "");
        wire_put_text(w, WIRE_HEADER, line);
        return;
    }
    for (size_t i = 0; i < TOLD_HEADERS; i++) {
        if (curl->easy_header(call->handle->easy, told_headers[i], 0, CURLH_HEADER, -1, &header) !=
            CURLHE_OK)
            continue;
        (void)snprintf(line, sizeof line, "%s: %s", told_headers[i], header->value);
        wire_put_text(w, WIRE_HEADER, line);
    }
}

/* When the application asked for encodings and did not forbid it. */
bool shim_tap_decodes(const struct shim_handle *handle)
{
    return shim_option_text(handle, SLOT_ENCODING) != NULL &&
           shim_option(handle, SLOT_DECODING) != 0;
}

static long header_bytes(const struct shim_call *call)
{
    long bytes = 0;

    (void)call->handle->curl->easy_getinfo(call->handle->easy, CURLINFO_HEADER_SIZE, &bytes);
    return bytes;
}

/* Callbacks may be on a small stack: large frames are not made there. */
static enum client_result send_head(struct shim_call *call)
{
    unsigned char *frame = malloc(HEAD_BYTES);
    struct wire_writer w;
    long status = 0;
    enum client_result result;

    if (frame == NULL)
        return CLIENT_FULL;
    /* Until this request has a head, libcurl tells the status of the one before. */
    if (header_bytes(call) != call->header_bytes)
        (void)call->handle->curl->easy_getinfo(call->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    wire_begin(&w, frame, HEAD_BYTES, WIRE_RESPONSE);
    wire_put_number(&w, WIRE_STATUS, (uint64_t)status);
    wire_put_number(&w, WIRE_FLAGS, shim_tap_decodes(call->handle) ? WIRE_DECODED : 0);
    put_headers(call, &w);
    result = client_send(&call->link, frame, w.used, -1);
    call->tap.head_sent = result == CLIENT_OK;
    free(frame);
    return result;
}

static enum client_result send_piece(struct shim_call *call)
{
    unsigned char head[sizeof(struct wire_head) + sizeof(uint64_t)];
    struct shim_tap *tap = &call->tap;
    size_t at = (size_t)(tap->sent - tap->from), count = tap->used - at;
    struct wire_writer w;
    enum client_result result;

    if (count > WIRE_DATA_MAX)
        count = WIRE_DATA_MAX;
    wire_begin(&w, head, sizeof head, WIRE_DATA);
    wire_raw(&w, &tap->sent, sizeof tap->sent);
    result = client_send_pieces(&call->link, head, w.used, tap->bytes + at, count);
    if (result == CLIENT_OK)
        tap->sent += count;
    return result;
}

static enum client_result send_some(struct shim_call *call)
{
    struct shim_tap *tap = &call->tap;
    enum client_result result = CLIENT_OK;

    if (!tap->head_sent)
        result = send_head(call);
    while (result == CLIENT_OK && tap->sent < tap->from + tap->used)
        result = send_piece(call);
    if (result == CLIENT_OK)
        tap->stalled_ms = 0;
    else if (tap->stalled_ms == 0)
        tap->stalled_ms = client_now_ms();
    return result;
}

/* ---- keeping ------------------------------------------------------------------------------ */

static bool keep(struct shim_tap *tap, const void *bytes, size_t count)
{
    if (count > tap->size - tap->used) {
        size_t size = tap->size == 0 ? 16384 : tap->size;
        unsigned char *grown;

        while (size < tap->used + count)
            size *= 2;
        grown = realloc(tap->bytes, size);
        if (grown == NULL)
            return false;
        tap->bytes = grown;
        tap->size = size;
    }
    memcpy(tap->bytes + tap->used, bytes, count);
    tap->used += count;
    return true;
}

/* Forgets what a restarted sidecar would know, and what is too old to keep but has been sent. */
static void forget(struct shim_tap *tap)
{
    uint64_t end = tap->from + tap->used, to = tap->acked;

    if (end > to + SHIM_TAP_KEEP)
        to = end - SHIM_TAP_KEEP;
    if (to > tap->sent)
        to = tap->sent;
    if (to <= tap->from || to - tap->from < tap->used / 2)
        return; /* moving bytes for little is not worth it */
    tap->used -= (size_t)(to - tap->from);
    memmove(tap->bytes, tap->bytes + (to - tap->from), tap->used);
    tap->from = to;
}

static void tap_lose(struct shim_tap *tap)
{
    tap->lost = true;
    free(tap->bytes);
    tap->bytes = NULL;
    tap->used = tap->size = 0;
}

/* ---- acknowledgements --------------------------------------------------------------------- */

void shim_tap_listen(struct shim_call *call)
{
    unsigned char frame[4096];
    struct wire_reader r;
    struct wire_head head;
    struct wire_value value;
    ssize_t count;
    int fd;

    while ((count = client_receive(&call->link, frame, sizeof frame, 0, &fd)) > 0) {
        if (fd >= 0)
            (void)close(fd);
        if (!wire_open(&r, frame, (size_t)count, &head))
            continue;
        if (head.type == WIRE_CUT)
            shim_cut_take(call, &r);
        while (head.type == WIRE_ACK && wire_next(&r, &value))
            if (value.tag == WIRE_OFFSET && wire_number(&value) <= call->tap.sent)
                call->tap.acked = wire_number(&value);
    }
}

/* ---- the flow ----------------------------------------------------------------------------- */

/* False: the sidecar is gone and the call could not be taken to another one. */
static bool flow(struct shim_call *call)
{
    struct shim_tap *tap = &call->tap;
    enum client_result result;

    shim_tap_listen(call);
    result = send_some(call);
    if (result == CLIENT_LOST && shim_call_claim(call))
        result = send_some(call);
    if (result == CLIENT_LOST)
        return false;
    if (tap->from + tap->used - tap->sent > SHIM_TAP_UNSENT && tap->stalled_ms != 0 &&
        client_now_ms() - tap->stalled_ms > SHIM_TAP_STALL_MS)
        tap_lose(tap);
    forget(tap);
    return true;
}

/* With CURLOPT_HEADER the write callback gets the header lines first, a line a call, and again for
 * every further response. A JSON or SSE body never starts like a status line. */
static bool is_header(const struct shim_call *call, const char *bytes, size_t count)
{
    const struct shim_tap *tap = &call->tap;

    return shim_option(call->handle, SLOT_HEADER_IN_BODY) != 0 &&
           (tap->in_headers || (tap->passed == 0 && count >= 5 && memcmp(bytes, "HTTP/", 5) == 0));
}

static bool take(struct shim_call *call, const char *bytes, size_t count)
{
    struct shim_tap *tap = &call->tap;

    if (count == 0 || call->settled || call->pid != getpid())
        return true;
    if (is_header(call, bytes, count)) {
        tap->in_headers = count > 2 || (bytes[0] != '\r' && bytes[0] != '\n');
        return true;
    }
    tap->passed += count;
    if (tap->lost)
        return true;
    if (!keep(tap, bytes, count))
        tap_lose(tap);
    return tap->lost || flow(call);
}

/* ---- to the application ------------------------------------------------------------------- */

static size_t to_application(const struct shim_handle *handle, void *data, char *bytes, size_t size,
                             size_t count)
{
    curl_write_callback writer;
    int64_t bits = shim_option(handle, SLOT_WRITE);

    if (bits == 0)
        return fwrite(bytes, size, count, data);
    memcpy(&writer, &bits, sizeof writer);
    return writer(bytes, size, count, data);
}

/* The last bytes that it took: a stream may be ended between two events. */
static void note_last(const struct shim_handle *handle, const char *bytes, size_t taken)
{
    char *last = handle->call != NULL ? handle->call->tap.last : NULL;
    const size_t size = sizeof handle->call->tap.last;

    if (last == NULL || taken == 0)
        return;
    if (taken < size)
        memmove(last, last + taken, size - taken);
    else
        bytes += taken - size;
    taken = taken < size ? taken : size;
    memcpy(last + size - taken, bytes, taken);
}

size_t shim_tap_give(const struct shim_handle *handle, const char *bytes, size_t count)
{
    return to_application(handle, shim_option_pointer(handle, SLOT_WRITE_DATA),
                          (char *)(uintptr_t)bytes, 1, count);
}

/* A piece of a delivery, or what was held back of earlier ones, and what came of it. */
struct giving {
    const struct shim_handle *handle;
    const char *bytes;
    size_t count, taken;
};

static enum strip_gave give(void *data, const char *bytes, size_t count)
{
    struct giving *giving = data;

    giving->bytes = bytes;
    giving->count = count;
    giving->taken = shim_tap_give(giving->handle, bytes, count);
    if (giving->taken == CURL_WRITEFUNC_PAUSE)
        return STRIP_PAUSED;
    note_last(giving->handle, bytes, giving->taken <= count ? giving->taken : 0);
    return giving->taken == count ? STRIP_TAKEN : STRIP_REFUSED;
}

/* Nobody asked for an encoding; if it comes in one, it is the application's to undo. */
static bool arrives_encoded(const struct shim_handle *handle)
{
    struct curl_header *header;

    return !shim_tap_decodes(handle) && handle->curl->easy_header != NULL &&
           handle->curl->easy_header(handle->easy, "content-encoding", 0, CURLH_HEADER, -1,
                                     &header) == CURLHE_OK &&
           strcasecmp(header->value, "identity") != 0;
}

static bool strips(struct shim_call *call, const char *bytes, size_t count)
{
    if (call == NULL || call->strip == NULL || count == 0 || call->settled ||
        is_header(call, bytes, count))
        return false;
    if (call->tap.passed == 0 && arrives_encoded(call->handle)) {
        strip_free(call->strip);
        call->strip = NULL;
        return false;
    }
    return true;
}

/* A delivery of which the application refused a piece. Adds to done what it took of that, and
 * returns what libcurl is told: never that all was taken. */
static size_t refused(const struct giving *giving, const char *bytes, size_t count,
                      struct strip_done *done)
{
    bool held = giving->bytes != bytes + done->to;

    if (giving->taken > giving->count) { /* an error code of its own */
        done->to += held ? 0 : giving->count;
        return giving->taken != count ? giving->taken : 0;
    }
    done->to += held ? 0 : giving->taken;
    return done->to;
}

/* The application may end the call from its callback (curl_easy_reset): the filter is ours
 * meanwhile. */
static size_t write_stripped(struct shim_handle *handle, const char *bytes, size_t count,
                             struct strip_done *done)
{
    struct shim_call *call = handle->call;
    struct strip *strip = call->strip;
    struct giving giving = {.handle = handle};

    call->strip = NULL;
    *done = strip_write(strip, bytes, count, give, &giving);
    if (handle->call == call)
        call->strip = strip;
    else
        strip_free(strip);
    switch (done->gave) {
    case STRIP_PAUSED:
        return CURL_WRITEFUNC_PAUSE;
    case STRIP_REFUSED:
        return refused(&giving, bytes, count, done);
    case STRIP_TAKEN:
        break;
    }
    return count;
}

static size_t write_whole(const struct shim_handle *handle, char *bytes, size_t size, size_t count,
                          struct strip_done *done)
{
    size_t taken =
        to_application(handle, shim_option_pointer(handle, SLOT_WRITE_DATA), bytes, size, count);

    *done = (struct strip_done){STRIP_TAKEN, 0, taken < size * count ? taken : size * count};
    if (taken == CURL_WRITEFUNC_PAUSE)
        done->to = 0;
    note_last(handle, bytes, done->to);
    return taken;
}

size_t shim_tap_write(char *bytes, size_t size, size_t count, void *data)
{
    struct shim_handle *handle = data;
    struct strip_done done;
    size_t taken = strips(handle->call, bytes, size * count)
                       ? write_stripped(handle, bytes, size * count, &done)
                       : write_whole(handle, bytes, size, count, &done);
    int saved_errno = errno;
    bool go_on = true;

    if (handle->call != NULL)
        go_on = take(handle->call, bytes + done.from, done.to - done.from);
    if (handle->call != NULL && handle->call->cut && shim_cut_here(handle->call))
        go_on = false;
    errno = saved_errno;
    return go_on || taken != size * count ? taken : 0;
}

/* There is no libcurl any more that would deliver them again: a pause now is a refusal. */
CURLcode shim_tap_rest(struct shim_handle *handle, CURLcode code)
{
    struct strip *strip;
    struct giving giving = {.handle = handle};
    char *buffer = shim_option_pointer(handle, SLOT_ERROR_BUFFER);
    enum strip_gave gave;

    if (handle->call != NULL)
        code = shim_cut_end(handle, code);
    strip = handle->call != NULL ? handle->call->strip : NULL;
    if (strip == NULL)
        return code;
    handle->call->strip = NULL;
    handle->giving = true;
    gave = strip_end(strip, give, &giving);
    handle->giving = false;
    strip_free(strip);
    if (gave == STRIP_TAKEN || code != CURLE_OK)
        return code;
    if (buffer != NULL)
        (void)snprintf(buffer, CURL_ERROR_SIZE, "Failure writing output to destination");
    return CURLE_WRITE_ERROR;
}

/* Without a header callback, libcurl gives header lines to the write callback with
 * CURLOPT_HEADERDATA: to ours, with the application's data. So we are the header callback
 * meanwhile. */
size_t shim_tap_header(char *bytes, size_t size, size_t count, void *data)
{
    struct shim_handle *handle = data;

    return to_application(handle, shim_option_pointer(handle, SLOT_HEADER_DATA), bytes, size,
                          count);
}

void shim_tap_restart(struct shim_call *call)
{
    call->tap.head_sent = false;
    call->tap.in_headers = false;
    memset(call->tap.last, 0, sizeof call->tap.last);
    if (call->strip != NULL)
        strip_restart(call->strip);
    call->header_bytes = header_bytes(call);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void put_end(struct shim_call *call, struct wire_writer *w, CURLcode code)
{
    uint64_t flags = (call->sent ? WIRE_WAS_SENT : 0) | (call->tap.lost ? WIRE_TAP_LOST : 0) |
                     (code != CURLE_OK || call->cut ? WIRE_BROKEN : 0);

    wire_put_number(w, WIRE_FLAGS, flags);
    wire_put_number(w, WIRE_CURL_CODE, (uint64_t)code);
    wire_put_number(w, WIRE_OFFSET, call->tap.passed);
    wire_put_number(w, WIRE_EGRESS, shim_egress(call->handle));
    wire_put_number(w, WIRE_SENT_MS, call->sent ? (uint64_t)(client_now_ms() - call->sent_ms) : 0);
}

/* Everything that is kept has to leave before END; the host waits for a full socket, for a while.
 */
static bool drain(struct shim_call *call)
{
    int64_t until = client_now_ms() + SHIM_TAP_STALL_MS;

    while (!call->tap.lost && flow(call)) {
        int64_t left = until - client_now_ms();

        if (call->tap.sent == call->tap.from + call->tap.used && call->tap.head_sent)
            return true;
        if (left <= 0 || !client_room(&call->link, (int)left))
            break;
    }
    tap_lose(&call->tap);
    return client_live(&call->link);
}

void shim_tap_finish(struct shim_call *call, CURLcode code)
{
    unsigned char frame[512];
    enum client_result result;
    struct wire_writer w;

    if (call->settled)
        return;
    call->settled = true;
    if (call->sent && !drain(call))
        return;
    wire_begin(&w, frame, sizeof frame, WIRE_END);
    put_end(call, &w, code);
    result = client_send_last(&call->link, frame, w.used);
    if (result == CLIENT_LOST && shim_call_claim(call)) {
        (void)send_some(call);
        result = client_send_last(&call->link, frame, w.used);
    }
    call->link_clean = result == CLIENT_OK;
}

void shim_tap_release(struct shim_tap *tap)
{
    free(tap->bytes);
    *tap = (struct shim_tap){0};
}
