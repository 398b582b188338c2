/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that has no room, or that fails, below a sidecar: `full fill|fail BUILD DIRECTORY FILLER`.
 * Calls are in flight when the file FILLER takes all the room there is. fill (FILLER beside the
 * ledger): new calls are then refused, with the reason, those in flight are settled, and once there
 * is room again calls are admitted, by the same sidecar. fail (FILLER below the disk itself, so
 * that it fails): refused, or no answer; what was admitted is what the ledger has. The ledger is
 * left in DIRECTORY/home, and the list of what must be in it in DIRECTORY.told, for `full check -
 * DIRECTORY -`. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/ask.h"

#define IN_FLIGHT   20u
#define CALLS       20000u
#define PATIENCE_MS 60000
#define PIECE       (64 << 10)

struct told {
    uint8_t id[16];
    bool settled;
};

static struct client_place place;
static struct told told[CALLS];
static unsigned told_count;

/* ---- room -------------------------------------------------------------------------------------
 */

static void fill(const char *path)
{
    static const char piece[PIECE];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    size_t size = sizeof piece;

    if (fd < 0)
        ask_die("%s: %s", path, strerror(errno));
    for (;;) {
        if (write(fd, piece, size) > 0)
            continue;
        if (size == 1)
            break;
        size /= 2;
    }
    (void)fsync(fd);
    (void)close(fd);
}

/* ---- calls ------------------------------------------------------------------------------------
 */

static bool dial(struct client_link *link)
{
    char reason[512];
    bool started;

    return client_open(link, &place, true, &started, reason, sizeof reason);
}

/* On ASK_ADMITTED the call is noted, and sent. */
static enum ask_answer call_begin(struct client_link *link, const struct ask_run *run,
                                  char reason[64])
{
    struct told *call = &told[told_count];
    enum ask_answer answer;

    (void)snprintf(reason, 64, "no connection");
    if (told_count == CALLS)
        ask_die("%u calls were admitted on a full disk", CALLS);
    if (!dial(link))
        return ASK_LOST;
    client_uuid7(call->id);
    answer = ask_send(link, call->id, run, ASK_PLAIN) ? ask_verdict(link, WIRE_SILENCE_MS, reason)
                                                      : ASK_LOST;
    if (answer == ASK_ADMITTED) {
        told_count++;
        (void)ask_sent(link);
    } else {
        client_close(link);
    }
    return answer;
}

static void call_end(struct client_link *link)
{
    (void)!(ask_answered(link, 20, 10) && ask_end(link, true, false));
    client_close(link);
}

static struct client_link run_open(struct ask_run *run)
{
    struct client_link link;
    struct side_spec spec;

    ask_spec(&spec);
    spec.limits[GOV_COST].amount = INT64_C(1000000000000000);
    if (!dial(&link) || !ask_run_open(&link, &spec, run))
        ask_die("no run can be opened");
    return link;
}

/* Until one is not admitted; reason says why. */
static enum ask_answer until_refused(const struct ask_run *run, char reason[64])
{
    struct client_link link;
    enum ask_answer answer;

    while ((answer = call_begin(&link, run, reason)) == ASK_ADMITTED)
        call_end(&link);
    return answer;
}

static void until_admitted(const struct ask_run *run)
{
    const struct timespec pause = {0, 20000000};
    int64_t until = client_now_ms() + PATIENCE_MS;
    struct client_link link;
    char reason[64];

    while (call_begin(&link, run, reason) != ASK_ADMITTED) {
        if (client_now_ms() > until)
            ask_die("there is room again, and calls are still refused: %s", reason);
        (void)nanosleep(&pause, NULL);
    }
    call_end(&link);
}

/* All that was said is booked. */
static void catch_up(const struct ask_run *run)
{
    struct client_link link;
    char text[37], request[128], reply[8192];
    int64_t until = client_now_ms() + PATIENCE_MS;

    client_uuid_text(run->id, text);
    (void)snprintf(request, sizeof request, "{\"verb\":\"status\",\"run\":\"%s\"}", text);
    do {
        if (client_now_ms() > until)
            ask_die("calls in flight are not settled: %s", reply);
        if (!dial(&link))
            ask_die("the sidecar is gone");
        (void)ask_question(&link, request, reply, sizeof reply, 10000);
        client_close(&link);
    } while (strstr(reply, "\"in_flight\":0") == NULL);
}

