/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/sim.h"

#include <string.h>

bool sim_in_scope(const struct sim_call *call, unsigned scope)
{
    return scope == SIM_RUNS || scope == call->run || (call->run == 2 && scope == 1);
}

bool sim_in_day(const struct sim_call *call, int day)
{
    return call->day == day;
}

static void add(struct sim_sum *sum, const struct sim_call *call)
{
    bool open = call->life == SIM_HELD || call->life == SIM_SENT;

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        bool spent = call->life == SIM_ENDED || (dim == GOV_STEPS && call->life == SIM_SENT);

        if (spent)
            sum->charged[dim] += call->life == SIM_SENT ? call->hold[dim] : call->charged[dim];
        else if (open)
            sum->held[dim] += call->hold[dim];
    }
    sum->in_flight += open;
}

struct sim_sum sim_sum_of(const struct sim_model *model, unsigned scope)
{
    struct sim_sum sum = {{0}, {0}, 0};

    for (unsigned i = 0; i < SIM_CALLS; i++)
        if (model->calls[i].life != SIM_NONE && model->calls[i].life != SIM_REFUSED &&
            sim_in_scope(&model->calls[i], scope))
            add(&sum, &model->calls[i]);
    return sum;
}

struct sim_sum sim_sum_of_day(const struct sim_model *model, int day)
{
    struct sim_sum sum = model->days[day].before;

    for (unsigned i = 0; i < SIM_CALLS; i++)
        if (model->calls[i].life != SIM_NONE && model->calls[i].life != SIM_REFUSED &&
            sim_in_day(&model->calls[i], day))
            add(&sum, &model->calls[i]);
    return sum;
}

/* Calls of its time do not name it: they come to what they were charged, or hold, for good. */
void sim_day_open(struct sim_model *model, int day)
{
    struct sim_sum *before = &model->days[day].before;

    model->days[day].open = true;
    model->records++;
    for (unsigned i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &model->calls[i];

        if (call->life != SIM_NONE && call->life != SIM_REFUSED &&
            call->ts_ns / (SIM_DAY_S * INT64_C(1000000000)) == day)
            for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
                before->charged[dim] +=
                    call->life == SIM_ENDED ? call->charged[dim] : call->hold[dim];
    }
}

static bool fits(const struct sim_sum *sum, const int64_t *hold, const int64_t *limits)
{
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        if (hold[dim] > 0 && limits[dim] > 0 &&
            sum->charged[dim] + sum->held[dim] + hold[dim] > limits[dim])
            return false;
    return true;
}

enum store_err sim_admit(struct sim_model *model, const struct sim_question *question)
{
    struct sim_call *call = &model->calls[question->number];
    struct sim_call asked = {.life = SIM_HELD,
                             .run = question->run,
                             .ts_ns = question->ts_ns,
                             .day = question->day,
                             .content = question->content};
    struct sim_sum sum;

    if (call->life == SIM_REFUSED)
        return STORE_CONFLICT;
    if (call->life != SIM_NONE)
        return call->content == question->content && call->run == question->run ? STORE_DUPLICATE
                                                                                : STORE_CONFLICT;
    for (unsigned scope = 0; scope < SIM_SCOPES; scope++) {
        if (!sim_in_scope(&asked, scope))
            continue;
        sum = sim_sum_of(model, scope);
        if (!fits(&sum, question->hold, question->limits[scope]))
            return STORE_OVER;
    }
    if (question->day >= 0) {
        sum = sim_sum_of_day(model, question->day);
        if (!fits(&sum, question->hold, question->day_limits))
            return STORE_OVER;
    }
    memcpy(asked.hold, question->hold, sizeof asked.hold);
    *call = asked;
    model->records++;
    return STORE_OK;
}

enum store_err sim_sent(struct sim_model *model, unsigned number)
{
    struct sim_call *call = &model->calls[number];

    if (call->life == SIM_NONE)
        return STORE_NOT_FOUND;
    if (call->life != SIM_HELD)
        return call->life == SIM_SENT ? STORE_DUPLICATE : STORE_CONFLICT;
    call->life = SIM_SENT;
    call->sent = true;
    return STORE_OK;
}

enum store_err sim_settle(struct sim_model *model, const struct sim_answer *answer)
{
    struct sim_call *call = &model->calls[answer->number];
    bool counted = false;

    if (call->life == SIM_NONE)
        return STORE_NOT_FOUND;
    if (call->life != SIM_HELD && call->life != SIM_SENT)
        return call->life == SIM_ENDED ? STORE_DUPLICATE : STORE_CONFLICT;
    if (call->life == SIM_SENT && answer->end == STORE_RELEASED)
        return STORE_CONFLICT;
    if (answer->object >= 0) {
        counted = model->object_known[answer->object] && !answer->made;
        model->object_known[answer->object] = true;
    }
    call->charged[GOV_STEPS] = answer->end != STORE_RELEASED ? call->hold[GOV_STEPS] : 0;
    call->charged[GOV_TOKENS] = counted ? 0 : answer->tokens;
    call->charged[GOV_COST] = counted ? 0 : answer->cost;
    call->life = SIM_ENDED;
    call->end = (uint8_t)answer->end;
    model->records++;
    return STORE_OK;
}

void sim_refuse(struct sim_model *model, unsigned number, unsigned run, int64_t count)
{
    struct sim_call *call = &model->calls[number];

    if (call->life == SIM_NONE)
        *call = (struct sim_call){.life = SIM_REFUSED, .run = run, .day = -1};
    model->refused[run] += count;
    model->records++;
}

enum store_err sim_close(struct sim_model *model, unsigned run)
{
    if (model->closed[run])
        return STORE_DUPLICATE;
    model->closed[run] = true;
    model->records++;
    return STORE_OK;
}
