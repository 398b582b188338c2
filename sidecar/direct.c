/* SPDX-License-Identifier: Apache-2.0 */
/* Directives, in the writer: the one that a call gets, logged when it is another one than its run's
 * last; the profile that a person chose; the providers that are to be left alone. */
#include "sidecar/side_book.h"
#include "store/window.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

/* ---- what is known ------------------------------------------------------------------------ */

static enum store_err direct_look(struct side_book *book)
{
    enum store_err err = STORE_OK;

    if (!book->direct_known)
        err = store_direct_get(book->store, &book->direct);
    book->direct_known = err == STORE_OK || err == STORE_NOT_FOUND;
    return book->direct_known ? STORE_OK : err;
}

unsigned side_cooldowns_of(const struct store_direct *direct,
                           struct gov_cooldown out[STORE_COOLDOWNS])
{
    unsigned count = 0;

    for (unsigned i = 0; i < STORE_COOLDOWNS; i++) {
        if (direct->cooldowns[i].provider[0] == '\0')
            continue;
        memcpy(out[count].provider, direct->cooldowns[i].provider, sizeof out[count].provider);
        out[count++].until_ms = direct->cooldowns[i].until_ns / NS_PER_MS;
    }
    return count;
}

/* ---- what changed ------------------------------------------------------------------------- */

static void transition_fill(const struct gov_directive *directive, bool by_hand,
                            struct store_transition *out)
{
    out->severity = (uint8_t)directive->severity;
    out->quality = (uint8_t)directive->quality;
    out->actions = (uint8_t)directive->actions;
    out->by_hand = by_hand;
    out->pacing_ms = directive->pacing_ms;
    out->blocked_count = (uint8_t)directive->blocked_count;
    memcpy(out->blocked, directive->blocked, sizeof out->blocked);
    memcpy(out->models, directive->blocked_models, sizeof out->models);
    out->reason_count = (uint8_t)directive->reason_count;
    for (unsigned i = 0; i < directive->reason_count; i++)
        out->reasons[i] = (uint16_t)directive->reasons[i];
}

enum store_err side_direct_tell(struct side_book *book, struct side_op *op)
{
    struct store_event *event;
    enum store_err err;

    if (op->directive.evaluated_ms == 0 || !gov_directive_differs(&op->directive, &op->run->told))
        return STORE_OK;
    event = calloc(1, sizeof *event);
    if (event == NULL)
        return STORE_NOMEM;
    event->head.type = STORE_TRANSITION;
    event->head.ts_ns = side_now_ns();
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    transition_fill(&op->directive, book->direct.by_hand != 0, &event->transition);
    err = store_append(book->store, event, sizeof event->transition);
    if (err == STORE_OK)
        op->run->told = op->directive;
    free(event);
    return err;
}

/* ---- a call ------------------------------------------------------------------------------- */

static enum store_err direct(struct side_book *book, struct side_op *op,
                             const struct side_scopes *scopes)
{
    struct gov_cooldown cooldowns[STORE_COOLDOWNS];
    struct gov_quality_rules rules = op->run->spec.quality.rules;
    struct gov_standing standing = {
        .rules = &rules,
        .scopes = scopes->gov,
        .scope_count = scopes->count,
        .cooldowns = cooldowns,
        .provider = op->about.provider,
        .now_ms = side_now_ns() / NS_PER_MS,
    };
    enum store_err err = direct_look(book);

    if (err != STORE_OK)
        return err;
    rules.by_hand = book->direct.by_hand != 0;
    rules.chosen = (enum gov_quality)book->direct.quality;
    standing.cooldown_count = side_cooldowns_of(&book->direct, cooldowns);
    gov_direct(&standing, &op->directive);
    if (op->candidate_count > 0)
        gov_block_tier(&op->run->routing->gov, op->about.provider, op->candidates[0].tier,
                       rules.prefer_local ? op->run->spec.quality.local_model : "", &op->directive);
    return STORE_OK;
}

static void refuse_cooling(struct side_op *op)
{
    memset(&op->verdict, 0, sizeof op->verdict);
    op->verdict.outcome = GOV_REFUSE;
    op->verdict.finding.dim = GOV_DIMS;
    op->verdict.finding.count = 1;
    op->verdict.finding.reasons[0] = GOV_REASON_COOLDOWN;
}

enum store_err side_govern(struct side_book *book, struct side_op *op, struct side_scopes *scopes,
                           enum gov_state state, const struct gov_finding *ended)
{
    bool lives = state == GOV_RUNNING || state == GOV_PAUSED;
    bool meter_only = op->run->spec.meter_only;
    enum store_err err = lives ? direct(book, op, scopes) : STORE_OK;

    if (err != STORE_OK)
        return err;
    op->call.economy = lives && !meter_only && op->directive.quality == GOV_ECONOMY;
    if (lives && !meter_only && op->directive.cooling)
        refuse_cooling(op);
    else {
        side_route_soften(op, scopes);
        gov_decide(state, ended, scopes->gov, scopes->count, &op->call, &op->verdict);
    }
    if (meter_only)
        op->directive.pacing_ms = 0;
    return STORE_OK;
}

/* ---- a person's choice -------------------------------------------------------------------- */

enum store_err side_choose(struct side_book *book, struct side_op *op)
{
    enum store_err err = direct_look(book);

    if (err != STORE_OK)
        return err;
    op->event.head.type = STORE_TRANSITION;
    op->event.head.ts_ns = side_now_ns();
    book->changes++;
    return store_direct_change(book->store, &op->event, &book->direct);
}

/* ---- cooldowns ---------------------------------------------------------------------------- */

/* One that runs is never shortened, but it may be ended (until_ns 0). */
enum store_err side_cool(struct side_book *book, struct side_op *op)
{
    const struct store_cooldown *cooldown = &op->event.cooldown;
    enum store_err err = direct_look(book);
    unsigned at = store_cooldown_place(&book->direct, cooldown->provider);
    bool known = strcmp(book->direct.cooldowns[at].provider, cooldown->provider) == 0;

    if (err != STORE_OK)
        return err;
    if (known ? cooldown->until_ns != 0 && cooldown->until_ns <= book->direct.cooldowns[at].until_ns
              : cooldown->until_ns == 0)
        return STORE_OK;
    op->event.head.type = STORE_COOLDOWN;
    op->event.head.ts_ns = side_now_ns();
    book->changes++;
    return store_direct_change(book->store, &op->event, &book->direct);
}
