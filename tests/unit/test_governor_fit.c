/* SPDX-License-Identifier: Apache-2.0 */
/* How the governor makes a call fit: full form, largest cap, half of what is free, waiting, and a
 * comparison with a plain model over random scopes. */
#include "tests/unit/chance.h"
#include "tests/unit/governor_test.h"

#define NO_CAP UINT64_MAX

/* One hard limit, of cost, on a run; the call's input is 100 and each output token 1. */
static const struct {
    const char *why;
    uint64_t full, smallest;
    bool clamp;
    int64_t limit, spent, held;
    unsigned in_flight, ahead, behind;
    const char *want;
    uint64_t cap;
} fits[] = {
    {"the full form fits", 128000, 1024, true, 200000, 0, 0, 0, 0, 0, "admit", 128000},
    {"the full form just fits", 128000, 1024, true, 128100, 0, 0, 0, 0, 0, "admit", 128000},
    {"it misses by one", 128000, 1024, true, 128099, 0, 0, 0, 0, 0, "admit", 127999},
    {"the largest cap beside what is spent", 128000, 1024, true, 50000, 10000, 0, 0, 0, 0, "admit",
     39900},
    {"the largest cap beside what is held", 128000, 1024, true, 50000, 10000, 5000, 0, 0, 0,
     "admit", 34900},
    {"the smallest form just fits", 128000, 1024, true, 1124, 0, 0, 0, 0, 0, "admit", 1024},
    {"the smallest form misses by one", 128000, 1024, true, 1123, 0, 0, 0, 0, 0,
     "refuse budget_cost_exceeded", 0},
    {"a thinking budget and 1,024", 64000, 17024, true, 17124, 0, 0, 0, 0, 0, "admit", 17024},
    {"less than the thinking budget and 1,024", 64000, 17024, true, 17123, 0, 0, 0, 0, 0,
     "refuse budget_cost_exceeded", 0},
    {"its own cap is smaller than 1,024", 10, 10, true, 110, 0, 0, 0, 0, 0, "admit", 10},
    {"a cap of 0", 0, 0, true, 100, 0, 0, 0, 0, 0, "admit", 0},
    {"a cap of 0 that misses", 0, 0, true, 99, 0, 0, 0, 0, 0, "refuse budget_cost_exceeded", 0},
    /* the free 20,000 are shared */
    {"half while another is in flight", 128000, 1024, true, 50000, 20000, 10000, 1, 0, 0, "admit",
     9900},
    {"half while others wait behind", 128000, 1024, true, 50000, 20000, 10000, 0, 0, 1, "admit",
     9900},
    {"the full form is held as it is, shared or not", 19900, 1024, true, 50000, 20000, 10000, 1, 0,
     1, "admit", 19900},
    {"half is less than the smallest form", 128000, 12000, true, 50000, 20000, 10000, 1, 0, 0,
     "admit", 12000},
    {"the smallest form is all that is free", 128000, 19900, true, 50000, 20000, 10000, 1, 0, 0,
     "admit", 19900},
    {"half of an odd rest", 128000, 1024, true, 50000, 20000, 9999, 1, 0, 0, "admit", 9900},
    /* busy or exhausted */
    {"only holds in the way", 128000, 1024, true, 50000, 20000, 28877, 1, 0, 0, "wait budget_busy",
     0},
    {"just not in the way", 128000, 1024, true, 50000, 20000, 28876, 1, 0, 0, "admit", 1024},
    {"spent alone is too much", 128000, 1024, true, 50000, 48877, 500, 3, 0, 0,
     "refuse budget_cost_exceeded", 0},
    {"spent alone is too much, at once, though others wait", 128000, 1024, true, 50000, 48877, 500,
     3, 2, 2, "refuse budget_cost_exceeded", 0},
    {"spent would just be enough", 128000, 1024, true, 50000, 48876, 500, 3, 0, 0,
     "wait budget_busy", 0},
    {"first come, first served", 128000, 1024, true, 50000, 20000, 10000, 0, 1, 0,
     "wait budget_busy", 0},
    {"who fits in full waits too for those before", 100, 100, true, 50000, 0, 0, 0, 1, 0,
     "wait budget_busy", 0},
    /* where the cap must stay */
    {"clamp off: in full", 900, 900, false, 1000, 0, 0, 0, 0, 0, "admit", 900},
    {"clamp off: the smallest form is no help", 2000, 1024, false, 2099, 0, 0, 0, 0, 0,
     "refuse budget_cost_exceeded", 0},
    {"clamp off: the full form waits for holds", 2000, 1024, false, 2100, 0, 1, 1, 0, 0,
     "wait budget_busy", 0},
    {"clamp off: no halving", 2000, 1024, false, 2200, 0, 100, 1, 0, 1, "admit", 2000},
};

