/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that libcurl sent, governed or not. A call reports its own when it ends; all else is added
 * to the run's page, which costs two getinfo and an addition; the sidecar is asked for the page
 * once, when there is something to count. A run without a launcher begins with its first governed
 * call: there is no page to count in before. */
#include "shim/shim_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/page.h"

static _Atomic(struct page *) mapped;
static _Atomic ino_t mapped_as;
static _Atomic pid_t asking; /* a thread of this process is; another: it was forked meanwhile */
static atomic_llong ask_ms;  /* when to ask next; INT64_MAX: not until somebody says so */
static _Atomic uint64_t meanwhile; /* counted, and in no page yet */

/* ---- the page ----------------------------------------------------------------------------- */

/* True: *fd_out is what the sidecar has; -1: nothing. Frames of an earlier call may come before. */
static bool hear(const struct client_link *link, int *fd_out)
{
    int64_t until = client_now_ms() + SHIM_CLAIM_MS;
    unsigned char *frame = malloc(WIRE_FRAME_MAX);
    struct wire_head head = {0};
    struct wire_reader r;
    bool ok = frame != NULL;

    *fd_out = -1;
    while (ok && head.type != WIRE_PAGE_IS) {
        ssize_t count = 0;

        if (*fd_out >= 0)
            (void)close(*fd_out);
        *fd_out = -1;
        if (client_now_ms() < until)
            count = client_receive(link, frame, WIRE_FRAME_MAX, WIRE_SILENCE_MS, fd_out);
        ok =
            count > 0 && wire_open(&r, frame, (size_t)count, &head) && head.version == WIRE_VERSION;
    }
    free(frame);
    return ok;
}

static int ask(void)
{
    const struct shim_env *env = shim_env();
    unsigned char frame[64];
    char reason[300];
    struct client_link link;
    struct wire_writer w;
    bool heard;
    int fd = -1;

    if (!shim_link_open(&link, SHIM_LINK_KEPT | (env->has_run ? SHIM_LINK_START : 0), reason,
                        sizeof reason))
        return -1;
    wire_begin(&w, frame, sizeof frame, WIRE_PAGE);
    if (env->has_run) {
        wire_put(&w, WIRE_RUN_ID, env->run_id, sizeof env->run_id);
        wire_put(&w, WIRE_TOKEN, env->token, sizeof env->token);
    }
    heard = client_send(&link, frame, w.used, -1) == CLIENT_OK && hear(&link, &fd);
    shim_link_done(&link, heard);
    return fd;
}

/* True: there is a page now, another one than before, or the same. */
static bool take(int fd)
{
    struct page *page = fd >= 0 ? page_map(fd) : NULL, *before = atomic_load(&mapped);
    struct stat info;

    if (page == NULL || fstat(fd, &info) != 0)
        return false;
    if (before != NULL && info.st_ino == atomic_load(&mapped_as)) {
        page_unmap(page);
        return true;
    }
    atomic_store(&mapped_as, info.st_ino);
    atomic_store(&mapped, page);
    if (before != NULL) /* others may be counting in it: it stays mapped */
        page_move(before, page);
    return true;
}

static struct page *run_page(void)
{
    long long when = atomic_load(&ask_ms);
    pid_t who = atomic_load(&asking), self = getpid();
    int fd;

    if (when == INT64_MAX || client_now_ms() < when || who == self ||
        !atomic_compare_exchange_strong(&asking, &who, self))
        return atomic_load(&mapped);
    fd = ask();
    atomic_store(&ask_ms, INT64_MAX);
    if (!take(fd) && shim_env()->has_run)
        atomic_store(&ask_ms, client_now_ms() + WIRE_PATIENCE_MS);
    if (fd >= 0)
        (void)close(fd);
    atomic_store(&asking, 0);
    return atomic_load(&mapped);
}

void shim_egress_look(bool anew)
{
    if (anew || atomic_load(&mapped) == NULL)
        atomic_store(&ask_ms, 0);
}

/* ---- what libcurl says -------------------------------------------------------------------- */

#define WHOLE_SINCE 0x080700u /* from 8.7 on the size of requests has their bodies in it */
#define TLS_PIECE   16384 /* before, a head and its body went in one piece, over TLS in this much */

uint64_t shim_egress_lines(const struct shim_handle *handle)
{
    const struct curl_slist *line = shim_option_pointer(handle, SLOT_HEADERS);
    uint64_t bytes = 0;

    for (; line != NULL && handle->curl->version < WHOLE_SINCE; line = line->next)
        bytes += strlen(line->data) + 2;
    return bytes;
}

/* About what libcurl makes of the URL and the application's lines, within a hundred bytes. */
static uint64_t head_about(const struct shim_handle *handle)
{
    char *url = NULL;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_EFFECTIVE_URL, &url);
    return 120 + (url != NULL ? strlen(url) : 0) + handle->line_bytes;
}

static bool posts_memory(const struct shim_handle *handle)
{
    long version = 0;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_HTTP_VERSION, &version);
    return version < CURL_HTTP_VERSION_2_0 && handle->method == SHIM_POST &&
           shim_option(handle, SLOT_BODY) != 0;
}

/* What stands in memory may have gone with the head, and be counted with it, up to its first piece:
 * then the head alone is not known. */
static uint64_t sent(const struct shim_handle *handle, uint64_t requests, uint64_t body)
{
    if (handle->curl->version >= WHOLE_SINCE)
        return requests;
    if (body > 0 && posts_memory(handle)) {
        if (requests > body)
            return requests;
        if (requests == TLS_PIECE)
            return head_about(handle) + body;
    }
    return requests + body;
}

uint64_t shim_egress(struct shim_handle *handle)
{
    curl_off_t body = 0;
    long requests = 0;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_REQUEST_SIZE, &requests);
    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_SIZE_UPLOAD_T, &body);
    handle->egress = sent(handle, (uint64_t)requests, (uint64_t)body);
    return handle->egress;
}

/* ---- counting ----------------------------------------------------------------------------- */

void shim_egress_count(struct shim_handle *handle)
{
    uint64_t told = handle->egress;
    struct page *page;

    if (!handle->requested || shim_egress(handle) <= told)
        return;
    atomic_fetch_add(&meanwhile, handle->egress - told);
    page = run_page();
    if (page != NULL)
        atomic_fetch_add(&page->sent, atomic_exchange(&meanwhile, 0));
    else if (!shim_env()->has_run)
        atomic_store(&meanwhile, 0);
}
