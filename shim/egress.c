/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that libcurl sent, governed or not. A call reports its own when it ends; all else is added
 * to the run's page, which costs two getinfo and an addition. A run without a launcher begins with
 * its first governed call: there is no page to count in before. */
#include "shim/shim_int.h"

#include <string.h>
#include <unistd.h>

#include "shim/page.h"

static _Atomic(struct page *) mapped;
static atomic_bool looked;         /* and there was none, or somebody is about to have it */
static _Atomic uint64_t meanwhile; /* counted by others then */

static struct page *run_page(void)
{
    const struct shim_env *env = shim_env();
    struct page *page = atomic_load(&mapped), *other = NULL;
    char path[PAGE_PATH];

    if (page != NULL || atomic_exchange(&looked, true))
        return page;
    page_path(path, shim_place()->home, env->has_run ? env->run_id : NULL, (int)getsid(0));
    page = page_map(path, false);
    if (page == NULL || atomic_compare_exchange_strong(&mapped, &other, page))
        return page;
    page_unmap(page); /* another thread was first */
    return other;
}

void shim_egress_look(void)
{
    atomic_store(&looked, false);
}

/* ---- what libcurl says -------------------------------------------------------------------- */

#define WHOLE_SINCE 0x080700u /* from 8.7 on the size of requests has their bodies in it */
#define TLS_PIECE   16384 /* before, a head and its body went in one piece, over TLS in this much */

/* About what libcurl makes of the URL and the application's lines, within a hundred bytes. */
static uint64_t head_about(const struct shim_handle *handle)
{
    const struct curl_slist *line = shim_option_pointer(handle, SLOT_HEADERS);
    char *url = NULL;
    size_t bytes = 120;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_EFFECTIVE_URL, &url);
    bytes += url != NULL ? strlen(url) : 0;
    for (; line != NULL; line = line->next)
        bytes += strlen(line->data) + 2;
    return bytes;
}

static bool posts_memory(const struct shim_handle *handle)
{
    long version = 0;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_HTTP_VERSION, &version);
    return version < CURL_HTTP_VERSION_2_0 && handle->method == SHIM_POST &&
           (shim_option(handle, SLOT_BODY) != 0 || handle->copied_body != NULL);
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
