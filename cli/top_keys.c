/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen in `flyball top`, and what keys do to it. An order names the run or the question
 * that was chosen when its key was pressed, whatever has changed since. */
#include "cli/top.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the model ---------------------------------------------------------------------------- */

bool top_model_init(struct top_model *model)
{
    bool ok = true;

    *model = (struct top_model){.pane = TOP_RUNS};
    for (unsigned pane = 0; pane < TOP_PANES; pane++) {
        model->lists[pane] = json_array();
        ok = ok && model->lists[pane] != NULL;
    }
    return ok;
}

static void prompt_end(struct top_prompt *prompt)
{
    json_decref(prompt->request);
    json_decref(prompt->suggests);
    *prompt = (struct top_prompt){.asks = TOP_ASKS_NOTHING};
}

void top_model_release(struct top_model *model)
{
    for (unsigned pane = 0; pane < TOP_PANES; pane++)
        json_decref(model->lists[pane]);
    prompt_end(&model->prompt);
}

const char *top_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static const char *id_name(enum top_pane pane)
{
    return pane == TOP_RUNS ? "run_id" : "checkpoint_id";
}

static size_t find(const struct top_model *model, enum top_pane pane, const char *name,
                   const char *id)
{
    size_t i = 0;

    while (i < json_array_size(model->lists[pane]) &&
           strcmp(top_text(json_array_get(model->lists[pane], i), name), id) != 0)
        i++;
    return i;
}

const json_t *top_chosen(const struct top_model *model, enum top_pane pane)
{
    const char *id = pane == TOP_RUNS ? model->run : model->asked;

    return json_array_get(model->lists[pane], find(model, pane, id_name(pane), id));
}

const json_t *top_question_of(const struct top_model *model, const char *run_id)
{
    return json_array_get(model->lists[TOP_APPROVALS],
                          find(model, TOP_APPROVALS, "run_id", run_id));
}

static void copy_id(char out[TOP_ID], const json_t *object, const char *name)
{
    (void)snprintf(out, TOP_ID, "%s", top_text(object, name));
}

void top_model_settle(struct top_model *model)
{
    const json_t *run = top_chosen(model, TOP_RUNS);

    if (run == NULL || (!model->picked && !json_is_null(json_object_get(run, "ended_at"))))
        copy_id(model->run, json_array_get(model->lists[TOP_RUNS], 0), "run_id");
    if (top_chosen(model, TOP_APPROVALS) == NULL) {
        const json_t *own = top_question_of(model, model->run);

        copy_id(model->asked, own != NULL ? own : json_array_get(model->lists[TOP_APPROVALS], 0),
                "checkpoint_id");
    }
}

static void say(struct top_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct top_model *model, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(model->said, sizeof model->said, format, arguments);
    va_end(arguments);
    model->said_bad = true;
}

/* ---- moving ------------------------------------------------------------------------------- */

#define PAGE 10

static void move(struct top_model *model, long by)
{
    enum top_pane pane = model->pane;
    size_t count = json_array_size(model->lists[pane]), at = model->first[pane];

    if (count == 0)
        return;
    if (pane == TOP_RUNS || pane == TOP_APPROVALS)
        at = find(model, pane, id_name(pane), pane == TOP_RUNS ? model->run : model->asked);
    if (by < 0)
        at = at > (size_t)-by ? at - (size_t)-by : 0;
    else
        at = at + (size_t)by < count ? at + (size_t)by : count - 1;
    if (pane == TOP_CALLS || pane == TOP_EVENTS) {
        model->first[pane] = at;
        return;
    }
    model->picked = model->picked || by != 0;
    if (pane == TOP_APPROVALS)
        copy_id(model->asked, json_array_get(model->lists[pane], at), "checkpoint_id");
    copy_id(model->run, json_array_get(model->lists[pane], at), "run_id");
    if (pane == TOP_RUNS && top_question_of(model, model->run) != NULL)
        copy_id(model->asked, top_question_of(model, model->run), "checkpoint_id");
}

static void turn(struct top_model *model, unsigned by)
{
    model->pane = (enum top_pane)((model->pane + by) % TOP_PANES);
    if (model->pane == TOP_APPROVALS) /* where keys act on its run */
        move(model, 0);
}

/* ---- orders ------------------------------------------------------------------------------- */

static json_t *order(const char *verb, const char *name, const char *id)
{
    return json_pack("{s:s,s:s,s:s}", "verb", verb, name, id, "actor", cli_login());
}

