/* SPDX-License-Identifier: Apache-2.0 */
/* A call of a program, where routing is configured: the model that it asks for, and the cheaper
 * ones that stand in for it when a limit beyond its run has no room. In the writer. */
#include "sidecar/side_book.h"

#include <stdlib.h>
#include <string.h>

static const struct side_candidate *chosen(const struct side_op *op)
{
    return op->candidate_count > 0 ? &op->candidates[op->chosen] : NULL;
}

static void choose(struct side_op *op, unsigned which)
{
    op->chosen = which;
    op->call.line = op->candidates[which].line;
    memcpy(op->about.model, op->candidates[which].model, sizeof op->about.model);
    (void)snprintf(op->about.tier, sizeof op->about.tier, "%s",
                   gov_tier_name(op->candidates[which].tier));
}

void side_route_begin(struct side_op *op)
{
    op->floor = 0;
    op->breached = false;
    if (op->candidate_count > 0)
        choose(op, 0);
}

/* Under economy, and for an agent that prefers a tier: the lowest one that the rules and the agent
 * allow, or the one above it that there is. */
static unsigned cheapest_allowed(const struct side_op *op)
{
    unsigned which = 0;

    if (op->directive.quality != GOV_ECONOMY && op->run->agent.preferred == 0)
        return 0;
    while (which + 1 < op->candidate_count &&
           op->candidates[which + 1].tier <= op->selection.wanted)
        which++;
    return which;
}

/* All candidates are the same provider's: with it, each of them is passed over. */
static bool is_blocked(const struct side_op *op)
{
    return op->directive.cooling || op->directive.full;
}

/* The model that is preferred at a hard limit is the one that is asked for. */
static bool asks_local(const struct side_op *op)
{
    return strcmp(op->candidates[0].model, op->run->spec.quality.local_model) == 0;
}

static bool prefers_local(const struct side_op *op)
{
    return (op->directive.actions & GOV_PREFER_LOCAL) != 0;
}

void side_route_soften(struct side_op *op, struct side_scopes *scopes)
{
    if (op->candidate_count == 0 || is_blocked(op))
        return;
    if (op->chosen == 0) {
        op->floor = cheapest_allowed(op);
        if (op->directive.severity == GOV_HARD_LIMIT && op->floor == 0)
            op->floor = 1;
        if (prefers_local(op) && asks_local(op))
            op->floor = 0;
    }
    if (op->directive.severity != GOV_HARD_LIMIT || op->chosen < op->floor)
        return;
    for (unsigned i = 0; i < scopes->count; i++)
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            if (scopes->gov[i].guard[dim])
                scopes->gov[i].limits[dim].policy = GOV_SOFT_WARN;
}

/* A run's own limit that is used up ends the run; calls and time are not cheaper elsewhere, but
 * for those of a tier. */
static bool is_in_the_way(const struct side_op *op, const struct side_scopes *scopes)
{
    const struct gov_finding *finding = &op->verdict.finding;

    return op->verdict.outcome == GOV_REFUSE && !op->verdict.ends_run &&
           finding->reasons[0] != GOV_REASON_PRICE_UNKNOWN && finding->scope < scopes->count &&
           (scopes->gov[finding->scope].kind == GOV_TIER ||
            ((finding->dim == GOV_COST || finding->dim == GOV_TOKENS) &&
             scopes->gov[finding->scope].kind != GOV_RUN));
}

/* In front of what there is; the last one gives way. */
static void put_first(struct gov_finding *finding, enum gov_reason reason)
{
    unsigned count = finding->count < GOV_CODES_MAX ? finding->count : GOV_CODES_MAX - 1;

    memmove(finding->reasons + 1, finding->reasons, count * sizeof finding->reasons[0]);
    finding->reasons[0] = reason;
    finding->count = count + 1;
}

static void refuse_all(struct side_op *op)
{
    struct gov_finding *finding = &op->verdict.finding;

    op->verdict.outcome = GOV_REFUSE;
    if (finding->count == 0) { /* a guardrail alone */
        finding->dim = GOV_DIMS;
        for (unsigned i = 0; i < op->directive.reason_count; i++)
            finding->reasons[finding->count++] = op->directive.reasons[i];
    }
    if (op->directive.severity == GOV_HARD_LIMIT && op->floor > 0)
        put_first(finding, GOV_REASON_MODEL_BLOCKED);
    put_first(finding, op->candidate_count == 1 && op->empty_tier < GOV_TIERS
                           ? (enum gov_reason)(GOV_REASON_NO_MODELS + op->empty_tier)
                           : GOV_REASON_NO_TIER);
}

