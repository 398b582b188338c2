/* SPDX-License-Identifier: Apache-2.0 */
/* flyballd: the sidecar's main program. One per ledger: the ledger's lock, held for life, keeps a
 * second one out. */
#include "sidecar/control.h"
#include "sidecar/spare.h"

#include <errno.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RIVAL_WAIT_MS 3000 /* for another one that is being started at the same time */

static const char help_text[] =
    "usage: flyballd [--home DIR] [--foreground] [--listen IP:PORT]\n"
    "\n"
    "The sidecar of Flyball: holds the ledger, decides on calls, meters their\n"
    "answers. It is started by itself when it is needed; start it by hand to see\n"
    "what it says.\n"
    "\n"
    "  --home DIR        the state directory (default: $FLYBALL_HOME, else\n"
    "                    $XDG_STATE_HOME/flyball, else ~/.local/state/flyball)\n"
    "  --foreground      stay until a signal, also when there is nothing to do\n"
    "  --listen IP:PORT  of loopback, where operators' HTTP is (default: 127.0.0.1,\n"
    "                    any free port, which is in the file control of the state\n"
    "                    directory)\n"
    "  --help            this text\n"
    "  --version         the version\n";

struct options {
    const char *home;
    const char *listen; /* NULL: anywhere */
    bool foreground;
    int ready_fd; /* where to say that we are ready, or why not; -1: nowhere */
};

/* ---- mail from the other threads ---------------------------------------------------------- */

static void ring(const struct side *side)
{
    const uint64_t one = 1;

    (void)!write(side->mail_fd, &one, sizeof one);
}

/* Of many the loop tells them, while the writer is at the next ones already. */
static bool one_admission(const struct side_op *list)
{
    unsigned count = 0;

    for (; list != NULL; list = list->next)
        count += list->kind == SIDE_OP_ADMIT;
    return count == 1;
}

void side_deliver_ops(struct side *side, struct side_op *list)
{
    bool alone = one_admission(list), told = true;

    while (list != NULL) {
        struct side_op *op = list;

        list = op->next;
        op->next = NULL;
        pthread_mutex_lock(&side->mail_lock); /* who is answered finds the answer delivered */
        if (alone)
            side_answer_give(op);
        told = told && op->answer.given && op->notice_count == 0;
        *side->mail_ops_tail = op;
        side->mail_ops_tail = &op->next;
        pthread_mutex_unlock(&side->mail_lock);
    }
    if (!told) /* else its caller's next frame opens the mail, or the heartbeat does */
        ring(side);
}

void side_deliver_job(struct side *side, struct side_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&side->mail_lock);
    *side->mail_jobs_tail = job;
    side->mail_jobs_tail = &job->next;
    pthread_mutex_unlock(&side->mail_lock);
    ring(side);
}

void side_mail_open(struct side *side)
{
    struct side_op *ops;
    struct side_job *jobs;

    pthread_mutex_lock(&side->mail_lock);
    ops = side->mail_ops;
    jobs = side->mail_jobs;
    side->mail_ops = NULL;
    side->mail_ops_tail = &side->mail_ops;
    side->mail_jobs = NULL;
    side->mail_jobs_tail = &side->mail_jobs;
    pthread_mutex_unlock(&side->mail_lock);
    while (ops != NULL) {
        struct side_op *op = ops;

        ops = op->next;
        op->next = NULL;
        if (op->done != NULL)
            op->done(side, op);
        else
            side_op_free(op);
    }
    while (jobs != NULL) {
        struct side_job *job = jobs;

        jobs = job->next;
        job->done(side, job);
    }
}

static void on_mail(evutil_socket_t fd, short what, void *data)
{
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    side_mail_open(data);
}

void side_give_up(struct side *side)
{
    side->gave_up = true;
    (void)event_base_loopbreak(side->base);
}

struct side_later {
    struct side_later *next, **link;
    struct side *side;
    void (*then)(struct side *side, void *data);
    void *data;
};

static void on_later(evutil_socket_t fd, short what, void *argument)
{
    struct side_later later = *(struct side_later *)argument;

    (void)fd, (void)what;
    *later.link = later.next;
    if (later.next != NULL)
        later.next->link = later.link;
    free(argument);
    later.then(later.side, later.data);
}

