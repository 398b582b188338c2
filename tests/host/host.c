/* SPDX-License-Identifier: Apache-2.0 */
/* A program that uses libcurl in every way that the shim has to live with, with the shim's own code
 * linked into it: so the sanitizers, which cannot live in a preloaded object, see that code at
 * work. Its directory has flyballd; $HOST_URL is a governed URL that answers 200 with the bytes of
 * the file $HOST_ANSWER, $HOST_PLAIN a plain one that redirects there; asked.c has the rest. Every
 * way is a row of a table; `host NAME` runs one, `host` all. Exit code 1: a line per finding. */
#include "tests/host/host.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define CALLS   6
#define FLOCK   12

static const char body[] = "{\"model\":\"gpt-4o-mini\",\"max_tokens\":64,"
                           "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
static const char *url, *plain_url;
static struct answer plain;
static atomic_int findings;

int host_findings(void)
{
    return atomic_load(&findings);
}

void expect(bool ok, const char *format, ...)
{
    va_list arguments;

    if (ok)
        return;
    atomic_fetch_add(&findings, 1);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

/* ---- a transfer and what came of it ------------------------------------------------------- */

static size_t take(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    size_t more = size * count;
    bool last = transfer->spares_last && transfer->used + more >= transfer->want->count;

    if (transfer->pause_once || (transfer->pause_often && !last && transfer->calls++ % 2 == 0)) {
        transfer->pause_once = false;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (transfer->stop_after > 0 && transfer->used + more > transfer->stop_after)
        return transfer->stop_by;
    if (transfer->leaves)
        expect(curl_multi_remove_handle(transfer->multi, transfer->easy) ==
                   CURLM_RECURSIVE_API_CALL,
               "left its multi handle from a callback");
    transfer->got = realloc(transfer->got, transfer->used + more + 1);
    memcpy(transfer->got + transfer->used, bytes, more);
    transfer->used += more;
    transfer->got[transfer->used] = '\0';
    return more;
}

static size_t give(char *buffer, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    size_t left = sizeof body - 1 - transfer->sent;
    size_t more = left < 7 ? left : 7; /* in small pieces */

    if (more > size * count)
        more = size * count;
    memcpy(buffer, body + transfer->sent, more);
    transfer->sent += more;
    return more;
}

struct transfer *transfer_new(const char *to)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);

    transfer->easy = curl_easy_init();
    transfer->want = &plain;
    curl_easy_setopt(transfer->easy, CURLOPT_URL, to);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT, 60L);
    return transfer;
}

static struct transfer *post_new(const char *to)
{
    struct transfer *transfer = transfer_new(to);

    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, body);
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    free(transfer->got);
    free(transfer);
}

void expect_answer(const struct transfer *transfer, CURLcode code, const char *what)
{
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    expect(code == CURLE_OK && status == 200, "%s: code %d (%s), status %ld: %s", what, code,
           transfer->error, status, transfer->got != NULL ? transfer->got : "");
    expect(transfer->used == transfer->want->count &&
               memcmp(transfer->got, transfer->want->bytes, transfer->used) == 0,
           "%s: %zu bytes, not the recorded %zu", what, transfer->used, transfer->want->count);
}

void once(struct transfer *transfer, const char *what)
{
    expect_answer(transfer, curl_easy_perform(transfer->easy), what);
    transfer_free(transfer);
}

/* ---- the easy interface ------------------------------------------------------------------- */

static void way_post(void)
{
    once(post_new(url), "POSTFIELDS");
}

static void way_copy(void)
{
    struct transfer *transfer = transfer_new(url);
    char *copy = strdup(body);

    curl_easy_setopt(transfer->easy, CURLOPT_COPYPOSTFIELDS, copy);
    memset(copy, 'x', sizeof body - 1);
    free(copy);
    once(transfer, "COPYPOSTFIELDS");
}

static void way_read(void)
{
    struct transfer *transfer = transfer_new(url);

    curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
    once(transfer, "a read callback");
}

static void way_reuse(void)
{
    struct transfer *transfer = post_new(url);

    for (int i = 0; i < CALLS; i++) {
        transfer->used = 0;
        expect_answer(transfer, curl_easy_perform(transfer->easy), "a handle used again");
    }
    transfer_free(transfer);
}

