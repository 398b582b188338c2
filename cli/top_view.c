/* SPDX-License-Identifier: Apache-2.0 */
/* What `flyball top` shows: a title, a block per pane and one of budgets, a line that says, a line
 * of keys. */
#include "cli/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NARROW 70u /* columns below which gauges have fewer words */

/* What a block needs to know. */
struct showing {
    const struct top_model *model;
    const json_t *run; /* the chosen one; NULL: there is none */
};

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

/* "12:34:56" of an RFC 3339 time. */
static const char *clock_of(const char *when, char out[16])
{
    (void)snprintf(out, 16, "%.8s", strlen(when) >= 19 ? when + 11 : "-");
    return out;
}

/* ---- runs --------------------------------------------------------------------------------- */

static size_t runs_count(const struct showing *showing)
{
    return json_array_size(showing->model->lists[TOP_RUNS]);
}

static void runs_head(const struct showing *showing, struct top_line *line)
{
    top_format(line, " RUNS (%zu) ", runs_count(showing));
}

static void mark(struct top_line *line, bool chosen)
{
    top_put(line, chosen ? "> " : "  ");
    if (chosen)
        line->style = TOP_CHOSEN;
}

static const struct {
    const char *state, *shown;
    enum top_style style;
} states[] = {{"failed", "failed", TOP_BAD},
              {"cancelled", "cancelled", TOP_BAD},
              {"budget_stopped", "stopped", TOP_BAD},
              {"paused", "paused", TOP_WARN}};

static void runs_row(const struct showing *showing, size_t i, struct top_line *line)
{
    const json_t *run = json_array_get(showing->model->lists[TOP_RUNS], i);
    const json_t *calls = json_object_get(run, "calls");
    const char *state = top_text(run, "state");
    char text[SIDE_AMOUNT_TEXT], words[96];
    int64_t spent = 0;

    for (size_t k = 0; k < sizeof states / sizeof states[0]; k++)
        if (strcmp(states[k].state, state) == 0) {
            line->style = states[k].style;
            state = states[k].shown;
            break;
        }
    if (top_question_of(showing->model, top_text(run, "run_id")) != NULL)
        state = "asks";
    mark(line, run == showing->run);
    (void)cli_amount_of(json_object_get(run, "spent"), GOV_COST, &spent);
    (void)snprintf(words, sizeof words, "%.*s", TOP_SHORT, top_text(run, "run_id"));
    top_cell(line, TOP_SHORT, words);
    top_cell(line, 10, state);
    top_cell(line, 10, top_amount(GOV_COST, spent, text));
    (void)snprintf(words, sizeof words, "%lld calls", number_of(calls, "admitted"));
    top_cell(line, 11, words);
    if (number_of(calls, "in_flight") > 0)
        top_format(line, "%lld in flight  ", number_of(calls, "in_flight"));
    if (number_of(calls, "refused") > 0)
        top_format(line, "%lld refused  ", number_of(calls, "refused"));
    top_put(line, top_text(run, "argv0"));
}

/* ---- budgets ------------------------------------------------------------------------------ */

/* One dimension of the run, or of a window that it is in. */
struct budget {
    const json_t *of;
    enum gov_dim dim;
};

static bool has_spent(const json_t *of, enum gov_dim dim)
{
    int64_t amount = 0;

    return cli_amount_of(json_object_get(of, "spent"), dim, &amount) && amount > 0;
}

static bool has_limit(const json_t *of, enum gov_dim dim)
{
    int64_t limit = 0;

    return cli_amount_of(json_object_get(of, "limits"), dim, &limit) && limit > 0;
}

/* The i-th of them; false: there are fewer, and *count_out says how many. */
static bool budget_at(const struct showing *showing, size_t i, struct budget *out,
                      size_t *count_out)
{
    const json_t *window;
    size_t k, count = 0;

    for (int pass = 0; pass < 2; pass++) /* limits come before what is only counted */
        for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
            enum gov_dim at = (enum gov_dim)dim;
            bool limited = has_limit(showing->run, at);

            if ((pass == 0 ? limited : !limited && has_spent(showing->run, at)) && count++ == i) {
                *out = (struct budget){showing->run, at};
                return true;
            }
        }
    json_array_foreach(json_object_get(showing->run, "windows"), k, window)
    {
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            if (has_limit(window, (enum gov_dim)dim) && count++ == i) {
                *out = (struct budget){window, (enum gov_dim)dim};
                return true;
            }
    }
    *count_out = count;
    return false;
}

static size_t budgets_count(const struct showing *showing)
{
    struct budget budget;
    size_t count = 0;

    (void)budget_at(showing, SIZE_MAX, &budget, &count);
    return count;
}