/* The sockets of callers have the first priority, so a turn with nothing of theirs comes after all.
 */
void side_later(struct side *side, void (*then)(struct side *side, void *data), void *data)
{
    const struct timeval now = {0, 0};
    struct side_later *later = malloc(sizeof *later);

    if (later == NULL) {
        then(side, data);
        return;
    }
    *later = (struct side_later){side->laters, &side->laters, side, then, data};
    if (later->next != NULL)
        later->next->link = &later->next;
    side->laters = later;
    if (event_base_once(side->base, -1, EV_TIMEOUT, on_later, later, &now) != 0)
        on_later(-1, 0, later);
}

/* ---- time --------------------------------------------------------------------------------- */

static void on_heartbeat(evutil_socket_t fd, short what, void *data)
{
    (void)fd, (void)what;
    side_mail_open(data);
    side_heartbeat(data);
}

/* One that was started for a need ends when there has been none for a while. */
/* Of processes that live long and have no call now nothing is expected. */
static bool anybody_asks(const struct side *side)
{
    const struct side_conn *conn = side->conns;

    while (conn != NULL && conn->call == NULL && conn->query == NULL && conn->run == NULL)
        conn = conn->next;
    return conn != NULL;
}

static void on_idle(evutil_socket_t fd, short what, void *data)
{
    struct side *side = data;

    (void)fd, (void)what;
    if (anybody_asks(side) || side->calls != NULL || side_runs_any(side) || side_anchor_due(side) ||
        side_notify_busy(side))
        side->busy_since_ms = side_now_ms();
    else if (side->on_demand && side_now_ms() - side->busy_since_ms >= SIDE_IDLE_MS)
        (void)event_base_loopbreak(side->base);
}

static void on_signal(evutil_socket_t number, short what, void *data)
{
    struct side *side = data;

    (void)number, (void)what;
    (void)event_base_loopbreak(side->base);
}

/* ---- setting up --------------------------------------------------------------------------- */

/* NULL: it cannot be had. */
static struct event *watch(struct side *side, int fd, int ms, event_callback_fn handle)
{
    const struct timeval interval = {ms / 1000, ms % 1000 * 1000};
    struct event *event =
        event_new(side->base, fd, EV_PERSIST | (fd >= 0 ? EV_READ : 0), handle, side);

    if (event == NULL || event_add(event, ms > 0 ? &interval : NULL) == 0)
        return event;
    event_free(event);
    return NULL;
}

/* Before any other thread is there, so that none of them is asked to end instead. */
static int signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0
               ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
               : -1;
}

static bool loop_init(struct side *side, struct side_error *error)
{
    int signals = signals_open();

    if (evthread_use_pthreads() != 0 || (side->base = event_base_new()) == NULL ||
        event_base_priority_init(side->base, 2) != 0)
        return side_fail(error, "libevent cannot be started");
    side->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    side->mail_ops_tail = &side->mail_ops;
    side->mail_jobs_tail = &side->mail_jobs;
    pthread_mutex_init(&side->mail_lock, NULL);
    if (side->mail_fd < 0 || signals < 0)
        return side_fail(error, "eventfd, signalfd: %s", strerror(errno));
    side->mail = watch(side, side->mail_fd, 0, on_mail);
    side->signals = watch(side, signals, 0, on_signal);
    side->heartbeat = watch(side, -1, WIRE_HEARTBEAT_MS / 2, on_heartbeat);
    side->idle = watch(side, -1, SIDE_IDLE_MS / 10, on_idle);
    if (side->mail == NULL || side->signals == NULL || side->heartbeat == NULL ||
        side->idle == NULL)
        return side_fail(error, "libevent cannot be started");
    return true;
}

/* The directory is ours alone; what is in it decides about money. */
static bool home_check(struct side *side, struct side_error *error)
{
    struct stat info;

    for (char *slash = side->home + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0'; /* the directories on the way are made as any program's */
        (void)mkdir(side->home, 0755);
        *slash = '/';
    }
    if (mkdir(side->home, 0700) != 0 && errno != EEXIST)
        return side_fail(error, "%s: %s", side->home, strerror(errno));
    if (stat(side->home, &info) != 0)
        return side_fail(error, "%s: %s", side->home, strerror(errno));
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid())
        return side_fail(error, "%s: is not a directory of uid %ld", side->home, (long)geteuid());
    if ((info.st_mode & 077) != 0 && chmod(side->home, 0700) != 0)
        return side_fail(error, "%s: is open to others (mode %03o)", side->home,
                         info.st_mode & 0777u);
    return true;
}

