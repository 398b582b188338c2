/* SPDX-License-Identifier: Apache-2.0 */
/* Faults: `faults SHALLOW BUILD [SITE]`. A small life of a sidecar under the preload fault.so,
 * which knows every place where it allocates or makes a system call that may fail. Then each of
 * those fails, alone, once and for ever, in a life of its own; SHALLOW n: every n-th of them, or
 * the site that is named. Nobody crashes, hangs or leaks, nothing leaves for which the ledger has
 * no hold, and another sidecar finds the ledger well. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/fault.h"
#include "tests/crash/faults.h"

#define BASELINES   4
#define WORKERS     2u
#define PATIENCE_MS 60000
#define TRIES       3

struct target {
    unsigned long id;
    char name[16], file[32];
    void *stack[FAULT_DEPTH];
    unsigned char hit; /* a bit for once, a bit for ever */
};

struct shared {
    struct faults_told told[WORKERS];
    atomic_uint next;
    atomic_ulong lives, refusals, mute, hits, wrong, library_deaths;
    struct target targets[FAULT_SITES];
    unsigned count;
};

static struct shared *shared;
static const char *build;
static struct target known[FAULT_SITES];
static unsigned known_count;

/* Allocations that a life leaves, by where they were made. */
struct left {
    unsigned long place;
    int live;
};
static struct left kept[FAULT_SITES]; /* without faults: what libraries keep */
static unsigned kept_count;

/* Of memory that is not there libevent's HTTP (2.1.12) dies where a request's headers, or the
 * address of who asks, find no room, and forgets the buffer of a connection that it could not make.
 * The sidecar is then not there, and nothing is admitted. */
static const char http_library[] = "libevent_extra", base_library[] = "libevent";

/* ---- processes ------------------------------------------------------------------------------ */

/* False: it did not end in time. */
static bool wait_for(pid_t pid, int *status_out)
{
    struct pollfd ready = {(int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0};
    int count = poll(&ready, 1, PATIENCE_MS);

    (void)close(ready.fd);
    if (count != 1) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, status_out, 0);
        return false;
    }
    return waitpid(pid, status_out, 0) == pid;
}

/* The same addresses every time, so that a site has the same id. table NULL: without faults. False:
 * it says that it cannot serve. */
static bool sidecar_start(const struct client_place *place, const char *table, pid_t *pid_out)
{
    char program[600], preload[600], number[16], ready[6] = "";
    size_t used = 0;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        ask_die("pipe: %s", strerror(errno));
    (void)snprintf(program, sizeof program, "%s/flyballd", build);
    (void)snprintf(preload, sizeof preload, "%s/crash/fault.so", build);
    *pid_out = fork();
    if (*pid_out == 0) {
        int null = open("/dev/null", O_RDWR);

        (void)personality(ADDR_NO_RANDOMIZE);
        if (table != NULL &&
            (setenv("LD_PRELOAD", preload, 1) | setenv("CRASH_FAULTS", table, 1)) != 0)
            _exit(99);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)snprintf(number, sizeof number, "%d", dup(ends[1]));
        (void)execl(program, "flyballd", "--foreground", "--home", place->home, "--ready-fd",
                    number, NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    while (used < sizeof ready && read(ends[0], ready + used, 1) == 1)
        used++;
    (void)close(ends[0]);
    return used == sizeof ready && memcmp(ready, "ready\n", sizeof ready) == 0;
}

static void stack_print(void *const *stack, unsigned depth)
{
    for (unsigned i = 0; i < depth && stack[i] != NULL; i++)
        (void)fprintf(stderr, " %p", stack[i]);
    (void)fputc('\n', stderr);
}

/* Its exit code. table: where it says from where it crashed; NULL: it may not even complain. */
static int sidecar_end(pid_t pid, const struct fault_table *table, const char *what)
{
    bool orderly = table == NULL || table->target == 0;
    int status;

    (void)kill(pid, SIGTERM);
    if (!wait_for(pid, &status))
        ask_die("%s: the sidecar hangs", what);
    if (table != NULL && strstr(table->crash_file, base_library) != NULL) {
        atomic_fetch_add(&shared->library_deaths, 1);
        return -1;
    }
    if (table != NULL && table->crash[0] != NULL)
        stack_print(table->crash, 2 * FAULT_DEPTH);
    if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGTERM || orderly
                            : WEXITSTATUS(status) != 0 && orderly)
        ask_die("%s: the sidecar ended with status 0x%x", what, (unsigned)status);
    return WIFSIGNALED(status) ? -1 : WEXITSTATUS(status);
}