static void budgets_head(const struct showing *showing, struct top_line *line)
{
    if (showing->run == NULL) {
        top_put(line, " BUDGET ");
        return;
    }
    top_format(line, " BUDGET of %.*s, # spent, = held ", TOP_SHORT,
               top_text(showing->run, "run_id"));
}

static void budgets_row(const struct showing *showing, size_t i, struct top_line *line)
{
    struct budget budget = {0};
    const char *window, *scope;
    char spent_text[SIDE_AMOUNT_TEXT], held_text[SIDE_AMOUNT_TEXT], limit_text[SIDE_AMOUNT_TEXT],
        name[96];
    int64_t spent = 0, held = 0, limit = 0;
    __int128 percent;
    unsigned width = line->width, names = width < NARROW ? width / 4 : 20;
    size_t none;

    if (!budget_at(showing, i, &budget, &none))
        return;
    window = top_text(budget.of, "window"); /* a run has neither */
    scope = top_text(budget.of, "scope");
    if (strcmp(scope, "global") == 0)
        scope = "";
    (void)cli_amount_of(json_object_get(budget.of, "spent"), budget.dim, &spent);
    (void)cli_amount_of(json_object_get(budget.of, "held"), budget.dim, &held);
    (void)cli_amount_of(json_object_get(budget.of, "limits"), budget.dim, &limit);
    (void)top_amount(budget.dim, spent, spent_text);
    (void)top_amount(budget.dim, held, held_text);
    (void)top_amount(budget.dim, limit, limit_text);
    (void)snprintf(name, sizeof name, "%s%s%s%s%.60s", gov_dim_name(budget.dim),
                   *window != '\0' ? " " : "", window, *scope != '\0' ? " " : "", scope);
    top_put(line, "  ");
    top_cell(line, names, name);
    if (limit <= 0) {
        top_format(line, "%s, no limit", spent_text);
        return;
    }
    percent = (__int128)spent * 100 / limit;
    top_gauge(line, width < NARROW ? 10 : (width - names - 2) / 3, spent, held, limit);
    if (percent >= 80)
        line->style = percent >= 100 ? TOP_BAD : TOP_WARN;
    top_format(line, width < NARROW ? " %s%s%s/%s" : " %s%s%s of %s", spent_text,
               held > 0 ? "+" : "", held > 0 ? held_text : "", limit_text);
    if (width >= NARROW)
        top_format(line, ", %lld %%", percent < 999 ? (long long)percent : 999);
}

/* ---- approvals ---------------------------------------------------------------------------- */

static size_t approvals_count(const struct showing *showing)
{
    return json_array_size(showing->model->lists[TOP_APPROVALS]);
}

static void approvals_head(const struct showing *showing, struct top_line *line)
{
    top_format(line, " APPROVALS (%zu), a approves, d denies ", approvals_count(showing));
}

/* An amount of a map, in words; "-": there is none. */
static const char *amount_in(const json_t *map, enum gov_dim dim, char out[SIDE_AMOUNT_TEXT])
{
    int64_t amount;

    return cli_amount_of(map, dim, &amount) ? top_amount(dim, amount, out) : "-";
}

static void approvals_row(const struct showing *showing, size_t i, struct top_line *line)
{
    const json_t *asked = json_array_get(showing->model->lists[TOP_APPROVALS], i);
    const char *name = top_text(asked, "exhausted_dimension"), *scope = top_text(asked, "scope");
    enum gov_dim dim = gov_dim_by_name(name);
    char limit[SIDE_AMOUNT_TEXT], more[SIDE_AMOUNT_TEXT], until[16];

    line->style = TOP_WARN;
    mark(line, asked == top_chosen(showing->model, TOP_APPROVALS));
    top_format(line, "%.*s ", TOP_SHORT, top_text(asked, "run_id"));
    if (dim != GOV_DIMS)
        top_format(line, "asks for %s more %s, beyond %s",
                   amount_in(json_object_get(asked, "suggested_extension"), dim, more), name,
                   amount_in(json_object_get(asked, "limits"), dim, limit));
    else
        top_format(line, "has a task that needs a yes: %s", top_text(asked, "task_class"));
    if (strcmp(scope, "run") != 0)
        top_format(line, " (%s)", scope);
    top_format(line, "; %lld waiting, until %s", number_of(asked, "waiting_calls"),
               clock_of(top_text(asked, "expires_at"), until));
}

/* ---- calls -------------------------------------------------------------------------------- */

static size_t calls_count(const struct showing *showing)
{
    return json_array_size(showing->model->lists[TOP_CALLS]);
}

