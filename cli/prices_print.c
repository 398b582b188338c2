/* SPDX-License-Identifier: Apache-2.0 */
/* A row of the price book as a line: for people, and for programs. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rate as decimal USD; "-": none. */
static const char *rate_text(uint64_t rate, unsigned decimals, char out[METER_USD_TEXT])
{
    if (rate == METER_NO_RATE)
        (void)snprintf(out, METER_USD_TEXT, "-");
    else
        (void)meter_rate_text(rate, decimals, out);
    return out;
}

/* "272000+ priority regional", "standard". */
static const char *kind_text(const struct meter_price_line *line, char *out, size_t size)
{
    char prompt[24] = "";

    if (line->prompt_from > 0)
        (void)snprintf(prompt, sizeof prompt, "%llu+ ", (unsigned long long)line->prompt_from);
    (void)snprintf(out, size, "%s%s%s", prompt, meter_tier_text(line->tier),
                   line->regional ? " regional" : "");
    return out;
}

/* ---- people ------------------------------------------------------------------------------- */

static void columns_head(void)
{
    (void)printf("%-13s %-44s %-10s %-26s %10s %10s %10s %10s  %s\n", "PROVIDER", "MODEL", "FROM",
                 "ROW", "INPUT", "OUTPUT", "READ", "WRITE", "USD per 1M; other prices, hours");
}

/* What has no column: "image_out 40  request 0.012 each  mon-fri 01:00-04:00". */
static void columns_rest(const struct meter_price_line *line)
{
    static const enum meter_bucket others[] = {METER_CACHE_WRITE_1H, METER_AUDIO_IN, METER_IMAGE_IN,
                                               METER_AUDIO_OUT, METER_IMAGE_OUT};
    char text[METER_USD_TEXT];

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (line->rates.token[others[i]] != METER_NO_RATE)
            (void)printf("  %s %s", meter_bucket_name(others[i]),
                         rate_text(line->rates.token[others[i]], METER_TOKEN_DECIMALS, text));
    for (unsigned i = 0; i < METER_COUNTS; i++) {
        unsigned decimals;
        const char *name = meter_fee_name((enum meter_count)i, &decimals);

        if (name != NULL && line->rates.count[i] != METER_NO_RATE)
            (void)printf("  %s %s%s", name, rate_text(line->rates.count[i], decimals, text),
                         decimals != METER_TOKEN_DECIMALS ? " each" : "");
    }
    if (*line->hours != '\0')
        (void)printf("  %s", line->hours);
    if (line->free)
        (void)printf("  free");
    (void)printf("\n");
}

static void columns_print(const struct meter_price_line *line)
{
    static const enum meter_bucket shown[] = {METER_INPUT, METER_OUTPUT, METER_CACHE_READ,
                                              METER_CACHE_WRITE_5M};
    char text[METER_USD_TEXT], kind[64];

    (void)printf("%-13s %-44s %-10s %-26s", line->provider, line->model,
                 *line->from != '\0' ? line->from : "-", kind_text(line, kind, sizeof kind));
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        (void)printf(" %10s", rate_text(line->rates.token[shown[i]], METER_TOKEN_DECIMALS, text));
    columns_rest(line);
}

/* ---- programs ----------------------------------------------------------------------------- */

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *text_json(const char *text)
{
    return *text != '\0' ? json_string(text) : json_null();
}

static json_t *number_json(uint64_t number)
{
    return number > 0 ? json_integer((json_int_t)number) : json_null();
}

static json_t *rate_json(uint64_t rate, unsigned decimals)
{
    char text[METER_USD_TEXT];

    return rate != METER_NO_RATE ? json_string(rate_text(rate, decimals, text)) : json_null();
}

static void json_print(const struct meter_price_line *line)
{
    json_t *object = json_object(), *tokens = json_object(), *things = json_object();
    char *text;

    for (unsigned i = 0; i < METER_BUCKETS; i++)
        set(tokens, meter_bucket_name((enum meter_bucket)i),
            rate_json(line->rates.token[i], METER_TOKEN_DECIMALS));
    for (unsigned i = 0; i < METER_COUNTS; i++) {
        unsigned decimals;
        const char *name = meter_fee_name((enum meter_count)i, &decimals);

        if (name != NULL)
            set(things, name, rate_json(line->rates.count[i], decimals));
    }
    set(object, "provider", json_string(line->provider));
    set(object, "model", json_string(line->model));
    set(object, "from", text_json(line->from));
    set(object, "prompt_from", json_integer((json_int_t)line->prompt_from));
    set(object, "service", json_string(meter_tier_text(line->tier)));
    set(object, "region", text_json(line->regional ? "regional" : ""));
    set(object, "hours", text_json(line->hours));
    set(object, "usd_per_million", tokens);
    set(object, "usd_fees", things);
    set(object, "context_tokens", number_json(line->context_tokens));
    set(object, "output_tokens", number_json(line->output_tokens));
    set(object, "hidden_tps", number_json(line->hidden_tokens_per_second));
    set(object, "free", json_boolean(line->free));
    text = json_dumps(object, JSON_COMPACT);
    if (text != NULL)
        (void)puts(text);
    free(text);
    json_decref(object);
}

void cli_price_print(struct cli_price_printer *printer, const struct meter_price_line *line)
{
    if (printer->json) {
        json_print(line);
        return;
    }
    if (!printer->begun)
        columns_head();
    printer->begun = true;
    columns_print(line);
}
