/* SPDX-License-Identifier: Apache-2.0 */
/* usage: nonsense SOCKET BODY-FILE
 * A peer of the sidecar that does not keep to the frames of shim/wire.h, each piece of nonsense on
 * connections of its own. Prints `NAME: OUTCOME` lines; the outcome is what came back: `end` (of
 * the connection), `silence`, `mismatch VERSION`, `admitted`, `refused`, or `type N`. */
#include "shim/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SILENCE_MS = 300, FDS_MAX = 100, CALL_ID_BYTES = 16 };

static const char *socket_path;
static char body[65536];
static size_t body_bytes;

static int dial(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void send_with(int fd, const void *bytes, size_t count, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control;
    struct iovec piece = {(void *)(uintptr_t)bytes, count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * fd_count);
    }
    (void)!sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void print_frame(const char *name, const unsigned char *frame, size_t count)
{
    struct wire_head head;
    struct wire_reader reader;
    struct wire_value value;

    if (!wire_open(&reader, frame, count, &head)) {
        printf("%s: not a frame\n", name);
        return;
    }
    if (head.type != WIRE_VERDICT && head.type != WIRE_MISMATCH) {
        printf("%s: type %u\n", name, head.type);
        return;
    }
    while (wire_next(&reader, &value)) {
        if (value.tag == WIRE_VERSION_IS)
            printf("%s: mismatch %llu\n", name, (unsigned long long)wire_number(&value));
        if (value.tag == WIRE_DECISION)
            printf("%s: %s\n", name, wire_number(&value) == WIRE_ADMITTED ? "admitted" : "refused");
    }
}

/* What comes back first, heartbeats left out. Closes fd. */
static void outcome(const char *name, int fd)
{
    unsigned char frame[WIRE_FRAME_MAX];
    struct wire_head head;
    ssize_t got;

    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        if (poll(&ready, 1, SILENCE_MS) == 0) {
            printf("%s: silence\n", name);
            break;
        }
        got = recv(fd, frame, sizeof frame, 0);
        if (got <= 0) {
            printf("%s: end\n", name);
            break;
        }
        memcpy(&head, frame, sizeof head);
        if (head.type == WIRE_HEARTBEAT)
            continue;
        print_frame(name, frame, (size_t)got);
        break;
    }
    close(fd);
    fflush(stdout);
}

static void new_id(unsigned char id[CALL_ID_BYTES])
{
    struct timespec now;
    uint64_t ms;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (int i = 0; i < CALL_ID_BYTES; i++)
        id[i] = (unsigned char)rand();
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    id[6] = (unsigned char)(0x70 | (id[6] & 15));
    id[8] = (unsigned char)(0x80 | (id[8] & 63));
}

/* A good ADMIT in frame; stated is its body's length as it tells it. */
static size_t admit_frame(unsigned char *frame, uint64_t stated)
{
    struct wire_writer w;
    unsigned char id[CALL_ID_BYTES];

    new_id(id);
    wire_begin(&w, frame, WIRE_FRAME_MAX, WIRE_ADMIT);
    wire_put(&w, WIRE_CALL_ID, id, sizeof id);
    wire_put_text(&w, WIRE_METHOD, "POST");
    wire_put_text(&w, WIRE_HOST, "api.anthropic.com");
    wire_put_text(&w, WIRE_PATH, "/v1/messages");
    wire_put_text(&w, WIRE_CONTENT_TYPE, "application/json");
    wire_put_number(&w, WIRE_FLAGS, 0);
    wire_put_number(&w, WIRE_BODY_BYTES, stated);
    wire_put_number(&w, WIRE_WAIT_MS, 1000);
    return w.used;
}

static int body_memfd(bool sealed)
{
    int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)!write(fd, body, body_bytes);
    if (sealed)
        (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    return fd;
}

/* Takes passed (-1: none). */
static void admit(const char *name, int passed, uint64_t stated)
{
    unsigned char frame[WIRE_FRAME_MAX];
    size_t count = admit_frame(frame, stated);
    int fd = dial(SOCK_SEQPACKET);

    send_with(fd, frame, count, &passed, passed >= 0);
    if (passed >= 0)
        close(passed);
    outcome(name, fd);
}

static void bodies(void)
{
    int ends[2], fd;

    admit("a sealed body", body_memfd(true), body_bytes);
    admit("an unsealed body", body_memfd(false), body_bytes);
    admit("no body, of which a length is told", -1, body_bytes);
    admit("a body shorter than told", body_memfd(true), body_bytes + 4096);
    admit("a body longer than told", body_memfd(true), 2);
    admit("a body beyond all bounds", body_memfd(true), UINT64_MAX);
    fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    (void)!ftruncate(fd, (off_t)1 << 40);
    admit("an unsealed body of a terabyte", fd, (uint64_t)1 << 40);
    admit("a device for a body", open("/dev/zero", O_RDONLY | O_CLOEXEC), body_bytes);
    admit("a directory for a body", open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), body_bytes);
    (void)!pipe2(ends, O_CLOEXEC);
    admit("a pipe for a body", ends[0], body_bytes);
    close(ends[1]);
    admit("a socket for a body", dial(SOCK_SEQPACKET), body_bytes);
}

