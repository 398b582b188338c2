/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that speaks nonsense: `peer SEED ROUNDS` has conversations with the sidecar of
 * $FLYBALL_HOME that are wrong in every way a socket allows: cut frames, fields that lie about
 * their length, unknown types and versions, JSON that is none, descriptors that are not what they
 * should be, frames in any order, and a goodbye at any moment. After each a sane call must be
 * answered. The same seed says the same. tests/fuzz/run looks at what is left behind. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/client.h"
#include "shim/wire.h"
#include "tests/unit/chance.h"

#define FDS_MAX 4
#define SEALS   (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static const char sane_body[] =
    "{\"model\":\"gpt-4o-mini\",\"max_tokens\":16,\"messages\":[{\"role\":"
    "\"user\",\"content\":\"hello\"}]}";
static const char *const texts[] = {
    "POST",
    "GET",
    "api.openai.com",
    "API.OPENAI.COM:443",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1beta/models/gemini-2.5-flash:generateContent",
    "application/json",
    "",
    "\xff\xfe\x80",
    "content-encoding: br",
    "content-type: text/event-stream",
    "FLYBALL_CONFIG=/dev/null",
    "RUNTIME_BUDGET_MAX_COST_USD=1e309",
    "RUNTIME_BUDGET_MAX_COST_USD=5",
    "=",
    "HOME",
};
static const char *const questions[] = {
    "{\"verb\":\"status\"}",
    "{\"verb\":\"runs\",\"limit\":-1}",
    "{\"verb\":\"events\",\"since_ns\":\"yesterday\",\"follow\":true}",
    "{\"verb\":\"calls\",\"run\":\"018f\"}",
    "{\"verb\":\"receipts\",\"run\":{}}",
    "{\"verb\":\"verify\"}",
    "{\"verb\":\"verify\",\"head\":\"abc\"}",
    "{\"verb\":\"run.open\",\"spec\":{\"limits\":{\"cost_usd\":-5}}}",
    "{\"verb\":\"run.open\",\"spec\":{}}",
    "{\"verb\":\"run.open\",\"spec\":[]}",
    "{\"verb\":\"run.attach\",\"run_id\":\"0\",\"token\":\"0\"}",
    "{\"verb\":\"run.close\",\"exit\":9223372036854775807}",
    "{\"verb\":\"run.exhausted\",\"dimension\":\"cost_usd\"}",
    "{\"verb\":null}",
    "[]",
    "{",
};
#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

static struct client_place place;

static void die(const char *what)
{
    fprintf(stderr, "peer: %s\n", what);
    exit(1);
}

static struct client_link dial(void)
{
    struct client_link link;
    char reason[256];
    bool started;

    if (!client_open(&link, &place, false, &started, reason, sizeof reason))
        die(reason);
    return link;
}

/* ---- nonsense ----------------------------------------------------------------------------- */

