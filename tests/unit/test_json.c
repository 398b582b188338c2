/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON scanner: what it accepts, what it hands out, and that no split of the input matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/meter_int.h"
#include "tests/unit/guard.h"

/* ---- a log of what the scanner hands out -------------------------------------------------- */

struct log {
    char text[4096];
    size_t used;
};

static void log_add(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void log_add(struct log *log, const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(log->text + log->used, sizeof log->text - log->used, format, arguments);
    va_end(arguments);
    assert_true(n >= 0 && (size_t)n < sizeof log->text - log->used);
    log->used += (size_t)n;
}

static void on_begin(void *ctx, uint8_t id, uint64_t at)
{
    log_add(ctx, "(%u@%u ", id, (unsigned)at);
}

static void on_end(void *ctx, uint8_t id, const struct scan_value *value)
{
    if (value->type >= SCAN_OBJECT)
        log_add(ctx, "%u:%u+%u) ", id, (unsigned)value->at, (unsigned)value->size);
    else
        log_add(ctx, "%u=%.*s%s ", id, (int)value->count, value->bytes, value->cut ? "~" : "");
}

/* Pieces of one string are joined, so that the log is the same at every split. */
static void on_text(void *ctx, uint8_t id, bool first, const char *bytes, size_t count)
{
    struct log *log = ctx;

    if (!first) {
        log->used -= 2;
        log_add(log, "%.*s] ", (int)count, bytes);
    } else {
        log_add(log, "%u[%.*s] ", id, (int)count, bytes);
    }
}

static void on_document(void *ctx)
{
    log_add(ctx, "; ");
}

static const struct scan_ops ops = {on_begin, on_end, on_text, on_document};

enum { MODEL = 1, TEXT, USAGE, COUNT, LIST, ITEM, DEEP, REST };
static const struct scan_path paths[] = {
    {"model", SCAN_END, MODEL},
    {"choices[].delta.content", SCAN_TEXT, TEXT},
    {"usage", SCAN_BEGIN, USAGE},
    {"usage.a_tokens", SCAN_END, COUNT},
    {"usage.*_tokens", SCAN_END, REST},
    {"a_rather_long_key_name", SCAN_END, COUNT},
    {"list", SCAN_BEGIN | SCAN_END, LIST},
    {"list[]", SCAN_END, ITEM},
    {"deep", SCAN_TEXT | SCAN_DEEP, DEEP},
};

struct outcome {
    bool good, complete;
    struct log log;
};

static void scan_pieces(const char *json, size_t bytes, size_t cut, bool elements,
                        struct outcome *out)
{
    struct scan_tree tree;
    struct scan scan;

    memset(out, 0, sizeof *out);
    scan_tree_make(&tree, paths, COUNT_OF(paths));
    scan_init(&scan, &tree, &ops, &out->log);
    scan.elements = elements;
    out->good = scan_feed(&scan, json, cut, NULL);
    /* Each piece has its own unreadable page behind it. */
    struct guarded rest = guarded_copy(json + cut, bytes - cut);
    out->good = scan_feed(&scan, rest.bytes, bytes - cut, NULL) && out->good;
    guarded_free(&rest);
    out->complete = scan_complete(&scan);
}

static void scan_bytewise(const char *json, size_t bytes, bool elements, struct outcome *out)
{
    struct scan_tree tree;
    struct scan scan;

    memset(out, 0, sizeof *out);
    scan_tree_make(&tree, paths, COUNT_OF(paths));
    scan_init(&scan, &tree, &ops, &out->log);
    scan.elements = elements;
    out->good = true;
    for (size_t i = 0; i < bytes; i++)
        out->good = scan_feed(&scan, json + i, 1, NULL) && out->good;
    out->complete = scan_complete(&scan);
}

/* ---- what is JSON ------------------------------------------------------------------------- */

static void accepts_json_and_nothing_else(void **state)
{
    static const struct {
        const char *why, *given;
        bool good;
    } rows[] = {
        {"an object", "{\"a\":1}", true},
        {"an empty object", "{}", true},
        {"an array", "[1,2,[]]", true},
        {"blanks everywhere", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", true},
        {"a string alone", "\"x\"", true},
        {"literals", "[true,false,null]", true},
        {"numbers", "[0,-0,1,-1,10,1.5,1e5,1E+5,1e-5,0.0e0]", true},
        {"escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", true},
        {"a comma too many", "{\"a\":1,}", false},
        {"a comma too many in an array", "[1,]", false},
        {"no comma", "[1 2]", false},
        {"no colon", "{\"a\" 1}", false},
        {"a key without quotes", "{a:1}", false},
        {"single quotes", "{'a':1}", false},
        {"a key that is a number", "{1:1}", false},
        {"a comment", "{/*x*/\"a\":1}", false},
        {"the wrong bracket", "{\"a\":[1}]", false},
        {"a bracket too many", "{}}", false},
        {"two documents", "{}{}", false},
        {"a leading zero", "[01]", false},
        {"a plus sign", "[+1]", false},
        {"a point without digits", "[1.]", false},
        {"a point alone", "[.5]", false},
        {"two points", "[1.2.3]", false},
        {"a point in the exponent", "[1e5.5]", false},
        {"a minus and a point", "[-.5]", false},
        {"an exponent without digits", "[1e]", false},
        {"a minus alone", "[-]", false},
        {"NaN", "[NaN]", false},
        {"half a literal", "[tru]", false},
        {"a literal too long", "[nullx]", false},
        {"an unknown escape", "\"\\x\"", false},
        {"a bad hex digit", "\"\\u00g0\"", false},
        {"an open string", "\"abc", false},
        {"an open object", "{\"a\":1", false},
        {"nothing", "", false},
        {"UTF-16", "{\0\"\0", false},
    };
    struct outcome got;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t cut = 0; cut <= strlen(rows[i].given); cut++) {
            scan_pieces(rows[i].given, strlen(rows[i].given), cut, false, &got);
            if ((got.good && got.complete) != rows[i].good)
                fail_msg("%s: %s cut at %zu: want %d, got %d", rows[i].why, rows[i].given, cut,
                         rows[i].good, got.good && got.complete);
        }
}

static void stops_at_512_levels(void **state)
{
    static char deep[100001];
    struct outcome got;

    (void)state;
    memset(deep, '[', sizeof deep);
    scan_pieces(deep, METER_DEPTH_MAX, 0, false, &got);
    assert_true(got.good);
    scan_pieces(deep, METER_DEPTH_MAX + 1, 0, false, &got);
    assert_false(got.good);
    scan_pieces(deep, 100000, 7, false, &got);
    assert_false(got.good);
}

/* ---- what is handed out ------------------------------------------------------------------- */

static const struct {
    const char *why, *given, *want;
    bool elements;
} found[] = {
    {"a wanted scalar", "{\"id\":\"x\",\"model\":\"m-1\",\"z\":[{\"model\":2}]}", "1=m-1 ; ",
     false},
    {"a number with blanks behind", "{\"model\": 12 }", "1=12 ; ", false},
    {"null", "{\"model\":null}", "1=null ; ", false},
    {"text at its path", "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}},{\"delta\":{}}]}",
     "2[Hi] ; ", false},
    {"decoded text", "{\"choices\":[{\"delta\":{\"content\":\"a\\n\\u00e9\\ud83d\\ude00\\\"\"}}]}",
     "2[a\n\xc3\xa9\xf0\x9f\x98\x80\"] ; ", false},
    {"half a surrogate pair", "{\"choices\":[{\"delta\":{\"content\":\"\\ud83dx\\udc00\"}}]}",
     "2[\xef\xbf\xbdx\xef\xbf\xbd] ; ", false},
    {"half a pair at the end", "{\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}",
     "2[\xef\xbf\xbd] ; ", false},
    {"an escaped key", "{\"mod\\u0065l\":1,\"\\u0075sage\":{\"a_tok\\u0065ns\":2}}",
     "1=1 (3@29 4=2 ; ", false},
    {"a key with a suffix", "{\"usage\":{\"b_tokens\":7,\"tokens_b\":8}}", "(3@9 8=7 ; ", false},
    {"a key with a suffix that is too long",
     "{\"usage\":{"
     "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "x"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_"
     "tokens\":1}}",
     "(3@9 ; ", false},
    {"a long key", "{\"a_rather_long_key_name\":1,\"a_rather_long_key_namf\":2,\"a_rathe\":3}",
     "4=1 ; ", false},
    {"the same key twice", "{\"model\":1,\"model\":2}", "1=1 1=2 ; ", false},
    {"a span", "{\"list\":[1,{\"x\":2}]}", "(5@8 6=1 6:11+7) 5:8+11) ; ", false},
    {"an object for its lone element", "{\"choices\":{\"delta\":{\"content\":\"a\"}}}", "2[a] ; ",
     false},
    {"all strings below", "{\"deep\":{\"a\":\"x\",\"b\":[\"y\",{\"c\":\"z\"}]}}",
     "7[x] 7[y] 7[z] ; ", false},
    {"wanted keys elsewhere", "{\"x\":{\"model\":1,\"usage\":{\"a_tokens\":1}}}", "; ", false},
    {"documents in an array", "[{\"model\":1},{\"model\":2}]", "1=1 ; 1=2 ; ", true},
    {"an empty array of them", "[ ]", "", true},
    {"an empty key", "{\"\":1,\"model\":2}", "1=2 ; ", false},
};

static void finds_the_same_at_every_split(void **state)
{
    struct outcome got;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(found); i++) {
        size_t bytes = strlen(found[i].given);

        for (size_t cut = 0; cut <= bytes; cut++) {
            scan_pieces(found[i].given, bytes, cut, found[i].elements, &got);
            if (!got.complete || strcmp(got.log.text, found[i].want) != 0)
                fail_msg("%s: %s cut at %zu: want \"%s\", got \"%s\"", found[i].why, found[i].given,
                         cut, found[i].want, got.log.text);
        }
        scan_bytewise(found[i].given, bytes, found[i].elements, &got);
        if (strcmp(got.log.text, found[i].want) != 0)
            fail_msg("%s bytewise: want \"%s\", got \"%s\"", found[i].why, found[i].want,
                     got.log.text);
    }
}

