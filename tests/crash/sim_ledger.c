/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- the disk: a crash is a copy of the file as it stands at a write ----------------------- */

static void file_copy(const char *name)
{
    static char bytes[1 << 16];
    char from[96], to[96];
    ssize_t count;
    int in, out;

    (void)snprintf(from, sizeof from, "%s/%s", sim_world.home[sim_world.at], name);
    (void)snprintf(to, sizeof to, "%s/%s", sim_world.home[1 - sim_world.at], name);
    (void)unlink(to);
    in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 && errno == ENOENT)
        return;
    out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (in < 0 || out < 0)
        sim_wrong("copy: %s", strerror(errno));
    while ((count = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)count) != count)
            sim_wrong("copy: %s", strerror(errno));
    (void)close(in);
    (void)close(out);
}

void sim_home_copy(void)
{
    file_copy("ledger.mdb");
    file_copy("head");
}

static void at_write(void)
{
    if (sim_world.writes_left >= 0 && sim_world.writes_left-- == 0)
        sim_home_copy();
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    at_write();
    return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    at_write();
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

int fdatasync(int fd)
{
    at_write();
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- keys and records ---------------------------------------------------------------------- */

void sim_id_of(char kind, uint64_t number, uint8_t out[16])
{
    memset(out, 0, 16);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(number >> (56 - 8 * i));
    out[15] = (uint8_t)kind;
}

void sim_key_of(unsigned scope, struct store_scope_key *out)
{
    uint8_t id[16];

    sim_id_of('r', scope + 1, id);
    if (scope < SIM_RUNS)
        store_scope_run(out, id);
    else
        store_scope_name(out, GOV_SESSION, "nightly");
}

void sim_key_of_day(int day, struct store_scope_key *out)
{
    store_scope_global(out);
    store_scope_window(out, GOV_DAILY, 0, 0, (SIM_DAY_0 + day) * SIM_DAY_S);
}

static int64_t now_ns(void)
{
    return (SIM_DAY_0 * SIM_DAY_S + sim_world.now_s) * SIM_NS;
}

static void head_of(enum store_type type, unsigned run, struct store_event *out)
{
    memset(out, 0, sizeof *out);
    out->head.type = (uint16_t)type;
    out->head.ts_ns = now_ns();
    sim_id_of('r', run + 1, out->head.run_id);
}

static void seen_add(struct store_event *event, const struct store_scope_key *key,
                     const int64_t *limits)
{
    struct store_scope_seen *seen = &event->scopes[event->head.scope_count++];

    seen->key = *key;
    memcpy(seen->limit, limits, sizeof seen->limit);
}

static void admission_of(const struct sim_question *question, struct store_event *out)
{
    const struct sim_call asked = {.run = question->run};
    struct store_scope_key key;

    head_of(STORE_ADMISSION, question->run, out);
    out->head.ts_ns = SIM_DAY_0 * SIM_DAY_S * SIM_NS + question->ts_ns;
    sim_id_of('c', question->number + 1, out->head.call_id);
    memcpy(out->admission.hold, question->hold, sizeof out->admission.hold);
    out->admission.cap_held = 16;
    out->admission.request_hash[0] = question->content;
    for (unsigned scope = 0; scope < SIM_SCOPES; scope++)
        if (sim_in_scope(&asked, scope)) {
            sim_key_of(scope, &key);
            seen_add(out, &key, question->limits[scope]);
        }
    if (question->day >= 0) {
        sim_key_of_day(question->day, &key);
        seen_add(out, &key, question->day_limits);
    }
}

/* ---- a message to both --------------------------------------------------------------------- */

struct before {
    int day;
    int64_t charged[GOV_DIMS];
};

static enum store_err before_add(void *data, const struct store_event *admission,
                                 const int64_t charged[GOV_DIMS])
{
    struct before *before = data;

    if (admission->head.ts_ns / SIM_NS / SIM_DAY_S == SIM_DAY_0 + before->day)
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
            before->charged[dim] += charged[dim];
    return STORE_OK;
}

/* A window begins with the first admission that names it. */
static void day_begin(int day)
{
    struct before before = {.day = day};
    struct store_scope_key key;

    sim_must(store_each_since(sim_world.store, (SIM_DAY_0 + day) * SIM_DAY_S * SIM_NS, before_add,
                              &before),
             "day");
    sim_key_of_day(day, &key);
    sim_must(store_window_begin(sim_world.store, &key, (SIM_DAY_0 + day + 1) * SIM_DAY_S, "",
                                before.charged, now_ns()),
             "day");
    sim_day_open(&sim_world.model, day);
}

static enum store_err do_admit(struct sim_message *message, enum store_err *want)
{
    static struct store_event event;
    struct store_call call;
    struct sim_question *question = &message->question;
    int day = (int)(sim_world.now_s / SIM_DAY_S);

    if (sim_world.days_count && !sim_world.model.days[day].open &&
        day == sim_world.latest_s / SIM_DAY_S)
        day_begin(day);
    question->ts_ns = sim_world.now_s * SIM_NS;
    question->day = sim_world.model.days[day].open ? day : -1;
    admission_of(question, &event);
    *want = sim_admit(&sim_world.model, question);
    return store_admit(sim_world.store, &event, &call);
}

static enum store_err do_settle(const struct sim_answer *answer)
{
    static struct store_event event;

    head_of(STORE_CONSUMPTION, 0, &event);
    sim_id_of('c', answer->number + 1, event.head.call_id);
    event.consumption.end = (uint8_t)answer->end;
    event.consumption.tokens_total = answer->tokens;
    event.consumption.tokens[METER_INPUT] = (uint64_t)answer->tokens;
    event.consumption.cost_pusd = event.consumption.charged_pusd = answer->cost;
    event.consumption.provider_cost_pusd = -1;
    event.consumption.flags = answer->made ? STORE_MADE : 0;
    if (answer->object >= 0)
        event.consumption.object[0] = (uint8_t)(1 + answer->object);
    return store_settle(sim_world.store, &event);
}

static enum store_err do_refuse(const struct sim_message *message)
{
    static struct store_event event;

    head_of(STORE_REFUSAL, message->question.run, &event);
    sim_id_of('c', message->question.number + 1, event.head.call_id);
    event.refusal.count = message->count;
    event.refusal.reason_count = 1;
    event.refusal.reasons[0] = GOV_REASON_COST;
    event.refusal.dim = GOV_COST;
    sim_refuse(&sim_world.model, message->question.number, message->question.run, message->count);
    return store_refuse(sim_world.store, &event);
}

static enum store_err progress_of(unsigned number)
{
    const struct sim_call *call = &sim_world.model.calls[number];

    if (call->life == SIM_NONE)
        return STORE_NOT_FOUND;
    return call->life == SIM_HELD || call->life == SIM_SENT ? STORE_OK : STORE_CONFLICT;
}

void sim_deliver(struct sim_message *message)
{
    unsigned number = message->question.number;
    enum store_err want = STORE_OK, got = STORE_OK;
    uint8_t id[16];

    sim_id_of('c', number + 1, id);
    switch (message->kind) {
    case SIM_ADMIT:
        got = do_admit(message, &want);
        break;
    case SIM_SAY_SENT:
        want = sim_sent(&sim_world.model, number);
        got = store_sent(sim_world.store, id, now_ns());
        break;
    case SIM_PROGRESS:
        want = progress_of(number);
        got = store_progress_put(sim_world.store, id, message, 200);
        break;
    case SIM_SETTLE:
        want = sim_settle(&sim_world.model, &message->answer);
        got = do_settle(&message->answer);
        break;
    case SIM_REFUSE:
        got = do_refuse(message);
        break;
    case SIM_CLOSE:
        want = sim_close(&sim_world.model, message->question.run);
        sim_id_of('r', message->question.run + 1, id);
        got = store_run_close(sim_world.store, id, GOV_COMPLETED, 0, now_ns());
        break;
    }
    if (got != want)
        sim_wrong("message %d of call %u: %s, wanted: %s", message->kind, number,
                  store_strerror(got), store_strerror(want));
}

void sim_runs_begin(void)
{
    sim_must(store_begin(sim_world.store), "begin");
    for (unsigned run = 0; run < SIM_RUNS; run++) {
        static struct store_event event;
        struct store_run row = {.state = GOV_RUNNING};

        head_of(STORE_ALLOCATION, run, &event);
        sim_must(store_append(sim_world.store, &event, sizeof event.allocation), "allocate");
        row.started_ns = event.head.ts_ns;
        memcpy(row.run_id, event.head.run_id, sizeof row.run_id);
        row.allocation = event.allocation;
        row.allocation_seq = event.head.seq;
        sim_must(store_run_put(sim_world.store, &row), "run");
        sim_world.model.records++;
    }
    sim_must(store_commit(sim_world.store, true), "commit");
    sim_world.before = sim_world.model;
}
