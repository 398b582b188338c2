/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the meter reads, against jansson's parse of the same bytes: the two take turns, and the
 * ratio counts. Prints MB/s and the most memory that a stream held. Run where tests/corpus is.
 * Exit 1: a ratio is below its bar, or a stream holds more than 256 KiB. */
#include <glob.h>
#include <jansson.h>
#include <malloc.h>
#include <time.h>

#include "tests/unit/recorded.h"

#define ROUNDS     21u
#define BYTES      (1u << 20) /* little enough for a cache, as what has just come */
#define PIECE      16384u
#define MEMORY_MAX (256u << 10)

/* ---- memory ------------------------------------------------------------------------------- */

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void __libc_free(void *old);

static long live, most;

static void *count_in(void *made)
{
    live += made != NULL ? (long)malloc_usable_size(made) : 0;
    most = live > most ? live : most;
    return made;
}

void *malloc(size_t bytes)
{
    return count_in(__libc_malloc(bytes));
}

void *calloc(size_t count, size_t bytes)
{
    return count_in(__libc_calloc(count, bytes));
}

void *realloc(void *old, size_t bytes)
{
    live -= old != NULL ? (long)malloc_usable_size(old) : 0;
    return count_in(__libc_realloc(old, bytes));
}

void free(void *old)
{
    live -= old != NULL ? (long)malloc_usable_size(old) : 0;
    __libc_free(old);
}

/* ---- the two ------------------------------------------------------------------------------ */

struct input {
    struct meter_request request; /* of an answer */
    struct meter_target target;   /* of a request */
    char *bytes;
    size_t count;
};

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench/meter: %s\n", what);
    exit(2);
}

static void answer_read(const struct input *input)
{
    const struct meter_response response = {.status = 200};
    struct meter_stream *stream = meter_stream_new(&input->request, &response);
    struct meter_usage usage;

    for (size_t at = 0; at < input->count; at += PIECE)
        if (meter_stream_feed(stream, input->bytes + at,
                              input->count - at < PIECE ? input->count - at : PIECE) != METER_OK)
            fail("an answer cannot be read");
    meter_stream_usage(stream, true, &usage);
    meter_stream_free(stream);
}

static void request_read(const struct input *input)
{
    static struct meter_request request;

    if (meter_request_read(&input->target, input->bytes, input->count, &request, NULL) != METER_OK)
        fail("a request cannot be read");
}

static void parse(const char *bytes, size_t count)
{
    json_error_t error;
    json_t *tree = json_loadb(bytes, count, 0, &error);

    if (tree == NULL)
        fail(error.text);
    json_decref(tree);
}

/* Each event's data, as a client does it. */
static void lines_parse(const struct input *input)
{
    const char *p = input->bytes, *end = p + input->count, *stop;

    for (; p < end; p = stop + 1) {
        stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            break;
        if (stop - p > 6 && p[6] == '{')
            parse(p + 6, (size_t)(stop - p) - 6);
    }
}

static void body_parse(const struct input *input)
{
    parse(input->bytes, input->count);
}