static bool can_connect(const char *home)
{
    struct client_place place = {.directory = ""};
    struct client_link link;
    char reason[256];
    bool started;

    (void)snprintf(place.home, sizeof place.home, "%s", home);
    if (!client_open(&link, &place, false, &started, reason, sizeof reason))
        return false;
    client_close(&link);
    return true;
}

/* Whoever has the lock is the sidecar. Two that start at once: the loser waits for the winner to
 * answer, so that its own starter may go on; or to die, to take its place. */
static bool ledger_open(struct side *side, bool *rival, struct side_error *error)
{
    int64_t until = side_now_ms() + RIVAL_WAIT_MS;
    const struct timespec pause = {0, 5000000};
    struct store_error why;
    enum store_err err = store_open(side->home, false, &side->store, &why);

    *rival = false;
    while (err == STORE_LOCKED && !*rival && side_now_ms() < until) {
        *rival = can_connect(side->home);
        if (!*rival)
            (void)nanosleep(&pause, NULL);
        if (!*rival)
            err = store_open(side->home, false, &side->store, &why);
    }
    if (err == STORE_OK || *rival)
        return err == STORE_OK;
    return side_fail(error, "%s", why.text[0] != '\0' ? why.text : store_strerror(err));
}

/* No core file and no ptrace by others: prompts pass through our memory. Whoever has started us may
 * have small limits for itself, and we serve others too. */
static void become_private(void)
{
    static const int wanted[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA};
    const struct rlimit none = {0, 0};
    struct rlimit limit;

    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (getrlimit(wanted[i], &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            (void)setrlimit(wanted[i], &limit);
        }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write that fails is an error that is told */
    (void)umask(077);
}

/* Nothing that is decided depends on the control plane, unless somebody wants it at one place. */
static bool set_up(struct side *side, const char *listen_at, bool *rival, struct side_error *error)
{
    struct side_error no_control = {{0}};

    side->uid = geteuid();
    side_boot_id(side->boot_id);
    if (!home_check(side, error) || !ledger_open(side, rival, error) || !loop_init(side, error))
        return false;
    side->busy_since_ms = side_now_ms();
    side->engine = side_engine_start(side, side->store);
    side->worker = side_worker_start(side);
    side->chores = side_worker_start(side);
    if (side->engine == NULL || side->worker == NULL || side->chores == NULL)
        return side_fail(error, "a thread cannot be started");
    side_runs_restore(side);
    side_calls_restore(side);
    if (!side_control_open(side, listen_at, &no_control) && listen_at != NULL)
        return side_fail(error, "%s", no_control.text);
    return side_listen(side, error);
}

/* ---- shutting down ------------------------------------------------------------------------ */

static void socket_remove(const struct side *side)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/sock", side->home);
    (void)unlink(path);
}

/* Calls in flight keep their holds: their processes take them to the next sidecar. */
static void connections_drop(struct side *side)
{
    while (side->conns != NULL) {
        struct side_conn *conn = side->conns;

        if (conn->call != NULL) {
            conn->call->conn = NULL;
            conn->call = NULL;
        }
        side_conn_close(conn);
    }
    while (side->calls != NULL)
        side_call_free(side->calls);
}

static void events_free(struct side *side)
{
    struct event *all[] = {side->accepting, side->mail, side->heartbeat, side->idle, side->signals};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] != NULL)
            event_free(all[i]);
}