static void check_fit(size_t i, enum gov_scope_kind kind, enum gov_dim dim)
{
    struct gov_scope scope = scope_of(kind);
    struct gov_call call = call_of(fits[i].full, fits[i].smallest, fits[i].clamp);
    struct gov_verdict verdict;
    char why[128], text[512], want[128];
    int64_t need = (int64_t)fits[i].cap + 100;

    scope.in_flight = fits[i].in_flight;
    scope.ahead = fits[i].ahead;
    scope.behind = fits[i].behind;
    limit_set(&scope, dim, fits[i].limit, GOV_HARD_STOP, fits[i].spent, fits[i].held);
    verdict = decide(&scope, 1, &call);
    (void)snprintf(why, sizeof(why), "%s: %s of %s", fits[i].why, gov_dim_name(dim),
                   gov_scope_name(kind));
    (void)snprintf(want, sizeof(want), "%s", fits[i].want);
    if (strncmp(want, "refuse", 6) == 0 && kind != GOV_RUN)
        (void)snprintf(want, sizeof(want), "refuse %s_budget_exceeded",
                       kind == GOV_SESSION ? "session" : "daily");
    else if (strncmp(want, "refuse", 6) == 0 && dim == GOV_TOKENS)
        (void)snprintf(want, sizeof(want), "refuse budget_token_estimate_exceeded");
    expect_verdict(why, &verdict, want);
    if (verdict.outcome != GOV_ADMIT)
        return;
    if (verdict.cap != fits[i].cap || verdict.clamped != (fits[i].cap != fits[i].full) ||
        verdict.hold[GOV_COST] != need || verdict.hold[GOV_TOKENS] != need)
        fail_msg("%s: %s, cap %llu%s, holds %lld; wanted cap %llu", why,
                 verdict_text(&verdict, text), (unsigned long long)verdict.cap,
                 verdict.clamped ? " (clamped)" : "", (long long)verdict.hold[dim],
                 (unsigned long long)fits[i].cap);
}

static void a_call_gets_the_form_that_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fits); i++)
        for (unsigned kind = GOV_RUN; kind <= GOV_GLOBAL; kind++)
            for (unsigned dim = GOV_TOKENS; dim <= GOV_COST; dim++)
                check_fit(i, (enum gov_scope_kind)kind, (enum gov_dim)dim);
}

static void the_narrowest_of_all_scopes_decides_the_cap(void **state)
{
    struct gov_scope scopes[3] = {scope_of(GOV_RUN), scope_of(GOV_SESSION), scope_of(GOV_GLOBAL)};
    struct gov_call call = call_of(128000, 1024, true);
    struct gov_verdict verdict;

    (void)state;
    limit_set(&scopes[0], GOV_COST, 100000, GOV_HARD_STOP, 0, 0);
    limit_set(&scopes[1], GOV_TOKENS, 60000, GOV_APPROVAL_REQUIRED, 10000, 0);
    limit_set(&scopes[2], GOV_COST, 200000, GOV_HARD_STOP, 0, 155000);
    verdict = decide(scopes, 3, &call);
    expect_verdict("three limits", &verdict, "admit");
    assert_int_equal(verdict.cap, 44900);

    scopes[1].in_flight = 1; /* half of its 50,000 */
    verdict = decide(scopes, 3, &call);
    assert_int_equal(verdict.cap, 24900);

    scopes[1].limits[GOV_TOKENS].policy = GOV_SOFT_WARN;
    verdict = decide(scopes, 3, &call);
    assert_int_equal(verdict.cap, 44900);
}

