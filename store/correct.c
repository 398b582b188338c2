/* SPDX-License-Identifier: Apache-2.0 */
/* Corrections: a call's charge, once it has ended, becomes another one. No counter ever falls: what
 * is given back is added to a credit beside the charge. */
#include "store/store_int.h"

#include <stdlib.h>
#include <string.h>

void store_correction_fill(struct store_corrected *out, const struct store_corrected *before,
                           uint64_t before_seq, const struct store_event *ended)
{
    int64_t more;

    out->before_seq = before_seq;
    out->of_seq = ended->head.seq;
    out->from_pusd = before->of_seq != 0 ? before->to_pusd : ended->consumption.charged_pusd;
    out->added_pusd = before->added_pusd;
    out->credited_pusd = before->credited_pusd;
    more = out->to_pusd - out->from_pusd; /* neither is negative */
    store_add_to(more > 0 ? &out->added_pusd : &out->credited_pusd, more > 0 ? more : -more);
}

void store_counter_correct(struct store_counter *counter, const struct store_corrected *corrected)
{
    int64_t more = corrected->to_pusd - corrected->from_pusd;

    store_add_to(more > 0 ? &counter->charged[GOV_COST] : &counter->credited[GOV_COST],
                 more > 0 ? more : -more);
}

static enum store_err correct_in(struct store *store, const struct store_scope_seen *seen,
                                 void *data)
{
    struct store_counter counter;
    enum store_err err = store_counter_get(store, &seen->key, &counter);

    if (err != STORE_OK)
        return err;
    store_counter_correct(&counter, data);
    return store_counter_put(store, &seen->key, &counter);
}

/* What the call is charged now, and by which record. */
static enum store_err look(struct store *store, const struct store_call *call,
                           struct store_event *ended, struct store_event *before)
{
    enum store_err err = store_chain_get(store, store->txn, call->consumption_seq, ended, NULL);

    memset(before, 0, sizeof *before);
    if (err == STORE_OK && call->later_seq != 0)
        err = store_chain_get(store, store->txn, call->later_seq, before, NULL);
    return err;
}

static enum store_err correct(struct store *store, struct store_call *call,
                              struct store_event *event, struct store_event *scratch)
{
    struct store_event *ended = &scratch[0], *before = &scratch[1];
    enum store_err err = look(store, call, ended, before);
    int64_t from;

    if (err != STORE_OK)
        return err;
    from =
        before->corrected.of_seq != 0 ? before->corrected.to_pusd : ended->consumption.charged_pusd;
    if (ended->consumption.end == STORE_RELEASED || event->corrected.to_pusd < 0 ||
        (event->corrected.from_pusd >= 0 && event->corrected.from_pusd != from))
        return STORE_CONFLICT;
    store_correction_fill(&event->corrected, &before->corrected, call->later_seq, ended);
    if (event->corrected.from_pusd == event->corrected.to_pusd)
        return STORE_DUPLICATE;
    err = store_chain_get(store, store->txn, call->admission_seq, before, NULL);
    if (err != STORE_OK)
        return err;
    event->head.type = STORE_CORRECTED;
    memcpy(event->head.run_id, call->run_id, sizeof event->head.run_id);
    err = store_each_scope(store, before, correct_in, &event->corrected);
    if (err == STORE_OK)
        err = store_append(store, event, sizeof event->corrected);
    call->later_seq = event->head.seq;
    return store_spoil(store, err == STORE_OK ? store_call_put(store, call) : err);
}

enum store_err store_correct(struct store *store, struct store_event *event)
{
    struct store_event *scratch;
    struct store_call call;
    enum store_err err = store_call_get(store, event->head.call_id, &call);

    if (err != STORE_OK)
        return err;
    if (call.state != STORE_CALL_ENDED)
        return STORE_CONFLICT;
    scratch = malloc(2 * sizeof *scratch);
    err = scratch == NULL ? STORE_NOMEM : correct(store, &call, event, scratch);
    free(scratch);
    return err;
}