static void ask(struct top_model *model, enum top_asks asks, json_t *request, const char *given,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
static void ask(struct top_model *model, enum top_asks asks, json_t *request, const char *given,
                const char *format, ...)
{
    struct top_prompt *prompt = &model->prompt;
    va_list arguments;

    prompt_end(prompt);
    prompt->asks = asks;
    prompt->request = request;
    va_start(arguments, format);
    (void)vsnprintf(prompt->label, sizeof prompt->label, format, arguments);
    va_end(arguments);
    (void)snprintf(prompt->given, sizeof prompt->given, "%s", given);
    (void)snprintf(prompt->text, sizeof prompt->text, "%s", given);
}

/* In the form that is read again; sizes have no unit in it. */
static void given_amount(enum gov_dim dim, const json_t *map, char out[SIDE_AMOUNT_TEXT])
{
    int64_t amount = 0, same;

    (void)cli_amount_of(map, dim, &amount);
    (void)side_amount_text(dim, amount, out);
    if (!side_amount_parse(dim, out, &same) || same != amount)
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "%lld", (long long)amount);
}

/* The question that keys are about: the chosen run's own, or the only one. */
static const json_t *question(struct top_model *model)
{
    const json_t *found = model->pane == TOP_APPROVALS ? top_chosen(model, TOP_APPROVALS)
                                                       : top_question_of(model, model->run);

    if (found == NULL && json_array_size(model->lists[TOP_APPROVALS]) == 1)
        found = json_array_get(model->lists[TOP_APPROVALS], 0);
    if (found == NULL)
        say(model, "run %.*s asks nothing; Tab goes to the questions of others", TOP_SHORT,
            model->run);
    return found;
}

/* The question tells which run; people know it by that. */
static json_t *decision(const char *verb, const json_t *asked)
{
    json_t *request = order(verb, "id", top_text(asked, "checkpoint_id"));

    (void)json_object_set(request, "run", json_object_get(asked, "run_id"));
    return request;
}

static json_t *approve(struct top_model *model)
{
    const json_t *asked = question(model);
    json_t *suggests = json_object_get(asked, "suggested_extension");
    enum gov_dim dim = gov_dim_by_name(top_text(asked, "exhausted_dimension"));
    char given[SIDE_AMOUNT_TEXT];

    if (asked == NULL)
        return NULL;
    if (dim == GOV_DIMS) { /* about a task: there is nothing to add */
        ask(model, TOP_ASKS_REASON, decision("approve", asked), "",
            "approve %.*s, whose task is %s: why? (may be left empty)", TOP_SHORT,
            top_text(asked, "run_id"), top_text(asked, "task_class"));
        return NULL;
    }
    given_amount(dim, suggests, given);
    ask(model, TOP_ASKS_AMOUNT, decision("approve", asked), given, "approve %.*s: %s + ? (%s)",
        TOP_SHORT, top_text(asked, "run_id"), gov_dim_name(dim), side_amount_expected(dim));
    model->prompt.dim = dim;
    model->prompt.suggests = json_incref(suggests);
    return NULL;
}

static json_t *deny(struct top_model *model)
{
    const json_t *asked = question(model);

    if (asked != NULL)
        ask(model, TOP_ASKS_REASON, decision("deny", asked), "",
            "deny %.*s, which cancels it: why? (may be left empty)", TOP_SHORT,
            top_text(asked, "run_id"));
    return NULL;
}

static json_t *extend(struct top_model *model)
{
    ask(model, TOP_ASKS_EXTEND, order("extend", "run", model->run), "",
        "extend %.*s: DIM=N, such as cost_usd=1.00 steps=10", TOP_SHORT, model->run);
    return NULL;
}

static json_t *stop(struct top_model *model)
{
    json_t *request = order("stop", "run", model->run);

    (void)json_object_set_new(request, "reason", json_string("by hand, in flyball top"));
    ask(model, TOP_ASKS_STOP, request, "", "stop %.*s: no more calls, streams end. y or n?",
        TOP_SHORT, model->run);
    return NULL;
}

static json_t *pause(struct top_model *model)
{
    bool paused = strcmp(top_text(top_chosen(model, TOP_RUNS), "state"), "paused") == 0;

    return order(paused ? "resume" : "pause", "run", model->run);
}

/* ---- prompts ------------------------------------------------------------------------------ */

static bool answer_amount(struct top_prompt *prompt, struct side_error *error)
{
    char text[sizeof prompt->text + 64];
    const char *name;
    const json_t *value;

    if (strcmp(prompt->text, prompt->given) == 0) /* then all that it suggests */
        return true;
    (void)snprintf(text, sizeof text, "%s=%s", gov_dim_name(prompt->dim), prompt->text);
    if (!cli_amount_put(prompt->request, "extend", text, error))
        return false;
    json_object_foreach(prompt->suggests, name, value)
    {
        enum gov_dim dim = gov_dim_by_name(name);
        int64_t amount;

        if (dim != GOV_DIMS && dim != prompt->dim && cli_amount_of(prompt->suggests, dim, &amount))
            (void)json_object_set_new(json_object_get(prompt->request, "extend"), name,
                                      json_integer(amount));
    }
    return true;
}

