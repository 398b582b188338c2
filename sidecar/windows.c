/* SPDX-License-Identifier: Apache-2.0 */
/* The windows that count: opened when a run has a limit on them, with what was charged in them
 * before; from then on every call counts in those that it belongs to, whoever makes it, and one
 * follows the other for as long as somebody asks for them. In the writer. */
#include "sidecar/side_book.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* ---- what a call belongs to --------------------------------------------------------------- */

static void tag_add(struct side_tags *tags, enum gov_scope_kind kind, const char *name)
{
    struct store_scope_key key;

    if (name[0] == '\0' || tags->count == SIDE_TAGS_MAX)
        return;
    store_scope_name(&key, kind, name);
    tags->tag[tags->count].kind = (uint8_t)kind;
    memcpy(tags->tag[tags->count++].id, key.id, sizeof key.id);
}

/* A run in a directory is in every directory above it. */
static void tags_of_directory(struct side_tags *tags, char *path)
{
    if (path[0] != '/')
        return;
    for (char *slash = path + 1; slash != NULL && path[1] != '\0';) {
        slash = strchr(slash, '/');
        if (slash != NULL)
            *slash = '\0';
        tag_add(tags, GOV_PROJECT, path);
        if (slash != NULL)
            *slash++ = '/';
    }
    tag_add(tags, GOV_PROJECT, "/");
}

void side_tags_of(const struct store_allocation *allocation, struct side_tags *tags)
{
    char text[sizeof allocation->cwd + 1], *rest = text;

    tags->count = 0;
    (void)snprintf(text, sizeof text, "%.64s", allocation->session);
    tag_add(tags, GOV_SESSION, text);
    (void)snprintf(text, sizeof text, "%.64s", allocation->task);
    tag_add(tags, GOV_TASK, text);
    (void)snprintf(text, sizeof text, "%.64s", allocation->agent);
    tag_add(tags, GOV_AGENT, text);
    (void)snprintf(text, sizeof text, "%lld", (long long)allocation->uid);
    tag_add(tags, GOV_UID, text);
    (void)snprintf(text, sizeof text, "%.256s", allocation->labels);
    for (char *label; (label = strsep(&rest, "\n")) != NULL;)
        tag_add(tags, GOV_LABEL, label);
    (void)snprintf(text, sizeof text, "%.256s", allocation->cwd);
    tags_of_directory(tags, text);
}

static bool has_tag(const struct side_tags *tags, const struct store_scope_key *key)
{
    for (unsigned i = 0; i < tags->count; i++)
        if (tags->tag[i].kind == key->kind && memcmp(tags->tag[i].id, key->id, sizeof key->id) == 0)
            return true;
    return false;
}

/* 1: of this provider, model or tier, or of everything; 0: not; -1: its run says. */
static int of_call(const struct store_scope_key *key, const struct side_about *about)
{
    const char *name = key->kind == GOV_PROVIDER ? about->provider
                       : key->kind == GOV_MODEL  ? about->model
                       : key->kind == GOV_TIER   ? about->tier
                                                 : NULL;
    struct store_scope_key own;

    if (name == NULL)
        return key->kind == GOV_GLOBAL ? 1 : -1;
    store_scope_name(&own, (enum gov_scope_kind)key->kind, name);
    return memcmp(own.id, key->id, sizeof own.id) == 0;
}

/* What is within a run belongs to what the run belongs to, whatever it calls itself. */
bool side_belongs(const struct side_run *run, const struct side_about *about,
                  const struct store_scope_key *key)
{
    int known = of_call(key, about);

    for (; known < 0 && run != NULL; run = run->parent)
        if (has_tag(&run->tags, key))
            known = 1;
    return known > 0;
}

/* ---- the calls of before ------------------------------------------------------------------ */

/* Parts of a rolling window that have no counter yet, and the present window. */
struct filling {
    struct side_book *book;
    const struct store_scope_key *key;
    int64_t since_s, part_s, latest_s;
    unsigned parts;
    bool missing[GOV_ROLLING_PARTS + 1];
    int64_t charged[GOV_ROLLING_PARTS + 1][GOV_DIMS];
    uint8_t run_id[16]; /* whose membership was looked up last */
    bool belongs;
};