static void way_twin(void)
{
    struct transfer *transfer = transfer_new(url), *twin = calloc(1, sizeof *twin);

    twin->want = transfer->want;

    curl_easy_setopt(transfer->easy, CURLOPT_COPYPOSTFIELDS, body);
    twin->easy = curl_easy_duphandle(transfer->easy);
    curl_easy_setopt(twin->easy, CURLOPT_WRITEDATA, twin);
    curl_easy_setopt(twin->easy, CURLOPT_ERRORBUFFER, twin->error);
    transfer_free(transfer);
    once(twin, "a duplicated handle");
}

static void way_reset(void)
{
    struct transfer *transfer = post_new("http://127.0.0.1:1/nowhere");

    curl_easy_reset(transfer->easy);
    curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->error);
    once(transfer, "a handle that was reset");
}

static void way_stop(void)
{
    struct transfer *transfer = post_new(url);

    transfer->stop_after = 1;
    expect(curl_easy_perform(transfer->easy) == CURLE_WRITE_ERROR, "stopped by the program");
    transfer_free(transfer);
}

static void way_redirect(void)
{
    struct transfer *transfer = post_new(plain_url);

    curl_easy_setopt(transfer->easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_POSTREDIR, CURL_REDIR_POST_ALL);
    once(transfer, "a redirect to a governed host");
}

static void way_mime(void)
{
    struct transfer *transfer = transfer_new(url);
    curl_mime *mime = curl_mime_init(transfer->easy);
    curl_mimepart *part = curl_mime_addpart(mime);
    long status = 0;

    curl_mime_name(part, "model");
    curl_mime_data(part, "whisper-1", CURL_ZERO_TERMINATED);
    curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, mime);
    (void)curl_easy_perform(transfer->easy);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    expect(status == 402, "a form is no chat request: status %ld", status);
    curl_mime_free(mime);
    transfer_free(transfer);
}

static void way_unreadable(void)
{
    struct transfer *transfer = post_new(url);
    long status = 0;
    char *effective = NULL;

    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, "not JSON");
    curl_easy_setopt(transfer->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    expect(curl_easy_perform(transfer->easy) == CURLE_OK, "a refusal is an answer");
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &effective);
    expect(status == 402 && strstr(transfer->got, "request_unreadable") != NULL,
           "refused as unreadable: %ld %s", status, transfer->got);
    expect(strcmp(strstr(effective, "://"), strstr(url, "://")) == 0, "at %s", effective);
    transfer->used = 0; /* everything is as it was: the next one goes to the provider */
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, body);
    once(transfer, "after a refusal");
}

/* ---- the multi interface ------------------------------------------------------------------ */

static void drain(CURLM *multi, unsigned *ended)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        struct transfer *transfer = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        expect_answer(transfer, message->data.result, "in a multi handle");
        ++*ended;
    }
}

void flock_of(struct transfer *(*make)(void), bool late)
{
    CURLM *multi = curl_multi_init();
    struct transfer *flock[FLOCK];
    unsigned ended = 0;
    int running = 1;

    for (int i = 0; i < FLOCK; i++) {
        flock[i] = make();
        curl_easy_setopt(flock[i]->easy, CURLOPT_PRIVATE, flock[i]);
        curl_multi_add_handle(multi, flock[i]->easy);
    }
    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (!late)
            drain(multi, &ended);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    drain(multi, &ended);
    expect(ended == FLOCK, "%u messages for %d transfers", ended, FLOCK);
    for (int i = 0; i < FLOCK; i++) {
        curl_multi_remove_handle(multi, flock[i]->easy);
        transfer_free(flock[i]);
    }
    curl_multi_cleanup(multi);
}

static struct transfer *post_there(void)
{
    return post_new(url);
}

static void way_multi(void)
{
    flock_of(post_there, false);
}

static void way_multi_late(void)
{
    flock_of(post_there, true);
}

/* Against libcurl's word, and with libcurl. */
static void way_message_late(void)
{
    CURLM *multi = curl_multi_init();
    struct transfer *transfer = post_new(url);
    CURLMsg *message;
    int running = 1, left;

    curl_multi_add_handle(multi, transfer->easy);
    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    message = curl_multi_info_read(multi, &left);
    curl_multi_remove_handle(multi, transfer->easy);
    expect(message != NULL && message->msg == CURLMSG_DONE &&
               message->easy_handle == transfer->easy && message->data.result == CURLE_OK,
           "a message of a handle that has left");
    curl_multi_cleanup(multi);
    expect(message != NULL && message->msg == CURLMSG_DONE, "and of a multi handle that is gone");
    transfer_free(transfer);
}

