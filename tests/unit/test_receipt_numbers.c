/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical JSON (RFC 8785), as receipts are hashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sidecar/sidecar.h"
#include "tests/unit/chance.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* From RFC 8785, appendix B and section 3.2.2.3, and ECMA-262. */
static const struct {
    double given;
    const char *want;
} numbers[] = {
    {0.0, "0"},
    {-0.0, "0"},
    {1, "1"},
    {-1, "-1"},
    {10, "10"},
    {4.50, "4.5"},
    {2e-3, "0.002"},
    {0.000001, "0.000001"},
    {0.0000012, "0.0000012"},
    {1e-7, "1e-7"},
    {1.5e-7, "1.5e-7"},
    {1e-12, "1e-12"},
    {0.000000000000000000000000001, "1e-27"},
    {1E30, "1e+30"},
    {1e20, "100000000000000000000"},
    {1e21, "1e+21"},
    {1.5e21, "1.5e+21"},
    {123e18, "123000000000000000000"},
    {333333333.33333329, "333333333.3333333"},
    {333333333.3333332, "333333333.3333332"},
    {333333333.33333325, "333333333.33333325"},
    {333333333.3333334, "333333333.3333334"},
    {333333333.33333343, "333333333.33333343"},
    {5e-324, "5e-324"},
    {-5e-324, "-5e-324"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {9007199254740992, "9007199254740992"},
    {-9007199254740992, "-9007199254740992"},
    {295147905179352830000.0, "295147905179352830000"},
    {9.999999999999997e22, "9.999999999999997e+22"},
    {1e23, "1e+23"},
    {1.0000000000000001e23, "1.0000000000000001e+23"},
    {999999999999999700000.0, "999999999999999700000"},
    {999999999999999900000.0, "999999999999999900000"},
    {9.999999999999997e-7, "9.999999999999997e-7"},
    {-0.0000033333333333333333, "-0.0000033333333333333333"},
    {1424953923781206.2, "1424953923781206.2"},
};

static char *written(json_t *value)
{
    char *text = side_canonical_text(value);

    json_decref(value);
    assert_non_null(text);
    return text;
}

static void numbers_are_written_as_ecmascript_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char *text = written(json_real(numbers[i].given));

        assert_string_equal(text, numbers[i].want);
        free(text);
    }
}

/* Amounts as they come: the text reads back as the nearest double to the ledger's amount, and no
 * shorter text does. */
static void amounts_are_the_shortest_text_of_their_double(void **state)
{
    struct chance chance = {.state = 20260409};

    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        int64_t pusd = (int64_t)(chance_u64(&chance) >> (1 + chance_below(&chance, 62)));
        char usd[METER_USD_TEXT], shorter[40];
        double want = strtod(meter_usd_text(pusd, usd), NULL);
        char *text = written(json_real(want));
        int digits = 0;

        for (const char *c = text; *c != '\0' && *c != 'e'; c++)
            digits += (*c >= '1' && *c <= '9') || (*c == '0' && digits > 0);
        for (const char *c = text + strcspn(text, "e") - 1; digits > 1 && *c == '0'; c--)
            digits--; /* zeros in front of the point are no digits of the number */
        if (strtod(text, NULL) != want)
            fail_msg("%s is written %s", usd, text);
        (void)snprintf(shorter, sizeof shorter, "%.*e", digits > 1 ? digits - 2 : 0, want);
        if (digits > 1 && strtod(shorter, NULL) == want)
            fail_msg("%s is written %s, where %s would do", usd, text, shorter);
        free(text);
    }
}

static const struct {
    const char *why, *given, *want; /* as JSON; canonical */
} texts[] = {
    {"members in order, no blanks", "{ \"b\" : 1 , \"a\" : true, \"B\": null }",
     "{\"B\":null,\"a\":true,\"b\":1}"},
    {"members of members", "{\"z\":{\"y\":0.5,\"x\":false}}", "{\"z\":{\"x\":false,\"y\":0.5}}"},
    {"nothing", "{}", "{}"},
    {"escapes", "{\"a\":\"\\u0008\\t\\n\\f\\r\\\"\\\\\\/\"}",
     "{\"a\":\"\\b\\t\\n\\f\\r\\\"\\\\/\"}"},
    {"control characters", "{\"a\":\"\\u0001\\u001f\\u007f\"}", "{\"a\":\"\\u0001\\u001f\x7f\"}"},
    {"other letters stay", "{\"a\":\"\\u20ac\\u00e4\"}", "{\"a\":\"\xe2\x82\xac\xc3\xa4\"}"},
    {"members by UTF-16, not by code point", "{\"\\ud83d\\ude00\":1,\"\\ufb33\":2,\"\\u20ac\":3}",
     "{\"\xe2\x82\xac\":3,\"\xf0\x9f\x98\x80\":1,\"\xef\xac\xb3\":2}"},
    {"one name begins the other", "{\"ab\":1,\"a\":2,\"\":3}", "{\"\":3,\"a\":2,\"ab\":1}"},
    {"arrays as they are", "{\"a\":[3,[],{\"b\":null},\"x\"]}",
     "{\"a\":[3,[],{\"b\":null},\"x\"]}"},
    {"integers are doubles", "[9007199254740991,9007199254740993,-9007199254740993]",
     "[9007199254740991,9007199254740992,-9007199254740992]"},
    {"a member's name is a text, too", "{\"a\\\"b\":1}", "{\"a\\\"b\":1}"},
};

static void texts_are_escaped_where_they_must_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *text = written(json_loads(texts[i].given, 0, NULL));

        if (strcmp(text, texts[i].want) != 0)
            fail_msg("%s: %s, wanted %s", texts[i].why, text, texts[i].want);
        free(text);
    }
}

static void a_long_text_is_written_whole(void **state)
{
    char long_one[5000], *text;

    (void)state;
    memset(long_one, 'x', sizeof long_one);
    long_one[sizeof long_one - 1] = '\0';
    text = written(json_pack("{s:s}", "a", long_one));
    assert_int_equal(strlen(text), sizeof long_one - 1 + 8);
    free(text);
}

static void all_members_are_written(void **state)
{
    json_t *many = json_object();
    char name[16], *text;
    size_t commas = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)json_object_set_new(many, name, json_integer(i));
    }
    text = written(many);
    for (const char *c = text; *c != '\0'; c++)
        commas += *c == ',';
    assert_int_equal(commas, 999);
    free(text);
}

static void the_hash_is_over_all_but_itself(void **state)
{
    /* printf '{"a":1}' | sha256sum */
    static const char want[] =
        "sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    static const char *const texts_of_it[] = {"{\"a\":1}", "{\"receipt_hash\":\"x\",\"a\":1}"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts_of_it); i++) {
        json_t *receipt = json_loads(texts_of_it[i], 0, NULL);
        char hash[SIDE_RECEIPT_HASH_TEXT];

        assert_true(side_receipt_hash(receipt, hash));
        assert_string_equal(hash, want);
        json_decref(receipt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_as_ecmascript_does),
        cmocka_unit_test(amounts_are_the_shortest_text_of_their_double),
        cmocka_unit_test(texts_are_escaped_where_they_must_be),
        cmocka_unit_test(a_long_text_is_written_whole),
        cmocka_unit_test(all_members_are_written),
        cmocka_unit_test(the_hash_is_over_all_but_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