static int by_size(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static bool compared(const char *what, const struct input *input,
                     void (*ours)(const struct input *), void (*theirs)(const struct input *),
                     double bar)
{
    double ratios[ROUNDS], times[ROUNDS], began;
    bool held;

    live = most = 0;
    ours(input);
    held = most > MEMORY_MAX;
    printf("%-44s %9.1f KB", what, (double)most / 1024);
    for (unsigned i = 0; i < ROUNDS; i++) {
        began = seconds();
        ours(input);
        times[i] = seconds() - began;
        began = seconds();
        theirs(input);
        ratios[i] = (seconds() - began) / times[i];
    }
    qsort(ratios, ROUNDS, sizeof *ratios, by_size);
    qsort(times, ROUNDS, sizeof *times, by_size);
    printf(" %8.0f MB/s %7.1f x%s%s\n", (double)input->count / 1e6 / times[ROUNDS / 2],
           ratios[ROUNDS / 2], ratios[ROUNDS / 2] < bar ? "  BELOW THE BAR" : "",
           held ? "  TOO MUCH MEMORY" : "");
    return ratios[ROUNDS / 2] >= bar && !held;
}

/* ---- what is read ------------------------------------------------------------------------- */

/* head, so many times item that it is so many bytes in all, tail. */
static void repeated(struct input *out, size_t bytes, const char *head, const char *item,
                     size_t item_bytes, const char *tail)
{
    size_t times = bytes / item_bytes;
    char *to;

    out->bytes = to = malloc(strlen(head) + times * item_bytes + strlen(tail) + 1);
    if (to == NULL)
        fail("out of memory");
    to = stpcpy(to, head);
    for (size_t i = 0; i < times; i++)
        to = mempcpy(to, item, item_bytes);
    to = stpcpy(to, tail);
    out->count = (size_t)(to - out->bytes);
}

static const struct {
    const char *what, *name, *mark; /* in each event that counts */
} streams[] = {
    {"chat.completions", "openai/openai--chat.completions--s--200--db984881", "\"delta\""},
    {"responses", "openai/openai--responses--s--200--7fc505d4", ".delta\""},
    {"messages", "anthropic/anthropic--messages--s--200--489f6541", "_delta\""},
    {"streamGenerateContent", "gemini/gemini--streamgeneratecontent--s--200--d29a517e",
     "\"parts\""},
};

/* The deltas of a recorded stream, over and over. */
static void deltas_of(struct input *out, const char *name, const char *mark)
{
    struct recorded r = recorded_load(name);
    char *events = malloc(r.bytes * 2 + 1), *to = events;
    const char *p = r.body, *stop;

    for (; (stop = memchr(p, '\n', (size_t)(r.body + r.bytes - p))) != NULL; p = stop + 1)
        if (memmem(p, (size_t)(stop - p), mark, strlen(mark)) != NULL && memcmp(p, "data:", 5) == 0)
            to = stpcpy(mempcpy(to, p, (size_t)(stop - p)), "\n\n");
    if (to == events)
        fail(name);
    out->request = r.request;
    repeated(out, BYTES, "", events, (size_t)(to - events), "");
    free(events);
    recorded_free(&r);
}

static const struct {
    const char *what, *head, *item, *tail;
} lines[] = {
    {"one long string", "{\"messages\":[{\"content\":\"", "the quick brown fox ", "\"}]}"},
    {"one string of short escapes", "{\"messages\":[{\"content\":\"", "\\n\\\"a", "\"}]}"},
    {"one string of \\u escapes", "{\"messages\":[{\"content\":\"", "\\u00e9\\ud83d\\ude00",
     "\"}]}"},
    {"one string of Chinese", "{\"messages\":[{\"content\":\"", "\u6d4b\u8bd5\u4e00\u4e0b",
     "\"}]}"},
    {"many messages", "{\"messages\":[{}",
     ",{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}", "]}"},
    {"many tools", "{\"tools\":[{}", ",{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
     "]}"},
    {"many arrays", "{\"a\":[[]", ",[[[[]]]]", "]}"},
    {"many objects", "{\"a\":[{}", ",{\"b\":{\"c\":{}}}", "]}"},
    {"many numbers", "{\"input\":[1", ",-12.5e3,123456,0", "]}"},
    {"many literals", "{\"a\":[1", ",true,false,null", "]}"},
    {"many blanks", "{\"a\":[1", ",\t                2", "]}"},
};

static bool answers_compared(void)
{
    bool good = true;

    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        struct input input;
        char what[128];

        deltas_of(&input, streams[i].name, streams[i].mark);
        (void)snprintf(what, sizeof what, "deltas of %s", streams[i].what);
        good &= compared(what, &input, answer_read, lines_parse, 10);
        free(input.bytes);
    }
    return good;
}

