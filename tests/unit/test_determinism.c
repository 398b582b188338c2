/* SPDX-License-Identifier: Apache-2.0 */
/* The same policy, counters and time give the same bytes: twice in this program, and in the builds
 * of every compiler: with --digest it prints what all came to, which `make check` compares. */
#include <stdlib.h>

#include "tests/unit/chance.h"
#include "tests/unit/governor_test.h"

#include "governor/directive.h"
#include "store/store.h"

#define TRIPLES     10000u
#define SCOPES_MOST 10u

static char digest[65];

struct triple {
    struct gov_quality_rules rules;
    struct gov_scope scopes[SCOPES_MOST];
    unsigned scope_count;
    struct gov_cooldown cooldowns[4];
    unsigned cooldown_count;
    struct gov_call call;
    struct gov_finding ended;
    enum gov_state state;
    int64_t now_ms;
};

/* Small, middling, or near the ends of its range. */
static int64_t amount(struct chance *chance)
{
    switch (chance_below(chance, 4)) {
    case 0:
        return 0;
    case 1:
        return (int64_t)chance_below(chance, 100);
    case 2:
        return (int64_t)chance_below(chance, 1000000000);
    default:
        return (int64_t)(chance_u64(chance) >> (1 + chance_below(chance, 8)));
    }
}

static void scope_make(struct chance *chance, struct gov_scope *out)
{
    out->kind = (enum gov_scope_kind)chance_below(chance, GOV_SCOPES);
    out->window = (enum gov_window)chance_below(chance, GOV_WINDOWS);
    out->closed = chance_one_in(chance, 20);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        if (chance_one_in(chance, 2))
            out->limits[dim].amount = amount(chance);
        out->limits[dim].policy = (enum gov_policy)chance_below(chance, GOV_POLICIES);
        out->spent[dim] = amount(chance) / 2;
        out->held[dim] = amount(chance) / 4;
        out->guard[dim] = chance_one_in(chance, 4);
    }
    out->in_flight = (unsigned)chance_below(chance, 3);
    out->ahead = (unsigned)chance_below(chance, 2);
    out->behind = (unsigned)chance_below(chance, 2);
}

static void triple_make(struct chance *chance, struct triple *out)
{
    static const char *const names[] = {"openai", "anthropic", "gemini", "cohere"};

    memset(out, 0, sizeof *out);
    out->rules.preset = (enum gov_quality)chance_below(chance, GOV_QUALITIES);
    out->rules.by_hand = chance_one_in(chance, 4);
    out->rules.chosen = (enum gov_quality)chance_below(chance, GOV_QUALITIES);
    out->rules.prefer_local = chance_one_in(chance, 2);
    out->rules.warning_ppm = 10000 + (int64_t)chance_below(chance, 980000);
    out->rules.warning_pacing_ms = amount(chance);
    out->rules.hard_pacing_ms = amount(chance);
    out->scope_count = (unsigned)chance_below(chance, SCOPES_MOST + 1);
    for (unsigned i = 0; i < out->scope_count; i++)
        scope_make(chance, &out->scopes[i]);
    out->now_ms = amount(chance);
    out->cooldown_count = (unsigned)chance_below(chance, COUNT(names) + 1);
    for (unsigned i = 0; i < out->cooldown_count; i++) {
        (void)snprintf(out->cooldowns[i].provider, GOV_PROVIDER_TEXT, "%s", names[i]);
        out->cooldowns[i].until_ms = chance_one_in(chance, 2) ? out->now_ms : amount(chance);
    }
    out->call = call_of(0, 0, chance_one_in(chance, 2)); /* one draw a statement: their order */
    out->call.line.full_cap = (uint64_t)amount(chance);
    out->call.line.smallest_cap = (uint64_t)amount(chance) % 2000;
    out->call.line.input_tokens = (uint64_t)amount(chance);
    out->call.line.priced = !chance_one_in(chance, 8);
    out->call.economy = chance_one_in(chance, 3);
    out->ended.dim = GOV_DIMS;
    if (chance_one_in(chance, 8))
        out->state = (enum gov_state)chance_below(chance, GOV_STATES);
}

struct outcome {
    struct gov_directive directive;
    struct gov_verdict verdict;
};

static void evaluate(const struct triple *triple, uint8_t before, struct outcome *out)
{
    const struct gov_standing standing = {
        .rules = &triple->rules,
        .scopes = triple->scopes,
        .scope_count = triple->scope_count,
        .cooldowns = triple->cooldowns,
        .cooldown_count = triple->cooldown_count,
        .provider = "openai",
        .now_ms = triple->now_ms,
    };

    memset(out, before, sizeof *out); /* what was there before does not shine through */
    gov_direct(&standing, &out->directive);
    gov_decide(triple->state, &triple->ended, triple->scopes, triple->scope_count, &triple->call,
               &out->verdict);
}

static void the_same_triple_gives_the_same_bytes(void **state)
{
    struct chance chance = {.state = 20261129};
    struct outcome *outcomes = calloc(TRIPLES, sizeof *outcomes);
    unsigned admitted = 0, waiting = 0, hard = 0;
    uint8_t hash[32];

    (void)state;
    assert_non_null(outcomes);
    for (unsigned i = 0; i < TRIPLES; i++) {
        static struct triple triple;
        struct outcome again;

        triple_make(&chance, &triple);
        evaluate(&triple, 0x00, &outcomes[i]);
        evaluate(&triple, 0xff, &again);
        if (memcmp(&outcomes[i], &again, sizeof again) != 0)
            fail_msg("triple %u comes out otherwise the second time", i);
        admitted += again.verdict.outcome == GOV_ADMIT;
        waiting += again.verdict.outcome == GOV_WAIT;
        hard += again.directive.severity == GOV_HARD_LIMIT;
    }
    assert_true(admitted > TRIPLES / 50 && waiting > TRIPLES / 500 && hard > TRIPLES / 50);
    store_sha256(outcomes, TRIPLES * sizeof *outcomes, hash);
    free(outcomes);
    for (unsigned i = 0; i < 32; i++)
        (void)snprintf(digest + 2 * i, 3, "%02x", hash[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_triple_gives_the_same_bytes)};

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (argc > 1 && strcmp(argv[1], "--digest") == 0)
        (void)puts(digest);
    return failed;
}
