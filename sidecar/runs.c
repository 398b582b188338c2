/* SPDX-License-Identifier: Apache-2.0 */
/* The runs that live: whose call it is, by token, by ancestry, or by session leader; opening and
 * closing them. */
#include "sidecar/orders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANCESTORS_MAX 64 /* generations that are looked at */
#define NESTED_MAX    8  /* runs within runs: each is a scope of a call */

struct side_run *side_run_hold(struct side_run *run)
{
    atomic_fetch_add(&run->references, 1);
    return run;
}

void side_run_drop(struct side_run *run)
{
    if (run == NULL || atomic_fetch_sub(&run->references, 1) != 1)
        return;
    side_run_drop(run->parent);
    meter_price_book_free(run->book);
    page_unmap(run->page);
    side_fd_close(run->page_fd);
    side_routing_free(run->routing);
    free(run);
}

const struct meter_price_book *side_run_book(const struct side_run *run)
{
    if (run->book != NULL)
        return run->book;
    return run->parent != NULL ? side_run_book(run->parent) : meter_price_book_shipped();
}

const struct meter_provider *side_run_provider(const struct side_run *run, const char *host)
{
    size_t name = strcspn(host, ":");

    for (unsigned i = 0; i < run->spec.provider_count; i++) {
        const struct side_provider *row = &run->spec.providers[i];
        bool with_port = strchr(row->host, ':') != NULL;

        if (with_port ? strcmp(row->host, host) == 0
                      : strlen(row->host) == name && strncmp(row->host, host, name) == 0)
            return meter_provider_by_name(row->name);
    }
    return NULL;
}

bool side_runs_any(const struct side *side)
{
    for (const struct side_run *run = side->runs; run != NULL; run = run->next)
        if (!run->ended)
            return true;
    return false;
}

/* ---- making one --------------------------------------------------------------------------- */

struct meter_price_book *side_book_read(const char *path, struct side_error *error)
{
    struct meter_price_book *book = NULL;
    struct meter_error why = {{0}};
    struct stat info;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size > (64 << 20)) {
        (void)side_fail(error, "%s: %s", path, fd < 0 ? strerror(errno) : "larger than 64 MiB");
    } else {
        text = malloc((size_t)info.st_size + 1);
        if (text == NULL || read(fd, text, (size_t)info.st_size) != info.st_size ||
            meter_price_book_parse(text, (size_t)info.st_size, meter_price_book_shipped(), &book,
                                   &why) != METER_OK)
            (void)side_fail(error, "%s: %s", path, why.text[0] != '\0' ? why.text : "not readable");
    }
    free(text);
    if (fd >= 0)
        (void)close(fd);
    return book;
}

static bool book_read(struct side_run *run, struct side_error *error)
{
    if (run->spec.price_file[0] != '\0')
        run->book = side_book_read(run->spec.price_file, error);
    return run->book != NULL || run->spec.price_file[0] == '\0';
}

struct side_run *side_run_new(const struct side_spec *spec, struct side_error *error)
{
    struct side_run *run = calloc(1, sizeof *run);

    if (run == NULL) {
        (void)side_fail(error, "out of memory");
        return NULL;
    }
    atomic_init(&run->references, 1);
    run->page_fd = -1;
    run->spec = *spec;
    side_agent_find(spec, spec->agent, &run->agent);
    run->started_ns = side_now_ns();
    client_uuid7(run->id);
    client_uuid_text(run->id, run->id_text);
    run->zone = side_zone_find(spec->timezone, error);
    if (spec->routing[0] != '\0')
        run->routing = side_routing_new(spec->routing, error);
    if (run->zone != NULL && book_read(run, error) &&
        (run->routing != NULL || spec->routing[0] == '\0')) {
        if (getrandom(run->token, sizeof run->token, 0) == sizeof run->token)
            return run;
        (void)side_fail(error, "no random numbers to be had");
    }
    side_run_drop(run);
    return NULL;
}

static void on_leader_death(evutil_socket_t fd, short what, void *data);

struct watch {
    struct side *side;
    struct side_run *run;
};