static void soft_limits_neither_clamp_nor_wait(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(128000, 1024, true);
    struct gov_verdict verdict;

    (void)state;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        limit_set(&scope, (enum gov_dim)dim, 10, GOV_SOFT_WARN, 1000000, 1000000);
    scope.in_flight = 3;
    scope.behind = 2;
    verdict = decide(&scope, 1, &call);
    expect_verdict("soft", &verdict, "admit");
    assert_int_equal(verdict.cap, 128000);
    assert_false(verdict.clamped);
    assert_int_equal(verdict.finding.count, 0);
}

static const struct {
    const char *why;
    int64_t spent, held;
    const char *want;
} steps[] = {
    {"the last step", 9, 0, "admit"},
    {"all steps are spent", 10, 0, "refuse budget_steps_exceeded"},
    {"all steps are spent, others are held", 10, 3, "refuse budget_steps_exceeded"},
    {"the last step is held by one that may not send", 9, 1, "wait budget_busy"},
    {"a step is held, one is left", 8, 1, "admit"},
};

static void nobody_waits_for_a_step_that_was_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct gov_scope scope = scope_of(GOV_RUN);
        struct gov_call call = call_of(900, 900, true);
        struct gov_verdict verdict;

        scope.in_flight = 10; /* sent and unsettled ones, too */
        limit_set(&scope, GOV_STEPS, 10, GOV_HARD_STOP, steps[i].spent, steps[i].held);
        verdict = decide(&scope, 1, &call);
        expect_verdict(steps[i].why, &verdict, steps[i].want);
    }
}

static void a_smaller_cap_saves_no_step(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(128000, 1024, true);
    struct gov_verdict verdict;

    (void)state;
    scope.in_flight = 1;
    limit_set(&scope, GOV_STEPS, 2, GOV_HARD_STOP, 0, 1);
    verdict = decide(&scope, 1, &call);
    expect_verdict("the last step, shared", &verdict, "admit");
    assert_int_equal(verdict.cap, 128000); /* steps are not halved */
}

