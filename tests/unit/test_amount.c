/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts of every dimension: how they are read, or refused, and how they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sidecar/sidecar.h"
#include "tests/unit/chance.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define USD(pico)    INT64_C(pico)
#define NOT          INT64_C(-1) /* refused */

/* ---- amounts ------------------------------------------------------------------------------ */

static const struct {
    const char *why;
    enum gov_dim dim;
    const char *given;
    int64_t want;
} amounts[] = {
    {"dollars and cents", GOV_COST, "5.00", USD(5000000000000)},
    {"dollars", GOV_COST, "5", USD(5000000000000)},
    {"a dollar sign", GOV_COST, "$0.50", USD(500000000000)},
    {"no zero in front", GOV_COST, ".5", USD(500000000000)},
    {"a pico-dollar", GOV_COST, "0.000000000001", 1},
    {"a scientific one", GOV_COST, "1e-7", 100000},
    {"nothing: unlimited", GOV_COST, "0", 0},
    {"the most", GOV_COST, "9223372.036854775807", INT64_MAX},
    {"more than the most", GOV_COST, "9223372.036854775808", NOT},
    {"far more", GOV_COST, "1e400", NOT},
    {"negative", GOV_COST, "-5", NOT},
    {"negative behind the sign", GOV_COST, "$-5", NOT},
    {"two signs", GOV_COST, "$$5", NOT},
    {"a currency", GOV_COST, "5 EUR", NOT},
    {"a decimal comma", GOV_COST, "5,00", NOT},
    {"no amount", GOV_COST, "", NOT},
    {"a sign alone", GOV_COST, "$", NOT},
    {"not a number", GOV_COST, "nan", NOT},
    {"infinite", GOV_COST, "inf", NOT},
    {"hexadecimal", GOV_COST, "0x10", NOT},
    {"a space in front", GOV_COST, " 5", NOT},
    {"a space behind", GOV_COST, "5 ", NOT},
    {"a number", GOV_STEPS, "50", 50},
    {"nothing: unlimited", GOV_STEPS, "0", 0},
    {"the most", GOV_STEPS, "9223372036854775807", INT64_MAX},
    {"more than the most", GOV_STEPS, "9223372036854775808", NOT},
    {"far more", GOV_STEPS, "99999999999999999999999999999999999999999999", NOT},
    {"negative", GOV_STEPS, "-1", NOT},
    {"a fraction", GOV_STEPS, "1.5", NOT},
    {"a unit", GOV_STEPS, "5s", NOT},
    {"a sign", GOV_STEPS, "+5", NOT},
    {"no number", GOV_STEPS, "", NOT},
    {"words", GOV_STEPS, "many", NOT},
    {"groups of three", GOV_TOKENS, "180,000", 180000},
    {"more groups", GOV_TOKENS, "1,180,000", 1180000},
    {"underlines", GOV_TOKENS, "180_000", 180000},
    {"a decimal comma is no group", GOV_TOKENS, "1,5", NOT},
    {"a group that is too long", GOV_TOKENS, "1,0000", NOT},
    {"a comma alone", GOV_TOKENS, ",", NOT},
    {"a comma in front", GOV_TOKENS, ",180", NOT},
    {"a comma behind", GOV_TOKENS, "180,", NOT},
    {"underlines alone", GOV_TOKENS, "_", NOT},
    {"a letter for thousands", GOV_TOKENS, "180k", NOT},
    {"seconds", GOV_WALL, "45s", 45000},
    {"minutes", GOV_WALL, "30m", 1800000},
    {"hours and minutes", GOV_WALL, "1h30m", 5400000},
    {"milliseconds", GOV_WALL, "250ms", 250},
    {"a bare number is seconds", GOV_WALL, "90", 90000},
    {"days", GOV_WALL, "2d", 172800000},
    {"all of them", GOV_WALL, "1d1h1m1s1ms", 90061001},
    {"nothing: unlimited", GOV_WALL, "0", 0},
    {"a number behind a unit", GOV_WALL, "1h30", NOT},
    {"a number behind nothing", GOV_WALL, "0h30", NOT},
    {"a unit that is none", GOV_WALL, "5x", NOT},
    {"a long unit", GOV_WALL, "5min", NOT},
    {"a fraction", GOV_WALL, "1.5h", NOT},
    {"negative", GOV_WALL, "-5s", NOT},
    {"a unit alone", GOV_WALL, "s", NOT},
    {"no duration", GOV_WALL, "", NOT},
    {"spaces", GOV_WALL, "1h 30m", NOT},
    {"too many days", GOV_WALL, "200000000000d", NOT},
    {"too much in all", GOV_WALL, "100000000000d100000000000d", NOT},
    {"bytes", GOV_WRITES, "4096", 4096},
    {"bytes by name", GOV_WRITES, "4096B", 4096},
    {"a letter is a power of 1024", GOV_EGRESS, "10M", 10485760},
    {"so is that", GOV_EGRESS, "10MiB", 10485760},
    {"a small letter", GOV_EGRESS, "512k", 524288},
    {"a power of 1000", GOV_WRITES, "2GB", 2000000000},
    {"the largest unit", GOV_WRITES, "1TiB", INT64_C(1) << 40},
    {"nothing: unlimited", GOV_WRITES, "0", 0},
    {"a size with a group", GOV_WRITES, "1,024K", 1048576},
    {"no unit that is known", GOV_WRITES, "5X", NOT},
    {"a unit with more behind", GOV_WRITES, "5Mb/s", NOT},
    {"a space", GOV_WRITES, "5 M", NOT},
    {"a fraction", GOV_WRITES, "1.5G", NOT},
    {"a unit alone", GOV_WRITES, "M", NOT},
    {"no size", GOV_WRITES, "", NOT},
    {"negative", GOV_WRITES, "-5", NOT},
    {"too much", GOV_WRITES, "9223372036854775807K", NOT},
    {"long digits", GOV_WRITES, "00000000000000000000000000000000000000001", NOT},
    {"seconds of a command", GOV_COMMAND, "600", 600},
    {"no duration there", GOV_COMMAND, "10m", NOT},
    {"calls in a row", GOV_ERRORS, "3", 3},
};