bool side_run_watch(struct side *side, struct side_run *run)
{
    struct watch *watch = malloc(sizeof *watch);
    int pidfd = side_pidfd(run->pid);

    if (watch != NULL && pidfd >= 0) {
        *watch = (struct watch){side, run};
        run->death = event_new(side->base, pidfd, EV_READ, on_leader_death, watch);
    }
    if (run->death != NULL && event_add(run->death, NULL) == 0)
        return true;
    if (run->death != NULL)
        event_free(run->death);
    run->death = NULL;
    free(watch);
    if (pidfd >= 0)
        (void)close(pidfd);
    return false;
}

static void run_unwatch(struct side_run *run)
{
    if (run->expiry != NULL)
        event_free(run->expiry);
    run->expiry = NULL;
    if (run->death == NULL)
        return;
    (void)close((int)event_get_fd(run->death));
    free(event_get_callback_arg(run->death));
    event_free(run->death);
    run->death = NULL;
}

static void run_register(struct side *side, struct side_run *run)
{
    run->next = side->runs;
    side->runs = run; /* the registry's reference is the one it was made with */
    side_hosts_write(side);
    side_run_keep(side, run);
}

/* One that is over, or did not get into the ledger. */
static void registry_remove(struct side *side, struct side_run *run)
{
    struct side_run **link = &side->runs;

    run->ended = true;
    while (*link != NULL && *link != run)
        link = &(*link)->next;
    if (*link == NULL)
        return;
    *link = run->next;
    run_unwatch(run);
    side_run_forget(side, run);
    side_hosts_write(side);
    side_run_drop(run);
}

static void allocation_fill(const struct side *side, struct side_run *run,
                            struct store_allocation *out, const json_t *request, uid_t uid)
{
    const char *argv0 = json_string_value(json_object_get(request, "argv0"));
    const char *cwd = json_string_value(json_object_get(request, "cwd"));
    const char *level = json_string_value(json_object_get(request, "level"));

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        out->limits[dim] = run->spec.limits[dim].amount;
        out->session_limits[dim] = run->spec.session_limits[dim].amount;
        out->policies[dim] = (uint8_t)run->spec.limits[dim].policy;
    }
    memcpy(out->percents, run->spec.percents, sizeof out->percents);
    out->by_hand = run->by_hand;
    out->meter_only = run->spec.meter_only;
    out->profile = (uint8_t)run->spec.profile;
    if (run->parent != NULL)
        memcpy(out->parent, run->parent->id, sizeof out->parent);
    out->uid = uid;
    out->pid = run->pid;
    out->pid_start = run->pid_start;
    memcpy(out->boot_id, side->boot_id, sizeof out->boot_id);
    (void)snprintf(out->session, sizeof out->session, "%s", side_run_session(run));
    (void)snprintf(out->task, sizeof out->task, "%s", run->spec.task);
    (void)snprintf(out->agent, sizeof out->agent, "%s", run->spec.agent);
    (void)snprintf(out->policy, sizeof out->policy, "%s", run->spec.policy);
    (void)snprintf(out->level, sizeof out->level, "%s", level != NULL ? level : "metered");
    (void)snprintf(out->argv0, sizeof out->argv0, "%s", argv0 != NULL ? argv0 : "");
    (void)snprintf(out->cwd, sizeof out->cwd, "%s", cwd != NULL ? cwd : "");
    (void)snprintf(out->labels, sizeof out->labels, "%s", run->spec.labels);
    side_tags_of(out, &run->tags);
}

/* ---- finding ------------------------------------------------------------------------------ */

struct side_run *side_run_find(struct side *side, const uint8_t id[16])
{
    struct side_run *run = side->runs;

    while (run != NULL && memcmp(run->id, id, sizeof run->id) != 0)
        run = run->next;
    return run;
}

static struct side_run *by_token(struct side *side, const uint8_t *id, const uint8_t *token)
{
    struct side_run *run = id != NULL && token != NULL ? side_run_find(side, id) : NULL;

    return run != NULL && memcmp(run->token, token, sizeof run->token) == 0 ? run : NULL;
}

static struct side_run *launched_by(struct side *side, pid_t pid)
{
    for (struct side_run *run = side->runs; run != NULL; run = run->next)
        if (!run->by_hand && !run->ended && run->pid == pid)
            return run;
    return NULL;
}