static void shut_down(struct side *side)
{
    if (side->listener >= 0) {
        socket_remove(side); /* new callers start a new one, which waits for our lock */
        (void)close(side->listener);
    }
    if (side->base != NULL)
        (void)event_base_loop(side->base, EVLOOP_NONBLOCK); /* what has been said already */
    while (side->laters != NULL)
        on_later(-1, 0, side->laters);
    side_control_close(side);
    side_child_stop(&side->anchor.child);
    side_notify_stop(side);
    side_apart_stop();
    side_engine_stop(side->engine);
    side->engine = NULL;
    if (side->base != NULL)
        side_mail_open(side); /* what the writer has done may be work for the others */
    side_worker_stop(side->worker);
    side_worker_stop(side->chores);
    if (side->base != NULL)
        side_mail_open(side);
    free(side->control);
    connections_drop(side);
    side_runs_release(side);
    side_zones_release();
    side_anchor_free(side);
    events_free(side);
    if (side->base != NULL)
        event_base_free(side->base);
    store_close(side->store);
    side_spares_release();
    libevent_global_shutdown();
}

/* ---- the program -------------------------------------------------------------------------- */

static void say_ready(const struct options *options, const char *text)
{
    if (options->ready_fd < 0) {
        if (strcmp(text, "ready") != 0)
            (void)fprintf(stderr, "flyballd: %s\n", text);
        return;
    }
    (void)!write(options->ready_fd, text, strlen(text));
    (void)!write(options->ready_fd, "\n", 1);
    (void)close(options->ready_fd);
}

/* -1: go on; else the exit code. */
static int options_read(int argc, char **argv, struct options *out)
{
    static const struct option rows[] = {
        {"home", required_argument, NULL, 'h'},
        {"foreground", no_argument, NULL, 'f'},
        {"listen", required_argument, NULL, 'l'},
        {"ready-fd", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, '?' + 256},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    *out = (struct options){.ready_fd = -1};
    while ((option = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        switch (option) {
        case 'h':
            out->home = optarg;
            break;
        case 'f':
            out->foreground = true;
            break;
        case 'l':
            out->listen = optarg;
            break;
        case 'r':
            out->ready_fd = atoi(optarg);
            break;
        case '?' + 256:
            (void)fputs(help_text, stdout);
            return 0;
        case 'V':
            (void)puts("flyballd " FLYBALL_VERSION);
            return 0;
        default:
            (void)fprintf(stderr,
                          "flyballd: '%s' is no option, or needs a value; see "
                          "`flyballd --help`\n",
                          argv[optind - 1]);
            return 2;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "flyballd: '%s': no argument is expected; see `flyballd --help`\n",
                      argv[optind]);
        return 2;
    }
    return -1;
}

/* jansson (2.14) does not look whether what it reads has found room to grow, and writes behind the
 * end of it. So it is never told that there is none: a sidecar that is gone admits nothing either,
 * and the next one knows all that this one had said. */
#define NO_MEMORY 4 /* the exit code */
static void *memory_of_json(size_t size)
{
    void *at = malloc(size);

    if (at == NULL)
        _exit(NO_MEMORY);
    return at;
}

int main(int argc, char **argv)
{
    static struct side side;
    struct options options;
    struct side_error error = {{0}};
    int code = options_read(argc, argv, &options);
    bool rival;

    if (code >= 0)
        return code;
    become_private();
    json_set_alloc_funcs(memory_of_json, free);
    side.listener = -1;
    side.on_demand = !options.foreground;
    if (options.home != NULL)
        (void)snprintf(side.home, sizeof side.home, "%s", options.home);
    else if (!client_home(side.home, sizeof side.home))
        (void)side_fail(&error, CLIENT_NO_HOME);
    if (options.ready_fd >= 0)
        (void)fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC);
    if (error.text[0] == '\0' && set_up(&side, options.listen, &rival, &error)) {
        if (options.foreground && store_warning(side.store)[0] != '\0')
            (void)fprintf(stderr, "flyballd: %s: %s\n", side.home, store_warning(side.store));
        say_ready(&options, "ready");
        (void)event_base_dispatch(side.base);
        if (side.gave_up) {
            code = 3;
            (void)fprintf(stderr, "flyballd: %s: %s\n", side.home, store_strerror(STORE_LATCHED));
        }
    } else {
        code = error.text[0] == '\0' ? 0 : 3; /* no error: a rival serves */
        say_ready(&options, error.text[0] == '\0' ? "ready" : error.text);
    }
    shut_down(&side);
    return code > 0 ? code : 0;
}
