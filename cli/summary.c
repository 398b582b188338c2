/* SPDX-License-Identifier: Apache-2.0 */
/* What a launcher tells people: warnings while the program runs, one line when it has ended. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/launch.h"

/* ---- notices ------------------------------------------------------------------------------ */

static void tell_unpriced(const json_t *json)
{
    const char *model = json_string_value(json_object_get(json, "model"));
    const char *host = json_string_value(json_object_get(json, "host"));

    (void)fprintf(stderr,
                  "flyball: warning: there is no price for model %s at %s; no money is held for "
                  "its calls\n",
                  model != NULL ? model : "", host != NULL ? host : "");
}

static void tell_limit(const json_t *json)
{
    const char *kind = json_string_value(json_object_get(json, "notice"));
    const char *name = json_string_value(json_object_get(json, "dimension"));
    const char *scope = json_string_value(json_object_get(json, "scope"));
    const char *window = json_string_value(json_object_get(json, "window"));
    char consumed[SIDE_AMOUNT_TEXT], limit[SIDE_AMOUNT_TEXT], whose[GOV_WHOSE_TEXT];
    enum gov_dim dim;

    if (name == NULL || scope == NULL || window == NULL)
        return;
    dim = gov_dim_by_name(name);
    (void)gov_whose(gov_scope_by_name(scope), gov_window_by_name(window), whose);
    (void)side_amount_text(dim, json_integer_value(json_object_get(json, "consumed")), consumed);
    (void)side_amount_text(dim, json_integer_value(json_object_get(json, "limit")), limit);
    if (strcmp(kind, "warning") == 0)
        (void)fprintf(stderr, "flyball: warning: %lld %% of the %s of %s is used: %s of %s; %s\n",
                      (long long)json_integer_value(json_object_get(json, "percent")),
                      gov_dim_phrase(dim), whose, consumed, limit, gov_guidance(dim));
    else
        (void)fprintf(stderr, "flyball: the %s of %s is used up: %s of %s%s; %s\n",
                      gov_dim_phrase(dim), whose, consumed, limit,
                      strcmp(consumed, limit) != 0 && dim <= GOV_COST
                          ? ", and the next call needs more than the rest"
                          : "",
                      json_is_true(json_object_get(json, "asks")) ? "a person is asked"
                                                                  : "further calls are refused");
}