static void random_bytes(void)
{
    unsigned char frame[4096];

    for (int i = 0; i < 500; i++) {
        int fd = dial(SOCK_SEQPACKET);

        for (int packets = rand() % 4; packets >= 0; packets--) {
            size_t count = (size_t)rand() % sizeof frame;
            const struct wire_head head = {WIRE_MAGIC, WIRE_VERSION, (uint16_t)(rand() % 64)};

            for (size_t j = 0; j < count; j++)
                frame[j] = (unsigned char)rand();
            if (rand() % 2)
                memcpy(frame, &head, sizeof head);
            send_with(fd, frame, count, NULL, 0);
        }
        close(fd);
    }
    puts("random bytes: sent");
}

static void truncated(void)
{
    unsigned char frame[WIRE_FRAME_MAX];
    size_t count = admit_frame(frame, body_bytes);

    for (size_t cut = 0; cut < count; cut++) {
        int passed = body_memfd(true);
        int fd = dial(SOCK_SEQPACKET);

        send_with(fd, frame, cut, &passed, 1);
        close(passed);
        close(fd);
    }
    puts("truncated frames: sent");
}

/* Every bit of a good ADMIT but its call id flipped, one at a time. */
static void flipped(void)
{
    unsigned char frame[WIRE_FRAME_MAX];

    for (size_t bit = 0;; bit++) {
        size_t count = admit_frame(frame, body_bytes);
        int passed, fd;

        if (bit >= count * 8)
            break;
        passed = body_memfd(true);
        fd = dial(SOCK_SEQPACKET);
        frame[bit / 8] ^= (unsigned char)(1 << (bit % 8));
        send_with(fd, frame, count, &passed, 1);
        close(passed);
        close(fd);
    }
    puts("flipped bits: sent");
}

static void versions(void)
{
    unsigned char frame[WIRE_FRAME_MAX];
    size_t count = admit_frame(frame, body_bytes);
    struct wire_head head = {WIRE_MAGIC, WIRE_VERSION + 1, WIRE_ADMIT};
    int fd = dial(SOCK_SEQPACKET);

    memcpy(frame, &head, sizeof head);
    send_with(fd, frame, count, NULL, 0);
    outcome("another version", fd);
    head = (struct wire_head){WIRE_MAGIC + 1, WIRE_VERSION, WIRE_ADMIT};
    memcpy(frame, &head, sizeof head);
    fd = dial(SOCK_SEQPACKET);
    send_with(fd, frame, count, NULL, 0);
    outcome("another magic", fd);
}

/* Frames in an order that makes no sense. */
static void out_of_order(void)
{
    static const enum wire_type types[] = {WIRE_SENT, WIRE_RESPONSE, WIRE_DATA,
                                           WIRE_END,  WIRE_POKE,     WIRE_PAGE,
                                           WIRE_ACK,  WIRE_VERDICT,  WIRE_DONE};
    unsigned char frame[WIRE_FRAME_MAX], id[CALL_ID_BYTES];
    struct wire_writer w;
    int fd;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char name[64];

        fd = dial(SOCK_SEQPACKET);
        wire_begin(&w, frame, sizeof frame, types[i]);
        wire_put_number(&w, WIRE_OFFSET, UINT64_MAX);
        send_with(fd, frame, w.used, NULL, 0);
        snprintf(name, sizeof name, "type %d before an ADMIT", (int)types[i]);
        outcome(name, fd);
    }
    fd = dial(SOCK_SEQPACKET);
    new_id(id);
    wire_begin(&w, frame, sizeof frame, WIRE_CLAIM);
    wire_put(&w, WIRE_CALL_ID, id, sizeof id);
    wire_put_number(&w, WIRE_FLAGS, WIRE_WAS_SENT);
    send_with(fd, frame, w.used, NULL, 0);
    outcome("a claim of a call that nobody made", fd);
}

