/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what stands beside libcurl's handles: open addressing, keyed by libcurl's pointer
 * and a kind, under one lock that the fork handlers know. The lock is never held while anybody
 * else's code runs. */
#include "shim/shim_int.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const void *key; /* NULL: free; &gone: taken out */
    enum shim_kind kind;
    void *value;
};

static const char gone;
static struct entry *entries;
static size_t entry_size, entry_used; /* used counts those taken out as well */

static size_t slot_of(const void *key, enum shim_kind kind)
{
    uint64_t hash = ((uint64_t)(uintptr_t)key >> 4) * 0x9e3779b97f4a7c15u + (uint64_t)kind;

    return (size_t)(hash >> 20) & (entry_size - 1);
}

static struct entry *find(const void *key, enum shim_kind kind)
{
    if (entry_size == 0)
        return NULL;
    for (size_t i = slot_of(key, kind); entries[i].key != NULL; i = (i + 1) & (entry_size - 1))
        if (entries[i].key == key && entries[i].kind == kind)
            return &entries[i];
    return NULL;
}

static void place(const void *key, enum shim_kind kind, void *value)
{
    size_t i = slot_of(key, kind);

    while (entries[i].key != NULL)
        i = (i + 1) & (entry_size - 1);
    entries[i] = (struct entry){key, kind, value};
    entry_used++;
}

/* Twice the live entries, at least: those taken out are left behind. */
static bool grow(void)
{
    struct entry *old = entries;
    size_t old_size = entry_size, live = 0;

    for (size_t i = 0; i < old_size; i++)
        live += old[i].key != NULL && old[i].key != &gone;
    entry_size = 64;
    while (entry_size < 4 * (live + 1))
        entry_size *= 2;
    entries = calloc(entry_size, sizeof *entries);
    if (entries == NULL) {
        entries = old;
        entry_size = old_size;
        return false;
    }
    entry_used = 0;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].key != NULL && old[i].key != &gone)
            place(old[i].key, old[i].kind, old[i].value);
    free(old);
    return true;
}

void *shim_map_find(const void *key, enum shim_kind kind)
{
    const struct entry *entry;
    void *value;

    shim_lock(SHIM_LOCK_MAP);
    entry = find(key, kind);
    value = entry != NULL ? entry->value : NULL;
    shim_unlock(SHIM_LOCK_MAP);
    return value;
}

bool shim_map_put(const void *key, enum shim_kind kind, void *value)
{
    struct entry *entry;
    bool ok = true;

    shim_lock(SHIM_LOCK_MAP);
    entry = find(key, kind);
    if (entry != NULL)
        entry->value = value;
    else if (2 * (entry_used + 1) > entry_size && !grow())
        ok = false;
    else
        place(key, kind, value);
    shim_unlock(SHIM_LOCK_MAP);
    return ok;
}

void shim_map_take(const void *key, enum shim_kind kind)
{
    struct entry *entry;

    shim_lock(SHIM_LOCK_MAP);
    entry = find(key, kind);
    if (entry != NULL)
        *entry = (struct entry){&gone, kind, NULL};
    shim_unlock(SHIM_LOCK_MAP);
}

/* ---- easy handles ------------------------------------------------------------------------- */

struct shim_handle *shim_handle_find(const CURL *easy)
{
    return shim_map_find(easy, SHIM_EASY);
}

struct shim_handle *shim_handle_add(CURL *easy, const struct shim_curl *curl)
{
    struct shim_handle *handle = calloc(1, sizeof *handle);

    if (handle == NULL)
        return NULL;
    handle->easy = easy;
    handle->curl = curl;
    if (!shim_map_put(easy, SHIM_EASY, handle)) {
        free(handle);
        return NULL;
    }
    return handle;
}

void shim_handle_forget(struct shim_handle *handle)
{
    shim_map_take(handle->easy, SHIM_EASY);
}

void shim_handle_free(struct shim_handle *handle)
{
    shim_options_reset(handle);
    free(handle->message);
    free(handle);
}

/* ---- multi handles ------------------------------------------------------------------------ */

struct shim_multi *shim_multi_find(const CURLM *multi)
{
    return shim_map_find(multi, SHIM_MULTI);
}

struct shim_multi *shim_multi_add(CURLM *multi, const struct shim_curl *curl)
{
    struct shim_multi *added = calloc(1, sizeof *added);

    if (added == NULL)
        return NULL;
    added->multi = multi;
    added->curl = curl;
    if (!shim_map_put(multi, SHIM_MULTI, added)) {
        free(added);
        return NULL;
    }
    return added;
}

void shim_multi_remove(struct shim_multi *multi)
{
    shim_map_take(multi->multi, SHIM_MULTI);
    free(multi);
}

static struct shim_handle *one_of_multi(const CURLM *multi)
{
    struct shim_handle *found = NULL;

    shim_lock(SHIM_LOCK_MAP);
    for (size_t i = 0; i < entry_size && found == NULL; i++) {
        struct shim_handle *handle = entries[i].value;

        if (entries[i].key != NULL && entries[i].key != &gone && entries[i].kind == SHIM_EASY &&
            handle->multi == multi)
            found = handle;
    }
    shim_unlock(SHIM_LOCK_MAP);
    return found;
}

void shim_multi_each(const CURLM *multi, void (*each)(struct shim_handle *handle))
{
    struct shim_handle *handle;

    while ((handle = one_of_multi(multi)) != NULL) {
        handle->multi = NULL; /* so the next search finds the next one */
        each(handle);
    }
}