static const char *state_words(const char *state)
{
    static const struct {
        enum gov_state state;
        const char *words;
    } rows[] = {{GOV_RUNNING, "goes on"},
                {GOV_PAUSED, "is paused"},
                {GOV_FAILED, "has failed"},
                {GOV_CANCELLED, "is cancelled"},
                {GOV_BUDGET_STOPPED, "is stopped"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(gov_state_name(rows[i].state), state) == 0)
            return rows[i].words;
    return state;
}

/* The launcher's terminal is a person's: what an agent is told has no command in it. */
static void tell_state(const json_t *json, struct launch_word *word_out)
{
    const char *state = json_string_value(json_object_get(json, "state"));
    const json_t *question = json_object_get(json, "question");
    const char *id = json_string_value(json_object_get(question, "checkpoint_id"));
    const char *task = json_string_value(json_object_get(question, "task_class"));
    bool paused = state != NULL && strcmp(state, gov_state_name(GOV_PAUSED)) == 0;

    word_out->turned = true;
    word_out->hold = paused && json_is_true(json_object_get(json, "by_hand"));
    word_out->paused = paused;
    word_out->left_ms = json_integer_value(json_object_get(json, "left_ms"));
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        word_out->limits[dim] = json_integer_value(
            json_object_get(json_object_get(json, "limits"), gov_dim_name((enum gov_dim)dim)));
    if (id != NULL)
        (void)fprintf(
            stderr,
            "flyball: the run is paused%s%s; `flyball approve %s` or `flyball deny %s`, in "
            "another shell\n",
            task != NULL ? ", its task requires approval: " : "", task != NULL ? task : "", id, id);
    else
        (void)fprintf(stderr, "flyball: the run %s\n", state != NULL ? state_words(state) : "");
}

void launch_notice(const char *text, struct launch_word *word_out)
{
    json_t *json = json_loads(text, 0, NULL);
    const char *kind = json_string_value(json_object_get(json, "notice"));

    *word_out = (struct launch_word){.end = kind != NULL && strcmp(kind, "terminate") == 0};
    if (kind != NULL && strcmp(kind, "unpriced") == 0)
        tell_unpriced(json);
    else if (kind != NULL && strcmp(kind, "state") == 0)
        tell_state(json, word_out);
    else if (kind != NULL && !word_out->end)
        tell_limit(json);
    json_decref(json);
}

/* ---- the end ------------------------------------------------------------------------------ */

static enum gov_state state_of(const struct launch *launch)
{
    if (launch->governor_ended)
        return GOV_FAILED;
    return launch->interrupted ||
                   (WIFSIGNALED(launch->status) && WTERMSIG(launch->status) == SIGINT)
               ? GOV_CANCELLED
               : GOV_COMPLETED;
}

bool launch_close(struct launch *launch, int exit_code)
{
    struct cli_word *word = malloc(sizeof *word);
    struct launch_word ignored;
    bool done = false;

    if (word == NULL ||
        !cli_send(&launch->link, json_pack("{s:s,s:i,s:i}", "verb", "run.close", "exit", exit_code,
                                           "state", (int)state_of(launch)))) {
        free(word);
        return false;
    }
    do {
        cli_listen(&launch->link, LAUNCH_PATIENCE_MS, word);
        if (word->said == CLI_SAID_NOTICE)
            launch_notice(word->text, &ignored);
        done = word->said == CLI_SAID_DONE;
    } while (!done && word->said != CLI_SAID_LOST && word->said != CLI_SAID_NOTHING);
    done = done && word->status == 0;
    free(word);
    return done;
}

struct status {
    json_t *json;
    char *line;
};

static void take_status(void *data, const char *line, size_t length)
{
    struct status *status = data;

    status->json = json_loadb(line, length, 0, NULL);
    status->line = strndup(line, length);
}

static void write_summary(const char *file, const char *line)
{
    FILE *out = fopen(file, "we");

    if (out == NULL || fprintf(out, "%s\n", line) < 0 || fclose(out) != 0)
        (void)cli_fail(0, "--summary %s: %s", file, strerror(errno));
}

static long long count_of(const json_t *status, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(status, "calls"), name));
}

/* The cost in a map of amounts; "" when it has none. */
static const char *cost_of(const json_t *status, const char *map, char out[SIDE_AMOUNT_TEXT])
{
    const char *text =
        json_string_value(json_object_get(json_object_get(status, map), gov_dim_name(GOV_COST)));
    int64_t pusd;

    if (text == NULL || !meter_usd_parse(text, strlen(text), &pusd))
        return "";
    return side_amount_text(GOV_COST, pusd, out);
}

static void print_line(const struct launch *launch, const json_t *status)
{
    char spent[SIDE_AMOUNT_TEXT], limit[SIDE_AMOUNT_TEXT] = "";
    long long refused = count_of(status, "refused"), estimated = count_of(status, "estimated");

    (void)fprintf(stderr, "flyball: run %s %s: %s spent", launch->run_id,
                  json_string_value(json_object_get(status, "state")),
                  cost_of(status, "spent", spent));
    if (*cost_of(status, "limits", limit) != '\0')
        (void)fprintf(stderr, " of %s", limit);
    (void)fprintf(stderr, ", %lld tokens, %lld call%s",
                  (long long)json_integer_value(
                      json_object_get(json_object_get(status, "spent"), "llm_tokens")),
                  count_of(status, "admitted"), count_of(status, "admitted") == 1 ? "" : "s");
    if (refused > 0)
        (void)fprintf(stderr, ", %lld refused", refused);
    if (estimated > 0)
        (void)fprintf(stderr, ", %lld estimated", estimated);
    (void)fprintf(stderr, "; level %s\n", json_string_value(json_object_get(status, "level")));
}

void launch_summary(const struct launch *launch)
{
    struct status status = {NULL, NULL};

    (void)cli_ask(json_pack("{s:s,s:s}", "verb", "status", "run", launch->run_id), take_status,
                  &status);
    if (status.json != NULL)
        print_line(launch, status.json);
    if (status.line != NULL && launch->summary_file != NULL)
        write_summary(launch->summary_file, status.line);
    json_decref(status.json);
    free(status.line);
}
