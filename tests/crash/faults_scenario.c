/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool dial(const struct client_place *place, struct client_link *link)
{
    char reason[256];
    bool started;

    return client_open(link, place, false, &started, reason, sizeof reason);
}

enum course { WHOLE, BROKEN, LET_GO, VANISH };

/* Nothing leaves but after an admission and a SENT that was taken. */
static void one_call(const struct client_place *place, const struct ask_run *run,
                     struct faults_told *told, enum ask_kind kind, enum course course)
{
    unsigned number = atomic_load(&told->count);
    struct client_link link;
    enum ask_answer answer;
    char reason[64];

    if (!dial(place, &link))
        return;
    client_uuid7(told->calls[number].id);
    atomic_store(&told->count, number + 1);
    answer = ask_send(&link, told->calls[number].id, run, kind)
                 ? ask_verdict(&link, WIRE_SILENCE_MS, reason)
                 : ASK_LOST;
    atomic_store(&told->calls[number].admitted, answer == ASK_ADMITTED);
    atomic_fetch_add(&told->mute, answer == ASK_MUTE);
    atomic_fetch_add(&told->refused, answer == ASK_REFUSED);
    if (answer == ASK_ADMITTED && course == LET_GO)
        (void)ask_end(&link, false, true);
    else if (answer == ASK_ADMITTED && ask_sent(&link)) {
        atomic_store(&told->calls[number].gone, 1);
        if (course == WHOLE)
            (void)!(kind == ASK_STREAM ? ask_streamed(&link, 20, 10) : ask_answered(&link, 20, 10));
        if (course != VANISH)
            (void)ask_end(&link, true, course == BROKEN);
    }
    client_close(&link);
}

/* ---- questions and words of an operator -------------------------------------------------------
 */

static char reply[1 << 20];

static int question(const struct client_place *place, const char *json)
{
    struct client_link link;
    int code = -1;

    if (!dial(place, &link))
        return code;
    code = ask_question(&link, json, reply, sizeof reply, 8 * WIRE_SILENCE_MS);
    client_close(&link);
    return code;
}

static void questions(const struct client_place *place)
{
    static const char *const all[] = {
        "{\"verb\":\"ping\"}",
        "{\"verb\":\"status\"}",
        "{\"verb\":\"runs\"}",
        "{\"verb\":\"calls\",\"all\":true}",
        "{\"verb\":\"events\",\"all\":true}",
        "{\"verb\":\"receipts\",\"all\":true}",
        "{\"verb\":\"verify\"}",
        "{\"verb\":\"status\",\"run\":\"none\"}",
    };

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        (void)question(place, all[i]);
}

#define NEEDS_A_YES "\"risk\":\"R3\",\"complexity\":\"L1\",\"requires_approval\":true"
#define WHO         "\"actor\":\"a\",\"reason\":\"r\""
/* No run lives: it is nobody's launcher who says it. */
static void words(const struct client_place *place, const struct faults_told *told)
{
    static const char *const all[] = {
        "{\"verb\":\"profile.set\",\"profile\":\"economy\"," WHO "}",
        "{\"verb\":\"profile.get\"}",
        "{\"verb\":\"cooldown.set\",\"provider\":\"xai\",\"ms\":60000," WHO "}",
        "{\"verb\":\"cooldown.list\"}",
        "{\"verb\":\"stop\",\"session\":\"s\"," WHO "}",
        "{\"verb\":\"reset\",\"session\":\"s\"," WHO "}",
        "{\"verb\":\"override.list\"}",
        "{\"verb\":\"approvals\"}",
        "{\"verb\":\"snapshot\"}",
        "{\"verb\":\"metrics\"}",
        "{\"verb\":\"records\",\"all\":true}",
        "{\"verb\":\"decisions\",\"all\":true}",
        "{\"verb\":\"reprice\",\"all\":true," WHO "}",
        "{\"verb\":\"clock.accept\"," WHO "}",
        "{\"verb\":\"route\",\"task_id\":\"t\",\"tier\":\"T1\"," NEEDS_A_YES "}",
    };
    char id[37], text[900];

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        (void)question(place, all[i]);
    client_uuid_text(told->calls[0].id, id);
    (void)snprintf(text, sizeof text,
                   "{\"verb\":\"correct\",\"call\":\"%s\",\"cost_usd\":\"0.02\"," WHO "}", id);
    (void)question(place, text);
    (void)snprintf(text, sizeof text, "{\"verb\":\"backup\",\"dir\":\"%.500s/copy\"}", place->home);
    (void)question(place, text);
}

