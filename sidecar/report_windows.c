/* SPDX-License-Identifier: Apache-2.0 */
/* How the windows stand that a run has limits on, and what belongs to them, as JSON. */
#include "sidecar/json.h"
#include "sidecar/queries.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* ---- now ---------------------------------------------------------------------------------- */

/* The sum over the parts of a rolling window; *resets_s: when the oldest of them that has something
 * is no longer in it. */
static void window_sum(struct store_view *view, const struct store_scope_key *key,
                       struct store_counter *out, int64_t *resets_s)
{
    int64_t part_s = gov_part_of(key->duration_s);
    unsigned parts = key->window == GOV_ROLLING ? gov_parts_before(key->duration_s) : 0;
    bool found = false;

    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i <= parts; i++) {
        struct store_scope_key part = *key;
        struct store_counter counter;

        part.start_s -= (parts - i) * part_s;
        if (store_view_counter(view, &part, &counter) != STORE_OK)
            continue;
        if (parts > 0 && !found)
            *resets_s = part.start_s + (parts + 1) * part_s;
        found = true;
        memcpy(out->name, counter.name, sizeof out->name);
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
            out->charged[dim] += store_spent(&counter, (enum gov_dim)dim);
            out->held[dim] += counter.held[dim];
            out->extended[dim] += counter.extended[dim];
        }
    }
}

static json_t *scope_json(const struct store_scope_key *key, const char *name)
{
    return json_sprintf("%s%s%.63s", gov_scope_name((enum gov_scope_kind)key->kind),
                        name[0] != '\0' ? ":" : "", name);
}

static json_t *window_json(struct store_view *view, const struct store_scope_seen *seen,
                           const struct store_scope_key *key, int64_t end_s)
{
    json_t *out = json_object(), *limits = json_object(), *spent = json_object(),
           *held = json_object(), *remaining = json_object();
    struct store_counter sum;

    window_sum(view, key, &sum, &end_s);
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        enum gov_dim name = (enum gov_dim)dim;
        int64_t limit = seen->limit[dim] + sum.extended[dim];
        int64_t left = limit - sum.charged[dim] - sum.held[dim];

        side_json_set(spent, gov_dim_name(name), side_amount_json(name, sum.charged[dim]));
        side_json_set(held, gov_dim_name(name), side_amount_json(name, sum.held[dim]));
        if (seen->limit[dim] == 0)
            continue;
        side_json_set(limits, gov_dim_name(name), side_amount_json(name, limit));
        side_json_set(remaining, gov_dim_name(name), side_amount_json(name, left > 0 ? left : 0));
    }
    side_json_set(out, "scope", scope_json(key, sum.name));
    side_json_set(out, "window", json_string(gov_window_name((enum gov_window)key->window)));
    side_json_set(out, "duration_s",
                  key->duration_s > 0 ? json_integer(key->duration_s) : json_null());
    side_json_set(out, "starts_at",
                  key->window == GOV_ROLLING ? json_null()
                                             : side_when_json(key->start_s * NS_PER_S));
    side_json_set(out, "resets_at", side_when_json(end_s * NS_PER_S));
    side_json_set(out, "limits", limits);
    side_json_set(out, "spent", spent);
    side_json_set(out, "held", held);
    side_json_set(out, "remaining", remaining);
    return out;
}

json_t *side_windows_json(struct store_view *view, const struct store_run *run,
                          const struct side_run *lives)
{
    const struct gov_zone *zone = lives != NULL ? &lives->zone->zone : NULL;
    struct store_event *event = malloc(sizeof *event);
    json_t *list = json_array();

    if (event != NULL && store_view_event(view, run->allocation_seq, event) == STORE_OK)
        for (unsigned i = 0; i < event->head.scope_count; i++) {
            struct store_scope_key key = event->scopes[i].key;
            int64_t at_s = lives != NULL ? side_now_ns() / NS_PER_S : key.start_s, end_s;
            struct store_counter counter;

            if (lives != NULL)
                gov_window_at(zone, (enum gov_window)key.window, key.duration_s, at_s, &key.start_s,
                              &end_s);
            else if (store_view_counter(view, &key, &counter) == STORE_OK)
                end_s = counter.end_s;
            else
                end_s = key.start_s;
            (void)json_array_append_new(list, window_json(view, &event->scopes[i], &key, end_s));
        }
    free(event);
    return list;
}

void side_begun_json(json_t *out, const struct store_begun *begun)
{
    json_t *charged = json_object();

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        side_json_set(charged, gov_dim_name((enum gov_dim)dim),
                      side_amount_json((enum gov_dim)dim, begun->charged[dim]));
    side_json_set(out, "scope", scope_json(&begun->key, begun->name));
    side_json_set(out, "window", json_string(gov_window_name((enum gov_window)begun->key.window)));
    side_json_set(out, "starts_at", side_when_json(begun->key.start_s * NS_PER_S));
    side_json_set(out, "ends_at", side_when_json(begun->end_s * NS_PER_S));
    side_json_set(out, "charged", charged);
}

/* ---- what else is recorded of them --------------------------------------------------------- */

void side_clock_json(json_t *out, const struct store_clock *clock)
{
    side_json_set(out, "word",
                  json_string(clock->word == STORE_CLOCK_ACCEPTED ? "accepted" : "jumped"));
    side_json_set(out, "expected", side_when_json(clock->expected_ns));
    side_json_set(out, "found", side_when_json(clock->found_ns));
    side_json_set(out, "reason",
                  clock->reason[0] != '\0' ? json_sprintf("%.191s", clock->reason) : json_null());
    side_json_set(out, "actor", json_sprintf("%.31s", clock->actor));
}

json_t *side_labels_json(const struct store_allocation *allocation)
{
    char text[sizeof allocation->labels + 1], *rest = text;
    json_t *list = json_array();

    (void)snprintf(text, sizeof text, "%.256s", allocation->labels);
    for (char *label; (label = strsep(&rest, "\n")) != NULL;)
        if (label[0] != '\0')
            (void)json_array_append_new(list, json_string(label));
    return list;
}