/* ---- a life ---------------------------------------------------------------------------------- */

struct life {
    struct client_place place;
    char table_path[128];
    struct fault_table *table;
    struct faults_told *told;
    int code; /* of the sidecar */
};

static void life_init(struct life *life, unsigned worker)
{
    const char *dir = getenv("TMPDIR");
    int fd;

    memset(life, 0, sizeof *life);
    (void)snprintf(life->table_path, sizeof life->table_path, "%.80s/flyball-faults-%ld-%u",
                   dir != NULL ? dir : "/dev/shm", (long)getpid(), worker);
    fd = open(life->table_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *life->table) != 0)
        ask_die("%s: %s", life->table_path, strerror(errno));
    life->table = mmap(NULL, sizeof *life->table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (life->table == MAP_FAILED)
        ask_die("mmap: %s", strerror(errno));
    (void)close(fd);
    life->told = &shared->told[worker];
}

static void life_release(struct life *life)
{
    (void)munmap(life->table, sizeof *life->table);
    (void)unlink(life->table_path);
}

static void scenario(const struct life *life, const char *what)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        faults_scenario(&life->place, life->told);
        _exit(0);
    }
    if (!wait_for(pid, &status) || status != 0)
        ask_die("%s: the callers hang", what);
}

/* True: the fault came. */
static bool live(struct life *life, unsigned long target, bool once, const char *what)
{
    pid_t pid;

    memset(life->table, 0, sizeof *life->table);
    memset(life->told, 0, sizeof *life->told);
    life->table->target = target;
    life->table->once = once;
    ask_home_make(&life->place, "faults");
    if (sidecar_start(&life->place, life->table_path, &pid))
        scenario(life, what);
    life->code = sidecar_end(pid, life->table, what);
    faults_check(&life->place, life->told, false, what);
    if (!sidecar_start(&life->place, NULL, &pid))
        ask_die("%s: another sidecar does not start", what);
    (void)sidecar_end(pid, NULL, what);
    faults_check(&life->place, life->told, true, what);
    ask_home_remove(&life->place);
    atomic_fetch_add(&shared->lives, 1);
    atomic_fetch_add(&shared->refusals, atomic_load(&life->told->refused));
    atomic_fetch_add(&shared->mute, atomic_load(&life->told->mute));
    return atomic_load(&life->table->failed) > 0;
}

/* ---- sites ----------------------------------------------------------------------------------- */

static unsigned known_place(unsigned long id)
{
    unsigned place = 0;

    while (place < known_count && known[place].id != id)
        place++;
    return place;
}

static void known_add(const struct fault_site *site)
{
    struct target *target = &known[known_count++];

    target->id = atomic_load(&site->id);
    memcpy(target->name, site->name, sizeof target->name);
    memcpy(target->file, site->file, sizeof target->file);
    memcpy(target->stack, site->stack, sizeof target->stack);
}

static struct left *left_at(struct left *all, unsigned *count, unsigned long place)
{
    unsigned i = 0;

    while (i < *count && all[i].place != place)
        i++;
    if (i == *count)
        all[(*count)++] = (struct left){place, 0};
    return &all[i];
}

static unsigned left_count(const struct fault_table *table, struct left *all)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FAULT_SITES; i++)
        if (atomic_load(&table->sites[i].live) != 0)
            left_at(all, &count, table->sites[i].place)->live += atomic_load(&table->sites[i].live);
    return count;
}

static void learn(const struct fault_table *table)
{
    static struct left all[FAULT_SITES];
    unsigned count = left_count(table, all);

    for (unsigned i = 0; i < count; i++) {
        struct left *mine = left_at(kept, &kept_count, all[i].place);

        if (all[i].live > mine->live)
            mine->live = all[i].live;
    }
    for (unsigned i = 0; i < FAULT_SITES; i++) {
        unsigned long id = atomic_load(&table->sites[i].id);

        if (id != 0 && atomic_load(&table->sites[i].live) > 0 &&
            strcmp(table->sites[i].file, "flyballd") == 0) {
            stack_print(table->sites[i].stack, FAULT_DEPTH);
            ask_die("without faults: a leak of %d", atomic_load(&table->sites[i].live));
        }
        if (id != 0 && known_place(id) == known_count)
            known_add(&table->sites[i]);
    }
}