static enum store_err run_belongs(struct filling *filling, const uint8_t run_id[16])
{
    static const uint8_t none[16];
    uint8_t id[16];
    struct store_run row;
    struct side_tags *tags;
    enum store_err err = STORE_OK;

    if (memcmp(filling->run_id, run_id, 16) == 0)
        return STORE_OK;
    tags = malloc(sizeof *tags);
    if (tags == NULL)
        return STORE_NOMEM;
    memcpy(filling->run_id, run_id, 16);
    memcpy(id, run_id, sizeof id);
    filling->belongs = false;
    while (err == STORE_OK && !filling->belongs && memcmp(id, none, sizeof id) != 0) {
        err = store_run_get(filling->book->store, id, &row);
        if (err == STORE_OK) {
            side_tags_of(&row.allocation, tags);
            filling->belongs = has_tag(tags, filling->key);
            memcpy(id, row.allocation.parent, sizeof id);
        }
    }
    free(tags);
    return err == STORE_NOT_FOUND ? STORE_OK : err; /* it is gone, with its calls */
}

/* The clock was never taken back for a window: a record of an earlier time than one before it
 * counts with that one's. */
static enum store_err fill(void *data, const struct store_event *admission,
                           const int64_t charged[GOV_DIMS])
{
    struct filling *filling = data;
    struct side_about about;
    int64_t at_s = admission->head.ts_ns / NS_PER_S, part;
    enum store_err err = STORE_OK;
    int known;

    if (at_s > filling->latest_s)
        filling->latest_s = at_s;
    if (filling->latest_s < filling->since_s)
        return STORE_OK;
    (void)snprintf(about.provider, sizeof about.provider, "%.24s", admission->admission.provider);
    (void)snprintf(about.model, sizeof about.model, "%.96s", admission->admission.model);
    (void)snprintf(about.tier, sizeof about.tier, "%s",
                   gov_tier_name(admission->admission.level - 1u));
    known = of_call(filling->key, &about);
    if (known < 0) {
        err = run_belongs(filling, admission->head.run_id);
        known = filling->belongs;
    }
    if (err != STORE_OK || known == 0)
        return err;
    part = (filling->latest_s - filling->since_s) / filling->part_s;
    if (part > filling->parts)
        part = filling->parts;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (__builtin_add_overflow(filling->charged[part][dim], charged[dim],
                                   &filling->charged[part][dim]))
            filling->charged[part][dim] = INT64_MAX;
    return STORE_OK;
}

static bool is_empty(const int64_t charged[GOV_DIMS])
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (charged[dim] != 0)
            return false;
    return true;
}

static enum store_err begin(struct side_book *book, const struct store_scope_key *key,
                            int64_t end_s, const char *name, const int64_t charged[GOV_DIMS])
{
    enum store_err err = store_window_begin(book->store, key, end_s, name, charged, side_now_ns());

    return err == STORE_OK ? side_clock_began(book, key->start_s) : err;
}

/* An older part without a call needs no counter; the present one gets one in any case. */
static enum store_err begin_missing(struct filling *filling, int64_t end_s, const char *name)
{
    enum store_err err = STORE_OK;

    for (unsigned i = 0; i <= filling->parts && err == STORE_OK; i++) {
        struct store_scope_key key = *filling->key;
        bool present = i == filling->parts;

        if (!filling->missing[i] || (!present && is_empty(filling->charged[i])))
            continue;
        key.start_s = filling->since_s + i * filling->part_s;
        err = begin(filling->book, &key, present ? end_s : key.start_s + filling->part_s, name,
                    filling->charged[i]);
    }
    return err;
}

/* Makes the counters complete, from what was charged since the window, or its oldest part, began.
 */