static void file_read(const struct client_place *place, const char *name, char *out, size_t size)
{
    char path[600];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", place->home, name);
    file = fopen(path, "re");
    if (file == NULL || fgets(out, (int)size, file) == NULL)
        *out = '\0';
    if (file != NULL)
        (void)fclose(file);
    out[strcspn(out, "\n")] = '\0';
}

/* The same over HTTP; what it answers does not matter. */
static void over_http(const struct client_place *place, const char *line, const char *body)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 2};
    char url[100], token[100], text[600];
    const char *port;
    int fd;

    file_read(place, "control", url, sizeof url);
    file_read(place, "operator.token", token, sizeof token);
    port = strrchr(url, ':');
    fd = port != NULL ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    to.sin_port = htons((uint16_t)atoi(port + 1));
    (void)snprintf(text, sizeof text,
                   "%s HTTP/1.1\r\nHost: 127.0.0.1%s\r\nConnection: close\r\nAuthorization: Bearer "
                   "%s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   line, port, token, strlen(body), body);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text))
        while (recv(fd, reply, sizeof reply, 0) > 0)
            ;
    (void)close(fd);
}

/* ---- a person is asked ------------------------------------------------------------------------
 */

/* A launcher of its own, so that whoever says yes is outside; it lives until word ends. */
static bool launch(const struct client_place *place, int run_out, int word)
{
    struct client_link link;
    struct side_spec spec;
    struct ask_run run;
    char nothing;

    ask_spec(&spec);
    spec.limits[GOV_STEPS] = (struct gov_limit){1, GOV_APPROVAL_REQUIRED};
    if (!dial(place, &link) || !ask_run_open(&link, &spec, &run) ||
        write(run_out, &run, sizeof run) != sizeof run)
        return false;
    (void)!read(word, &nothing, 1);
    client_close(&link);
    return true;
}

/* Until there is a question; what it is answered. */
static bool answered(const struct client_place *place, const char *verb)
{
    static const char member[] = "\"checkpoint_id\":\"";
    const char *id = NULL;
    char text[300];

    for (unsigned i = 0; i < 50 && id == NULL; i++) {
        if (question(place, "{\"verb\":\"approvals\"}") != 0)
            return false;
        id = strstr(reply, member);
    }
    if (id == NULL)
        return false;
    (void)snprintf(text, sizeof text, "{\"verb\":\"%s\",\"id\":\"%.36s\"," WHO "}", verb,
                   id + strlen(member));
    return question(place, text) == 0;
}

/* A call that is more than its limit; it is let go where nobody can be asked. */
static void asked_call(const struct client_place *place, const struct ask_run *run,
                       struct faults_told *told, const char *verb)
{
    unsigned number = atomic_load(&told->count);
    struct client_link link;
    char reason[64];
    bool admitted;

    if (!dial(place, &link))
        return;
    client_uuid7(told->calls[number].id);
    atomic_store(&told->count, number + 1);
    admitted = ask_send(&link, told->calls[number].id, run, ASK_PLAIN) && answered(place, verb) &&
               ask_verdict(&link, 4 * WIRE_SILENCE_MS, reason) == ASK_ADMITTED;
    atomic_store(&told->calls[number].admitted, admitted);
    if (admitted && ask_sent(&link)) {
        atomic_store(&told->calls[number].gone, 1);
        (void)!(ask_answered(&link, 20, 10) && ask_end(&link, true, false));
    }
    client_close(&link);
}

