/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/images.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the sidecar --------------------------------------------------------------------------- */

pid_t images_sidecar(const char *build, const char *home, const char *preload, const char *log)
{
    char program[600], ready[8] = "";
    size_t used = 0;
    int ends[2];
    pid_t pid;

    (void)snprintf(program, sizeof program, "%s/flyballd", build);
    if (pipe(ends) != 0)
        ask_die("pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        char fd[16];

        if (preload != NULL)
            (void)setenv("LD_PRELOAD", preload, 1);
        if (log != NULL)
            (void)setenv("CRASH_RECORD", log, 1);
        (void)close(ends[0]);
        (void)snprintf(fd, sizeof fd, "%d", ends[1]);
        (void)execl(program, "flyballd", "--foreground", "--home", home, "--ready-fd", fd, NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    while (used < 6 && read(ends[0], ready + used, 1) == 1)
        used++;
    if (memcmp(ready, "ready\n", 6) != 0)
        ask_die("the sidecar in %s does not start: %s", home, ready);
    (void)close(ends[0]);
    return pid;
}

void images_sidecar_end(pid_t pid)
{
    int status;

    (void)kill(pid, SIGTERM);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        ask_die("the sidecar ended with status 0x%x", (unsigned)status);
}

/* ---- the callers --------------------------------------------------------------------------- */

static unsigned long now(const struct images_life *life)
{
    return atomic_load(&life->log->used);
}

/* An answer within the hold, or one far above it, whose settlement is then asked for. */
static void answer(const struct images_life *life, const struct client_link *link,
                   struct images_call *call, const struct ask_run *run, struct chance *chance)
{
    bool over = chance_one_in(chance, 10);
    char text[37], request[128], reply[4096];

    if (!ask_answered(link, over ? 90000 : 20, 10) || !ask_end(link, true, false))
        ask_die("the sidecar is gone");
    if (!over)
        return;
    client_uuid_text(run->id, text);
    (void)snprintf(request, sizeof request, "{\"verb\":\"status\",\"run\":\"%s\"}", text);
    if (ask_question(link, request, reply, sizeof reply, 10000) != 0)
        ask_die("the sidecar does not answer");
    atomic_store(&call->overrun, now(life));
}

static void one_call(const struct images_life *life, const struct client_link *link,
                     struct images_call *call, const struct ask_run *run, struct chance *chance)
{
    char reason[64];

    client_uuid7(call->id);
    if (!ask_send(link, call->id, run, ASK_PLAIN))
        ask_die("the sidecar is gone");
    if (ask_verdict(link, 10000, reason) != ASK_ADMITTED)
        ask_die("a call was refused: %s", reason);
    atomic_store(&call->held, now(life));
    if (chance_one_in(chance, 8)) {
        (void)ask_end(link, false, true);
        return;
    }
    if (!ask_sent(link))
        ask_die("the sidecar is gone");
    atomic_store(&call->gone, now(life));
    if (chance_one_in(chance, 8))
        (void)ask_end(link, true, true);
    else
        answer(life, link, call, run, chance);
}

static void client(const struct images_life *life, unsigned slot, const struct ask_run *run,
                   uint64_t seed)
{
    struct chance chance = {seed};
    struct client_place place = {.directory = ""};
    struct client_link link;
    char reason[256];
    bool started;

    (void)snprintf(place.home, sizeof place.home, "%s", life->home);
    for (unsigned i = 0; i < IMAGES_CALLS; i++) {
        const struct timespec pause = {0, chance_below(&chance, 60000000)};

        (void)nanosleep(&pause, NULL); /* the sidecar looks after its ledger once a second */
        if (!client_open(&link, &place, false, &started, reason, sizeof reason))
            ask_die("%s", reason);
        one_call(life, &link, &life->calls[slot][i], run, &chance);
        client_close(&link);
    }
    exit(0);
}

static void clients(const struct images_life *life, const struct ask_run *run, uint64_t seed)
{
    pid_t pids[IMAGES_CLIENTS];
    int status;

    for (unsigned i = 0; i < IMAGES_CLIENTS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            client(life, i, run, seed + i);
    }
    for (unsigned i = 0; i < IMAGES_CLIENTS; i++)
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
            ask_die("a client failed");
}

static void run_open(const struct images_life *life, struct client_link *link, struct ask_run *run)
{
    struct client_place place = {.directory = ""};
    struct side_spec spec;
    char reason[256];
    bool started;

    (void)snprintf(place.home, sizeof place.home, "%s", life->home);
    ask_spec(&spec);
    spec.limits[GOV_COST].amount = INT64_C(1000000000000000);
    spec.windows[0].scope = GOV_GLOBAL;
    spec.windows[0].window = GOV_DAILY;
    spec.windows[0].limits[GOV_COST] = (struct gov_limit){INT64_C(1000000000000000), GOV_HARD_STOP};
    spec.window_count = 1;
    if (!client_open(link, &place, false, &started, reason, sizeof reason) ||
        !ask_run_open(link, &spec, run))
        ask_die("no run can be opened");
}

/* ---- the life ------------------------------------------------------------------------------- */

static void *map_shared(int fd, size_t bytes)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

    if (at == MAP_FAILED)
        ask_die("mmap: %s", strerror(errno));
    return at;
}

static void log_make(struct images_life *life, char *path, size_t size)
{
    int fd;

    (void)snprintf(path, size, "%s/log", life->directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)RECORD_BYTES) != 0)
        ask_die("%s: %s", path, strerror(errno));
    life->log = map_shared(fd, RECORD_BYTES);
    (void)close(fd);
}

