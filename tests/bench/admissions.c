/* SPDX-License-Identifier: Apache-2.0 */
/* Durable admissions a second. `admissions clients N SECONDS`: N threads that each ask the sidecar
 * of $FLYBALL_HOME for one admission after the other, with a body of 2 KB, and release it unsent.
 * `admissions ceiling N SECONDS DIR`: the same ledger work in batches of N, without processes,
 * sockets or reading of requests: what group commit itself can do on this disk. `admissions
 * exchange N SECONDS DIR`: the same clients, and a process that admits whatever it is asked: what
 * their frames alone cost. $THINK_US: a pause before each. Prints a line of JSON; batch: admissions
 * for each commit of the ledger. */
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/client.h"
#include "shim/wire.h"
#include "store/store.h"

#define BODY_BYTES  2048
#define SAMPLES_MAX 2000000u

static struct client_place place;
static char body[BODY_BYTES + 1];
static int64_t until_us;
static atomic_ulong admitted, refused;
static uint32_t *samples_us;
static atomic_uint sample_count;
static double fastest_to_slowest, batch;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct timespec pause_before;

static void think(void)
{
    if (pause_before.tv_nsec > 0)
        (void)nanosleep(&pause_before, NULL);
}

static void body_make(void)
{
    int head = snprintf(body, sizeof body,
                        "{\"model\":\"gpt-4o-mini\",\"max_tokens\":16,\"messages\":[{\"role\":"
                        "\"user\",\"content\":\"");

    memset(body + head, 'x', (size_t)(BODY_BYTES - head - 4));
    memcpy(body + BODY_BYTES - 4, "\"}]}", 5);
}

/* ---- through the sidecar ------------------------------------------------------------------ */

static unsigned char run_bytes[16], token_bytes[16];
static bool in_a_run;

static void run_read(void)
{
    const char *run = getenv("FLYBALL_RUN"), *token = getenv("FLYBALL_TOKEN");

    in_a_run = run != NULL && token != NULL && client_hex16(run, run_bytes) &&
               client_hex16(token, token_bytes);
}

static bool ask(struct client_link *link)
{
    unsigned char frame[4096], id[16];
    struct wire_writer w;

    client_uuid7(id);
    wire_begin(&w, frame, sizeof frame, WIRE_ADMIT);
    wire_put(&w, WIRE_CALL_ID, id, sizeof id);
    wire_put_text(&w, WIRE_METHOD, "POST");
    wire_put_text(&w, WIRE_HOST, "api.openai.com");
    wire_put_text(&w, WIRE_PATH, "/v1/chat/completions");
    if (in_a_run) {
        wire_put(&w, WIRE_RUN_ID, run_bytes, sizeof run_bytes);
        wire_put(&w, WIRE_TOKEN, token_bytes, sizeof token_bytes);
    }
    wire_put(&w, WIRE_BODY, body, BODY_BYTES);
    return client_send(link, frame, w.used, -1) == CLIENT_OK;
}

static bool let_go(struct client_link *link)
{
    unsigned char frame[64];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_END);
    wire_put_number(&w, WIRE_FLAGS, WIRE_BROKEN);
    return client_send(link, frame, w.used, -1) == CLIENT_OK;
}

static bool verdict(struct client_link *link)
{
    unsigned char frame[8192];
    struct wire_reader r;
    struct wire_head head;
    struct wire_value value;
    int fd;

    for (;;) {
        ssize_t count = client_receive(link, frame, sizeof frame, 5000, &fd);

        if (fd >= 0)
            close(fd);
        if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head))
            return false;
        if (head.type != WIRE_VERDICT)
            continue;
        while (wire_next(&r, &value))
            if (value.tag == WIRE_DECISION)
                return wire_number(&value) == WIRE_ADMITTED;
        return false;
    }
}

