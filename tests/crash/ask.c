/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t ask_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void ask_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fflush(stdout);
    (void)fputs("not ok: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* ---- state directories and sidecars --------------------------------------------------------- */

void ask_home_make(struct client_place *place, const char *what)
{
    const char *dir = getenv("TMPDIR");

    (void)snprintf(place->home, sizeof place->home, "%s/flyball-%s-XXXXXX",
                   dir != NULL ? dir : "/dev/shm", what);
    if (mkdtemp(place->home) == NULL)
        ask_die("%s: %s", place->home, strerror(errno));
}

void ask_home_remove(const struct client_place *place)
{
    char command[700];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->home);
    if (system(command) != 0)
        ask_die("%s cannot be removed", place->home);
}

int ask_command_verify(const struct client_place *place, const char *build, char *said, size_t size)
{
    char program[600];
    int ends[2], status;
    FILE *answer;
    pid_t pid;

    (void)snprintf(program, sizeof program, "%s/flyball", build);
    if (pipe2(ends, O_CLOEXEC) != 0)
        ask_die("pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        if (setenv("FLYBALL_HOME", place->home, 1) == 0)
            (void)execl(program, "flyball", "verify", "--json", NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    answer = fdopen(ends[0], "re");
    if (answer == NULL || waitpid(pid, &status, 0) != pid)
        ask_die("flyball verify: %s", strerror(errno));
    said[fread(said, 1, size - 1, answer)] = '\0';
    (void)fclose(answer);
    return status;
}

/* Whoever has the ledger's lock and is a child that was not waited for: its number is its own. */
pid_t ask_sidecar_pid(const struct client_place *place)
{
    char path[600], text[32] = "";
    siginfo_t info = {0};
    pid_t pid;
    int fd;

    (void)snprintf(path, sizeof path, "%s/lock", place->home);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    (void)!read(fd, text, sizeof text - 1);
    (void)close(fd);
    pid = (pid_t)atoi(text);
    if (pid <= 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != 0)
        return 0;
    return pid;
}

void ask_sidecar_end(const struct client_place *place)
{
    pid_t pid = ask_sidecar_pid(place);
    int status;

    if (pid == 0)
        ask_die("no sidecar at the end");
    (void)kill(pid, SIGTERM);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        ask_die("the sidecar ended with status 0x%x", (unsigned)status);
}

/* ---- runs and questions ------------------------------------------------------------------- */

void ask_spec(struct side_spec *out)
{
    side_spec_init(out);
    out->bare = false;
    out->clamp = false;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        out->limits[dim] = out->session_limits[dim] = (struct gov_limit){0, GOV_HARD_STOP};
}

static bool text_send(const struct client_link *link, const char *text)
{
    unsigned char frame[16384];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_REQUEST);
    wire_raw(&w, text, strlen(text));
    return !w.overflow && client_send(link, frame, w.used, -1) == CLIENT_OK;
}

/* The rest of a frame as text, after what is there. */
static void text_add(char *out, size_t size, const struct wire_reader *r)
{
    size_t used = strlen(out), count = r->left < size - 1 - used ? r->left : size - 1 - used;

    memcpy(out + used, r->at, count);
    out[used + count] = '\0';
}

int ask_question(const struct client_link *link, const char *json, char *out, size_t size,
                 int wait_ms)
{
    static unsigned char frame[WIRE_FRAME_MAX];
    struct wire_reader r;
    struct wire_head head;
    struct wire_value value;

    out[0] = '\0';
    if (!text_send(link, json))
        return -1;
    for (;;) {
        int fd, code = -1;
        ssize_t count = client_receive(link, frame, sizeof frame, wait_ms, &fd);

        if (fd >= 0)
            (void)close(fd);
        if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head))
            return -1;
        if (head.type == WIRE_REPLY)
            text_add(out, size, &r);
        if (head.type != WIRE_DONE)
            continue;
        while (wire_next(&r, &value))
            if (value.tag == WIRE_STATUS)
                code = (int)wire_number(&value);
        return code;
    }
}