/* An admitted call whose copy jumps about, and that ends twice. */
static void wild_call(void)
{
    unsigned char frame[WIRE_FRAME_MAX];
    size_t count = admit_frame(frame, body_bytes);
    int passed = body_memfd(true), fd = dial(SOCK_SEQPACKET);
    const uint64_t offsets[] = {0, 1 << 20, 5, UINT64_MAX - 3, 7};
    struct wire_head head = {0};
    struct wire_writer w;

    send_with(fd, frame, count, &passed, 1);
    close(passed);
    do
        (void)!recv(fd, &head, sizeof head, 0);
    while (head.type == WIRE_HEARTBEAT);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        wire_begin(&w, frame, sizeof frame, WIRE_SENT);
        send_with(fd, frame, w.used, NULL, 0);
        wire_begin(&w, frame, sizeof frame, WIRE_RESPONSE);
        wire_put_number(&w, WIRE_STATUS, UINT64_MAX);
        wire_put_text(&w, WIRE_HEADER, "content-type");
        send_with(fd, frame, w.used, NULL, 0);
        wire_begin(&w, frame, sizeof frame, WIRE_DATA);
        wire_put_number(&w, WIRE_OFFSET, offsets[i]);
        wire_raw(&w, body, body_bytes);
        send_with(fd, frame, w.used, NULL, 0);
    }
    for (int i = 0; i < 2; i++) {
        wire_begin(&w, frame, sizeof frame, WIRE_END);
        wire_put_number(&w, WIRE_OFFSET, UINT64_MAX);
        wire_put_number(&w, WIRE_EGRESS, UINT64_MAX);
        wire_put_number(&w, WIRE_SENT_MS, UINT64_MAX);
        send_with(fd, frame, w.used, NULL, 0);
    }
    close(fd);
    puts("a call without order: sent");
}

static void questions(void)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"verb\":1}",
        "{\"ask\":\"nothing\"}",
        "\xff\xfe",
        "{\"ask\":\"status\",\"run\":{\"a\":[1,2]}}",
        "{\"op\":\"run\",\"limits\":\"many\"}",
    };
    unsigned char frame[WIRE_FRAME_MAX];
    struct wire_writer w;
    int fd;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fd = dial(SOCK_SEQPACKET);
        wire_begin(&w, frame, sizeof frame, WIRE_REQUEST);
        wire_put_text(&w, WIRE_TEXT, texts[i]);
        wire_raw(&w, texts[i], strlen(texts[i]));
        send_with(fd, frame, w.used, NULL, 0);
        close(fd);
    }
    wire_begin(&w, frame, sizeof frame, WIRE_REQUEST);
    memset(frame + w.used, '[', sizeof frame - w.used);
    fd = dial(SOCK_SEQPACKET);
    send_with(fd, frame, sizeof frame, NULL, 0);
    close(fd);
    puts("questions without sense: sent");
}

static void descriptors(void)
{
    int fds[FDS_MAX];
    unsigned char frame[WIRE_FRAME_MAX];

    for (int round = 0; round < 20; round++) {
        int fd = dial(SOCK_SEQPACKET);
        size_t count = admit_frame(frame, body_bytes);

        for (int i = 0; i < FDS_MAX; i++)
            fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        send_with(fd, frame, count, fds, FDS_MAX);
        send_with(fd, "x", 1, fds, FDS_MAX);
        for (int i = 0; i < FDS_MAX; i++)
            close(fds[i]);
        close(fd);
    }
    puts("descriptors by the hundred: sent");
}

static void silent_ones(void)
{
    int fds[300];

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        fds[i] = dial(SOCK_SEQPACKET);
    admit("a good call beside 300 silent ones", body_memfd(true), body_bytes);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        close(fds[i]);
}

/* A descriptor that takes no byte for now, and whoever writes waits. */
static int full_pipe(void)
{
    int ends[2];

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return -1;
    while (write(ends[1], body, sizeof body) > 0)
        ;
    (void)fcntl(ends[1], F_SETFL, 0);
    return ends[1];
}

/* A connection to somebody who does not read; whoever closes it last waits. */
static int lingering(void)
{
    const struct linger patience = {1, 600};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(fd, (struct sockaddr *)&address, size) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &patience, sizeof patience) != 0)
        return -1;
    while (send(fd, body, sizeof body, MSG_DONTWAIT) > 0)
        ;
    return fd;
}

/* To be woken, and closed at the end. */
static void brought(const char *name, int fd)
{
    unsigned char frame[WIRE_FRAME_MAX];
    struct wire_writer w;
    int conn = dial(SOCK_SEQPACKET);

    wire_begin(&w, frame, sizeof frame, WIRE_POKE);
    send_with(conn, frame, w.used, &fd, 1);
    close(fd);
    close(conn);
    admit(name, body_memfd(true), body_bytes);
}

int main(int argc, char **argv)
{
    FILE *file;

    if (argc != 3 || (file = fopen(argv[2], "re")) == NULL)
        return 2;
    socket_path = argv[1];
    body_bytes = fread(body, 1, sizeof body / 4, file);
    (void)fclose(file);
    srand(7);
    printf("another kind of socket: %s\n", dial(SOCK_STREAM) < 0 ? "no connection" : "connection");
    silent_ones(); /* before any that says it has sent exabytes: nothing of its run goes after that
                    */
    brought("a good call beside a full pipe", full_pipe());
    brought("a good call beside a close that lingers", lingering());
    bodies();
    versions();
    out_of_order();
    wild_call();
    random_bytes();
    truncated();
    flipped();
    questions();
    descriptors();
    return 0;
}
