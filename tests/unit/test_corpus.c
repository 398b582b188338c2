/* SPDX-License-Identifier: Apache-2.0 */
/* Every recorded exchange, of every provider: the same record and bill wherever its bytes were cut,
 * and a sane one, never a free one, where it was broken off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <glob.h>

#include "tests/unit/chance.h"
#include "tests/unit/recorded.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifdef SLOW
#define CUTS  20u
#define EVERY 61u /* only each so many-th byte boundary */
#else
#define CUTS  1000u
#define EVERY 1u
#endif
#define SMALL     4096u /* up to so many bytes: all boundaries */
#define PIECES    8u
#define HELD_PUSD 1000000000000
#define TEXT_ROOM 4096u
#define WHEN_S    INT64_C(1795000000)

static glob_t files;

static struct recorded recorded_at(size_t i)
{
    return recorded_open(files.gl_pathv[i]);
}

/* The bill of a call that was held at a dollar. */
static void bill_of(const struct recorded *r, const struct meter_usage *usage, bool whole,
                    struct meter_bill *out)
{
    const struct meter_settling settling = {
        .request = &r->request,
        .usage = usage,
        .book = meter_price_book_shipped(),
        .when_s = WHEN_S,
        .end = whole && usage->complete ? METER_END_WHOLE : METER_END_BROKEN,
        .sent_ms = 1000,
        .held_tokens = 1000000,
        .held_pusd = HELD_PUSD,
        .held_cap = 4096,
    };

    meter_bill_make(&settling, out);
}

static void text_of(const struct recorded *r, struct meter_stream *stream, char *out)
{
    struct meter_usage usage;
    struct meter_bill bill;
    size_t used;

    meter_stream_usage(stream, true, &usage);
    bill_of(r, &usage, true, &bill);
    used = strlen(usage_text(&usage, out, TEXT_ROOM));
    (void)snprintf(out + used, TEXT_ROOM - used, "charged=%lld tokens=%llu by=%s %s",
                   (long long)bill.charged_pusd, (unsigned long long)bill.tokens_total,
                   bill.charged_by, meter_provenance_text(bill.provenance));
}

/* Feeds the body in pieces that end at the cuts. */
static void pieces_text(const struct recorded *r, const size_t *cuts, size_t count, char *out)
{
    struct meter_stream *stream = meter_stream_new(&r->request, &r->response);
    size_t at = 0;

    assert_non_null(stream);
    for (size_t i = 0; i <= count; i++) {
        size_t next = i < count ? cuts[i] : r->bytes;

        assert_int_equal(meter_stream_feed(stream, r->body + at, next - at), METER_OK);
        at = next;
    }
    text_of(r, stream, out);
    meter_stream_free(stream);
}

static int size_order(const void *a, const void *b)
{
    const size_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static size_t check_cut(const char *name, const struct recorded *r, const size_t *cuts,
                        size_t count, const char *want)
{
    static char got[TEXT_ROOM];

    pieces_text(r, cuts, count, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s, cut at %zu ...:\nwhole: %s\ncut:   %s", name, cuts[0], want, got);
    return 1;
}

static size_t check_byte_by_byte(const char *name, const struct recorded *r, const char *want)
{
    static char got[TEXT_ROOM];
    struct meter_stream *stream = meter_stream_new(&r->request, &r->response);

    assert_non_null(stream);
    for (size_t i = 0; i < r->bytes; i++) {
        struct guarded byte = guarded_copy(r->body + i, 1);

        assert_int_equal(meter_stream_feed(stream, byte.bytes, 1), METER_OK);
        guarded_free(&byte);
    }
    text_of(r, stream, got);
    meter_stream_free(stream);
    if (strcmp(got, want) != 0)
        fail_msg("%s, byte by byte:\nwhole: %s\nbytes: %s", name, want, got);
    return 1;
}

static size_t check_exchange(const char *name, const struct recorded *r, struct chance *chance)
{
    static char want[TEXT_ROOM];
    size_t cuts[PIECES], checked = 0;

    pieces_text(r, cuts, 0, want);
    for (size_t cut = 0; r->bytes <= SMALL && cut <= r->bytes; cut += EVERY)
        checked += check_cut(name, r, &cut, 1, want);
    for (unsigned round = 0; r->bytes > SMALL && round < CUTS; round++) {
        for (unsigned i = 0; i < PIECES; i++)
            cuts[i] = (size_t)chance_below(chance, (int64_t)r->bytes + 1);
        qsort(cuts, PIECES, sizeof *cuts, size_order);
        checked += check_cut(name, r, cuts, PIECES, want);
    }
    if (r->bytes <= SMALL)
        checked += check_byte_by_byte(name, r, want);
    return checked;
}

static void gives_the_same_record_at_every_split(void **state)
{
    struct chance chance = {1};
    size_t checked = 0;

    (void)state;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct recorded r = recorded_at(i);

        recorded_headers(&r);
        checked += check_exchange(files.gl_pathv[i], &r, &chance);
        recorded_free(&r);
    }
    print_message("    %zu exchanges, %zu ways of cutting them\n", files.gl_pathc, checked);
}

/* ---- broken off --------------------------------------------------------------------------- */

/* The end of the event, line, frame or element that begins at or after p; the end where there is
 * none. Encoded bytes have no such boundaries: each so many-th byte. */
static size_t boundary_after(const struct recorded *r, size_t at)
{
    const unsigned char *p = (const unsigned char *)r->body + at;
    size_t left = r->bytes - at;
    const char *line;

    if (r->response.content_encoding != NULL)
        return at + (left < 97 ? left : 97);
    if (r->body[0] == '\0' && left >= 4) {
        size_t frame = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

        return at + (frame > 0 && frame < left ? frame : left);
    }
    line = memchr(r->body + at, '\n', left);
    return line != NULL ? (size_t)(line - r->body) + 1 : r->bytes;
}

/* What costs nothing at all, as the price book has it. */
static bool is_free(const struct meter_request *request)
{
    struct meter_price price;

    return meter_price_find(meter_price_book_shipped(), request->provider, request->model, WHEN_S,
                            &price) == METER_OK &&
           price.free;
}

static void check_broken(const char *name, const struct recorded *r, size_t at, bool whole)
{
    struct meter_stream *stream = meter_stream_new(&r->request, &r->response);
    struct meter_usage usage;
    struct meter_bill bill;
    bool sane;

    assert_non_null(stream);
    assert_int_equal(meter_stream_feed(stream, r->body, at), METER_OK);
    meter_stream_usage(stream, whole, &usage);
    meter_stream_free(stream);
    bill_of(r, &usage, false, &bill);
    sane = bill.charged_pusd >= 0 && bill.tokens_total < 10000000 &&
           (usage.reported.input_tokens < 0 || usage.reported.input_tokens < 10000000);
    if (!sane)
        fail_msg("%s, broken off at %zu: no record that can be", name, at);
    if (usage.billable && bill.charged_pusd == 0 && usage.cost != METER_COST_CHARGED &&
        !is_free(&r->request))
        fail_msg("%s, broken off at %zu: sent, and charged nothing", name, at);
}

static void never_charges_nothing_for_what_was_broken_off(void **state)
{
    size_t checked = 0;

    (void)state;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct recorded r = recorded_at(i);

        recorded_headers(&r);
        for (size_t at = 0; at < r.bytes; at = boundary_after(&r, at), checked++) {
            check_broken(files.gl_pathv[i], &r, at, false);
            check_broken(files.gl_pathv[i], &r, at, true);
        }
        recorded_free(&r);
    }
    print_message("    %zu exchanges, broken off at %zu places\n", files.gl_pathc, checked);
}