static bool answer_reason(struct top_prompt *prompt, struct side_error *error)
{
    return prompt->text[0] == '\0' || cli_text_put(prompt->request, "reason", prompt->text, error);
}

static bool answer_stop(struct top_prompt *prompt, struct side_error *error)
{
    return prompt->text[0] == 'y' || side_fail(error, "it is not stopped");
}

static bool answer_extend(struct top_prompt *prompt, struct side_error *error)
{
    char words[sizeof prompt->text], *save = NULL, *word;
    bool ok = true;

    (void)json_object_del(prompt->request, "extend");
    (void)snprintf(words, sizeof words, "%s", prompt->text);
    word = strtok_r(words, " ", &save);
    if (word == NULL)
        return side_fail(error, "which limit? DIM=N, such as cost_usd=1.00");
    for (; ok && word != NULL; word = strtok_r(NULL, " ", &save))
        ok = cli_amount_put(prompt->request, "extend", word, error);
    return ok;
}

/* Completes the request. False: error says what is wrong with the answer. */
static bool (*const answers[])(struct top_prompt *prompt,
                               struct side_error *error) = {[TOP_ASKS_AMOUNT] = answer_amount,
                                                            [TOP_ASKS_REASON] = answer_reason,
                                                            [TOP_ASKS_STOP] = answer_stop,
                                                            [TOP_ASKS_EXTEND] = answer_extend};

static json_t *answer(struct top_model *model)
{
    struct top_prompt *prompt = &model->prompt;
    struct side_error error = {{0}};
    json_t *request = NULL;
    bool ok = answers[prompt->asks](prompt, &error);

    if (!ok)
        say(model, "%s", error.text);
    if (ok)
        request = json_incref(prompt->request);
    if (ok || prompt->asks == TOP_ASKS_STOP)
        prompt_end(prompt);
    return request;
}

static void back(char *text)
{
    size_t used = strlen(text);

    while (used > 0 && ((unsigned char)text[--used] & 0xc0) == 0x80)
        continue; /* to where a character begins */
    text[used] = '\0';
}

static json_t *prompt_key(struct top_model *model, int key)
{
    struct top_prompt *prompt = &model->prompt;
    size_t used = strlen(prompt->text);

    model->said_bad = false;
    model->said[0] = '\0';
    if (key == '\r' || key == '\n')
        return answer(model);
    if (key == '\x1b' || key == 'G' - '@')
        prompt_end(prompt);
    else if (key == TOP_KEY_BACK || key == '\b' || key == 0x7f)
        back(prompt->text);
    else if (key == 'U' - '@')
        prompt->text[0] = '\0';
    else if (key >= ' ' && key <= 0xff && used + 1 < sizeof prompt->text) {
        prompt->text[used] = (char)key;
        prompt->text[used + 1] = '\0';
    }
    return prompt->asks == TOP_ASKS_STOP && key >= ' ' && key <= 0xff ? answer(model) : NULL;
}

/* ---- keys --------------------------------------------------------------------------------- */

static const struct {
    int key;
    long by;
} moves[] = {{'j', 1},         {TOP_KEY_DOWN, 1},         {'k', -1},
             {TOP_KEY_UP, -1}, {TOP_KEY_PAGE_DOWN, PAGE}, {TOP_KEY_PAGE_UP, -PAGE},
             {'g', INT32_MIN}, {TOP_KEY_HOME, INT32_MIN}};

static const struct {
    int key;
    json_t *(*act)(struct top_model *model);
} acts[] = {{'a', approve}, {'d', deny}, {'e', extend}, {'x', stop}, {'p', pause}};

json_t *top_key(struct top_model *model, int key, bool *quit)
{
    if (model->prompt.asks != TOP_ASKS_NOTHING)
        return prompt_key(model, key);
    model->said_bad = false;
    model->said[0] = '\0';
    *quit = *quit || key == 'q';
    if (key == '?' || (model->help && key == '\x1b'))
        model->help = !model->help;
    if (model->help)
        return NULL;
    if (key == '\t' || key == TOP_KEY_BACKTAB)
        turn(model, key == '\t' ? 1 : TOP_PANES - 1);
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        if (moves[i].key == key)
            move(model, moves[i].by);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (acts[i].key == key && model->run[0] != '\0')
            return acts[i].act(model);
    return NULL;
}
