/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that libcurl sent, governed or not. A call reports its own when it ends; all else is added
 * to the run's page, which costs two getinfo and an addition. A run without a launcher begins with
 * its first governed call: there is no page to count in before. */
#include "shim/shim_int.h"

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

uint64_t shim_egress(struct shim_handle *handle)
{
    curl_off_t body = 0;
    long head = 0;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_REQUEST_SIZE, &head);
    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_SIZE_UPLOAD_T, &body);
    handle->egress = (uint64_t)head + (uint64_t)body;
    return handle->egress;
}

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