/* The launcher adopts orphans, so what it started stays below it. parent: of the process in
 * question; where no launcher lives nobody's ancestors are of interest. *deep: there are more
 * ancestors than were looked at. */
static struct side_run *by_ancestry(struct side *side, pid_t parent, bool *deep)
{
    bool any = false;

    *deep = false;
    for (const struct side_run *run = side->runs; run != NULL; run = run->next)
        any = any || (!run->by_hand && !run->ended);
    for (int i = 0; any && i < ANCESTORS_MAX && parent > 1; i++) {
        struct side_run *run = launched_by(side, parent);
        struct side_process process;

        if (run != NULL)
            return run;
        (void)side_process_read(parent, &process);
        parent = process.parent;
    }
    *deep = any && parent > 1;
    return NULL;
}

bool side_run_above(struct side *side, pid_t pid)
{
    struct side_process process;
    bool deep;

    return pid <= 0 || !side_process_read(pid, &process) || by_ancestry(side, pid, &deep) != NULL ||
           deep;
}

static void on_by_hand_open(struct side *side, struct side_op *op)
{
    if (op->result != STORE_OK) /* which shows at the call that follows */
        registry_remove(side, op->run);
    side_queries_wake(side);
    side_op_free(op);
}

static struct side_run *by_hand_new(struct side *side, pid_t leader, pid_t pid,
                                    const char *const *env, struct side_error *error)
{
    struct side_spec *spec = malloc(sizeof *spec);
    struct side_run *run = NULL;
    struct side_op *op;

    if (spec == NULL)
        return NULL;
    side_spec_init(spec);
    if (side_config_read(spec, NULL, NULL, env, error) && side_spec_env(spec, env, error)) {
        side_spec_finish(spec);
        /* A login shell is no run that has to end, and has no launcher that would measure. */
        spec->limits[GOV_WALL].amount = spec->limits[GOV_WRITES].amount = 0;
        spec->limits[GOV_COMMAND].amount = 0;
        side_notify_check(side, spec, pid);
        run = side_run_new(spec, error);
    }
    free(spec);
    if (run == NULL)
        return NULL;
    run->by_hand = true;
    run->pid = leader;
    run->pid_start = side_pid_start(leader);
    (void)side_run_watch(side, run);
    (void)side_page_open(side, run, NULL);
    op = side_op_new(SIDE_OP_RUN_OPEN, run, on_by_hand_open, NULL);
    if (op != NULL) {
        json_t *place = side_place_json(leader);

        allocation_fill(side, run, &op->event.allocation, place, geteuid());
        json_decref(place);
        side_post(side, op);
    }
    run_register(side, run);
    return run;
}

/* A session that began outside of what we can see has no number here. */
static pid_t leader_of(pid_t pid, const struct side_process *process)
{
    return process->session != 0 ? process->session : pid;
}

/* A run of this kind ends with its leader, so a living one with that pid is the one. */
static struct side_run *by_session(struct side *side, pid_t leader)
{
    struct side_run *run = side->runs;

    while (run != NULL && (!run->by_hand || run->ended || run->pid != leader))
        run = run->next;
    return run;
}

struct side_run *side_run_known(struct side *side, const uint8_t *id, const uint8_t *token,
                                pid_t pid, const struct side_process *process)
{
    struct side_run *run = by_token(side, id, token);
    bool deep;

    if (run == NULL)
        run = launched_by(side, pid);
    if (run == NULL)
        run = by_ancestry(side, process->parent, &deep);
    if (run == NULL && id == NULL)
        run = by_session(side, leader_of(pid, process));
    return run;
}

struct side_run *side_run_of(struct side *side, const uint8_t *id, const uint8_t *token, pid_t pid,
                             const struct side_process *process, const char *const *env,
                             struct side_error *error)
{
    struct side_run *run = side_run_known(side, id, token, pid, process);

    if (run == NULL && id != NULL) {
        run = side_run_over(side, id);
        if (run == NULL)
            (void)side_fail(error,
                            "its run is not known here; was it started with another FLYBALL_HOME?");
        return run;
    }
    if (run == NULL)
        run = by_hand_new(side, leader_of(pid, process), pid, env, error);
    return run != NULL ? side_run_hold(run) : NULL;
}