/* ---- the two stories ----------------------------------------------------------------------------
 */

static void story_fill(const char *filler)
{
    struct client_link links[IN_FLIGHT], launcher;
    struct ask_run run;
    char reason[64];
    pid_t pid;

    launcher = run_open(&run);
    pid = ask_sidecar_pid(&place);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        if (call_begin(&links[i], &run, reason) != ASK_ADMITTED)
            ask_die("refused on an empty disk: %s", reason);
    fill(filler);
    if (until_refused(&run, reason) != ASK_REFUSED || strcmp(reason, "ledger_write_failure") != 0)
        ask_die("a full disk: not refused for that: %s", reason);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        call_end(&links[i]);
    catch_up(&run);
    for (unsigned i = 0; i < told_count; i++)
        told[i].settled = true;
    if (until_refused(&run, reason) != ASK_REFUSED)
        ask_die("still full: not refused: %s", reason);
    (void)unlink(filler);
    until_admitted(&run);
    if (ask_sidecar_pid(&place) != pid)
        ask_die("it is another sidecar");
    client_close(&launcher);
    ask_sidecar_end(&place);
    printf("full: refused when there was no room, %u in flight settled, %u calls in all, and on it "
           "went\n",
           IN_FLIGHT, told_count);
}

/* The calls that are asked for when it fails may find no sidecar, a silent one, or a refusal. */
static void story_fail(const char *filler)
{
    struct client_link links[IN_FLIGHT], launcher;
    struct ask_run run;
    char reason[64];
    unsigned before;
    pid_t pid;

    launcher = run_open(&run);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        if (call_begin(&links[i], &run, reason) != ASK_ADMITTED)
            ask_die("refused on a good disk: %s", reason);
    fill(filler);
    (void)until_refused(&run, reason);
    before = told_count;
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        if (call_begin(&links[i], &run, reason) == ASK_ADMITTED)
            ask_die("admitted on a disk that failed");
    client_close(&launcher);
    pid = ask_sidecar_pid(&place);
    if (pid != 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    printf("fail: %u calls admitted, none after the disk had failed (%s)\n", before, reason);
}

/* ---- afterwards ---------------------------------------------------------------------------------
 */

static void told_write(const char *path)
{
    FILE *file = fopen(path, "we");

    if (file == NULL || fwrite(told, sizeof told[0], told_count, file) != told_count ||
        fclose(file) != 0)
        ask_die("%s: %s", path, strerror(errno));
}

static void check(const char *path)
{
    FILE *file = fopen(path, "re");
    struct store_error error;
    struct store *store;
    struct store_view *view;
    struct store_proof proof;
    struct store_call row;

    if (file == NULL)
        ask_die("%s: %s", path, strerror(errno));
    told_count = (unsigned)fread(told, sizeof told[0], CALLS, file);
    (void)fclose(file);
    if (store_open(place.home, true, &store, &error) != STORE_OK)
        ask_die("the ledger does not open: %s", error.text);
    if (store_view_open(store, &view) != STORE_OK ||
        store_verify(view, NULL, NULL, NULL, &proof) != STORE_OK || !proof.chain || !proof.sums ||
        !proof.caps)
        ask_die("verify: %s", proof.what);
    for (unsigned i = 0; i < told_count; i++) {
        if (store_view_call(view, told[i].id, &row) != STORE_OK || row.admission_seq == 0)
            ask_die("an acknowledged hold is not in the ledger");
        if (told[i].settled && row.state != STORE_CALL_ENDED)
            ask_die("an acknowledged settlement is not in the ledger");
    }
    store_view_close(view);
    store_close(store);
    printf("check: all %u are in the ledger, which proves itself\n", told_count);
}

int main(int argc, char **argv)
{
    char path[600];

    if (argc < 5)
        ask_die("usage: full fill|fail|check BUILD DIRECTORY FILLER");
    (void)snprintf(place.directory, sizeof place.directory, "%s", argv[2]);
    (void)snprintf(place.home, sizeof place.home, "%.500s/home", argv[3]);
    (void)snprintf(path, sizeof path, "%s.told", argv[3]);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (strcmp(argv[1], "check") == 0) {
        check(path);
        return 0;
    }
    if (strcmp(argv[1], "fill") == 0)
        story_fill(argv[4]);
    else
        story_fail(argv[4]);
    told_write(path);
    return 0;
}