static void amounts_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(amounts); i++) {
        struct side_spec spec;
        struct side_error error = {{0}};
        bool ok;

        side_spec_init(&spec);
        ok = side_spec_limit(&spec, amounts[i].dim, amounts[i].given, "--it", SIDE_FLAG, &error);
        if (ok != (amounts[i].want != NOT) ||
            (ok && spec.limits[amounts[i].dim].amount != amounts[i].want))
            fail_msg("%s: '%s' is %lld, wanted %lld", amounts[i].why, amounts[i].given,
                     ok ? (long long)spec.limits[amounts[i].dim].amount : -1,
                     (long long)amounts[i].want);
        if (!ok && (strncmp(error.text, "--it: '", 7) != 0 ||
                    strstr(error.text, amounts[i].given) == NULL))
            fail_msg("%s: the message is \"%s\"", amounts[i].why, error.text);
        assert_int_equal(spec.source[amounts[i].dim], ok ? SIDE_FLAG : SIDE_NOWHERE);
    }
}

static const struct {
    enum gov_dim dim;
    int64_t amount;
    const char *want;
} shown[] = {
    {GOV_COST, USD(500000000000), "$0.50"},
    {GOV_TOKENS, 180000, "180,000"},
    {GOV_WALL, 1800000, "30m"},
    {GOV_WALL, 5400000, "1h30m"},
    {GOV_WALL, 1799983, "29m59s983ms"},
    {GOV_WALL, 90000001, "25h1ms"},
    {GOV_WALL, 17, "17ms"},
    {GOV_WALL, 0, "0s"},
    {GOV_EGRESS, 10485760, "10 MiB"},
    {GOV_WRITES, 1023, "1023 bytes"},
    {GOV_WRITES, 1024, "1 KiB"},
    {GOV_WRITES, 54945382, "52.3 MiB"},
    {GOV_WRITES, INT64_MAX, "8388607.9 TiB"},
    {GOV_COMMAND, 600, "600s"},
};

static void amounts_are_shown_for_people(void **state)
{
    char text[SIDE_AMOUNT_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(shown); i++)
        assert_string_equal(side_amount_text(shown[i].dim, shown[i].amount, text), shown[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_or_refused),
        cmocka_unit_test(amounts_are_shown_for_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