/* ---- opening ------------------------------------------------------------------------------ */

static void on_open(struct side *side, struct side_op *op)
{
    struct side_conn *conn = op->run->launcher;
    char text[400], token[37], *line;
    json_t *answer;

    if (conn != NULL && op->result == STORE_OK) {
        client_uuid_text(op->run->token, token);
        answer = json_pack("{s:s,s:s}", "run_id", op->run->id_text, "token", token);
        if (op->kind == SIDE_OP_TURN)
            side_resume_tell(side, op->run, answer);
        line = json_dumps(answer, JSON_COMPACT);
        json_decref(answer);
        if (line != NULL)
            side_conn_reply(conn, line, strlen(line)); /* one frame: the launcher takes it whole */
        free(line);
        side_conn_done(conn, 0, NULL);
        if (op->kind == SIDE_OP_TURN) /* its clock stands where it stood */
            side_run_tell(side, op->run);
    } else if (conn != NULL) {
        (void)snprintf(text, sizeof text, "the ledger in %.300s: %.90s", side->home,
                       store_strerror(op->result));
        side_conn_done(conn, 3, text);
    }
    if (op->result != STORE_OK)
        registry_remove(side, op->run);
    side_queries_wake(side);
    side_op_free(op);
}

/* A run within a run may have limits of its own, not prices of its own, nor streams that do not
 * report: the outer limits are kept by them. Its book is the outer one's (side_run_book). */
static void inherit(struct side_spec *spec, const struct side_spec *outer)
{
    memcpy(spec->providers, outer->providers, sizeof spec->providers);
    spec->provider_count = outer->provider_count;
    spec->price_file[0] = '\0';
    spec->unknown_model = outer->unknown_model;
    memcpy(spec->unknown_row, outer->unknown_row, sizeof spec->unknown_row);
    spec->ask_usage = outer->ask_usage;
    memcpy(spec->timezone, outer->timezone, sizeof spec->timezone);
    memcpy(spec->routing, outer->routing, sizeof spec->routing);
    spec->quality.rules = outer->quality.rules;
    spec->quality.cooldown_ms = outer->quality.cooldown_ms;
    memcpy(spec->quality.local_model, outer->quality.local_model, sizeof spec->quality.local_model);
}

static bool run_begin(struct side *side, struct side_conn *conn, struct side_run *run,
                      struct side_op *op, struct side_error *error)
{
    if (op == NULL || !side_page_open(side, run, conn) || !side_run_watch(side, run)) {
        side_op_free(op);
        side_run_drop(run);
        return side_fail(error, "the run cannot be watched: %s", strerror(errno));
    }
    if (!side_run_above(side, conn->pid)) /* what is governed does not say how */
        side_keep(side, &run->spec.keeping);
    side_notify_check(side, &run->spec, conn->pid);
    run->launcher = conn;
    conn->run = side_run_hold(run);
    run_register(side, run);
    side_post(side, op);
    return true;
}

bool side_run_open(struct side *side, struct side_conn *conn, const json_t *request,
                   struct side_error *error)
{
    struct side_spec *spec = malloc(sizeof *spec);
    struct store_run *row = calloc(1, sizeof *row);
    struct side_run *run = NULL, *parent = NULL;
    struct side_process launcher;
    struct side_op *op;
    bool resumes = json_object_get(request, "resume") != NULL, deep;
    unsigned depth = 0;

    (void)side_process_read(conn->pid, &launcher);
    if (!resumes)
        parent = by_ancestry(side, launcher.parent, &deep);
    for (const struct side_run *above = parent; above != NULL; above = above->parent)
        depth++;
    if (depth >= NESTED_MAX) {
        free(spec);
        free(row);
        return side_fail(error, "runs within runs: not more than %u", NESTED_MAX);
    }
    if (spec != NULL && row != NULL &&
        side_spec_parse(json_object_get(request, "spec"), spec, error) &&
        (!resumes || side_resume_read(side, conn, request, spec, row, error))) {
        if (parent != NULL)
            inherit(spec, &parent->spec);
        run = side_run_new(spec, error);
    }
    free(spec);
    if (run != NULL) {
        run->parent = parent != NULL ? side_run_hold(parent) : NULL;
        run->pid = conn->pid;
        run->pid_start = launcher.start;
        op = side_op_new(resumes ? SIDE_OP_TURN : SIDE_OP_RUN_OPEN, run, on_open, NULL);
        if (op != NULL && resumes)
            side_resume_fill(side, row, run, op);
        else if (op != NULL)
            allocation_fill(side, run, &op->event.allocation, request, conn->uid);
    }
    free(row);
    return run != NULL && run_begin(side, conn, run, op, error);
}