static void *client(void *mine)
{
    unsigned long *own = mine;
    struct client_link link;
    char reason[256];
    bool started;

    if (!client_open(&link, &place, false, &started, reason, sizeof reason)) {
        fprintf(stderr, "admissions: %s\n", reason);
        exit(1);
    }
    while (now_us() < until_us) {
        int64_t began;
        bool ok;
        unsigned sample;

        think();
        began = now_us();
        ok = ask(&link) && verdict(&link);
        sample = atomic_fetch_add(&sample_count, 1);
        if (sample < SAMPLES_MAX)
            samples_us[sample] = (uint32_t)(now_us() - began);
        atomic_fetch_add(ok ? &admitted : &refused, 1);
        *own += ok && let_go(&link);
    }
    client_close(&link);
    return NULL;
}

/* Commits of the ledger so far; no lock, which the sidecar has: it lives. */
static size_t commits(void)
{
    char path[sizeof place.home + 16];
    MDB_envinfo info = {0};
    MDB_env *env;

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", place.home);
    if (mdb_env_create(&env) != 0)
        return 0;
    if (mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0) == 0)
        (void)mdb_env_info(env, &info);
    mdb_env_close(env);
    return info.me_last_txnid;
}

static void clients(unsigned count, unsigned seconds)
{
    pthread_t *threads = calloc(count, sizeof *threads);
    unsigned long *own = calloc(count, sizeof *own), most = 0, least = ULONG_MAX;

    size_t before = commits();

    until_us = now_us() + (int64_t)seconds * 1000000;
    for (unsigned i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, client, &own[i]);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        most = own[i] > most ? own[i] : most;
        least = own[i] < least ? own[i] : least;
    }
    fastest_to_slowest = least > 0 ? (double)most / (double)least : 0;
    before = commits() - before;
    batch = before > 0 ? (double)atomic_load(&admitted) / (double)before : 0;
    free(own);
    free(threads);
}

/* ---- the exchange alone ------------------------------------------------------------------- */

static void watch(int poll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    (void)epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

/* False: nothing more is to be read now. */
static bool answer(int fd)
{
    static unsigned char frame[WIRE_FRAME_MAX];
    unsigned char out[64];
    struct wire_writer w;
    struct wire_reader r;
    struct wire_head head;
    ssize_t count = recv(fd, frame, sizeof frame, MSG_DONTWAIT);

    if (count == 0)
        (void)close(fd);
    if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head))
        return false;
    if (head.type != WIRE_ADMIT)
        return true;
    wire_begin(&w, out, sizeof out, WIRE_VERDICT);
    wire_put_number(&w, WIRE_DECISION, WIRE_ADMITTED);
    return send(fd, out, w.used, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
}

static void admit_all(int listener)
{
    struct epoll_event events[512];
    int poll = epoll_create1(0);

    watch(poll, listener);
    for (;;) {
        int count = epoll_wait(poll, events, 512, -1);

        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                watch(poll, accept(listener, NULL, NULL));
            else
                while (answer(events[i].data.fd))
                    ;
    }
}

static void exchange(unsigned count, unsigned seconds, const char *dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    pid_t other;

    (void)snprintf(place.home, sizeof place.home, "%s", dir);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", dir);
    (void)unlink(address.sun_path);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4096) != 0 || (other = fork()) < 0) {
        perror("admissions");
        exit(1);
    }
    if (other == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        admit_all(listener);
    }
    clients(count, seconds);
    (void)kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
}

/* ---- the ledger alone --------------------------------------------------------------------- */

static struct store *store;
static uint8_t run_id[16];

static void must(enum store_err err, const char *what)
{
    if (err == STORE_OK)
        return;
    fprintf(stderr, "admissions: %s: %s\n", what, store_strerror(err));
    exit(1);
}

static void run_make(void)
{
    struct store_run run = {.state = GOV_RUNNING, .started_ns = 1};
    struct store_event event = {.head = {.type = STORE_ALLOCATION}};

    client_uuid7(run_id);
    memcpy(run.run_id, run_id, sizeof run_id);
    memcpy(event.head.run_id, run_id, sizeof run_id);
    client_uuid_text(run_id, run.allocation.session); /* one of its own, as the sidecar has it */
    client_uuid_text(run_id, event.allocation.session);
    must(store_begin(store), "begin");
    must(store_append(store, &event, sizeof event.allocation), "allocate");
    must(store_run_put(store, &run), "run");
    must(store_commit(store, true), "commit");
}