static void calls_head(const struct showing *showing, struct top_line *line)
{
    top_format(line, " CALLS of %.*s, %lld in flight; charged of held ", TOP_SHORT,
               top_text(showing->run, "run_id"),
               number_of(json_object_get(showing->run, "calls"), "in_flight"));
}

/* Money as an answer has it; what is not known is "?". */
static const char *usd_of(const json_t *call, const char *name, char out[SIDE_AMOUNT_TEXT])
{
    const char *text = top_text(call, name);
    int64_t pusd;

    return meter_usd_parse(text, strlen(text), &pusd) ? top_amount(GOV_COST, pusd, out) : "?";
}

static void calls_row(const struct showing *showing, size_t i, struct top_line *line)
{
    const json_t *call = json_array_get(showing->model->lists[TOP_CALLS], i);
    const char *settlement = top_text(call, "settlement");
    const char *reason = json_string_value(json_array_get(json_object_get(call, "reasons"), 0));
    char when[16], cost[SIDE_AMOUNT_TEXT], held[SIDE_AMOUNT_TEXT], words[2 * SIDE_AMOUNT_TEXT];
    bool flies = *settlement == '\0';

    top_put(line, "  ");
    top_cell(line, 8, clock_of(top_text(call, "ts"), when));
    top_cell(line, flies ? 9 : 15, flies ? "in flight" : settlement);
    if (flies)
        (void)snprintf(words, sizeof words, "%s held", usd_of(call, "held_usd", held));
    else
        (void)snprintf(words, sizeof words, "%s of %s", usd_of(call, "cost_usd", cost),
                       usd_of(call, "held_usd", held));
    top_cell(line, flies ? 30 : 24, reason != NULL ? reason : words);
    top_format(line, "%.40s ", top_text(call, "provider"));
    top_put(line, *top_text(call, "model") != '\0' ? top_text(call, "model")
                                                   : top_text(call, "requested_model"));
    if (strcmp(settlement, "refused") == 0 || strcmp(settlement, "charged_unknown") == 0)
        line->style = TOP_WARN;
}

/* ---- events ------------------------------------------------------------------------------- */

static size_t events_count(const struct showing *showing)
{
    return json_array_size(showing->model->lists[TOP_EVENTS]);
}

static void events_head(const struct showing *showing, struct top_line *line)
{
    (void)showing;
    top_put(line, " EVENTS of all runs ");
}

/* What an event is about, in this order; of a/b, b of the object a. */
static const char *const told[] = {"provider",
                                   "model",
                                   "exhausted_dimension",
                                   "dimension",
                                   "percent",
                                   "hold/cost_usd",
                                   "resources/cost_usd",
                                   "consumed",
                                   "additional",
                                   "limit",
                                   "policy",
                                   "severity",
                                   "state",
                                   "exit",
                                   "until",
                                   "actor",
                                   "approved_by",
                                   "reason",
                                   "reasons",
                                   "count",
                                   "argv0"};

static const json_t *member(const json_t *event, const char *path)
{
    char outer[32];
    const char *slash = strchr(path, '/');

    if (slash == NULL)
        return json_object_get(event, path);
    (void)snprintf(outer, sizeof outer, "%.*s", (int)(slash - path), path);
    return json_object_get(json_object_get(event, outer), slash + 1);
}

static void events_row(const struct showing *showing, size_t i, struct top_line *line)
{
    const json_t *event = json_array_get(showing->model->lists[TOP_EVENTS], i);
    const char *run_id = top_text(event, "run_id");
    char when[16];

    top_format(line, "  %-8s %-*.*s %s", clock_of(top_text(event, "ts"), when), TOP_SHORT,
               TOP_SHORT, *run_id != '\0' ? run_id : "-", top_text(event, "event"));
    for (size_t k = 0; k < sizeof told / sizeof told[0]; k++) {
        const json_t *value = member(event, told[k]);
        const char *slash = strchr(told[k], '/');

        if (json_is_array(value))
            value = json_array_get(value, 0);
        if (json_is_string(value)) {
            top_format(line, " %s=", slash != NULL ? slash + 1 : told[k]);
            top_put(line, json_string_value(value));
        } else if (json_is_integer(value)) {
            top_format(line, " %s=%lld", told[k], (long long)json_integer_value(value));
        }
    }
}

/* ---- blocks ------------------------------------------------------------------------------- */

enum { BLOCK_RUNS, BLOCK_BUDGETS, BLOCK_APPROVALS, BLOCK_CALLS, BLOCK_EVENTS, BLOCKS };

