/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the price book share: a book of real prices, and ways to ask it. */
#ifndef FLYBALL_TESTS_PRICE_TEST_H
#define FLYBALL_TESTS_PRICE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "meter/meter.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define STD      METER_TIER_STANDARD
#define NOW      "2026-11-22 12:00:00"

/* A book of real prices that no later edition changes. '|' stands for a tab. */
static const char book_text[] =
    "# prices as of 2026-11-22\n"
    "provider|model|aliases|from|prompt_from|service|input|cache_read|cache_write_5m|"
    "cache_write_1h|audio_in|image_in|output|audio_out|image_out|web_search|file_search|"
    "context_tokens|output_tokens|hidden_tps|free\n"
    "openai|gpt-4o|-|-|0|standard|2.5|1.25|-|-|-|2.5|10|-|-|0.01|0.0025|128000|16384|-|-\n"
    "openai|gpt-4o|-|-|0|priority|4.25|2.125|-|-|-|4.25|17|-|-|0.01|0.0025|128000|16384|-|-\n"
    "openai|gpt-4o|-|-|0|batch|1.25|-|-|-|-|1.25|5|-|-|0.01|0.0025|128000|16384|-|-\n"
    "openai|gpt-4o-2024-05-13|-|-|0|standard|5|-|-|-|-|5|15|-|-|-|-|128000|4096|-|-\n"
    "openai|gpt-4.1-nano|-|-|0|standard|0.1|0.025|-|-|-|0.1|0.4|-|-|-|-|1047576|32768|-|-\n"
    "openai|gpt-5-nano|-|-|0|standard|0.05|0.005|-|-|-|-|0.4|-|-|-|-|400000|128000|yes|-\n"
    "openai|gpt-5-nano|-|-|0|flex|0.025|0.0025|-|-|-|-|0.2|-|-|-|-|400000|128000|yes|-\n"
    "openai|o1-pro|-|-|0|standard|150|-|-|-|-|-|600|-|-|-|-|200000|100000|yes|-\n"
    "openai|o3|-|-|0|standard|10|0.5|-|-|-|-|40|-|-|-|-|200000|100000|yes|-\n"
    "openai|o3|-|2025-06-10|0|standard|2|0.5|-|-|-|-|8|-|-|-|-|200000|100000|yes|-\n"
    "openai|gpt-5.6-sol|gpt-5.6|-|0|standard|5|0.5|6.25|-|-|-|30|-|-|-|-|1050000|128000|750|-\n"
    "openai|gpt-5.6-sol|-|2026-08-21|0|standard|4|0.4|5|-|-|-|20|-|-|-|-|1050000|128000|750|-\n"
    "openai|gpt-5.6-sol|-|2026-08-21|0|priority|8|0.8|10|-|-|-|40|-|-|-|-|1050000|128000|750|-\n"
    "openai|gpt-5.6-sol|-|2026-08-21|0|flex|2|0.2|-|-|-|-|10|-|-|-|-|1050000|128000|750|-\n"
    "openai|gpt-5.6-sol|-|2026-08-21|272000|standard|8|0.8|10|-|-|-|30|-|-|-|-|1050000|"
    "128000|750|-\n"
    "openai|gpt-5.6-sol|-|2026-08-21|272000|flex|4|0.4|-|-|-|-|15|-|-|-|-|1050000|128000|750|-\n"
    "openai|gpt-audio-mini|-|-|0|standard|0.6|-|-|-|10|-|2.4|20|-|-|-|128000|16384|-|-\n"
    "openai|gpt-image-1.5|-|-|0|standard|5|1.25|-|-|-|8|10|-|32|-|-|-|-|-|-\n"
    "openai|ft:gpt-4o-mini|-|-|0|standard|0.3|0.15|-|-|-|-|1.2|-|-|-|-|128000|16384|-|-\n"
    "openai|text-embedding-3-small|-|-|0|standard|0.02|-|-|-|-|-|-|-|-|-|-|8192|-|-|-\n"
    "openai|omni-moderation-latest|-|-|0|standard|-|-|-|-|-|-|-|-|-|-|-|-|-|-|yes\n"
    "xai|grok-3|-|-|0|standard|3|0.75|-|-|-|-|15|-|-|-|-|131072|131072|-|-\n"
    "xai|grok-4|-|-|0|standard|3|0.75|-|-|-|-|15|-|-|-|-|256000|256000|yes|-\n"
    "anthropic|claude-haiku-4-5|-|-|0|standard|1|0.1|1.25|2|-|1|5|-|-|0.01|-|200000|64000|-|-\n"
    "anthropic|claude-3-haiku|-|-|0|standard|0.25|0.03|0.3|0.5|-|-|1.25|-|-|-|-|200000|4096|-|-\n"
    "anthropic|claude-sonnet-4-5|-|-|0|standard|3|0.3|3.75|6|-|-|15|-|-|-|-|200000|64000|-|-\n"
    "anthropic|claude-sonnet-4-5|-|-|200001|standard|6|0.6|7.5|12|-|-|22.5|-|-|-|-|200000|"
    "64000|-|-\n"
    "anthropic|claude-opus-4-6|-|-|0|standard|5|0.5|6.25|10|-|5|25|-|-|0.01|-|1000000|128000|-|-\n"
    "anthropic|claude-opus-4-6|-|-|0|fast|30|3|37.5|60|-|30|150|-|-|0.01|-|1000000|128000|-|-\n"
    "anthropic|claude-fable-5-1|-|-|0|standard|10|0.25|12.5|20|-|-|50|-|-|-|-|1000000|128000|-|-\n"
    "anthropic|claude-haiku-5-5|-|2026-10-07|0|standard|0.1|0.01|0.125|0.2|-|-|0.5|-|-|-|-|"
    "1000000|128000|-|-\n"
    "anthropic|claude-haiku-5-5|-|2026-10-07|100001|standard|0.5|0.05|0.625|1|-|-|2.5|-|-|-|-|"
    "1000000|128000|-|-\n"
    "anthropic|claude-sonnet-5-5|-|-|0|standard|2|0.2|2.5|-|-|-|10|-|-|-|-|1000000|128000|-|-\n"
    "anthropic|claude-sonnet-5-5|-|2026-10-07|0|standard|2|0.1|2.5|4|-|-|10|-|-|-|-|1000000|"
    "128000|-|-\n"
    "gemini|gemini-1.5-flash-8b|-|-|0|standard|0.0375|0.01|-|-|-|-|0.15|-|-|-|-|1000000|8192|-|-\n"
    "gemini|gemini-2.5-pro|-|-|0|standard|1.25|0.125|-|-|1.25|1.25|10|-|-|0.035|-|1048576|"
    "65536|yes|-\n"
    "gemini|gemini-2.5-pro|-|-|200001|standard|2.5|0.25|-|-|2.5|2.5|15|-|-|0.035|-|1048576|"
    "65536|yes|-\n"
    "gemini|gemini-2.5-flash|-|-|0|standard|0.3|0.03|-|-|1|0.3|2.5|-|-|0.035|-|1048576|65536|"
    "yes|-\n"
    "gemini|gemini-2.5-flash-image|-|-|0|standard|0.3|0.075|-|-|-|0.3|2.5|-|30|-|-|32768|32768|"
    "yes|-\n"
    "gemini|gemini-3.6-flash|-|-|0|standard|0.75|0.075|-|-|-|-|3.75|-|-|-|-|1048576|65536|yes|-\n"
    "gemini|gemini-3.6-flash|-|2027-01-01|0|standard|1.5|0.15|-|-|-|-|7.5|-|-|-|-|1048576|65536|"
    "yes|-\n"
    "gemini|gemini-4-argon|-|2026-09-30|0|standard|2|0.1|-|-|-|-|10|-|-|-|-|1048576|65536|yes|-\n"
    "gemini|gemini-4-argon|-|2026-12-01|0|standard|4|0.2|-|-|-|-|20|-|-|-|-|1048576|65536|yes|-\n";