static void hold(uint8_t id[16])
{
    struct store_event event = {.head = {.type = STORE_ADMISSION, .scope_count = 1}};
    struct store_call call;

    client_uuid7(id);
    memcpy(event.head.run_id, run_id, sizeof run_id);
    memcpy(event.head.call_id, id, 16);
    store_scope_run(&event.scopes[0].key, run_id);
    event.scopes[0].limit[GOV_COST] = INT64_MAX;
    (void)strcpy(event.admission.provider, "openai");
    (void)strcpy(event.admission.api, "chat.completions");
    (void)strcpy(event.admission.model, "gpt-4o-mini");
    event.admission.hold[GOV_STEPS] = 1;
    event.admission.hold[GOV_TOKENS] = 1000;
    event.admission.hold[GOV_COST] = 1000;
    must(store_admit(store, &event, &call), "admit");
}

static void release(const uint8_t id[16])
{
    struct store_event event = {.head = {.type = STORE_CONSUMPTION}};

    memcpy(event.head.call_id, id, 16);
    event.consumption.end = STORE_RELEASED;
    must(store_settle(store, &event), "settle");
}

static void ceiling(unsigned count, unsigned seconds, const char *dir)
{
    uint8_t(*ids)[16] = calloc(count, sizeof *ids);
    int64_t until = now_us() + (int64_t)seconds * 1000000;
    struct store_error error;
    bool first = true;

    must(store_open(dir, false, &store, &error), error.text);
    run_make();
    while (now_us() < until) {
        int64_t began;
        unsigned sample;

        think();
        began = now_us();
        must(store_begin(store), "begin");
        for (unsigned i = 0; i < count; i++) {
            if (!first)
                release(ids[i]);
            hold(ids[i]);
        }
        must(store_commit(store, true), "commit");
        batch = count;
        first = false;
        atomic_fetch_add(&admitted, count);
        sample = atomic_fetch_add(&sample_count, 1);
        if (sample < SAMPLES_MAX)
            samples_us[sample] = (uint32_t)(now_us() - began);
    }
    store_close(store);
    free(ids);
}

/* ---- figures ------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void print(const char *what, unsigned count, unsigned seconds)
{
    unsigned samples = atomic_load(&sample_count);

    samples = samples < SAMPLES_MAX ? samples : SAMPLES_MAX;
    qsort(samples_us, samples, sizeof samples_us[0], by_size);
    printf("{\"what\":\"%s\",\"n\":%u,\"per_second\":%lu,\"refused\":%lu,\"p50_us\":%u,"
           "\"p99_us\":%u,\"fastest_to_slowest\":%.2f,\"batch\":%.1f}\n",
           what, count, atomic_load(&admitted) / seconds, atomic_load(&refused),
           samples > 0 ? samples_us[samples / 2] : 0,
           samples > 0 ? samples_us[(size_t)samples * 99 / 100] : 0, fastest_to_slowest, batch);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 0;

    if (count == 0 || seconds == 0) {
        fputs("usage: admissions clients N SECONDS | ceiling N SECONDS DIR | exchange N SECONDS "
              "DIR\n",
              stderr);
        return 2;
    }
    pause_before.tv_nsec = getenv("THINK_US") != NULL ? atol(getenv("THINK_US")) * 1000 : 0;
    samples_us = calloc(SAMPLES_MAX, sizeof *samples_us);
    body_make();
    run_read();
    if (!client_home(place.home, sizeof place.home))
        return 2;
    if (strcmp(argv[1], "clients") == 0)
        clients(count, seconds);
    else if (strcmp(argv[1], "exchange") == 0)
        exchange(count, seconds, argc > 4 ? argv[4] : ".");
    else
        ceiling(count, seconds, argc > 4 ? argv[4] : ".");
    print(argv[1], count, seconds);
    free(samples_us);
    return 0;
}