static enum store_err window_fill(struct side_book *book, const struct store_scope_key *key,
                                  int64_t end_s, const char *name)
{
    struct filling *filling = calloc(1, sizeof *filling);
    bool any = false;
    enum store_err err = STORE_OK;

    if (filling == NULL)
        return STORE_NOMEM;
    filling->book = book;
    filling->key = key;
    filling->latest_s = INT64_MIN;
    filling->part_s = end_s - key->start_s;
    filling->parts = key->window == GOV_ROLLING ? gov_parts_before(key->duration_s) : 0;
    filling->since_s = key->start_s - filling->parts * filling->part_s;
    for (unsigned i = 0; i <= filling->parts && err == STORE_OK; i++) {
        struct store_scope_key part = *key;
        struct store_counter counter;

        part.start_s = filling->since_s + i * filling->part_s;
        err = store_counter_get(book->store, &part, &counter);
        filling->missing[i] = err == STORE_NOT_FOUND;
        any = any || filling->missing[i];
        err = err == STORE_NOT_FOUND ? STORE_OK : err;
    }
    if (err == STORE_OK && any)
        err = store_each_since(book->store, filling->since_s * NS_PER_S, fill, filling);
    if (err == STORE_OK && any)
        err = begin_missing(filling, end_s, name);
    free(filling);
    return err;
}

/* ---- the book ----------------------------------------------------------------------------- */

static struct side_budget *budget_find(struct side_book *book, const struct store_scope_key *key)
{
    for (unsigned i = 0; i < book->budget_count; i++)
        if (memcmp(&book->budgets[i].key, key, sizeof *key) == 0)
            return &book->budgets[i];
    return NULL;
}

void side_windows_forget(struct side_book *book)
{
    book->budget_count = 0;
    book->next_s = INT64_MIN;
}

/* What has a counter counts, whoever began it: also when it was begun before the clock was taken
 * back, and its time comes only now. */
static enum store_err windows_read(struct side_book *book)
{
    struct store_scope_key key, *last = NULL;
    struct store_counter counter;
    int64_t next_s = INT64_MAX;
    enum store_err err;

    while ((err = store_next_window(book->store, last, &key, &counter)) == STORE_OK) {
        last = &key;
        if (key.start_s > book->now_s) {
            next_s = key.start_s < next_s ? key.start_s : next_s;
        } else if (counter.end_s > book->now_s && budget_find(book, &key) == NULL) {
            if (book->budget_count == SIDE_BUDGETS_MAX)
                return STORE_SCOPES;
            book->budgets[book->budget_count++] =
                (struct side_budget){.key = key, .end_s = counter.end_s, .wanted_s = INT64_MIN};
        }
    }
    book->next_s = err == STORE_NOT_FOUND ? next_s : book->next_s;
    return err == STORE_NOT_FOUND ? STORE_OK : err;
}

/* Nobody has asked for it for as long as it is. */
static bool is_unwanted(const struct side_budget *budget, int64_t now_s)
{
    int64_t since_s =
        budget->key.window == GOV_ROLLING ? now_s - budget->key.duration_s : budget->key.start_s;

    return budget->zone == NULL || budget->wanted_s < since_s;
}

/* What was told of a rolling window is not told again for every part. */
static enum store_err marks_copy(struct side_book *book, const struct store_scope_key *from,
                                 const struct store_scope_key *to)
{
    struct store_counter old, new;
    enum store_err err = store_counter_get(book->store, from, &old);

    if (err == STORE_OK)
        err = store_counter_get(book->store, to, &new);
    if (err != STORE_OK)
        return err == STORE_NOT_FOUND ? STORE_OK : err;
    memcpy(new.logged_limit, old.logged_limit, sizeof new.logged_limit);
    memcpy(new.logged, old.logged, sizeof new.logged);
    memcpy(new.exhausted, old.exhausted, sizeof new.exhausted);
    return store_counter_put(book->store, to, &new);
}

/* No call was admitted since the old one ended, for every admission comes by here first. */
static enum store_err budget_roll(struct side_book *book, struct side_budget *budget)
{
    static const int64_t nothing[GOV_DIMS];
    struct store_scope_key old = budget->key;
    struct store_counter counter, before;
    enum store_err err;