static int memfd_of(struct chance *chance, const void *bytes, size_t count)
{
    int fd = memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
        die("memfd");
    if (!chance_one_in(chance, 4) && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        die("seals");
    return fd;
}

static int any_fd(struct chance *chance)
{
    unsigned char noise[512];
    int ends[2];

    switch (chance_below(chance, 5)) {
    case 0:
        if (pipe2(ends, O_CLOEXEC) != 0)
            die("pipe");
        close(ends[chance_below(chance, 1)]);
        return ends[1];
    case 1:
        return open("/dev/zero", O_RDWR | O_CLOEXEC);
    case 2:
        return open("/", O_PATH | O_CLOEXEC);
    case 3:
        chance_bytes(chance, noise, sizeof noise);
        return memfd_of(chance, noise, sizeof noise);
    default:
        return memfd_of(chance, sane_body, sizeof sane_body - 1);
    }
}

static uint64_t any_number(struct chance *chance)
{
    static const uint64_t edges[] = {0,         1,         sizeof sane_body - 1, 512, 16, 4096,
                                     256 << 20, INT64_MAX, UINT64_MAX,           200};

    return chance_one_in(chance, 4) ? chance_u64(chance)
                                    : edges[chance_below(chance, COUNT_OF(edges))];
}

static void any_field(struct chance *chance, struct wire_writer *w)
{
    enum wire_tag tag = (enum wire_tag)chance_below(chance, 24);
    unsigned char noise[64];
    const char *text;

    switch (chance_below(chance, 4)) {
    case 0:
        wire_put_number(w, tag, any_number(chance));
        return;
    case 1:
        text = texts[chance_below(chance, COUNT_OF(texts))];
        wire_put(w, tag, text, strlen(text));
        return;
    case 2:
        chance_bytes(chance, noise, sizeof noise);
        wire_put(w, tag, noise, 16);
        return;
    default:
        chance_bytes(chance, noise, sizeof noise);
        wire_put(w, tag, noise, (size_t)chance_below(chance, sizeof noise));
        return;
    }
}

/* A question as it should be, so that what follows finds a call. */
static void sane_fields(struct wire_writer *w, size_t body_bytes)
{
    unsigned char id[16];

    client_uuid7(id);
    wire_put(w, WIRE_CALL_ID, id, sizeof id);
    wire_put_text(w, WIRE_METHOD, "POST");
    wire_put_text(w, WIRE_HOST, "api.openai.com");
    wire_put_text(w, WIRE_PATH, "/v1/chat/completions");
    wire_put_number(w, WIRE_BODY_BYTES, body_bytes);
}

static void ask(const struct client_link *link)
{
    unsigned char frame[1024];
    struct wire_writer w;
    int fd = memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || write(fd, sane_body, sizeof sane_body - 1) < 0 ||
        fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        die("memfd");
    wire_begin(&w, frame, sizeof frame, WIRE_ADMIT);
    sane_fields(&w, sizeof sane_body - 1);
    if (client_send(link, frame, w.used, fd) != CLIENT_OK)
        die("a sane question could not be sent");
    close(fd);
}

static size_t any_frame(struct chance *chance, unsigned char *frame, size_t size)
{
    static const enum wire_type types[] = {
        WIRE_ADMIT, WIRE_SENT, WIRE_RESPONSE, WIRE_DATA,    WIRE_END, WIRE_CLAIM,
        WIRE_POKE,  WIRE_PAGE, WIRE_ACK,      WIRE_REQUEST, 99};
    struct wire_writer w;
    const char *question = questions[chance_below(chance, COUNT_OF(questions))];
    enum wire_type type = types[chance_below(chance, COUNT_OF(types))];

    wire_begin(&w, frame, size, type);
    if (type == WIRE_REQUEST)
        wire_raw(&w, question, strlen(question));
    else if (chance_one_in(chance, 2))
        sane_fields(&w, sizeof sane_body - 1);
    for (int64_t i = type == WIRE_REQUEST ? 0 : chance_below(chance, 6); i > 0; i--)
        any_field(chance, &w);
    for (int64_t i = chance_one_in(chance, 4) ? chance_below(chance, 4) : 0; i > 0; i--)
        frame[chance_below(chance, (int64_t)w.used)] = (unsigned char)chance_u64(chance);
    return chance_one_in(chance, 8) ? (size_t)chance_below(chance, (int64_t)w.used + 1) : w.used;
}

static void send_with(const struct client_link *link, const void *frame, size_t count,
                      const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control = {.space = {0}};
    struct iovec piece = {(void *)(uintptr_t)frame, count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (fd_count > 0) {
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof *fds);
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof *fds);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
    }
    (void)!sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The bytes of an answer, in order or not. */
static size_t any_data(struct chance *chance, unsigned char *frame, size_t size, uint64_t *offset)
{
    static const char *const pieces[] = {
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e309}}\n\n",
        "{\"model\":\"gpt-4o-mini\",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}",
        "data: [DONE]\n\n",
        "\x1f\x8b\x08",
        "",
    };
    const char *piece = pieces[chance_below(chance, COUNT_OF(pieces))];
    struct wire_writer w;

    wire_begin(&w, frame, size, WIRE_DATA);
    if (chance_one_in(chance, 4))
        *offset = any_number(chance);
    wire_raw(&w, offset, sizeof *offset);
    wire_raw(&w, piece, strlen(piece));
    *offset += strlen(piece);
    return w.used;
}

static void talk(struct chance *chance)
{
    struct client_link link = dial();
    unsigned char frame[8192];
    uint64_t offset = 0;

    if (!chance_one_in(chance, 3))
        ask(&link);
    for (int64_t i = chance_below(chance, 6); i >= 0; i--) {
        int fds[FDS_MAX];
        size_t fd_count =
            (size_t)(chance_one_in(chance, 2) ? chance_below(chance, FDS_MAX + 1) : 0);
        size_t count = chance_one_in(chance, 3) ? any_data(chance, frame, sizeof frame, &offset)
                                                : any_frame(chance, frame, sizeof frame);
        int came;

        for (size_t k = 0; k < fd_count; k++)
            fds[k] = any_fd(chance);
        send_with(&link, frame, count, fds, fd_count);
        for (size_t k = 0; k < fd_count; k++)
            close(fds[k]);
        if (chance_one_in(chance, 3) && client_receive(&link, frame, sizeof frame, 1, &came) > 0 &&
            came >= 0)
            close(came);
    }
    client_close(&link);
}

/* ---- sense -------------------------------------------------------------------------------- */

/* A call that is admitted, and released by its caller's going. */
static void sane_call(void)
{
    struct client_link link = dial();
    unsigned char frame[8192];
    struct wire_reader r;
    struct wire_head head = {0};
    struct wire_value value;
    int came;

    ask(&link);
    while (head.type != WIRE_VERDICT) {
        ssize_t count = client_receive(&link, frame, sizeof frame, 10000, &came);

        if (came >= 0)
            close(came);
        if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head))
            die("a sane call was not answered");
    }
    while (wire_next(&r, &value))
        if (value.tag == WIRE_DECISION && wire_number(&value) == WIRE_ADMITTED) {
            client_close(&link);
            return;
        }
    die("a sane call was refused");
}

int main(int argc, char **argv)
{
    struct chance chance = {argc > 1 ? strtoull(argv[1], NULL, 10) : 0};
    long rounds = argc > 2 ? atol(argv[2]) : 0;

    if (rounds <= 0 || !client_home(place.home, sizeof place.home)) {
        fputs("usage: FLYBALL_HOME=DIR peer SEED ROUNDS\n", stderr);
        return 2;
    }
    for (long i = 0; i < rounds; i++) {
        talk(&chance);
        sane_call();
    }
    printf("%ld conversations of nonsense, each followed by a sane call that was admitted\n",
           rounds);
    return 0;
}