static void a_cap_that_nobody_knows_is_guessed_and_set(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(NO_CAP, 1024, true);
    struct gov_verdict verdict;

    (void)state;
    limit_set(&scope, GOV_COST, 5000, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("a limit", &verdict, "admit");
    assert_true(verdict.clamped);
    assert_int_equal(verdict.cap, 4900);

    limit_set(&scope, GOV_COST, 100000000, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("a high limit", &verdict, "admit");
    assert_true(verdict.clamped); /* else the provider does not enforce the hold */
    assert_int_equal(verdict.cap, GOV_CAP_GUESS);
    assert_int_equal(verdict.hold[GOV_COST], GOV_CAP_GUESS + 100);

    limit_set(&scope, GOV_COST, 0, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("no limit", &verdict, "admit");
    assert_false(verdict.clamped);
    assert_int_equal(verdict.hold[GOV_TOKENS], GOV_CAP_GUESS + 100);

    limit_set(&scope, GOV_COST, 1000, GOV_SOFT_WARN, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("a soft limit", &verdict, "admit");
    assert_false(verdict.clamped);

    limit_set(&scope, GOV_COST, 1123, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("not even the smallest", &verdict, "refuse budget_cost_exceeded");
}

static void amounts_beyond_all_numbers_are_refused(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(900, 900, true);
    struct gov_verdict verdict;

    (void)state;
    call.line.input_fusd = ~(meter_wide)0;
    limit_set(&scope, GOV_COST, INT64_MAX, GOV_HARD_STOP, 1, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("an input whose cost does not fit", &verdict, "refuse budget_cost_exceeded");

    limit_set(&scope, GOV_COST, 0, GOV_HARD_STOP, 0, 0);
    call = call_of(900, 900, true);
    call.line.input_tokens = UINT64_MAX - 1;
    limit_set(&scope, GOV_TOKENS, INT64_MAX, GOV_HARD_STOP, 1, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("tokens that do not fit", &verdict, "refuse budget_token_estimate_exceeded");

    call = call_of(900, 900, true);
    limit_set(&scope, GOV_TOKENS, INT64_MAX, GOV_HARD_STOP, INT64_MAX - 10, INT64_MAX - 10);
    verdict = decide(&scope, 1, &call);
    expect_verdict("spent near the end", &verdict, "refuse budget_token_estimate_exceeded");

    limit_set(&scope, GOV_TOKENS, INT64_MAX, GOV_HARD_STOP, 10, INT64_MAX - 10);
    verdict = decide(&scope, 1, &call);
    expect_verdict("held near the end", &verdict, "wait budget_busy");

    call.line.choices = UINT64_MAX;
    limit_set(&scope, GOV_TOKENS, 100000, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("choices that do not fit", &verdict, "refuse budget_token_estimate_exceeded");

    limit_set(&scope, GOV_TOKENS, 0, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("choices that do not fit, no limit", &verdict, "admit");
    assert_true(verdict.hold[GOV_TOKENS] > 0);
}

/* Without a bound no limit that depends on it can be kept; that ends no run. */
static const struct {
    const char *why;
    bool input, output, clamp, priced, free;
    enum gov_dim limited;
    const char *want;
} boundless[] = {
    {"an input without a bound, cost", true, false, true, true, false, GOV_COST,
     "refuse price_unknown"},
    {"an input without a bound, tokens", true, false, true, true, false, GOV_TOKENS,
     "refuse price_unknown"},
    {"an input without a bound, steps", true, false, true, true, false, GOV_STEPS, "admit"},
    {"a cap that nobody knows or may set, cost", false, true, false, true, false, GOV_COST,
     "refuse price_unknown"},
    {"a cap that nobody knows or may set, tokens", false, true, false, true, false, GOV_TOKENS,
     "refuse price_unknown"},
    {"a cap that nobody knows or may set, steps", false, true, false, true, false, GOV_STEPS,
     "admit"},
    {"a cap that is set", false, true, true, true, false, GOV_COST, "admit"},
    {"a free model needs no bound for money", true, true, false, true, true, GOV_COST, "admit"},
    {"a free model needs one for tokens", true, true, false, true, true, GOV_TOKENS,
     "refuse price_unknown"},
    {"no price is not free", false, false, true, false, true, GOV_COST, "refuse price_unknown"},
};

static void what_has_no_bound_is_not_admitted_where_it_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(boundless); i++) {
        struct gov_scope scope = scope_of(GOV_RUN);
        struct gov_call call = call_of(boundless[i].output ? NO_CAP : 900, 900, boundless[i].clamp);
        struct gov_verdict verdict;

        if (boundless[i].input)
            call.line.input_tokens = UINT64_MAX;
        call.line.priced = boundless[i].priced;
        if (boundless[i].free)
            call.line.input_fusd = call.line.output_rate = 0;
        limit_set(&scope, boundless[i].limited, 1000000, GOV_HARD_STOP, 0, 0);
        verdict = decide(&scope, 1, &call);
        expect_verdict(boundless[i].why, &verdict, boundless[i].want);
        assert_false(verdict.ends_run);
    }
}

static void holds_that_no_limit_looks_at_leave_room_for_more(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(900, 900, true);
    struct gov_verdict verdict;

    (void)state;
    call.line.input_tokens = UINT64_MAX;
    call.line.input_fusd = ~(meter_wide)0;
    limit_set(&scope, GOV_TOKENS, 1000, GOV_SOFT_WARN, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("no limit", &verdict, "admit");
    for (unsigned dim = GOV_TOKENS; dim <= GOV_COST; dim++) {
        assert_true(verdict.hold[dim] > INT64_MAX / 10000); /* more than anybody has */
        assert_true(verdict.hold[dim] < INT64_MAX / 5000);  /* and the ledger adds thousands */
    }

    call = call_of(INT64_MAX / 4, 900, false);
    limit_set(&scope, GOV_TOKENS, INT64_MAX, GOV_HARD_STOP, 0, 0);
    verdict = decide(&scope, 1, &call);
    expect_verdict("a limit", &verdict, "admit");
    assert_true(verdict.hold[GOV_TOKENS] == INT64_MAX / 4 + 100);
}

/* ---- the plain model ---------------------------------------------------------------------- */

static bool binds(const struct gov_scope *scope, enum gov_dim dim)
{
    return scope->limits[dim].amount > 0 && scope->limits[dim].policy != GOV_SOFT_WARN;
}

/* Small numbers: no overflow to think of. Cost is rounded up to the pico-dollar. */
static int64_t plain_need(const struct gov_call *call, enum gov_dim dim, int64_t cap)
{
    int64_t choices = (int64_t)call->line.choices;

    if (dim == GOV_TOKENS)
        return (int64_t)call->line.input_tokens + choices * cap;
    if (dim == GOV_COST)
        return !call->line.priced ? 0
                                  : ((int64_t)call->line.input_fusd +
                                     choices * cap * (int64_t)call->line.output_rate + 999) /
                                        1000;
    return dim == GOV_STEPS ? 1 : 0;
}

static bool plain_fits(const struct gov_scope *scopes, unsigned count, const struct gov_call *call,
                       int64_t cap, bool halved, int64_t smallest)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned d = GOV_STEPS; d <= GOV_COST; d++) {
            enum gov_dim dim = (enum gov_dim)d;
            int64_t open =
                scopes[i].limits[dim].amount - scopes[i].spent[dim] - scopes[i].held[dim];
            bool shared = scopes[i].in_flight + scopes[i].ahead + scopes[i].behind > 0;

            if (!binds(&scopes[i], dim))
                continue;
            if (plain_need(call, dim, cap) > open)
                return false;
            if (halved && shared && dim != GOV_STEPS && cap > smallest &&
                plain_need(call, dim, cap) > open / 2)
                return false;
        }
    return true;
}

static bool plain_exhausted(const struct gov_scope *scope, enum gov_dim dim,
                            const struct gov_call *call, int64_t smallest)
{
    if (!binds(scope, dim))
        return false;
    if (dim == GOV_WRITES || dim == GOV_COMMAND)
        return scope->spent[dim] > scope->limits[dim].amount;
    if (dim > GOV_COST)
        return scope->spent[dim] >= scope->limits[dim].amount;
    return scope->spent[dim] + plain_need(call, dim, smallest) > scope->limits[dim].amount;
}

struct plain {
    enum gov_outcome outcome;
    int64_t cap;
};

static struct plain plain_decide(const struct gov_scope *scopes, unsigned count,
                                 const struct gov_call *call)
{
    bool movable = call->clamp;
    int64_t full = (int64_t)call->line.full_cap;
    int64_t smallest = movable ? (int64_t)call->line.smallest_cap : full;
    bool line = false, hard = false, ask = false;

    for (unsigned i = 0; i < count; i++)
        for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
            bool used_up = plain_exhausted(&scopes[i], (enum gov_dim)dim, call, smallest);

            ask = ask || used_up;
            hard = hard || (used_up && scopes[i].limits[dim].policy == GOV_HARD_STOP) ||
                   (binds(&scopes[i], dim) && dim == GOV_COST && !call->line.priced);
            line = line || (binds(&scopes[i], dim) && dim <= GOV_COST && scopes[i].ahead > 0);
        }
    if (hard || ask)
        return (struct plain){.outcome = hard ? GOV_REFUSE : GOV_ASK};
    if (line || !plain_fits(scopes, count, call, smallest, false, smallest))
        return (struct plain){.outcome = GOV_WAIT};
    if (plain_fits(scopes, count, call, full, false, smallest))
        return (struct plain){GOV_ADMIT, full};
    for (int64_t cap = full - 1; cap >= smallest; cap--)
        if (plain_fits(scopes, count, call, cap, true, smallest))
            return (struct plain){GOV_ADMIT, cap};
    return (struct plain){.outcome = GOV_WAIT};
}

static struct gov_scope plain_scope(struct chance *chance)
{
    struct gov_scope scope = scope_of((enum gov_scope_kind)chance_below(chance, GOV_SCOPES));

    scope.in_flight = (unsigned)chance_below(chance, 2);
    scope.ahead = (unsigned)chance_one_in(chance, 20);
    scope.behind = (unsigned)chance_one_in(chance, 5);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t amount = dim == GOV_STEPS ? 1 + chance_below(chance, 8)
                                          : 1 + chance_below(chance, dim == GOV_COST ? 900 : 300);

        if (chance_one_in(chance, dim > GOV_COST ? 4 : 2))
            amount = 0;
        limit_set(&scope, (enum gov_dim)dim, amount,
                  (enum gov_policy)chance_below(chance, GOV_POLICIES),
                  chance_below(chance, dim > GOV_COST ? amount + 2 : amount + 1) *
                      chance_below(chance, 2),
                  chance_below(chance, amount + 1) * chance_below(chance, 2));
    }
    return scope;
}

static struct gov_call plain_call(struct chance *chance)
{
    struct gov_call call = {.clamp = !chance_one_in(chance, 5)};
    uint64_t thinking = 1 + (uint64_t)chance_below(chance, 60);

    call.line = (struct meter_hold_line){.input_tokens = (uint64_t)chance_below(chance, 60),
                                         .choices = 1 + (uint64_t)chance_below(chance, 3),
                                         .full_cap = (uint64_t)chance_below(chance, 150),
                                         .priced = !chance_one_in(chance, 8),
                                         .rewritable = !chance_one_in(chance, 8),
                                         .input_fusd = (meter_wide)chance_below(chance, 200000),
                                         .output_rate = (uint64_t)chance_below(chance, 3000)};
    call.line.smallest_cap = thinking < call.line.full_cap ? thinking : call.line.full_cap;
    return call;
}

/* Every code that a verdict names is true of some scope. */
static void check_reasons(unsigned round, const struct gov_scope *scopes, unsigned count,
                          const struct gov_call *call, const struct gov_verdict *verdict)
{
    const struct gov_finding *finding = &verdict->finding;
    bool movable = call->clamp;
    int64_t smallest = (int64_t)(movable ? call->line.smallest_cap : call->line.full_cap);

    for (unsigned i = 0; i < finding->count; i++) {
        bool truth = false;

        for (unsigned s = 0; s < count; s++)
            for (unsigned d = 0; d < GOV_DIMS; d++) {
                enum gov_reason reason =
                    gov_reason_of(scopes[s].kind, scopes[s].window, (enum gov_dim)d);
                bool unknown = d == GOV_COST && binds(&scopes[s], d) && !call->line.priced;

                truth = truth || (unknown ? finding->reasons[i] == GOV_REASON_PRICE_UNKNOWN
                                          : finding->reasons[i] == reason &&
                                                plain_exhausted(&scopes[s], d, call, smallest));
            }
        if (!truth)
            fail_msg("round %u: refused by %s, which is not so", round,
                     gov_reason_text(finding->reasons[i]));
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(finding->reasons[i], finding->reasons[j]);
    }
    assert_true(finding->count > 0);
}

static void the_verdict_is_that_of_the_plain_model(void **state)
{
    struct chance chance = {.state = 20260402};
    unsigned seen[4] = {0}, clamped = 0;
    unsigned rounds = chance_rounds("FLYBALL_GOVERNOR_ROUNDS", 200000);

    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct gov_scope scopes[4];
        unsigned count = (unsigned)chance_below(&chance, 5);
        struct gov_call call = plain_call(&chance);
        struct gov_verdict verdict;
        struct plain plain;

        for (unsigned i = 0; i < count; i++)
            scopes[i] = plain_scope(&chance);
        verdict = decide(scopes, count, &call);
        plain = plain_decide(scopes, count, &call);
        if (verdict.outcome != plain.outcome ||
            (plain.outcome == GOV_ADMIT && verdict.cap != (uint64_t)plain.cap))
            fail_msg("round %u: %s with cap %llu, wanted %s with %lld", round,
                     outcome_text(verdict.outcome), (unsigned long long)verdict.cap,
                     outcome_text(plain.outcome), (long long)plain.cap);
        seen[verdict.outcome]++;
        clamped += verdict.outcome == GOV_ADMIT && verdict.clamped;
        if (verdict.outcome == GOV_REFUSE || verdict.outcome == GOV_ASK)
            check_reasons(round, scopes, count, &call, &verdict);
        if (verdict.outcome != GOV_ADMIT)
            continue;
        assert_int_equal(verdict.clamped, verdict.cap != call.line.full_cap);
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            assert_int_equal(verdict.hold[dim],
                             plain_need(&call, (enum gov_dim)dim, (int64_t)verdict.cap));
    }
    /* the odds above make every outcome common */
    assert_true(seen[GOV_ADMIT] > rounds / 20 && seen[GOV_WAIT] > rounds / 50);
    assert_true(seen[GOV_REFUSE] > rounds / 20 && clamped > rounds / 50);
}

static uint64_t any_size(struct chance *chance, int most_bits)
{
    return chance_u64(chance) >> (64 - chance_below(chance, most_bits) - 1);
}

/* The same promise with numbers of every size: what is held passes no limit. */
static void no_hold_ever_passes_a_limit(void **state)
{
    struct chance chance = {.state = 20260403};
    unsigned admitted = 0, clamped = 0;

    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        struct gov_scope scope = scope_of(GOV_RUN);
        struct gov_call call = call_of(any_size(&chance, 63), 0, !chance_one_in(&chance, 3));
        struct gov_verdict verdict;

        call.line.smallest_cap = call.line.full_cap < 1024 ? call.line.full_cap : 1024;
        call.line.input_tokens = any_size(&chance, 64);
        call.line.input_fusd = (meter_wide)any_size(&chance, 64) << chance_below(&chance, 60);
        call.line.output_rate = any_size(&chance, 64);
        call.line.choices = 1 + any_size(&chance, 10);
        scope.in_flight = (unsigned)chance_below(&chance, 2);
        for (unsigned dim = GOV_STEPS; dim <= GOV_COST; dim++)
            limit_set(&scope, (enum gov_dim)dim,
                      INT64_MAX >> (chance_one_in(&chance, 2) ? 0 : chance_below(&chance, 40)),
                      GOV_HARD_STOP, (int64_t)any_size(&chance, 62),
                      (int64_t)any_size(&chance, 62));
        verdict = decide(&scope, 1, &call);
        if (verdict.outcome != GOV_ADMIT)
            continue;
        admitted++;
        clamped += verdict.clamped;
        for (unsigned dim = GOV_STEPS; dim <= GOV_COST; dim++)
            if ((__int128)scope.spent[dim] + scope.held[dim] + verdict.hold[dim] >
                scope.limits[dim].amount)
                fail_msg("round %u: %s of %lld passes", round, gov_dim_name((enum gov_dim)dim),
                         (long long)verdict.hold[dim]);
        assert_true(verdict.hold[GOV_COST] == meter_hold_cost(&call.line, verdict.cap));
        assert_true(verdict.cap >= call.line.smallest_cap && verdict.cap <= call.line.full_cap);
    }
    assert_true(admitted > 10000 && clamped > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_the_form_that_fits),
        cmocka_unit_test(the_narrowest_of_all_scopes_decides_the_cap),
        cmocka_unit_test(soft_limits_neither_clamp_nor_wait),
        cmocka_unit_test(nobody_waits_for_a_step_that_was_sent),
        cmocka_unit_test(a_smaller_cap_saves_no_step),
        cmocka_unit_test(a_cap_that_nobody_knows_is_guessed_and_set),
        cmocka_unit_test(amounts_beyond_all_numbers_are_refused),
        cmocka_unit_test(what_has_no_bound_is_not_admitted_where_it_counts),
        cmocka_unit_test(holds_that_no_limit_looks_at_leave_room_for_more),
        cmocka_unit_test(the_verdict_is_that_of_the_plain_model),
        cmocka_unit_test(no_hold_ever_passes_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