static const struct block {
    enum top_pane pane; /* TOP_PANES: keys do not move in it */
    size_t (*count)(const struct showing *showing);
    void (*head)(const struct showing *showing, struct top_line *line);
    void (*row)(const struct showing *showing, size_t i, struct top_line *line);
    const char *none; /* said instead of rows */
} blocks[BLOCKS] = {
    {TOP_RUNS, runs_count, runs_head, runs_row, "none yet: flyball run --max-cost 5 -- CMD"},
    {TOP_PANES, budgets_count, budgets_head, budgets_row, "no limit, and nothing spent"},
    {TOP_APPROVALS, approvals_count, approvals_head, approvals_row, "nobody asks"},
    {TOP_CALLS, calls_count, calls_head, calls_row, "none in the last hour"},
    {TOP_EVENTS, events_count, events_head, events_row, "none in the last hour"},
};

/* How many lines each block gets of those there are. First a heading and a row for each, the ones
 * that matter most first; then what is left goes round, a line each. */
static void share(const struct showing *showing, unsigned lines, unsigned given[BLOCKS])
{
    static const unsigned matter[BLOCKS] = {BLOCK_APPROVALS, BLOCK_BUDGETS, BLOCK_RUNS, BLOCK_CALLS,
                                            BLOCK_EVENTS};
    size_t wanted[BLOCKS];
    bool grows = true;

    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t count = blocks[i].count(showing);

        wanted[i] = 1 + (count > 0 ? count : 1);
        given[i] = 0;
        if (i == BLOCK_APPROVALS && count == 0 && showing->model->pane != TOP_APPROVALS)
            wanted[i] = 0;
        if (i != BLOCK_EVENTS && i != BLOCK_RUNS && showing->run == NULL && count == 0)
            wanted[i] = 0;
    }
    for (unsigned k = 0; k <= BLOCKS; k++) { /* where the keys are comes before all others */
        unsigned i = k > 0 ? matter[k - 1] : 0;

        while (k == 0 && blocks[i].pane != showing->model->pane)
            i++;
        if (given[i] == 0 && wanted[i] > 0 && lines >= 2) {
            given[i] = 2;
            lines -= 2;
        }
    }
    for (grows = lines > 0; grows;) {
        grows = false;
        for (unsigned i = 0; i < BLOCKS && lines > 0; i++)
            if (given[i] >= 2 && given[i] < wanted[i]) {
                given[i]++;
                lines--;
                grows = lines > 0;
            }
    }
}

/* The first row that is shown, so that the chosen one is. */
static size_t first_row(const struct showing *showing, enum top_pane pane, size_t count,
                        size_t room)
{
    const json_t *chosen = NULL;
    size_t first = 0, most = count > room ? count - room : 0;

    if (pane == TOP_CALLS || pane == TOP_EVENTS)
        first = showing->model->first[pane];
    else if (pane < TOP_PANES)
        chosen = top_chosen(showing->model, pane);
    for (size_t i = 0; chosen != NULL && i < count; i++)
        if (json_array_get(showing->model->lists[pane], i) == chosen)
            first = i >= room ? i - room + 1 : 0;
    return first < most ? first : most;
}

static void block_show(const struct showing *showing, const struct block *block, unsigned given,
                       struct top_line *lines)
{
    bool here = block->pane == showing->model->pane;
    size_t count = block->count(showing), room = given - 1;
    size_t first = first_row(showing, block->pane, count, room);

    lines->style = TOP_HEAD;
    top_fill(lines, 2, here ? '=' : '-');
    block->head(showing, lines);
    top_fill(lines, lines->width, here ? '=' : '-');
    if (count == 0)
        top_format(&lines[1], "  %s", showing->model->loaded ? block->none : "...");
    for (size_t i = 0; i < room && first + i < count; i++) {
        struct top_line *line = &lines[1 + i];

        block->row(showing, first + i, line);
        if (line->style == TOP_CHOSEN && here)
            top_fill(line, line->width, ' ');
        else if (line->style == TOP_CHOSEN)
            line->style = TOP_PLAIN;
    }
}

/* ---- the frame around them ---------------------------------------------------------------- */

