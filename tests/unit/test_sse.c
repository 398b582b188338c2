/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of an event stream: every legal way to write them, at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/meter_int.h"
#include "tests/unit/guard.h"

struct log {
    char text[1024];
};

static void on_data(void *ctx, const char *bytes, size_t count)
{
    (void)strncat(((struct log *)ctx)->text, bytes, count);
}

static void on_line(void *ctx)
{
    (void)strcat(((struct log *)ctx)->text, "|");
}

static void on_event(void *ctx)
{
    (void)strcat(((struct log *)ctx)->text, ";");
}

static const struct sse_ops ops = {on_data, on_line, on_event};

static const struct {
    const char *why, *given, *want;
} rows[] = {
    {"line feeds", "data: a\n\ndata: b\n\n", "a;b;"},
    {"carriage returns", "data: a\r\rdata: b\r\r", "a;b;"},
    {"both", "data: a\r\n\r\ndata: b\r\n\r\n", "a;b;"},
    {"mixed line ends", "data: a\r\n\ndata: b\n\rdata: c\r\n\r\n", "a;b;c;"},
    {"no blank after the colon", "data:a\n\n", "a;"},
    {"one blank alone is taken off", "data:  a\n\n", " a;"},
    {"data over several lines", "data: a\ndata: b\ndata:\ndata: c\n\n", "a|b||c;"},
    {"data over several lines, both line ends", "data: a\r\ndata: b\r\n\r\n", "a|b;"},
    {"comments", ": hello\ndata: a\n: x\n\n:\n\n", "a;"},
    {"other fields", "event: x\nid: 1\nretry: 5\ndata: a\nevent: y\n\n", "a;"},
    {"names that begin alike", "datax: a\ndat: b\ndata : c\nda\ndata: d\n\n", "d;"},
    {"a field without a colon", "data\ndata: a\n\n", "a;"},
    {"an event without data", "event: ping\n\ndata: a\n\n", "a;"},
    {"blank lines between", "\n\n\ndata: a\n\n\n\n", "a;"},
    {"an event that does not end", "data: a\n\ndata: b\n", "a;b"},
    {"a line that does not end", "data: a\n\ndata: b", "a;b"},
    {"colons in the data", "data: {\"a\":1}\n\n", "{\"a\":1};"},
    {"bytes above 0x7f", "data: \xc3\xa9\n\xe2\x80\xa8: x\ndata: b\n\n", "\xc3\xa9|b;"},
    {"nothing", "", ""},
};

static void pieces(const char *bytes, size_t count, size_t cut, struct log *log)
{
    struct guarded first = guarded_copy(bytes, cut);
    struct guarded rest = guarded_copy(bytes + cut, count - cut);
    struct sse sse;

    log->text[0] = '\0';
    sse_init(&sse, &ops, log);
    sse_feed(&sse, first.bytes, cut);
    sse_feed(&sse, rest.bytes, count - cut);
    guarded_free(&first);
    guarded_free(&rest);
}

static void reads_the_same_at_every_split(void **state)
{
    struct log log;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t cut = 0; cut <= strlen(rows[i].given); cut++) {
            pieces(rows[i].given, strlen(rows[i].given), cut, &log);
            if (strcmp(log.text, rows[i].want) != 0)
                fail_msg("%s, cut at %zu: want \"%s\", got \"%s\"", rows[i].why, cut, rows[i].want,
                         log.text);
        }
}

static void reads_the_same_byte_by_byte(void **state)
{
    struct log log;
    struct sse sse;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        log.text[0] = '\0';
        sse_init(&sse, &ops, &log);
        for (const char *p = rows[i].given; *p != '\0'; p++)
            sse_feed(&sse, p, 1);
        if (strcmp(log.text, rows[i].want) != 0)
            fail_msg("%s: want \"%s\", got \"%s\"", rows[i].why, rows[i].want, log.text);
    }
}

static void goes_on_after_the_rest_of_a_line(void **state)
{
    static const char rest[] = "data: x\ndata: a\n\ndata: b\n\n";
    struct log log = {""};
    struct sse sse;

    (void)state;
    sse_init(&sse, &ops, &log);
    sse_skip_line(&sse);
    sse_feed(&sse, rest, sizeof rest - 1);
    assert_string_equal(log.text, "a;b;");
}

static size_t total;

static void on_data_event(void *ctx)
{
    (void)ctx;
}

static void count_data(void *ctx, const char *bytes, size_t count)
{
    (void)ctx, (void)bytes;
    total += count;
}

static void tells_a_long_line_and_keeps_nothing_of_it(void **state)
{
    static const struct sse_ops counting = {count_data, on_line, on_data_event};
    static char piece[4096];
    struct log log = {""};
    struct sse sse;

    (void)state;
    total = 0;
    memset(piece, 'x', sizeof piece);
    sse_init(&sse, &counting, &log);
    sse_feed(&sse, "data: ", 6);
    for (size_t i = 0; i < METER_EVENT_MAX / sizeof piece - 1; i++)
        sse_feed(&sse, piece, sizeof piece);
    assert_false(sse.long_line);
    for (size_t i = 0; i < 2600; i++) /* 10 MiB */
        sse_feed(&sse, piece, sizeof piece);
    assert_true(sse.long_line);
    assert_int_equal(total, (METER_EVENT_MAX / sizeof piece - 1 + 2600) * sizeof piece);
}

/* A search for the other kind of line end at each line would take hours here. */
static void reads_any_line_end_in_linear_time(void **state)
{
    static const struct sse_ops counting = {count_data, on_line, on_data_event};
    static const char *const events[] = {"data: x\r\r", "data: x\n\n", "data:x\r\n\r\n"};
    size_t bytes = 16u << 20;
    char *stream = malloc(bytes);

    (void)state;
    assert_non_null(stream);
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        size_t one = strlen(events[i]), many = bytes / one;
        struct log log = {""};
        struct sse sse;

        for (size_t k = 0; k < many; k++)
            memcpy(stream + k * one, events[i], one);
        total = 0;
        sse_init(&sse, &counting, &log);
        sse_feed(&sse, stream, many * one);
        assert_int_equal(total, many);
    }
    free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_same_at_every_split),
        cmocka_unit_test(reads_the_same_byte_by_byte),
        cmocka_unit_test(goes_on_after_the_rest_of_a_line),
        cmocka_unit_test(reads_any_line_end_in_linear_time),
        cmocka_unit_test(tells_a_long_line_and_keeps_nothing_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