static void ask_somebody(const struct client_place *place, struct faults_told *told)
{
    int runs[2], word[2], status;
    struct ask_run run;
    pid_t pid;

    if (pipe2(runs, O_CLOEXEC) != 0 || pipe2(word, O_CLOEXEC) != 0)
        ask_die("pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        (void)close(word[1]);
        _exit(launch(place, runs[1], word[0]) ? 0 : 1);
    }
    (void)close(runs[1]);
    if (read(runs[0], &run, sizeof run) == sizeof run) {
        one_call(place, &run, told, ASK_PLAIN, WHOLE);
        asked_call(place, &run, told, "approve");
        asked_call(place, &run, told, "deny");
    }
    (void)close(word[1]);
    (void)close(word[0]);
    (void)close(runs[0]);
    (void)waitpid(pid, &status, 0);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

void faults_scenario(const struct client_place *place, struct faults_told *told)
{
    struct client_link launcher;
    struct side_spec spec;
    struct ask_run run;

    ask_spec(&spec);
    spec.limits[GOV_STEPS].amount = 5;
    spec.limits[GOV_COST].amount = INT64_C(1000000000000);
    spec.windows[0].scope = GOV_GLOBAL;
    spec.windows[0].window = GOV_DAILY;
    spec.windows[0].limits[GOV_COST] = (struct gov_limit){INT64_C(1000000000000000), GOV_HARD_STOP};
    spec.window_count = 1;
    if (!dial(place, &launcher) || !ask_run_open(&launcher, &spec, &run))
        return;
    one_call(place, &run, told, ASK_PLAIN, WHOLE);
    one_call(place, &run, told, ASK_PLAIN, LET_GO);
    one_call(place, &run, told, ASK_STREAM, WHOLE);
    one_call(place, &run, told, ASK_LARGE, WHOLE);
    one_call(place, &run, told, ASK_PLAIN, VANISH);
    one_call(place, &run, told, ASK_STREAM, BROKEN);
    questions(place);
    one_call(place, &run, told, ASK_PLAIN, WHOLE); /* more than its steps: refused */
    one_call(place, &run, told, ASK_PLAIN, WHOLE);
    (void)ask_question(&launcher, "{\"verb\":\"run.close\",\"exit\":0,\"state\":2}", reply,
                       sizeof reply, WIRE_SILENCE_MS);
    client_close(&launcher);
    words(place, told);
    over_http(place, "GET /healthz", "");
    over_http(place, "GET /metrics", "");
    over_http(place, "GET /budget/snapshot", "");
    over_http(place, "POST /budget/profile", "{\"profile\":null}");
    ask_somebody(place, told);
}

/* ---- afterwards ----------------------------------------------------------------------------- */

static void check_call(struct store_view *view, const struct faults_told *told, unsigned number,
                       bool settled, const char *what)
{
    static struct store_event event;
    struct store_call row;
    enum store_err err = store_view_call(view, told->calls[number].id, &row);

    if (atomic_load(&told->calls[number].admitted) != 0 &&
        (err != STORE_OK || row.admission_seq == 0))
        ask_die("%s: call %u was admitted, and is not in the ledger", what, number);
    if (!settled || err != STORE_OK || row.state == STORE_CALL_REFUSED)
        return;
    if (row.state != STORE_CALL_ENDED)
        ask_die("%s: the hold of call %u is stuck", what, number);
    if (atomic_load(&told->calls[number].gone) != 0 &&
        (store_view_event(view, row.consumption_seq, &event) != STORE_OK ||
         event.consumption.end == STORE_RELEASED))
        ask_die("%s: call %u had left, and is released", what, number);
}

void faults_check(const struct client_place *place, const struct faults_told *told, bool settled,
                  const char *what)
{
    struct store_error error;
    struct store *store;
    struct store_view *view;
    struct store_proof proof;
    char path[600];

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", place->home);
    if (access(path, F_OK) != 0)
        return; /* it was never made, and nothing was ever told */
    if (store_open(place->home, true, &store, &error) != STORE_OK) {
        if (!settled && atomic_load(&told->count) == 0)
            return; /* made by half, before there was anything in it: the next one makes it */
        ask_die("%s: the ledger does not open: %s", what, error.text);
    }
    if (store_view_open(store, &view) != STORE_OK ||
        store_verify(view, NULL, NULL, NULL, &proof) != STORE_OK)
        ask_die("%s: the ledger cannot be read", what);
    if (!proof.chain || !proof.sums || !proof.caps)
        ask_die("%s: verify: record %llu: %s", what, (unsigned long long)proof.first_bad,
                proof.what);
    for (unsigned i = 0; i < atomic_load(&told->count); i++)
        check_call(view, told, i, settled, what);
    store_view_close(view);
    store_close(store);
}