static void title(const struct top_model *model, struct top_line *line)
{
    size_t i, live = 0, asks = json_array_size(model->lists[TOP_APPROVALS]);
    time_t now = (time_t)(model->now_ns / 1000000000);
    int64_t spent = 0, held = 0, amount;
    char spent_text[SIDE_AMOUNT_TEXT], held_text[SIDE_AMOUNT_TEXT], clock[24];
    struct tm parts;
    json_t *run;

    json_array_foreach(model->lists[TOP_RUNS], i, run)
    {
        if (!json_is_null(json_object_get(run, "ended_at")))
            continue;
        live++;
        if (cli_amount_of(json_object_get(run, "spent"), GOV_COST, &amount) &&
            __builtin_add_overflow(spent, amount, &spent))
            spent = INT64_MAX;
        if (cli_amount_of(json_object_get(run, "held"), GOV_COST, &amount) &&
            __builtin_add_overflow(held, amount, &held))
            held = INT64_MAX;
    }
    line->style = TOP_TITLE;
    top_format(line, " flyball top  %zu live", live);
    if (asks > 0)
        top_format(line, ", %zu ask%s", asks, asks == 1 ? "s" : "");
    if (live > 0)
        top_format(line, ", %s spent, %s held", top_amount(GOV_COST, spent, spent_text),
                   top_amount(GOV_COST, held, held_text));
    (void)strftime(clock, sizeof clock, "%H:%M:%S UTC ", gmtime_r(&now, &parts));
    if (line->columns + strlen(clock) < line->width)
        top_fill(line, line->width - (unsigned)strlen(clock), ' ');
    top_put(line, clock);
    top_fill(line, line->width, ' ');
}

static const char keys[] =
    " q quit  ? help  Tab pane  a approve  d deny  x stop  p pause  e extend";

static const char *const help[] = {
    "  j k, arrows    choose a run or a question, or move through calls and events",
    "  Tab            the next pane; its heading is drawn with =",
    "  a              approve the question: by what it asks for, or by another amount",
    "  d              deny it: the calls that wait are refused, the run is cancelled",
    "  e              raise limits of the run, unasked: cost_usd=1.00 steps=10",
    "  p              pause the run, or let it go on",
    "  x              stop the run: no more calls until `flyball reset`",
    "  q              leave; runs go on",
    "  ?              back",
    "",
    "  Keys act on the run marked >, and on its question; moving to a question moves",
    "  to its run. # is spent, = held by calls in flight, . left. Times are UTC.",
    "  Money is rounded up to the micro-dollar; `flyball status` has all digits.",
};

static void body(const struct top_model *model, struct top_line *lines, unsigned count)
{
    struct showing showing = {model, top_chosen(model, TOP_RUNS)};
    unsigned given[BLOCKS];

    if (model->help) {
        for (unsigned i = 0; i < count && i < sizeof help / sizeof help[0]; i++)
            top_put(&lines[i], help[i]);
        return;
    }
    share(&showing, count, given);
    for (unsigned i = 0; i < BLOCKS; i++)
        if (given[i] > 0) {
            block_show(&showing, &blocks[i], given[i], lines);
            lines += given[i];
        }
}

/* The last two lines. Returns where the cursor stands. */
static int foot(const struct top_model *model, struct top_line *saying, struct top_line *last)
{
    const struct top_prompt *prompt = &model->prompt;
    size_t shown = strlen(prompt->text);

    if (prompt->asks != TOP_ASKS_NOTHING) {
        saying->style = TOP_HEAD;
        top_put(saying, model->said_bad ? model->said : prompt->label);
        if (model->said_bad)
            saying->style = TOP_BAD;
        top_put(last, " > ");
        while (shown > 0 && shown + 5 > last->width) /* the end of what is typed is in sight */
            shown--;
        top_put(last, prompt->text + strlen(prompt->text) - shown);
        return (int)last->columns;
    }
    saying->style = model->trouble[0] != '\0' || model->said_bad ? TOP_BAD : TOP_PLAIN;
    top_format(saying, " %s", model->trouble[0] != '\0' ? model->trouble : model->said);
    last->style = TOP_TITLE;
    top_put(last, keys);
    top_fill(last, last->width, ' ');
    return -1;
}

bool top_view(const struct top_model *model, unsigned rows, unsigned columns,
              struct top_screen *out)
{
    struct top_line spare = {.width = 0}; /* where a screen has fewer lines than the frame */

    if (columns > TOP_COLUMNS_MOST)
        columns = TOP_COLUMNS_MOST;
    *out = (struct top_screen){rows, columns, -1, calloc(rows > 0 ? rows : 1, sizeof *out->lines)};
    if (out->lines == NULL)
        return false;
    for (unsigned i = 0; i < rows; i++)
        out->lines[i].width = columns;
    if (rows == 0)
        return true;
    if (rows > 2)
        title(model, out->lines);
    if (rows > 3)
        body(model, out->lines + 1, rows - 3);
    out->cursor = foot(model, rows > 1 ? &out->lines[rows - 2] : &spare, &out->lines[rows - 1]);
    return true;
}

void top_screen_release(struct top_screen *screen)
{
    free(screen->lines);
    screen->lines = NULL;
}