static void cuts_a_scalar_only_when_it_spans_feeds(void **state)
{
    char json[1024], value[600];
    struct outcome got;

    (void)state;
    memset(value, 'v', sizeof value);
    (void)snprintf(json, sizeof json, "{\"model\":\"%.*s\"}", (int)sizeof value, value);
    scan_pieces(json, strlen(json), 0, false, &got);
    assert_int_equal(got.log.used, strlen("1= ; ") + sizeof value);
    scan_pieces(json, strlen(json), 20, false, &got);
    assert_int_equal(got.log.used, strlen("1=~ ; ") + SCAN_SHORT_MAX);
}

static void counts_decoded_bytes_of_strings(void **state)
{
    static const char json[] = "{\"ab\":\"cde\",\"\\u00e9\":[\"\\n\\u00e9\\ud83d\\ude00\",1]}";
    struct scan_tree tree;
    struct log log = {.used = 0};
    struct scan scan;

    (void)state;
    scan_tree_make(&tree, paths, COUNT_OF(paths));
    for (size_t cut = 0; cut < sizeof json; cut++) {
        scan_init(&scan, &tree, &ops, &log);
        assert_true(scan_feed(&scan, json, cut, NULL));
        assert_true(scan_feed(&scan, json + cut, sizeof json - 1 - cut, NULL));
        /* ab + cde + an escaped key (taken as three bytes at most) + \n, e acute, an emoji */
        assert_int_equal(scan.strings_bytes, 2 + 3 + 3 + 1 + 2 + 4);
    }
}

