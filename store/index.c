/* SPDX-License-Identifier: Apache-2.0 */
/* What is found without reading everything: calls by run, session, provider and model, runs by
 * session, those that live, records by the hour. */
#include "store/store_int.h"

#include <string.h>

#define NS_PER_HOUR (INT64_C(3600) * 1000000000)

void store_index_name(struct store_index_key *out, enum store_index kind, const char *name)
{
    struct store_scope_key scope;

    memset(out, 0, sizeof *out);
    store_scope_name(&scope, GOV_SESSION, name);
    out->kind = (uint8_t)kind;
    memcpy(out->of, scope.id, sizeof out->of);
}

void store_index_run(struct store_index_key *out, enum store_index kind, const uint8_t run_id[16])
{
    memset(out, 0, sizeof *out);
    out->kind = (uint8_t)kind;
    memcpy(out->of, run_id, sizeof out->of);
}

static unsigned add_name(struct store_index_key *out, enum store_index kind, const char *name,
                         size_t size, const uint8_t id[16])
{
    char text[128];

    if (name[0] == '\0')
        return 0;
    memcpy(text, name, size);
    text[size] = '\0';
    store_index_name(out, kind, text);
    memcpy(out->id, id, sizeof out->id);
    return 1;
}

unsigned store_index_keys(const struct store_event *event, const char *session,
                          const struct store_admission *asked,
                          struct store_index_key out[STORE_INDEX_MAX])
{
    static const uint8_t no_run[16];
    const uint8_t *call = event->head.call_id;
    const char *provider, *model;
    unsigned count;

    if (event->head.type == STORE_ALLOCATION) {
        count = add_name(out, STORE_RUNS_OF_SESSION, session, sizeof event->allocation.session,
                         event->head.run_id);
        if (memcmp(event->allocation.parent, no_run, sizeof no_run) != 0) {
            store_index_run(&out[count], STORE_RUNS_OF_RUN, event->allocation.parent);
            memcpy(out[count++].id, event->head.run_id, sizeof out->id);
        }
        return count;
    }
    if (event->head.type == STORE_CONSUMPTION) {
        model = event->consumption.model;
        return strncmp(model, asked->model, sizeof asked->model) == 0
                   ? 0
                   : add_name(out, STORE_CALLS_OF_MODEL, model, sizeof asked->model, call);
    }
    if (event->head.type != STORE_ADMISSION && event->head.type != STORE_REFUSAL)
        return 0;
    provider =
        event->head.type == STORE_ADMISSION ? event->admission.provider : event->refusal.provider;
    model = event->head.type == STORE_ADMISSION ? event->admission.model : event->refusal.model;
    store_index_run(out, STORE_CALLS_OF_RUN, event->head.run_id);
    memcpy(out->id, call, sizeof out->id);
    count = 1;
    count += add_name(out + count, STORE_CALLS_OF_SESSION, session,
                      sizeof event->allocation.session, call);
    count += add_name(out + count, STORE_CALLS_OF_PROVIDER, provider,
                      sizeof event->admission.provider, call);
    count +=
        add_name(out + count, STORE_CALLS_OF_MODEL, model, sizeof event->admission.model, call);
    return count;
}
_Static_assert(sizeof(((struct store_refusal *)0)->model) ==
                       sizeof(((struct store_admission *)0)->model) &&
                   sizeof(((struct store_consumption *)0)->model) ==
                       sizeof(((struct store_admission *)0)->model) &&
                   sizeof(((struct store_refusal *)0)->provider) ==
                       sizeof(((struct store_admission *)0)->provider),
               "names have one size");

enum store_err store_index_put(struct store *store, const struct store_event *event,
                               const char *session, const struct store_admission *asked)
{
    struct store_index_key keys[STORE_INDEX_MAX];
    unsigned count = store_index_keys(event, session, asked, keys);
    enum store_err err = STORE_OK;

    for (unsigned i = 0; i < count && err == STORE_OK; i++)
        err = store_put(store, STORE_INDEX, &keys[i], sizeof keys[i], "", 0);
    return err;
}

/* ---- runs that live ----------------------------------------------------------------------- */

void store_alive_key(struct store_index_key *out, const uint8_t run_id[16])
{
    *out = (struct store_index_key){.kind = STORE_RUNS_ALIVE};
    memcpy(out->id, run_id, sizeof out->id);
}

enum store_err store_alive_put(struct store *store, const struct store_event *event)
{
    unsigned type = event->head.type;
    struct store_index_key key;
    enum store_err err;

    store_alive_key(&key, event->head.run_id);
    if (type == STORE_ALLOCATION || (type == STORE_TURNED && event->turned.word == STORE_REOPENED))
        return store_put(store, STORE_INDEX, &key, sizeof key, "", 0);
    if (type != STORE_COMPLETED)
        return STORE_OK;
    err = store_delete(store, STORE_INDEX, &key, sizeof key);
    return err == STORE_NOT_FOUND ? STORE_DAMAGED : err;
}

/* ---- hours -------------------------------------------------------------------------------- */

void store_hour_key(int64_t ts_ns, uint8_t out[8])
{
    store_seq_key(ts_ns > 0 ? (uint64_t)(ts_ns / NS_PER_HOUR) : 0, out);
}

enum store_err store_hour_put(struct store *store, const struct store_record *head)
{
    uint8_t key[8];
    uint64_t seq;
    enum store_err err;

    store_hour_key(head->ts_ns, key);
    err = store_get(store, store->txn, STORE_HOURS, key, sizeof key, &seq, sizeof seq);
    return err == STORE_NOT_FOUND
               ? store_put(store, STORE_HOURS, key, sizeof key, &head->seq, sizeof head->seq)
               : err;
}

/* The clock may have been set back: a later hour may have begun before an earlier one. */
uint64_t store_view_since(struct store_view *view, int64_t since_ns)
{
    uint64_t least = UINT64_MAX, seq;
    uint8_t at[8];
    MDB_val key = {0, NULL}, value;
    size_t bytes = 0;

    if (since_ns >= NS_PER_HOUR) { /* after the hour before it */
        store_hour_key(since_ns - NS_PER_HOUR, at);
        bytes = sizeof at;
    }
    while (store_step(view, STORE_HOURS, at, bytes, false, &key, &value) == STORE_OK &&
           key.mv_size == sizeof at && value.mv_size == sizeof seq) {
        memcpy(&seq, value.mv_data, sizeof seq);
        least = seq < least ? seq : least;
        memcpy(at, key.mv_data, sizeof at);
        bytes = sizeof at;
    }
    if (least == UINT64_MAX) { /* nothing that late: behind the last one */
        uint8_t hash[32];

        store_view_head(view, &least, hash);
        least++;
    }
    return least;
}