bool side_run_attach(struct side *side, struct side_conn *conn, const json_t *request,
                     struct side_error *error)
{
    uint8_t id[16], token[16];
    const char *id_text = json_string_value(json_object_get(request, "run_id"));
    const char *token_text = json_string_value(json_object_get(request, "token"));
    struct side_run *run = NULL;

    if (id_text != NULL && token_text != NULL && client_hex16(id_text, id) &&
        client_hex16(token_text, token))
        run = by_token(side, id, token);
    if (run == NULL || run->pid != conn->pid) /* what it runs knows its token as well */
        return side_fail(error, "the run is not known here");
    if (run->page == NULL && !side_page_open(side, run, conn))
        return side_fail(error, "the run cannot be watched: %s", strerror(errno));
    if (!side_run_above(side, conn->pid)) /* what is governed does not say how */
        side_keep(side, &run->spec.keeping);
    run->launcher = conn;
    conn->run = side_run_hold(run);
    side_run_tell(side, run);
    side_conn_done(conn, 0, NULL);
    return true;
}

/* ---- closing ------------------------------------------------------------------------------ */

static void on_close(struct side *side, struct side_op *op)
{
    struct side_conn *conn = op->run->launcher;

    if (conn != NULL)
        side_conn_done(conn, op->result == STORE_OK ? 0 : 3,
                       op->result == STORE_OK ? NULL : store_strerror(op->result));
    registry_remove(side, op->run);
    side_queries_wake(side);
    side_op_free(op);
}

void side_run_close(struct side *side, struct side_run *run, int64_t exit, enum gov_state state)
{
    struct side_op *op;

    if (run->ended)
        return;
    op = side_op_new(SIDE_OP_RUN_CLOSE, run, on_close, NULL);
    if (op == NULL)
        return;
    side_used_look(side, run);
    run->ended = true;
    op->exit = exit;
    op->state = state;
    side_post(side, op);
}

struct finish {
    struct side_run *run;
    int64_t exit;
    enum gov_state state;
};

static void finish_now(struct side *side, void *data)
{
    struct finish *finish = data;

    side_run_close(side, finish->run, finish->exit, finish->state);
    side_run_drop(finish->run);
    free(finish);
}

/* Not before the ends of its calls are read: they belong to the run. */
bool side_run_finish(struct side_conn *conn, const json_t *request, struct side_error *error)
{
    int64_t state = json_integer_value(json_object_get(request, "state"));
    struct finish *finish = malloc(sizeof *finish);

    if (finish == NULL || state < 0 || state >= GOV_STATES) {
        free(finish);
        return side_fail(error, "the run's end cannot be read");
    }
    *finish = (struct finish){side_run_hold(conn->run),
                              json_integer_value(json_object_get(request, "exit")),
                              (enum gov_state)state};
    side_later(conn->side, finish_now, finish);
    return true;
}

void side_run_launcher_gone(struct side *side, struct side_conn *conn)
{
    (void)side;
    if (conn->run->launcher == conn)
        conn->run->launcher = NULL; /* its process's end closes the run */
}

static void on_leader_death(evutil_socket_t fd, short what, void *data)
{
    struct watch *watch = data;

    (void)fd, (void)what;
    side_run_close(watch->side, watch->run, -1,
                   watch->run->by_hand ? GOV_COMPLETED : GOV_CANCELLED);
}

void side_runs_release(struct side *side)
{
    while (side->runs != NULL) {
        struct side_run *run = side->runs;

        side->runs = run->next;
        run_unwatch(run);
        side_run_drop(run);
    }
}