static void says_where_it_is_bad(void **state)
{
    struct scan_tree tree;
    struct log log = {.used = 0};
    struct scan scan;
    uint64_t at = 0;

    (void)state;
    scan_tree_make(&tree, paths, COUNT_OF(paths));
    scan_init(&scan, &tree, &ops, &log);
    assert_true(scan_feed(&scan, "{\"a\":", 5, NULL));
    assert_false(scan_feed(&scan, "1 2}", 4, &at));
    assert_int_equal(at, 7);
    assert_false(scan_feed(&scan, "}", 1, NULL)); /* and so it stays */
    scan_restart(&scan);
    assert_true(scan_feed(&scan, "{}", 2, NULL));
    assert_true(scan_complete(&scan));
}

/* ---- strings and numbers ------------------------------------------------------------------ */

static void copies_strings_as_utf8(void **state)
{
    static const struct {
        const char *why, *given, *want;
        bool good;
    } rows[] = {
        {"plain", "abc", "abc", true},
        {"empty", "", "", true},
        {"escapes", "a\\u002db\\n", "a-b\n", true},
        {"a pair", "\\ud83d\\ude00", "\xf0\x9f\x98\x80", true},
        {"half a pair", "\\ud83dx", "\xef\xbf\xbdx", true},
        {"a NUL", "a\\u0000b", "", false},
        {"as long as the room", "1234567", "1234567", true},
        {"longer than the room", "12345678", "", false},
        {"an escape that is none", "\\q", "", false},
        {"an escape that ends", "a\\", "", false},
        {"a code that ends", "\\u00", "", false},
    };
    char out[8];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool good = scan_string_copy(rows[i].given, strlen(rows[i].given), out, sizeof out);

        if (good != rows[i].good || strcmp(out, rows[i].want) != 0)
            fail_msg("%s: \"%s\": want %d \"%s\", got %d \"%s\"", rows[i].why, rows[i].given,
                     rows[i].good, rows[i].want, good, out);
    }
}

