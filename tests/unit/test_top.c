/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball top` without a terminal: what is shown of a model at any size, that nothing in it can
 * steer a terminal, and what keys ask for. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "cli/top.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RUN_A  "01a22a5d-4d7b-7000-8000-00000000000a"
#define RUN_B  "01a22a5d-4d7c-7000-8000-00000000000b"
#define ASKED  "01a22a5d-4e5a-7000-8000-00000000000c"
#define WHEN   "2026-11-30T02:51:27.123Z"
#define EVIL   "\\u001b[2J\\u0007\\u009b\\u202e\\u0301\\r\\n\\u007f\\t!"
#define DOLLAR INT64_C(1000000000000)

static const char run_a[] =
    "{'run_id':'" RUN_A "','state':'paused','argv0':'php','started_at':'" WHEN "','ended_at':null,"
    "'limits':{'steps':10,'cost_usd':'5'},'spent':{'steps':9,'cost_usd':'1.230000000001',"
    "'llm_tokens':1234567,'wall_clock_ms':3725000},'held':{'steps':0,'cost_usd':'0.4'},"
    "'calls':{'admitted':9,'refused':2,'in_flight':1},"
    "'windows':[{'scope':'global','window':'daily','limits':{'cost_usd':'8'},"
    "'spent':{'cost_usd':'8'},'held':{'cost_usd':'0'}}]}";
static const char run_b[] =
    "{'run_id':'" RUN_B "','state':'completed','argv0':'curl','started_at':'" WHEN "',"
    "'ended_at':'" WHEN "','limits':{},'spent':{'steps':1,'cost_usd':'0.5'},'held':{},"
    "'calls':{'admitted':1,'refused':0,'in_flight':0},'windows':[]}";
static const char asked[] =
    "{'checkpoint_id':'" ASKED "','run_id':'" RUN_A "','exhausted_dimension':'steps','scope':'run',"
    "'limits':{'steps':10,'cost_usd':'5'},'suggested_extension':{'steps':5,'cost_usd':'0.25'},"
    "'consumed':9,'waiting_calls':3,'expires_at':'2026-11-30T03:06:27.000Z'}";
static const char flying[] =
    "{'ts':'" WHEN "','provider':'anthropic','model':null,'requested_model':'claude-x',"
    "'settlement':null,'cost_usd':null,'held_usd':'0.4'}";
static const char settled[] =
    "{'ts':'" WHEN "','provider':'openai','model':'gpt-x','settlement':'settled',"
    "'cost_usd':'0.1','held_usd':'0.3'}";
static const char refused[] =
    "{'ts':'" WHEN "','provider':'openai','model':'gpt-x','settlement':'refused','cost_usd':'0',"
    "'held_usd':'0','reasons':['budget_steps_exceeded']}";
static const char event[] =
    "{'seq':7,'ts':'" WHEN "','run_id':'" RUN_A "','event':'Warning','dimension':'steps',"
    "'percent':80,'consumed':9,'limit':10}";
static const char admission[] = "{'seq':8,'ts':'" WHEN "','run_id':null,'event':'Admission',"
                                "'provider':'openai','hold':{'cost_usd':'0.3'}}";

/* JSON with ' for ". */
static void add(struct top_model *model, enum top_pane pane, const char *text)
{
    char *json = strdup(text);
    json_t *element;

    for (char *at = json; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    element = json_loads(json, 0, NULL);
    assert_non_null(element);
    assert_int_equal(json_array_append_new(model->lists[pane], element), 0);
    free(json);
}

static int begin(void **state)
{
    static struct top_model model;

    (void)setlocale(LC_CTYPE, "C.UTF-8");
    if (!top_model_init(&model))
        return -1;
    model.loaded = true;
    model.now_ns = INT64_C(1796007092) * 1000000000;
    *state = &model;
    return 0;
}

static int end(void **state)
{
    top_model_release(*state);
    return 0;
}

static void fill(struct top_model *model)
{
    add(model, TOP_RUNS, run_a);
    add(model, TOP_RUNS, run_b);
    add(model, TOP_APPROVALS, asked);
    add(model, TOP_CALLS, flying);
    add(model, TOP_CALLS, settled);
    add(model, TOP_CALLS, refused);
    add(model, TOP_EVENTS, event);
    add(model, TOP_EVENTS, admission);
    top_model_settle(model);
}

/* The screen as text, a line each; free() it. Whatever is on it, it fits, and steers nothing. */
static char *shown(const struct top_model *model, unsigned rows, unsigned columns)
{
    struct top_screen screen;
    char *text = calloc(rows + 1, sizeof screen.lines->text);
    size_t used = 0;

    assert_true(top_view(model, rows, columns, &screen));
    for (unsigned i = 0; i < rows; i++) {
        const char *line = screen.lines[i].text;
        wchar_t wide[sizeof screen.lines->text];
        size_t count = mbstowcs(wide, line, COUNT(wide));

        if (count == (size_t)-1 || wcswidth(wide, count) < 0 ||
            (unsigned)wcswidth(wide, count) > columns)
            fail_msg("%ux%u, line %u: '%s'", columns, rows, i, line);
        used += (size_t)sprintf(text + used, "%s\n", line);
    }
    assert_true(screen.cursor < (int)columns + 1);
    top_screen_release(&screen);
    return text;
}

/* Every line of want (or with !, none) is a part of a line of the screen. */
static void expect(const char *why, const struct top_model *model, unsigned rows, unsigned columns,
                   const char *want)
{
    char *text = shown(model, rows, columns), *words = strdup(want), *save = NULL;

    for (char *line = strtok_r(words, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if ((strstr(text, line + (*line == '!')) != NULL) == (*line == '!'))
            fail_msg("%s: '%s' in\n%s", why, line, text);
    free(words);
    free(text);
}

/* ---- what is shown ------------------------------------------------------------------------ */

static void a_terminal_of_the_usual_size_has_everything(void **state)
{
    struct top_model *model = *state;

    fill(model);
    expect("80x24", model, 24, 80,
           " flyball top  1 live, 1 asks, $1.230001 spent, $0.40 held          02:51:32 UTC \n"
           "== RUNS (2) ===\n"
           "> 01a22a5d-4d7b asks       $1.230001  9 calls     1 in flight  2 refused  php   \n"
           "  01a22a5d-4d7c completed  $0.50      1 calls     curl\n"
           "-- BUDGET of 01a22a5d-4d7b, # spent, = held ---\n"
           "  steps                [###############..] 9 of 10, 90 %\n"
           "  cost_usd             [####=............] $1.230001+$0.40 of $5.00, 24 %\n"
           "  cost_usd daily       [#################] $8.00 of $8.00, 100 %\n"
           "  llm_tokens           1,234,567, no limit\n"
           "  wall_clock_ms        1h02m05s, no limit\n"
           "> 01a22a5d-4d7b asks for 5 more steps, beyond 10; 3 waiting, until 03:06:27\n"
           "  02:51:27 in flight $0.40 held                     anthropic claude-x\n"
           "  02:51:27 settled         $0.10 of $0.30           openai gpt-x\n"
           "  02:51:27 refused         budget_steps_exceeded    openai gpt-x\n"
           "  02:51:27 01a22a5d-4d7b Warning dimension=steps percent=80 consumed=9 limit=10\n"
           "  02:51:27 -             Admission provider=openai cost_usd=0.3\n"
           " q quit  ? help  Tab pane  a approve  d deny  x stop  p pause  e extend\n");
}

static void a_small_terminal_has_what_matters(void **state)
{
    struct top_model *model = *state;

    fill(model);
    expect("40x10", model, 10, 40,
           "== RUNS (2)\n> 01a22a5d-4d7b asks\n-- BUDGET of\n  steps      [#######.] 9/10\n"
           "-- APPROVALS (1)\n> 01a22a5d-4d7b asks for 5 more steps\n!- CALLS\n!- EVENTS\n");
    model->pane = TOP_EVENTS;
    expect("where the keys are has its place", model, 10, 40,
           "== EVENTS of all runs\n  02:51:27 01a22a5d-4d7b Warning\n-- APPROVALS (1)\n");
}

static void a_large_terminal_shows_more(void **state)
{
    struct top_model *model = *state;

    fill(model);
    expect("200x60", model, 60, 200,
           "  cost_usd             [##############====.......................................] "
           "$1.230001+$0.40 of $5.00, 24 %\n02:51:32 UTC\n");
}

static void nothing_has_happened_yet(void **state)
{
    struct top_model *model = *state;

    expect("an empty ledger", model, 24, 80,
           " 0 live \n  none yet: flyball run --max-cost 5 -- CMD\n  none in the last hour\n"
           "!CALLS\n!BUDGET\n!APPROVALS\n");
    model->loaded = false;
    expect("before the first answer", model, 24, 80, "!none yet\n  ...\n");
    (void)snprintf(model->trouble, sizeof model->trouble, "no sidecar: it is gone");
    expect("without a sidecar", model, 24, 80, " no sidecar: it is gone\n");
}

static void many_runs_leave_the_chosen_one_in_sight(void **state)
{
    struct top_model *model = *state;
    char text[400];
    bool quit = false;

    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(text, sizeof text,
                       "{'run_id':'%08x-0000-7000-8000-000000000000',"
                       "'state':'running','argv0':'p%03u','ended_at':null}",
                       i, i);
        add(model, TOP_RUNS, text);
    }
    for (unsigned i = 0; i < 30; i++)
        add(model, TOP_EVENTS, event);
    top_model_settle(model);
    expect("the first", model, 24, 80, "300 live\n> 00000000-0000 running\n  00000001-0000 \n");
    for (unsigned i = 0; i < 150; i++)
        (void)top_key(model, 'j', &quit);
    expect("the 151st", model, 24, 80, "> 00000096-0000 running\n!00000000-0000\nEVENTS\n");
    (void)top_key(model, 'g', &quit);
    expect("and back", model, 24, 80, "> 00000000-0000 running\n");
    for (unsigned i = 0; i < 40; i++)
        (void)top_key(model, TOP_KEY_PAGE_DOWN, &quit);
    expect("the last", model, 24, 80, "> 0000012b-0000 running\n");
    assert_false(quit);
}

static void every_size_has_room_for_itself(void **state)
{
    struct top_model *model = *state;

    fill(model);
    for (unsigned rows = 0; rows < 40; rows++)
        for (unsigned columns = 0; columns < 130; columns += rows % 5 == 0 ? 1 : 13) {
            free(shown(model, rows, columns));
            model->help = !model->help;
        }
    free(shown(model, 3, 1000 - TOP_COLUMNS_MOST));
}

static void nothing_in_the_ledger_steers_the_terminal(void **state)
{
    struct top_model *model = *state;

    add(model, TOP_RUNS,
        "{'run_id':'" EVIL "','state':'" EVIL "','argv0':'" EVIL "','ended_at':null,"
        "'limits':{'steps':1},'windows':[{'scope':'" EVIL "','window':'" EVIL "',"
        "'limits':{'steps':1}}]}");
    add(model, TOP_APPROVALS,
        "{'checkpoint_id':'" EVIL "','run_id':'" EVIL "','scope':'" EVIL "',"
        "'exhausted_dimension':'steps','expires_at':'" EVIL EVIL EVIL "'}");
    add(model, TOP_CALLS,
        "{'ts':'" EVIL EVIL EVIL "','provider':'" EVIL "','model':'" EVIL "',"
        "'settlement':'" EVIL "','reasons':['" EVIL "'],'cost_usd':'" EVIL "'}");
    add(model, TOP_EVENTS,
        "{'seq':1,'ts':'" EVIL EVIL EVIL "','run_id':'" EVIL "','event':'" EVIL "','model':'" EVIL
        "','reasons':['" EVIL "'],'reason':'" EVIL "'}");
    top_model_settle(model);
    (void)snprintf(model->said, sizeof model->said, "\x1b]0;title\x07");
    expect("escapes are seen, not done", model, 24, 200,
           "\\x1b[2J\\x07\\xc2\\x9b\\xe2\\x80\\xae\\xcc\\x81\\x0d\\x0a\\x7f\\x09!\n"
           " \\x1b]0;title\\x07\n");
    (void)snprintf(model->prompt.text, sizeof model->prompt.text, "\x9b\x80\xff");
    model->prompt.asks = TOP_ASKS_EXTEND;
    expect("nor does what is typed", model, 24, 80, " > \\x9b\\x80\\xff\n");
}

static void names_are_cut_between_characters(void **state)
{
    struct top_model *model = *state;

    add(model, TOP_RUNS,
        "{'run_id':'" RUN_A "','state':'r\303\244\303\266\303\274r\303\244\303\266"
        "\303\274r\303\244\303\266\303\274r\303\244\303\266\303\274','argv0':'"
        "\346\274\242\345\255\227\346\274\242\345\255\227'}");
    top_model_settle(model);
    expect("UTF-8", model, 24, 80,
           " r\303\244\303\266\303\274r\303\244\303\266\303\274r~ \n"
           "\346\274\242\345\255\227\346\274\242\345\255\227\n");
    expect("a wide character that does not fit", model, 24, 53, " \346\274\242 \n");
    (void)setlocale(LC_CTYPE, "C");
    expect("a terminal without UTF-8", model, 24, 80, " r\\xc3\\xa4~\n\\xe6\\xbc\\xa2\n");
}

static void how_lines_are_meant_is_told_apart_from_their_text(void **state)
{
    struct top_model *model = *state;
    struct top_screen screen;
    unsigned seen = 0;

    fill(model);
    assert_true(top_view(model, 24, 80, &screen));
    for (unsigned i = 0; i < 24; i++) {
        const char *text = screen.lines[i].text;

        seen |= 1u << screen.lines[i].style;
        if (strncmp(text, "  cost_usd daily", 16) == 0)
            assert_int_equal(screen.lines[i].style, TOP_BAD);
        if (strncmp(text, "  steps", 7) == 0)
            assert_int_equal(screen.lines[i].style, TOP_WARN);
        if (strncmp(text, "> 01a22a5d-4d7b asks  ", 22) == 0) {
            assert_int_equal(screen.lines[i].style, TOP_CHOSEN);
            assert_int_equal(screen.lines[i].columns, 80);
        }
    }
    assert_int_equal(seen, (1u << (TOP_BAD + 1)) - 1);
    top_screen_release(&screen);
}

static const struct {
    unsigned width;
    int64_t spent, held, limit;
    const char *want;
} gauges[] = {
    {12, 0, 0, 10, "[..........]"},
    {12, 5, 2, 10, "[#####==...]"},
    {12, 10, 0, 10, "[##########]"},
    {12, 9, 5, 10, "[#########=]"},
    {12, 25, 0, 10, "[##########]"},
    {12, 99, 0, 1000, "[..........]"},
    {12, 0, 1, 1000, "[=.........]"},
    {12, 999, 0, 1000, "[#########.]"},
    {12, INT64_MAX - 1, INT64_MAX, INT64_MAX, "[#########=]"},
    {12, -5, 0, 10, "[..........]"},
    {2, 5, 0, 10, "[]"},
};

static void gauges_tell_spent_from_held(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(gauges); i++) {
        struct top_line line = {.width = 40};

        top_gauge(&line, gauges[i].width, gauges[i].spent, gauges[i].held, gauges[i].limit);
        assert_string_equal(line.text, gauges[i].want);
    }
}

static const struct {
    enum gov_dim dim;
    int64_t amount;
    const char *want;
} amounts[] = {
    {GOV_COST, 0, "$0.00"},
    {GOV_COST, 1, "$0.000001"},
    {GOV_COST, DOLLAR, "$1.00"},
    {GOV_COST, DOLLAR + 1, "$1.000001"},
    {GOV_COST, INT64_MAX, "$9223372.036854775807"},
    {GOV_WALL, 999, "0s"},
    {GOV_WALL, 61000, "1m01s"},
    {GOV_WALL, 3600000, "1h00m00s"},
    {GOV_TOKENS, 180000, "180,000"},
};

static void amounts_are_short(void **state)
{
    char text[SIDE_AMOUNT_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(amounts); i++)
        assert_string_equal(top_amount(amounts[i].dim, amounts[i].amount, text), amounts[i].want);
}

static void times_of_answers_are_read_back(void **state)
{
    int64_t ns = 0;

    (void)state;
    assert_true(cli_time_parse("2026-11-30T02:51:27.123Z", &ns));
    assert_int_equal(ns, INT64_C(1796007087123000000));
    assert_true(cli_time_parse("2026-11-30T02:51:27.0000000019Z", &ns));
    assert_int_equal(ns, INT64_C(1796007087000000001));
    assert_true(cli_time_parse("2026-11-30T02:51:27Z", &ns));
    assert_int_equal(ns, INT64_C(1796007087000000000));
    assert_false(cli_time_parse("2026-11-30T02:51:27.1x", &ns));
    assert_false(cli_time_parse("2026-11-30.5", &ns));
}

/* ---- what keys ask for -------------------------------------------------------------------- */

#define APPROVE "'verb':'approve','id':'" ASKED "','run':'" RUN_A "'"
#define DENY    "'verb':'deny','id':'" ASKED "','run':'" RUN_A "'"

/* \t is Tab, \x15 empties the line, \x1b is Esc. */
static const struct {
    const char *why, *keys, *want; /* want NULL: nothing */
} keys[] = {
    {"approve: what it asks for", "a\r", "{" APPROVE "}"},
    {"approve: an amount, and what else was asked for",
     "a\x15"
     "2\r",
     "{" APPROVE ",'extend':{'steps':2,'cost_usd':250000000000}}"},
    {"approve: typed behind what is there", "a0\r",
     "{" APPROVE ",'extend':{'steps':50,'cost_usd':250000000000}}"},
    {"approve: corrected",
     "a\x15"
     "2x\b3\r",
     "{" APPROVE ",'extend':{'steps':23,'cost_usd':250000000000}}"},
    {"approve: no amount", "a\x15two\r", NULL},
    {"approve: none",
     "a\x15"
     "0\r",
     NULL},
    {"approve: after a mistake",
     "a\x15two\r\x15"
     "2\r",
     "{" APPROVE ",'extend':{'steps':2,'cost_usd':250000000000}}"},
    {"approve: given up", "a\x1b\r", NULL},
    {"approve: in its pane", "\ta\r", "{" APPROVE "}"},
    {"approve: the only question, from another run", "ja\r", "{" APPROVE "}"},
    {"approve: the pane goes to the run", "j\ta\r", "{" APPROVE "}"},
    {"deny", "d\r", "{" DENY "}"},
    {"deny: why", "dtoo dear\r", "{" DENY ",'reason':'too dear'}"},
    {"deny: q is a letter", "dq\r", "{" DENY ",'reason':'q'}"},
    {"deny: UTF-8, corrected", "dn\303\244\b\303\266\r", "{" DENY ",'reason':'n\303\266'}"},
    {"deny: what is not UTF-8", "d\303\r", NULL},
    {"stop", "xy", "{'verb':'stop','run':'" RUN_A "','reason':'by hand, in flyball top'}"},
    {"stop: no", "xn", NULL},
    {"stop: Enter is not yes", "x\r", NULL},
    {"stop: given up", "x\x1by", NULL},
    {"stop: another run", "jxy",
     "{'verb':'stop','run':'" RUN_B "','reason':'by hand, in flyball top'}"},
    {"resume", "p", "{'verb':'resume','run':'" RUN_A "'}"},
    {"pause", "jp", "{'verb':'pause','run':'" RUN_B "'}"},
    {"extend", "ecost_usd=1 steps=2\r",
     "{'verb':'extend','run':'" RUN_A "','extend':{'cost_usd':1000000000000,'steps':2}}"},
    {"extend: nothing", "e\r", NULL},
    {"extend: corrected", "esteps=2 x\r\b\b\r",
     "{'verb':'extend','run':'" RUN_A "','extend':{'steps':2}}"},
    {"help takes no keys", "?xy", NULL},
    {"help and back", "??p", "{'verb':'resume','run':'" RUN_A "'}"},
    {"keys that are none", "zZ\x01 ", NULL},
};

static void keys_ask_for_one_thing(void **state)
{
    struct top_model *model = *state;

    for (size_t i = 0; i < COUNT(keys); i++) {
        struct top_model want;
        json_t *order = NULL;
        bool quit = false;

        (void)end(state);
        (void)begin(state);
        fill(model);
        for (const char *key = keys[i].keys; *key != '\0'; key++) {
            json_decref(order);
            order = top_key(model, (unsigned char)*key, &quit);
            free(shown(model, 24, 80));
        }
        assert_true(top_model_init(&want));
        if (keys[i].want != NULL)
            add(&want, 0, keys[i].want);
        (void)json_object_set_new(json_array_get(want.lists[0], 0), "actor",
                                  json_string(cli_login()));
        if (!quit && (keys[i].want == NULL ? order != NULL
                                           : !json_equal(order, json_array_get(want.lists[0], 0))))
            fail_msg("%s: %s", keys[i].why, order ? json_dumps(order, 0) : "nothing");
        assert_false(quit);
        json_decref(order);
        top_model_release(&want);
    }
}

static void an_order_is_for_what_was_chosen_then(void **state)
{
    struct top_model *model = *state;
    bool quit = false;
    json_t *order;

    fill(model);
    assert_null(top_key(model, 'a', &quit));
    (void)json_array_clear(model->lists[TOP_APPROVALS]);
    (void)json_array_remove(model->lists[TOP_RUNS], 0);
    top_model_settle(model);
    assert_string_equal(model->run, RUN_B);
    order = top_key(model, '\r', &quit);
    assert_string_equal(top_text(order, "id"), ASKED);
    json_decref(order);
    assert_null(top_key(model, 'q', &quit));
    assert_true(quit);
}

static void a_run_that_goes_on_is_chosen_until_one_is_picked(void **state)
{
    struct top_model *model = *state;
    bool quit = false;

    add(model, TOP_RUNS, run_b);
    top_model_settle(model);
    assert_string_equal(model->run, RUN_B);
    (void)top_key(model, '\t', &quit);
    (void)top_key(model, TOP_KEY_BACKTAB, &quit);
    (void)json_array_clear(model->lists[TOP_RUNS]);
    fill(model);
    assert_string_equal(model->run, RUN_A);
    (void)top_key(model, 'j', &quit);
    top_model_settle(model);
    assert_string_equal(model->run, RUN_B);
}

static void a_question_is_picked_where_there_are_more(void **state)
{
    struct top_model *model = *state;
    bool quit = false;

    fill(model);
    add(model, TOP_APPROVALS, "{'checkpoint_id':'x','run_id':'y','exhausted_dimension':'steps'}");
    (void)top_key(model, 'j', &quit);
    (void)top_key(model, 'a', &quit);
    expect("none of the two", model, 24, 80, "01a22a5d-4d7c asks nothing\n");
    assert_int_equal(model->prompt.asks, TOP_ASKS_NOTHING);
}

static void a_task_is_approved_without_an_amount(void **state)
{
    struct top_model *model = *state;
    bool quit = false;
    json_t *order;

    add(model, TOP_RUNS, run_b);
    add(model, TOP_APPROVALS,
        "{'checkpoint_id':'" ASKED "','run_id':'" RUN_B "','exhausted_dimension':null,"
        "'task_class':'risk=R3,complexity=L1','scope':'run'}");
    top_model_settle(model);
    expect("a question about a task", model, 24, 80, "has a task that needs a yes: risk=R3,comp");
    assert_null(top_key(model, 'a', &quit));
    expect("and its answer", model, 24, 90, "whose task is risk=R3,complexity=L1: why?");
    order = top_key(model, '\r', &quit);
    assert_string_equal(top_text(order, "verb"), "approve");
    assert_string_equal(top_text(order, "id"), ASKED);
    json_decref(order);
}

static void a_prompt_says_the_unit(void **state)
{
    struct top_model *model = *state;
    bool quit = false;

    fill(model);
    assert_null(top_key(model, 'a', &quit));
    expect("approve", model, 24, 80,
           "approve 01a22a5d-4d7b: steps + ? (a whole number, such as 50)\n > 5\n");
    assert_null(top_key(model, 'x', &quit));
    assert_null(top_key(model, '\r', &quit));
    expect("and what is wrong", model, 24, 80, "steps: '5x' is not a whole number\n > 5x\n");
    for (unsigned i = 0; i < 400; i++)
        assert_null(top_key(model, '0' + (int)(i % 10), &quit));
    expect("of a long one the end", model, 24, 80, "!> 5x\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(a_terminal_of_the_usual_size_has_everything),
        TEST(a_small_terminal_has_what_matters),
        TEST(a_large_terminal_shows_more),
        TEST(nothing_has_happened_yet),
        TEST(many_runs_leave_the_chosen_one_in_sight),
        TEST(every_size_has_room_for_itself),
        TEST(nothing_in_the_ledger_steers_the_terminal),
        TEST(names_are_cut_between_characters),
        TEST(how_lines_are_meant_is_told_apart_from_their_text),
        TEST(gauges_tell_spent_from_held),
        TEST(amounts_are_short),
        TEST(times_of_answers_are_read_back),
        TEST(keys_ask_for_one_thing),
        TEST(an_order_is_for_what_was_chosen_then),
        TEST(a_run_that_goes_on_is_chosen_until_one_is_picked),
        TEST(a_question_is_picked_where_there_are_more),
        TEST(a_task_is_approved_without_an_amount),
        TEST(a_prompt_says_the_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
