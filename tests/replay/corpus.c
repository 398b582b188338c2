/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding exchanges by id below the corpus directory, and choosing which one answers a request.
 */
#include <fts.h>
#include <stdlib.h>
#include <string.h>

#include "tests/replay/replay.h"

struct entry {
    char *id;
    char *file;
    struct exchange *exchange; /* NULL until asked for */
};

struct corpus {
    const char *dir;
    struct entry *entries; /* sorted by id once scanned */
    size_t count;
    bool scanned;
    struct exchange **files; /* loaded by name */
    size_t file_count;
};

struct corpus *corpus_new(const char *dir)
{
    struct corpus *corpus = calloc(1, sizeof *corpus);

    if (corpus)
        corpus->dir = dir;
    return corpus;
}

void corpus_free(struct corpus *corpus)
{
    if (!corpus)
        return;
    for (size_t i = 0; i < corpus->count; i++) {
        free(corpus->entries[i].id);
        free(corpus->entries[i].file);
        exchange_free(corpus->entries[i].exchange);
    }
    for (size_t i = 0; i < corpus->file_count; i++)
        exchange_free(corpus->files[i]);
    free(corpus->entries);
    free(corpus->files);
    free(corpus);
}

static void entry_add(struct corpus *corpus, const FTSENT *found)
{
    size_t length = found->fts_namelen;
    struct entry *entries;

    if (length <= 5 || strcmp(found->fts_name + length - 5, ".json"))
        return;
    entries = reallocarray(corpus->entries, corpus->count + 1, sizeof *entries);
    if (!entries)
        return;
    corpus->entries = entries;
    entries[corpus->count++] =
        (struct entry){.id = strndup(found->fts_name, length - 5), .file = strdup(found->fts_path)};
}

static int entry_order(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->id, ((const struct entry *)right)->id);
}

static void corpus_scan(struct corpus *corpus)
{
    char *dir = strdup(corpus->dir);
    char *roots[] = {dir, NULL};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    FTSENT *found;

    corpus->scanned = true;
    while (walk && (found = fts_read(walk)))
        if (found->fts_info == FTS_F)
            entry_add(corpus, found);
    if (walk)
        fts_close(walk);
    free(dir);
    if (corpus->count)
        qsort(corpus->entries, corpus->count, sizeof *corpus->entries, entry_order);
}

struct exchange *corpus_find(struct corpus *corpus, const char *id, struct why *why)
{
    struct entry key = {.id = (char *)(uintptr_t)id}, *found;

    if (!corpus->scanned)
        corpus_scan(corpus);
    found = corpus->count ? bsearch(&key, corpus->entries, corpus->count, sizeof key, entry_order)
                          : NULL;
    if (!found) {
        why_set(why, "no exchange %s in %s", id, corpus->dir);
        return NULL;
    }
    if (!found->exchange)
        found->exchange = exchange_load(found->file, why);
    return found->exchange;
}

struct exchange *corpus_file(struct corpus *corpus, const char *file, struct why *why)
{
    struct exchange **files =
        reallocarray(corpus->files, corpus->file_count + 1, sizeof *corpus->files);

    if (!files) {
        why_set(why, "out of memory");
        return NULL;
    }
    corpus->files = files;
    files[corpus->file_count] = exchange_load(file, why);
    return files[corpus->file_count] ? files[corpus->file_count++] : NULL;
}

/* ---- the choice ---------------------------------------------------------------------------- */

static struct exchange *pick_named(struct server *server, const char *id, struct why *why)
{
    for (size_t i = 0; i < server->given_count; i++)
        if (!strcmp(server->given[i]->id, id))
            return server->given[i];
    return corpus_find(server->corpus, id, why);
}

static bool exchange_fits(const struct exchange *exchange, const struct call *call)
{
    const char *method = strcmp(call->method, "HEAD") ? call->method : "GET";

    return !strcmp(exchange->method, method) && !strcmp(exchange->path, call->path);
}

/* The least used of those that fit, the first of equals: they take turns. */
static struct exchange *pick_given(struct server *server, const struct call *call)
{
    struct exchange *best = NULL;

    for (size_t i = 0; i < server->given_count; i++) {
        struct exchange *exchange = server->given[i];

        if (!server->any_path && !exchange_fits(exchange, call))
            continue;
        if (!best || exchange->uses < best->uses)
            best = exchange;
    }
    return best;
}

struct exchange *server_pick(struct server *server, const struct call *call, struct why *why)
{
    struct exchange *exchange =
        call->wanted ? pick_named(server, call->wanted, why) : pick_given(server, call);

    if (exchange)
        exchange->uses++;
    else if (!call->wanted)
        why_set(why, "no exchange for %s %s", call->method, call->path);
    return exchange;
}