static bool lines_compared(void)
{
    bool good = true;

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct input input = {
            .target = {.method = "POST", .host = "x", .path = "/v1/chat/completions"}};
        char what[128], head[128];

        if (meter_request_read(&input.target, "{}", 2, &input.request, NULL) != METER_OK)
            fail("the request");
        repeated(&input, BYTES, lines[i].head, lines[i].item, strlen(lines[i].item), lines[i].tail);
        (void)snprintf(what, sizeof what, "request: %s", lines[i].what);
        good &= compared(what, &input, request_read, body_parse, 4);
        free(input.bytes);
        (void)snprintf(head, sizeof head, "data: %s", lines[i].head);
        repeated(&input, BYTES, head, lines[i].item, strlen(lines[i].item), lines[i].tail);
        input.bytes[input.count++] = '\n';
        (void)snprintf(what, sizeof what, "line: %s", lines[i].what);
        good &= compared(what, &input, answer_read, lines_parse, 4);
        free(input.bytes);
    }
    return good;
}

/* Sixteen times the bytes in about sixteen times the time; anything else grows by its square. */
static bool linear(void)
{
    double worst = 0;

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct input small = {
            .target = {.method = "POST", .host = "x", .path = "/v1/chat/completions"}};
        struct input large = small;
        double began = 0, first, second;

        repeated(&small, BYTES, lines[i].head, lines[i].item, strlen(lines[i].item), lines[i].tail);
        repeated(&large, 16 * BYTES, lines[i].head, lines[i].item, strlen(lines[i].item),
                 lines[i].tail);
        request_read(&small);
        began = seconds();
        request_read(&small);
        first = seconds() - began;
        began = seconds();
        request_read(&large);
        second = seconds() - began;
        worst = second / first > worst ? second / first : worst;
        free(small.bytes);
        free(large.bytes);
    }
    printf("16 times the bytes: at most %.1f times the time%s\n", worst,
           worst > 48 ? "  NOT LINEAR" : "");
    return worst <= 48;
}

/* All recorded requests in turn, each as it is. */
static glob_t files;
static struct input bodies[1024];
static size_t body_count;

static void bodies_read(const struct input *unused)
{
    (void)unused;
    for (unsigned round = 0; round < 8; round++)
        for (size_t i = 0; i < body_count; i++)
            request_read(&bodies[i]);
}

static void bodies_parse(const struct input *unused)
{
    (void)unused;
    for (unsigned round = 0; round < 8; round++)
        for (size_t i = 0; i < body_count; i++)
            body_parse(&bodies[i]);
}

static bool recorded_compared(void)
{
    struct input all = {.count = 0};

    if (glob("tests/corpus/*/*.json", 0, NULL, &files) != 0)
        fail("tests/corpus is not here");
    for (size_t i = 0; i < files.gl_pathc && body_count < COUNT_OF(bodies); i++) {
        struct recorded r = recorded_open(files.gl_pathv[i]);
        const json_t *request = json_object_get(r.root, "request");
        const json_t *body = json_object_get(request, "body");
        const char *url = strstr(json_string_value(json_object_get(request, "url")), "://") + 3;
        struct input *to = &bodies[body_count];
        static struct meter_request unused;

        to->target = (struct meter_target){.method = "POST",
                                           .host = strndup(url, strcspn(url, "/")),
                                           .path = strdup(url + strcspn(url, "/"))};
        to->count = json_string_length(body);
        to->bytes = json_is_string(body) ? strdup(json_string_value(body)) : NULL;
        if (to->bytes != NULL && to->bytes[0] == '{' &&
            meter_request_read(&to->target, to->bytes, to->count, &unused, NULL) == METER_OK) {
            body_count++;
            all.count += to->count * 8;
        }
        recorded_free(&r);
    }
    return compared("request: all that were recorded", &all, bodies_read, bodies_parse, 4);
}

int main(void)
{
    bool good;

    printf("%-44s %12s %13s %9s\n", "", "memory", "", "jansson's");
    good = answers_compared();
    good &= recorded_compared();
    good &= lines_compared();
    good &= linear();
    return good ? 0 : 1;
}