static struct meter_price_book *book;

/* Seconds since the epoch of a UTC time. */
static int64_t at(const char *when)
{
    struct tm tm = {0};

    if (strptime(when, "%Y-%m-%d %H:%M:%S", &tm) == NULL)
        fail_msg("\"%s\" is no time", when);
    return timegm(&tm);
}

/* The book of a text with '|' for tabs. */
static enum meter_err parse(const char *text, const struct meter_price_book *base,
                            struct meter_price_book **out, struct meter_error *error)
{
    size_t bytes = strlen(text);
    char *tabs = malloc(bytes + 1); /* exactly as long as said: a sanitizer sees any step beyond */

    for (size_t i = 0; i < bytes; i++)
        tabs[i] = text[i] == '|' ? '\t' : text[i];
    enum meter_err err = meter_price_book_parse(tabs, bytes, base, out, error);
    free(tabs);
    return err;
}

static int load_book(void **state)
{
    struct meter_error error = {""};

    (void)state;
    if (parse(book_text, NULL, &book, &error) != METER_OK)
        fail_msg("the tests' own book: %s", error.text);
    return 0;
}

static int drop_book(void **state)
{
    (void)state;
    meter_price_book_free(book);
    return 0;
}

static enum meter_err find(const struct meter_price_book *in, const char *provider,
                           const char *model, const char *when, struct meter_price *out)
{
    return meter_price_find_named(in, provider, model, at(when), out);
}

/* The rates of a price for a plain call of this size. */
static inline void plain_rates(const struct meter_price *price, uint64_t prompt_tokens,
                               struct meter_rates *out)
{
    const struct meter_price_key key = {.prompt_tokens = prompt_tokens, .when_s = price->when_s};
    const char *name;

    meter_price_rates(price, &key, out, &name);
}

#endif