static void way_leave(void)
{
    CURLM *multi = curl_multi_init();
    struct transfer *a = post_new(url), *b = post_new(url), *c = post_new(url);
    int running;

    curl_multi_add_handle(multi, a->easy);
    curl_multi_add_handle(multi, b->easy);
    curl_multi_add_handle(multi, c->easy);
    curl_multi_perform(multi, &running);
    curl_multi_remove_handle(multi, a->easy); /* in the middle */
    transfer_free(a);
    transfer_free(b);          /* cleaned up while it is in */
    curl_multi_cleanup(multi); /* with one inside */
    transfer_free(c);
}

void alone(struct transfer *transfer, CURLcode want, const char *what)
{
    CURLM *multi = curl_multi_init();
    int running = 1, left;
    CURLMsg *message;

    transfer->multi = multi;
    curl_multi_add_handle(multi, transfer->easy);
    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 20, NULL);
        curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    }
    message = curl_multi_info_read(multi, &left);
    expect(message != NULL, "%s: no message", what);
    if (message != NULL && want == CURLE_OK)
        expect_answer(transfer, message->data.result, what);
    else if (message != NULL)
        expect(message->data.result == want, "%s: code %d", what, message->data.result);
    curl_multi_remove_handle(multi, transfer->easy);
    transfer_free(transfer);
    curl_multi_cleanup(multi);
}

static void way_pause(void)
{
    struct transfer *transfer = post_new(url);

    transfer->pause_once = true;
    alone(transfer, CURLE_OK, "paused once");
}

/* ---- threads and processes ---------------------------------------------------------------- */

static void *many(void *unused)
{
    (void)unused;
    for (int i = 0; i < CALLS; i++)
        way_post();
    return NULL;
}

static void way_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, many, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void way_fork(void)
{
    CURLM *multi = curl_multi_init();
    struct transfer *transfer = post_new(url);
    int running = 1, status = 0, left;
    pid_t child;

    curl_multi_add_handle(multi, transfer->easy);
    curl_multi_perform(multi, &running);
    child = fork();
    if (child == 0) { /* leaves its parent's call alone, and makes one of its own */
        int before = host_findings();

        way_post();
        _exit(host_findings() > before);
    }
    waitpid(child, &status, 0);
    expect(status == 0, "a forked child's own call");
    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    expect(curl_multi_info_read(multi, &left) != NULL, "a message after a fork");
    expect_answer(transfer, CURLE_OK, "a call across a fork");
    curl_multi_remove_handle(multi, transfer->easy);
    transfer_free(transfer);
    curl_multi_cleanup(multi);
}

/* ---- all of them -------------------------------------------------------------------------- */

static const struct way ways[] = {
    {"post", way_post},
    {"copy", way_copy},
    {"read", way_read},
    {"reuse", way_reuse},
    {"twin", way_twin},
    {"reset", way_reset},
    {"stop", way_stop},
    {"redirect", way_redirect},
    {"mime", way_mime},
    {"unreadable", way_unreadable},
    {"multi", way_multi},
    {"multi-late", way_multi_late},
    {"message-late", way_message_late},
    {"leave", way_leave},
    {"pause", way_pause},
    {"threads", way_threads},
    {"fork", way_fork},
    {NULL, NULL},
};

const char *needed(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        (void)fprintf(stderr, "host: $%s is needed\n", name);
        exit(2);
    }
    return value;
}

void read_answer(const char *name, struct answer *answer)
{
    FILE *file = fopen(needed(name), "re");
    char *grown;
    size_t count;

    if (file == NULL) {
        perror(name);
        exit(2);
    }
    do {
        grown = realloc(answer->bytes, answer->count + 65536);
        count = fread(grown + answer->count, 1, 65536, file);
        answer->bytes = grown;
        answer->count += count;
    } while (count > 0);
    (void)fclose(file);
}

static void go_ways(const struct way *way, const char *only)
{
    for (; way->name != NULL; way++) {
        int before = atomic_load(&findings);

        if (only != NULL && strcmp(only, way->name) != 0)
            continue;
        way->go();
        (void)printf("%s %s\n", atomic_load(&findings) == before ? "ok" : "not ok", way->name);
        (void)fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    url = needed("HOST_URL");
    plain_url = needed("HOST_PLAIN");
    read_answer("HOST_ANSWER", &plain);
    asked_begin();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    go_ways(ways, argc > 1 ? argv[1] : NULL);
    go_ways(links_ways, argc > 1 ? argv[1] : NULL);
    go_ways(asked_ways, argc > 1 ? argv[1] : NULL);
    curl_global_cleanup();
    free(plain.bytes);
    asked_end();
    return atomic_load(&findings) > 0;
}