/* Each record has the hash of the one before. */
static void hashes_read(struct images_life *life)
{
    static struct store_event event;
    struct store_error error;
    struct store *store;
    struct store_view *view;
    uint8_t head[32];

    if (store_open(life->home, true, &store, &error) != STORE_OK ||
        store_view_open(store, &view) != STORE_OK)
        ask_die("%s", error.text);
    store_view_head(view, &life->records, head);
    life->hashes = calloc(life->records + 1, sizeof *life->hashes);
    for (uint64_t seq = 2; seq <= life->records; seq++) {
        if (store_view_event(view, seq, &event) != STORE_OK || event.head.seq != seq)
            ask_die("record %llu cannot be read", (unsigned long long)seq);
        memcpy(life->hashes[seq - 1], event.head.prev, 32);
    }
    memcpy(life->hashes[life->records], head, 32);
    store_view_close(view);
    store_close(store);
}

void images_live(struct images_life *life, const char *build, uint64_t seed)
{
    const char *dir = getenv("TMPDIR");
    char log[128], preload[600];
    struct client_link link;
    struct ask_run run;
    pid_t pid;

    (void)snprintf(life->directory, sizeof life->directory, "%.40s/flyball-images-XXXXXX",
                   dir != NULL ? dir : "/dev/shm");
    if (mkdtemp(life->directory) == NULL)
        ask_die("%s: %s", life->directory, strerror(errno));
    (void)snprintf(life->home, sizeof life->home, "%s/home", life->directory);
    (void)snprintf(life->image, sizeof life->image, "%s/image", life->directory);
    log_make(life, log, sizeof log);
    life->calls = map_shared(-1, IMAGES_CLIENTS * sizeof *life->calls);
    (void)snprintf(preload, sizeof preload, "%s/crash/record.so", build);
    pid = images_sidecar(build, life->home, preload, log);
    run_open(life, &link, &run);
    clients(life, &run, seed);
    client_close(&link);
    images_sidecar_end(pid);
    if (atomic_load(&life->log->lost) != 0)
        ask_die("the log is full");
    hashes_read(life);
}

void images_life_release(struct images_life *life)
{
    char command[128];

    (void)munmap(life->log, RECORD_BYTES);
    (void)munmap(life->calls, IMAGES_CLIENTS * sizeof *life->calls);
    free(life->hashes);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", life->directory);
    if (system(command) != 0)
        ask_die("%s cannot be removed", life->directory);
}