    gov_window_at(&budget->zone->zone, (enum gov_window)old.window, old.duration_s, book->now_s,
                  &budget->key.start_s, &budget->end_s);
    err = store_counter_get(book->store, &budget->key, &counter);
    if (err != STORE_NOT_FOUND)
        return err;
    err = store_counter_get(book->store, &old, &before);
    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    err = begin(book, &budget->key, budget->end_s, before.name, nothing);
    return err == STORE_OK && old.window == GOV_ROLLING ? marks_copy(book, &old, &budget->key)
                                                        : err;
}

enum store_err side_windows_roll(struct side_book *book)
{
    enum store_err err = side_clock_look(book);

    for (unsigned i = 0; i < book->budget_count && err == STORE_OK;) {
        struct side_budget *budget = &book->budgets[i];
        bool future = budget->key.start_s > book->now_s; /* an operator has taken the clock back */

        if (!future && budget->end_s > book->now_s) {
            i++;
            continue;
        }
        book->changes++;
        if (future || is_unwanted(budget, book->now_s)) {
            *budget = book->budgets[--book->budget_count];
            continue;
        }
        err = budget_roll(book, budget);
        i++;
    }
    return err == STORE_OK && book->next_s <= book->now_s ? windows_read(book) : err;
}

const char *side_window_name(const struct side_window *window, const struct side_about *about)
{
    return window->scope == GOV_PROVIDER && window->name[0] == '\0' ? about->provider
                                                                    : window->name;
}

void side_window_key(const struct side_run *run, const struct side_window *window,
                     const struct side_about *about, int64_t now_s, struct store_scope_key *key,
                     int64_t *end_s)
{
    int64_t start_s;
    uint16_t zone = window->window == GOV_ROLLING ? 0 : run->zone->tag;

    gov_window_at(&run->zone->zone, window->window, window->duration_s, now_s, &start_s, end_s);
    if (window->scope == GOV_GLOBAL)
        store_scope_global(key);
    else
        store_scope_name(key, window->scope, side_window_name(window, about));
    store_scope_window(key, window->window, zone, window->duration_s, start_s);
}

static enum store_err window_want(struct side_book *book, const struct side_run *run,
                                  const struct side_window *window, const struct side_about *about)
{
    struct store_scope_key key;
    struct side_budget *budget;
    int64_t end_s;
    enum store_err err;

    if (window->scope != GOV_GLOBAL && side_window_name(window, about)[0] == '\0')
        return STORE_OK; /* no call says yet of which provider */
    side_window_key(run, window, about, book->now_s, &key, &end_s);
    budget = budget_find(book, &key);
    if (budget == NULL) {
        if (book->budget_count == SIDE_BUDGETS_MAX)
            return STORE_SCOPES;
        err = window_fill(book, &key, end_s, side_window_name(window, about));
        if (err != STORE_OK)
            return err;
        budget = &book->budgets[book->budget_count++];
        *budget = (struct side_budget){.key = key, .end_s = end_s};
    }
    budget->zone = run->zone;
    budget->wanted_s = book->now_s;
    return STORE_OK;
}

enum store_err side_windows_of_run(struct side_book *book, const struct side_run *run,
                                   const struct side_about *about)
{
    enum store_err err = STORE_OK;

    for (; run != NULL && err == STORE_OK; run = run->parent)
        for (unsigned i = 0; i < run->spec.window_count && err == STORE_OK; i++)
            err = window_want(book, run, &run->spec.windows[i], about);
    return err;
}

void side_windows_seen(const struct side_book *book, const struct side_run *run,
                       struct store_event *event)
{
    unsigned count = 0;

    for (; run != NULL; run = run->parent)
        for (unsigned i = 0; i < run->spec.window_count && count < STORE_SCOPES_MAX; i++) {
            struct store_scope_seen *seen = &event->scopes[count];
            int64_t end_s;

            if (run->spec.windows[i].scope != GOV_GLOBAL && run->spec.windows[i].name[0] == '\0')
                continue;
            count++;
            memset(seen, 0, sizeof *seen);
            side_window_key(run, &run->spec.windows[i], NULL, book->now_s, &seen->key, &end_s);
            for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
                seen->limit[dim] = run->spec.windows[i].limits[dim].amount;
                seen->policy[dim] = (uint8_t)run->spec.windows[i].limits[dim].policy;
            }
        }
    event->head.scope_count = (uint16_t)count;
}