bool ask_run_open(const struct client_link *link, const struct side_spec *spec, struct ask_run *out)
{
    json_t *request = json_pack("{s:s,s:o,s:s}", "verb", "run.open", "spec", side_spec_json(spec),
                                "argv0", "crash");
    char *text = json_dumps(request, JSON_COMPACT), reply[1024];
    json_t *answer = NULL;
    bool ok = text != NULL && ask_question(link, text, reply, sizeof reply, 10000) == 0;

    if (ok)
        answer = json_loads(reply, 0, NULL);
    ok = answer != NULL &&
         client_hex16(json_string_value(json_object_get(answer, "run_id")), out->id) &&
         client_hex16(json_string_value(json_object_get(answer, "token")), out->token);
    json_decref(answer);
    json_decref(request);
    free(text);
    return ok;
}

/* ---- a call ------------------------------------------------------------------------------- */

#define LARGE_BYTES (300 << 10)

/* No request begins like another one: the hold of each is the same. */
static int body_make(const uint8_t id[16], enum ask_kind kind, char *out, size_t size)
{
    char text[37];
    int length;

    client_uuid_text(id, text);
    length = snprintf(out, size,
                      "{\"model\":\"gpt-4o-mini\",\"max_tokens\":%d,\"stream\":%s,\"messages\":[{"
                      "\"role\":\"user\",\"content\":\"%s",
                      ASK_OUTPUT_CAP, kind == ASK_STREAM ? "true" : "false", text);
    if (kind == ASK_LARGE) {
        memset(out + length, 'x', LARGE_BYTES);
        length += LARGE_BYTES;
    }
    return length + snprintf(out + length, size - (size_t)length, "\"}]}");
}

static int memfd_of(const char *body, int length)
{
    int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || write(fd, body, (size_t)length) != length ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        ask_die("memfd: %s", strerror(errno));
    return fd;
}

bool ask_send(const struct client_link *link, const uint8_t id[16], const struct ask_run *run,
              enum ask_kind kind)
{
    static char body[LARGE_BYTES + 1024];
    unsigned char frame[1024];
    int length = body_make(id, kind, body, sizeof body), fd = -1;
    struct wire_writer w;
    bool ok;

    wire_begin(&w, frame, sizeof frame, WIRE_ADMIT);
    wire_put(&w, WIRE_CALL_ID, id, 16);
    wire_put(&w, WIRE_RUN_ID, run->id, sizeof run->id);
    wire_put(&w, WIRE_TOKEN, run->token, sizeof run->token);
    wire_put_text(&w, WIRE_METHOD, "POST");
    wire_put_text(&w, WIRE_HOST, "api.openai.com");
    wire_put_text(&w, WIRE_PATH, "/v1/chat/completions");
    if (kind == ASK_LARGE) {
        fd = memfd_of(body, length);
        wire_put_number(&w, WIRE_BODY_BYTES, (uint64_t)length);
    } else {
        wire_put(&w, WIRE_BODY, body, (size_t)length);
    }
    ok = client_send(link, frame, w.used, fd) == CLIENT_OK;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* "flyball: reason: ..." */
static void reason_of(const struct wire_value *value, char reason[64])
{
    const char *at = value->bytes;
    size_t from = 0, used = 0;

    while (from < value->count && at[from] != ' ')
        from++;
    for (from++; from < value->count && at[from] != ':' && used < 63; from++)
        reason[used++] = at[from];
    reason[used] = '\0';
}

static enum ask_answer decision_of(struct wire_reader *r, char reason[64])
{
    struct wire_value value;
    uint64_t decision = 0;

    while (wire_next(r, &value)) {
        if (value.tag == WIRE_DECISION)
            decision = wire_number(&value);
        else if (value.tag == WIRE_TEXT)
            reason_of(&value, reason);
    }
    return decision == WIRE_ADMITTED || decision == WIRE_CLAIMED ? ASK_ADMITTED : ASK_REFUSED;
}

enum ask_answer ask_verdict(const struct client_link *link, int silence_ms, char reason[64])
{
    static unsigned char frame[WIRE_FRAME_MAX];
    int64_t until =
        client_now_ms() + (silence_ms > WIRE_PATIENCE_MS ? silence_ms : WIRE_PATIENCE_MS);
    struct wire_reader r;
    struct wire_head head;