static void breach_keep(struct side_op *op, const struct side_scopes *scopes)
{
    const struct gov_finding *finding = &op->verdict.finding;

    op->breached = true;
    memset(&op->breach, 0, sizeof op->breach);
    op->breach.key = scopes->keys[finding->scope];
    op->breach.consumed = scopes->gov[finding->scope].spent[finding->dim];
    op->breach.limit = scopes->gov[finding->scope].limits[finding->dim].amount;
    op->breach.dim = (uint8_t)finding->dim;
}

/* candidate_count: there is none. */
static unsigned next_of(const struct side_op *op)
{
    if (op->chosen == 0 && op->has_local && prefers_local(op))
        return SIDE_LOCAL;
    return op->chosen == SIDE_LOCAL ? 1 : op->chosen + 1;
}

bool side_route_next(struct side_op *op, const struct side_scopes *scopes)
{
    bool below = op->chosen<op->floor, way = op->candidate_count> 0 && is_in_the_way(op, scopes);

    if (op->candidate_count == 0 || is_blocked(op) || !(below || way) ||
        (op->verdict.outcome == GOV_REFUSE && !way && !below))
        return false;
    if (way && !op->breached)
        breach_keep(op, scopes);
    if (next_of(op) != op->candidate_count) {
        choose(op, next_of(op));
        return true;
    }
    refuse_all(op);
    return false;
}

/* ---- on record ---------------------------------------------------------------------------- */

static enum store_err breach_append(struct side_book *book, const struct side_op *op,
                                    struct store_event *event)
{
    if (!op->breached)
        return STORE_OK;
    event->head.type = STORE_BREACH;
    event->threshold = op->breach;
    event->threshold.percent =
        op->verdict.outcome == GOV_ADMIT ? STORE_DOWNGRADED : STORE_DENIED_MODEL;
    return store_append(book->store, event, sizeof event->threshold);
}

static enum store_err selected_append(struct side_book *book, const struct side_op *op,
                                      struct store_event *event)
{
    struct store_selected *out = &event->selected;
    char chain[SIDE_CHAIN_TEXT];

    event->head.type = STORE_SELECTED;
    out->tier = (uint8_t)chosen(op)->tier;
    out->risk = (uint8_t)op->selection.risk;
    out->complexity = (uint8_t)op->selection.complexity;
    (void)snprintf(out->task_id, sizeof out->task_id, "%s", op->run->spec.task);
    (void)snprintf(out->agent, sizeof out->agent, "%s", op->run->spec.agent);
    (void)snprintf(out->reason, sizeof out->reason, "risk=%s,complexity=%s%s",
                   gov_risk_name(out->risk), gov_complexity_name(out->complexity),
                   op->chosen > 0 ? ",downgrade" : "");
    (void)snprintf(out->chain, sizeof out->chain, "%.95s", side_chain_text(&op->selection, chain));
    memcpy(out->model, chosen(op)->model, sizeof out->model);
    memcpy(out->requested, op->candidates[0].model, sizeof out->requested);
    return store_append(book->store, event, sizeof *out);
}

enum store_err side_route_tell(struct side_book *book, struct side_op *op)
{
    struct store_event *event;
    enum store_err err = STORE_OK;

    if (op->candidate_count == 0 || op->verdict.outcome == GOV_WAIT ||
        op->verdict.outcome == GOV_ASK)
        return STORE_OK;
    event = calloc(1, sizeof *event);
    if (event == NULL)
        return STORE_NOMEM;
    event->head.ts_ns = side_now_ns();
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    memcpy(event->head.call_id, op->call_id, sizeof event->head.call_id);
    err = breach_append(book, op, event);
    memset(&event->selected, 0, sizeof event->selected);
    if (err == STORE_OK && op->verdict.outcome == GOV_ADMIT)
        err = selected_append(book, op, event);
    free(event);
    return err;
}

void side_route_admitted(const struct side_op *op, struct store_admission *admission)
{
    if (op->candidate_count == 0)
        return;
    admission->level = (uint8_t)(chosen(op)->tier + 1);
    if (op->chosen == 0)
        return;
    memcpy(admission->requested_model, op->candidates[0].model, sizeof admission->requested_model);
    memcpy(admission->model, chosen(op)->model, sizeof admission->model);
    memcpy(admission->row, chosen(op)->row, sizeof admission->row);
    admission->flags &= ~(uint32_t)STORE_UNPRICED;
    admission->flags |= chosen(op)->priced ? 0 : STORE_UNPRICED;
}