static void reads_whole_counts_only(void **state)
{
    static const struct {
        const char *given;
        int64_t want; /* -1: none */
    } rows[] = {
        {"0", 0},
        {"6", 6},
        {"6.0", 6},
        {"6.000", 6},
        {"1e3", 1000},
        {"1.5e1", 15},
        {"1500e-2", 15},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"18446744073709551616", -1},
        {"1.5", -1},
        {"1e309", -1},
        {"1e-1", -1},
        {"0e999999", 0},
        {"0.0e-5", 0},
        {"-1", -1},
        {"", -1},
        {"abc", -1},
        {"1x", -1},
        {"1e", -1},
        {".5", -1},
        {"5.", -1},
        {"1e99999999999999999999", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t got = -1;
        bool good = meter_count_parse(rows[i].given, strlen(rows[i].given), &got);

        if (got != rows[i].want || good != (rows[i].want >= 0))
            fail_msg("\"%s\": want %lld, got %lld", rows[i].given, (long long)rows[i].want,
                     (long long)got);
    }
}

/* ---- text --------------------------------------------------------------------------------- */

static void estimates_near_what_tokenizers_make(void **state)
{
    /* Text, and its tokens in o200k_base. */
    static const struct {
        const char *why, *given;
        unsigned tokens;
    } rows[] = {
        {"English",
         "The governor keeps the engine from running away, and the operator is told what it did "
         "and why it had to.",
         22},
        {"code", "for (size_t i = 0; i < count; i++)\n    sum += items[i].tokens * rate;\n", 24},
        {"JSON", "{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\",\"days\":3}}", 19},
        {"base64",
         "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA", 57},
        {"Russian",
         "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, "
         "\xd0\xba\xd0\xb0\xd0\xba \xd0\xb4\xd0\xb5\xd0\xbb\xd0\xb0?",
         7},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text text = {.run = 0};
        uint64_t got;

        text_begin(&text);
        text_add(&text, rows[i].given, strlen(rows[i].given));
        got = text_tokens(&text, TEXT_OPENAI);
        if (got * 10 < rows[i].tokens * 7 || got * 10 > rows[i].tokens * 16)
            fail_msg("%s: %u tokens, estimated %llu", rows[i].why, rows[i].tokens,
                     (unsigned long long)got);
    }
}

/* The manual's table is this build's: a figure lives in text.c, and is compared here. */
static void the_manual_has_the_figures_of_this_build(void **state)
{
    static char page[64 * 1024];
    FILE *file = fopen("docs/METERING.md", "r");
    char row[64];

    (void)state;
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    (void)fclose(file);
    for (unsigned class = 0; class < TEXT_CLASSES; class ++) {
        struct text text = {.bytes = {[0] = 0}};
        unsigned milli[TEXT_FAMILIES];

        text.bytes[class] = 1000000; /* 1,100 tokens for each thousandth, the 10 % included */
        for (unsigned family = 0; family < TEXT_FAMILIES; family++)
            milli[family] = (unsigned)(text_tokens(&text, (enum text_family)family) / 1100);
        (void)snprintf(row, sizeof row, " | %u | %u | %u |", milli[0], milli[1], milli[2]);
        if (strstr(page, row) == NULL)
            fail_msg("docs/METERING.md has no row \"%s\"", row);
    }
}

static void classifies_the_same_at_every_split(void **state)
{
    static const char text[] = "word 12 \xd0\x9f\xd1\x80 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80 "
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa+/=b {}\n";
    struct text whole = {.run = 0};

    (void)state;
    text_begin(&whole);
    text_add(&whole, text, sizeof text - 1);
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct text parts = {.run = 0};

        text_begin(&parts);
        text_add(&parts, text, cut);
        text_add(&parts, text + cut, sizeof text - 1 - cut);
        assert_memory_equal(whole.bytes, parts.bytes, sizeof whole.bytes);
    }
    assert_true(whole.bytes[TEXT_DENSE] > 10 && whole.bytes[TEXT_GREEK] == 4 &&
                whole.bytes[TEXT_CJK] == 6 && whole.bytes[TEXT_RARE] == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_json_and_nothing_else),
        cmocka_unit_test(stops_at_512_levels),
        cmocka_unit_test(finds_the_same_at_every_split),
        cmocka_unit_test(cuts_a_scalar_only_when_it_spans_feeds),
        cmocka_unit_test(counts_decoded_bytes_of_strings),
        cmocka_unit_test(says_where_it_is_bad),
        cmocka_unit_test(copies_strings_as_utf8),
        cmocka_unit_test(reads_whole_counts_only),
        cmocka_unit_test(estimates_near_what_tokenizers_make),
        cmocka_unit_test(the_manual_has_the_figures_of_this_build),
        cmocka_unit_test(classifies_the_same_at_every_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