    reason[0] = '\0';
    while (client_now_ms() < until) {
        int fd;
        ssize_t count = client_receive(link, frame, sizeof frame, silence_ms, &fd);

        if (fd >= 0)
            (void)close(fd);
        if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head))
            return count == 0 ? ASK_MUTE : ASK_LOST;
        if (head.type == WIRE_VERDICT)
            return decision_of(&r, reason);
    }
    return ASK_MUTE;
}

bool ask_sent(const struct client_link *link)
{
    unsigned char frame[64];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_SENT);
    return client_send(link, frame, w.used, -1) == CLIENT_OK;
}

static bool head_send(const struct client_link *link, const char *type)
{
    unsigned char frame[256];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_RESPONSE);
    wire_put_number(&w, WIRE_STATUS, 200);
    wire_put_text(&w, WIRE_HEADER, type);
    return client_send(link, frame, w.used, -1) == CLIENT_OK;
}

static bool data_send(const struct client_link *link, uint64_t *offset, const char *text)
{
    unsigned char frame[16384];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_DATA);
    wire_raw(&w, offset, sizeof *offset);
    wire_raw(&w, text, strlen(text));
    *offset += strlen(text);
    return !w.overflow && client_send(link, frame, w.used, -1) == CLIENT_OK;
}

bool ask_answered(const struct client_link *link, unsigned input, unsigned output)
{
    char text[512];
    uint64_t offset = 0;

    (void)snprintf(text, sizeof text,
                   "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"model\":"
                   "\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                   "\"content\":\"hi\"}}],\"usage\":{\"prompt_tokens\":%u,"
                   "\"completion_tokens\":%u,\"total_tokens\":%u}}",
                   input, output, input + output);
    return head_send(link, "content-type: application/json") && data_send(link, &offset, text);
}

bool ask_streamed(const struct client_link *link, unsigned input, unsigned output)
{
    static const char event[] = "data: {\"id\":\"chatcmpl-1\",\"object\":"
                                "\"chat.completion.chunk\",\"model\":\"gpt-4o-mini\","
                                "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    char text[8192] = "";
    uint64_t offset = 0;
    bool ok = head_send(link, "content-type: text/event-stream");

    for (unsigned i = 0; i < 40; i++)
        (void)strcat(text, event);
    for (unsigned i = 0; i < 16 && ok; i++)
        ok = data_send(link, &offset, text);
    (void)snprintf(text, sizeof text,
                   "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o-mini\",\"choices\":[],"
                   "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u}}"
                   "\n\ndata: [DONE]\n\n",
                   input, output, input + output);
    return ok && data_send(link, &offset, text);
}

bool ask_end(const struct client_link *link, bool sent, bool broken)
{
    unsigned char frame[64];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_END);
    wire_put_number(&w, WIRE_FLAGS, (sent ? WIRE_WAS_SENT : 0) | (broken ? WIRE_BROKEN : 0));
    return client_send(link, frame, w.used, -1) == CLIENT_OK;
}

enum ask_answer ask_claim(struct client_link *link, const struct client_place *place, bool start,
                          const uint8_t id[16], const struct ask_run *run, bool sent)
{
    unsigned char frame[256];
    char reason[256];
    struct wire_writer w;
    bool started;

    client_close(link);
    if (!client_open(link, place, start, &started, reason, sizeof reason))
        return ASK_LOST;
    wire_begin(&w, frame, sizeof frame, WIRE_CLAIM);
    wire_put(&w, WIRE_CALL_ID, id, 16);
    wire_put(&w, WIRE_RUN_ID, run->id, sizeof run->id);
    wire_put(&w, WIRE_TOKEN, run->token, sizeof run->token);
    wire_put_number(&w, WIRE_FLAGS, sent ? WIRE_WAS_SENT : 0);
    if (client_send(link, frame, w.used, -1) != CLIENT_OK)
        return ASK_LOST;
    return ask_verdict(link, 2000, reason);
}