/* More of something than a life without faults leaves. */
static void look_for_leaks(const struct fault_table *table, const char *what)
{
    static struct left all[FAULT_SITES];
    unsigned count = left_count(table, all);

    for (unsigned i = 0; i < FAULT_SITES; i++) {
        const struct fault_site *site = &table->sites[i];
        int live, may;

        if (atomic_load(&site->live) == 0 || site->library != 0)
            continue;
        live = left_at(all, &count, site->place)->live;
        may = left_at(kept, &kept_count, site->place)->live;
        if (live <= may)
            continue;
        stack_print(site->stack, FAULT_DEPTH);
        ask_die("%s: a leak of %d by %s of %s", what, live - may, site->name, site->file);
    }
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static void fail_at(struct life *life, struct target *target, bool once)
{
    char what[160];

    (void)snprintf(what, sizeof what, "%s of %s (%lx) fails %s", target->name, target->file,
                   target->id, once ? "once" : "for ever");
    for (unsigned i = 0; i < TRIES && (target->hit & (1u << once)) == 0; i++)
        if (live(life, target->id, once, what))
            target->hit |= (unsigned char)(1u << once);
    if ((life->code == 0 || life->code == 3) && /* its own end, not a library's */
        strstr(target->file, http_library) == NULL)
        look_for_leaks(life->table, what);
    atomic_fetch_add(&shared->hits, (target->hit & (1u << once)) != 0);
}

/* Each in a process of its own: one that goes wrong does not end the others. */
static void worker(unsigned number)
{
    struct life life;
    unsigned at;
    int status;

    life_init(&life, number);
    while ((at = atomic_fetch_add(&shared->next, 1)) < 2 * shared->count) {
        pid_t pid = fork();

        if (pid == 0) {
            fail_at(&life, &shared->targets[at / 2], at % 2 == 0);
            _exit(0);
        }
        if (waitpid(pid, &status, 0) == pid && status == 0)
            continue;
        (void)fputs("the fault came at", stderr);
        stack_print(shared->targets[at / 2].stack, FAULT_DEPTH);
        atomic_fetch_add(&shared->wrong, 1);
    }
    life_release(&life);
    exit(0);
}

/* What every life comes by: what it came by now and then only may not be there to fail, and is
 * tried only where all are. */
static void sites_find(unsigned shallow, unsigned long only)
{
    static unsigned seen[FAULT_SITES];
    struct life life;

    life_init(&life, 0);
    for (unsigned i = 0; i < BASELINES; i++) {
        (void)live(&life, 0, false, "without faults");
        if (atomic_load(&life.told->refused) != FAULTS_REFUSED)
            ask_die("without faults: the callers do not come to the end of their story");
        learn(life.table);
        for (unsigned k = 0; k < FAULT_SITES; k++)
            if (atomic_load(&life.table->sites[k].id) != 0)
                seen[known_place(atomic_load(&life.table->sites[k].id))]++;
    }
    for (unsigned i = 0; i < known_count; i++)
        if (only != 0 ? known[i].id == only
                      : shallow == 1 || (seen[i] == BASELINES && i % shallow == 0))
            shared->targets[shared->count++] = known[i];
    life_release(&life);
}

int main(int argc, char **argv)
{
    unsigned shallow = argc > 2 ? (unsigned)atoi(argv[1]) : 0;
    pid_t pids[WORKERS];
    int status;

    if (shallow == 0)
        ask_die("usage: faults SHALLOW BUILD");
    build = argv[2];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        ask_die("mmap: %s", strerror(errno));
    sites_find(shallow, argc > 3 ? strtoul(argv[3], NULL, 16) : 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            worker(i);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
            ask_die("a worker failed");
    printf("faults: %u sites known, %u of them once and for ever: %lu of %u hit, %lu lives, %lu "
           "refusals, %lu answers that did not come, %lu deaths in libevent\n",
           known_count, shared->count, atomic_load(&shared->hits), 2 * shared->count,
           atomic_load(&shared->lives), atomic_load(&shared->refusals), atomic_load(&shared->mute),
           atomic_load(&shared->library_deaths));
    if (atomic_load(&shared->wrong) > 0)
        ask_die("%lu faults were not borne", atomic_load(&shared->wrong));
    if (shared->count == 0 || atomic_load(&shared->hits) * 10 < 2 * shared->count * 9)
        ask_die("too few of the faults came");
    return 0;
}