/* ---- estimates ---------------------------------------------------------------------------- */

/* How far estimates are from what was reported: ratios, of which the middle one counts. */
struct ratios {
    double at[1024];
    size_t count;
};

static void ratio_add(struct ratios *ratios, uint64_t estimated, uint64_t reported)
{
    if (reported > 0 && estimated > 0 && ratios->count < 1024)
        ratios->at[ratios->count++] = (double)estimated / (double)reported;
}

static int ratio_order(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static double ratio_middle(struct ratios *ratios)
{
    qsort(ratios->at, ratios->count, sizeof ratios->at[0], ratio_order);
    return ratios->at[ratios->count / 2];
}

static void check_ratios(const char *what, struct ratios *ratios)
{
    double middle = ratio_middle(ratios), off;

    for (size_t i = 0; i < ratios->count; i++)
        ratios->at[i] = ratios->at[i] > 1 ? ratios->at[i] - 1 : 1 - ratios->at[i];
    off = ratio_middle(ratios);
    print_message("    %s, %zu exchanges: estimated / reported %.2f, off by %.2f (medians)\n", what,
                  ratios->count, middle, off);
    assert_true(ratios->count >= 70 && middle > 0.8 && middle < 1.25 && off < 0.3);
}

/* Output that is thought is reported apart, and most providers do not send it. */
static uint64_t shown_tokens(const struct meter_usage *usage)
{
    uint64_t all = usage->tokens[METER_OUTPUT], thought = 0, shown;

    if (usage->reported.reasoning_tokens > 0)
        thought = (uint64_t)usage->reported.reasoning_tokens;
    shown = all > thought ? all - thought : 0;
    /* as it was sent, with the thoughts or without them */
    return shown == 0 || usage->delivered_tokens > (all + shown) / 2 ? all : shown;
}

static uint64_t read_tokens(const struct meter_usage *usage)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < METER_BUCKETS; i++)
        sum += i == METER_OUTPUT || i == METER_AUDIO_OUT || i == METER_IMAGE_OUT ? 0
                                                                                 : usage->tokens[i];
    return sum;
}

/* Templates and hidden prompts are most of a short request: those are told apart. */
static void estimates_are_near_what_is_reported(void **state)
{
    static struct ratios shorts, longs, outputs;

    (void)state;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct recorded r = recorded_at(i);
        struct meter_stream *stream;
        struct meter_usage usage;
        uint64_t read;

        recorded_headers(&r);
        stream = meter_stream_new(&r.request, &r.response);
        assert_non_null(stream);
        assert_int_equal(meter_stream_feed(stream, r.body, r.bytes), METER_OK);
        meter_stream_usage(stream, true, &usage);
        meter_stream_free(stream);
        read = read_tokens(&usage);
        if (usage.usage_seen && usage.complete && usage.billable) {
            if (!r.request.context_window)
                ratio_add(read < 200 ? &shorts : &longs, r.request.estimated_input_tokens, read);
            ratio_add(&outputs, usage.delivered_tokens, shown_tokens(&usage));
        }
        recorded_free(&r);
    }
    check_ratios("input below 200 tokens", &shorts);
    check_ratios("input of 200 tokens and more", &longs);
    check_ratios("output", &outputs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_same_record_at_every_split),
        cmocka_unit_test(never_charges_nothing_for_what_was_broken_off),
        cmocka_unit_test(estimates_are_near_what_is_reported),
    };

    if (glob("tests/corpus/*/*.json", 0, NULL, &files) != 0 || files.gl_pathc < 600) {
        print_error("tests/corpus is not here\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
