/* SPDX-License-Identifier: Apache-2.0 */
/* usage: tests/scenarios/run --pure | player
 *
 * Plays the pure scenarios in this process: the configuration's reader, the meter over the recorded
 * bytes and the governor, without a sidecar, a ledger or a client. Prints `ok N - rule` lines;
 * exits 1 if one did not come out. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/exchange.h"
#include "sidecar/sidecar.h"

#define TEXT 2048u

struct play {
    const json_t *scenario;
    struct side_spec spec;
    struct gov_scope run;
    enum gov_state state;
    struct gov_finding ended;
    int64_t now; /* counts calls */
    char wrong[TEXT];
};

static bool wrong(struct play *play, const char *what, const char *got, const char *want)
{
    (void)snprintf(play->wrong, sizeof play->wrong, "%s: %s, not %s", what, got, want);
    return false;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* ---- what was asked for ---------------------------------------------------------------------- */

static bool config_read(struct play *play, struct side_error *error)
{
    const char *text = text_of(play->scenario, "config"),
               *policy = text_of(play->scenario, "policy");
    static const char *const none[] = {NULL};
    char path[64];
    int fd;
    bool ok;

    if (text == NULL && policy == NULL)
        return true;
    fd = memfd_create("flyball.yaml", MFD_CLOEXEC);
    ok = fd >= 0 && (text == NULL || write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ok = ok && side_config_read(&play->spec, path, policy, none, error);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static bool spec_read(struct play *play)
{
    const json_t *limits = json_object_get(play->scenario, "limits");
    const json_t *policies = json_object_get(play->scenario, "policies");
    const char *profile = text_of(play->scenario, "profile"), *name;
    struct side_error error = {{0}};
    const json_t *value;
    char in_unit[SIDE_UNIT_TEXT];
    bool ok;

    side_spec_init(&play->spec);
    play->spec.meter_only = json_is_true(json_object_get(play->scenario, "meter_only"));
    ok = config_read(play, &error);
    json_object_foreach((json_t *)limits, name, value)
    {
        enum gov_dim dim = gov_dim_by_name(name);

        ok = ok &&
             side_spec_limit(&play->spec, dim, side_in_unit(dim, json_string_value(value), in_unit),
                             "--max", SIDE_FLAG, &error);
    }
    json_object_foreach((json_t *)policies, name, value) ok =
        ok && side_spec_policy(&play->spec, gov_dim_by_name(name), json_string_value(value),
                               "--exhaustion", &error);
    if (profile != NULL)
        ok = ok && side_spec_profile(&play->spec, profile, "--limits", SIDE_FLAG, &error);
    if (!ok)
        return wrong(play, "the limits", error.text, "good ones");
    side_spec_finish(&play->spec);
    play->run.kind = GOV_RUN;
    memcpy(play->run.limits, play->spec.limits, sizeof play->run.limits);
    play->ended.dim = GOV_DIMS;
    return true;
}

/* ---- a call ---------------------------------------------------------------------------------- */

static bool price_of(const struct play *play, const struct cli_request *asked,
                     struct meter_price *out)
{
    const struct meter_price_book *book = meter_price_book_shipped();

    return cli_price_find(asked, book, asked->request.model, out) ||
           (play->spec.unknown_model == SIDE_UNKNOWN_CAP &&
            meter_price_cap(book, asked->request.provider, asked->when_s, out) == METER_OK);
}

static void call_of(const struct play *play, const struct cli_request *asked, struct gov_call *out)
{
    struct meter_price price;
    bool priced = price_of(play, asked, &price);

    memset(out, 0, sizeof *out);
    meter_hold_line_make(&asked->request, priced ? &price : NULL, &out->line);
    if (!priced && play->spec.unknown_model == SIDE_UNKNOWN_WARN) {
        out->line.priced = true;
        out->line.input_fusd = 0;
    }
    out->clamp = play->spec.clamp && asked->request.rewritable;
}

/* What its recorded answer comes to. */
static bool settle(struct play *play, const char *json, size_t bytes)
{
    struct meter_error error = {{0}};
    char *line = NULL;
    json_t *metered = NULL, *value;
    int64_t spent[GOV_DIMS] = {[GOV_STEPS] = 1}, pusd = 0;
    const char *name;

    if (cli_exchange_meter(json, bytes, meter_price_book_shipped(), &line, &error) != METER_OK)
        return wrong(play, "the answer", error.text, "metered");
    metered = json_loads(line, 0, NULL);
    free(line);
    json_object_foreach(json_object_get(metered, "buckets"), name, value) spent[GOV_TOKENS] +=
        json_integer_value(value);
    spent[GOV_TOOLS] =
        json_integer_value(json_object_get(json_object_get(metered, "counts"), "tool_calls"));
    if (text_of(metered, "charged_usd") != NULL)
        (void)side_amount_parse(GOV_COST, text_of(metered, "charged_usd"), &pusd);
    spent[GOV_COST] = pusd;
    json_decref(metered);
    play->now++;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        play->run.spent[dim] += spent[dim];
        if (play->run.crossed_ns[dim] == 0 && gov_used_up(&play->run, (enum gov_dim)dim))
            play->run.crossed_ns[dim] = play->now;
    }
    return true;
}

static bool call_play(struct play *play, const json_t *call)
{
    const char *want = text_of(call, "answer");
    struct meter_error error = {{0}};
    struct cli_request asked;
    struct gov_verdict verdict;
    struct gov_call question;
    char got[TEXT] = "200";
    json_t *exchange = json_load_file(text_of(call, "exchange"), 0, NULL);
    char *json = json_dumps(exchange, 0);
    size_t bytes = json != NULL ? strlen(json) : 0, used;

    json_decref(exchange);
    if (json == NULL ||
        cli_request_read(json, bytes, meter_price_book_shipped(), &asked, &error) != METER_OK) {
        free(json);
        return wrong(play, "the exchange", error.text, "a request");
    }
    call_of(play, &asked, &question);
    cli_request_release(&asked);
    gov_decide(play->state, &play->ended, &play->run, 1, &question, &verdict);
    if (verdict.outcome != GOV_ADMIT) {
        used = (size_t)snprintf(got, sizeof got, "402");
        for (unsigned i = 0; i < verdict.finding.count; i++)
            used += (size_t)snprintf(got + used, sizeof got - used, "%c%s", i == 0 ? ' ' : ',',
                                     gov_reason_text(verdict.finding.reasons[i]));
        if (verdict.ends_run && play->state == GOV_RUNNING) {
            play->state = GOV_FAILED;
            play->ended = verdict.finding;
        }
    } else if (!settle(play, json, bytes)) {
        free(json);
        return false;
    }
    free(json);
    return strcmp(got, want) == 0 || wrong(play, "the answer", got, want);
}

/* ---- a scenario ------------------------------------------------------------------------------ */

static bool check_end(struct play *play)
{
    const char *state = text_of(play->scenario, "state"), *name;
    enum gov_state ended = play->state == GOV_RUNNING ? GOV_COMPLETED : play->state;
    char amount[SIDE_AMOUNT_TEXT];
    const json_t *value;

    if (state != NULL && strcmp(state, gov_state_name(ended)) != 0)
        return wrong(play, "state", gov_state_name(ended), state);
    json_object_foreach(json_object_get(play->scenario, "spent"), name, value)
    {
        json_t *given =
            side_amount_json(gov_dim_by_name(name), play->run.spent[gov_dim_by_name(name)]);
        bool same = json_equal(given, value);

        (void)snprintf(amount, sizeof amount, "%lld",
                       (long long)play->run.spent[gov_dim_by_name(name)]);
        json_decref(given);
        if (!same)
            return wrong(play, name, amount, "as it says");
    }
    return true;
}

static bool scenario_play(struct play *play)
{
    size_t i;
    const json_t *call;

    if (!spec_read(play))
        return false;
    json_array_foreach(json_object_get(play->scenario, "calls"), i,
                       call) if (!call_play(play, call)) return false;
    return check_end(play);
}

int main(void)
{
    static char line[1 << 16];
    unsigned number = 0, bad = 0;

    while (fgets(line, sizeof line, stdin) != NULL) {
        json_t *scenario = json_loads(line, 0, NULL);
        struct play *play = calloc(1, sizeof *play);
        bool ok;

        if (scenario == NULL || play == NULL)
            return 2;
        play->scenario = scenario;
        ok = scenario_play(play);
        (void)printf("%s %u - in one process: %s\n", ok ? "ok" : "not ok", ++number,
                     text_of(scenario, "rule"));
        if (!ok)
            (void)printf("    # %s\n", play->wrong);
        bad += ok ? 0 : 1;
        free(play);
        json_decref(scenario);
    }
    (void)printf("# %u scenarios in one process, %u of them wrong\n", number, bad);
    return bad == 0 && number > 0 ? 0 : 1;
}
