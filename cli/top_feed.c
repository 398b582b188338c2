/* SPDX-License-Identifier: Apache-2.0 */
/* Where `flyball top` has it from: events are followed; runs, questions and the calls of the chosen
 * run are asked for about every second, and soon after an event, one question after the other. It
 * takes a tenth of the sidecar's time at most, however long the lists are. */
#include "cli/top.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REFRESH_MS 1000
#define SOON_MS    100 /* events come in bursts */
#define BACK_NS    (INT64_C(3600) * 1000000000)
#define KEEP       200u /* of what is over */
#define FRAMES     64u  /* that are heard before the screen is drawn again */

enum { FOLLOW, READ, ACT, ASKINGS };
_Static_assert((int)ASKINGS == TOP_FEED_FDS, "a descriptor each");

struct top_feed {
    struct top_model *model;
    struct cli_asking askings[ASKINGS];
    unsigned step;               /* which of reads[] is being read, or comes next */
    json_t *taken;               /* of it so far */
    char of[TOP_ID];             /* the run whose calls they are */
    int64_t since_ns[TOP_PANES]; /* what still changes is not older */
    bool again;                  /* read all runs */
    int64_t began_ms, next_ms;   /* this round, the next */
    int64_t ended_ms, pause_ms;  /* the last round, and the least pause behind it */
    int64_t retry_ms;            /* not before, after a sidecar has gone */
    json_int_t seq;              /* the last event */
    char order[96];
};

/* When an element began; it is over when the member `over` is not null (NULL: it is in no list
 * then). */
static const struct {
    const char *verb;
    enum top_pane pane;
    const char *began, *over;
} reads[] = {{"runs", TOP_RUNS, "started_at", "ended_at"},
             {"approvals", TOP_APPROVALS, NULL, NULL},
             {"calls", TOP_CALLS, "ts", "settlement"}};
#define READS (sizeof reads / sizeof reads[0])

struct top_feed *top_feed_new(struct top_model *model)
{
    struct top_feed *feed = calloc(1, sizeof *feed);

    if (feed == NULL)
        return NULL;
    feed->model = model;
    for (unsigned i = 0; i < ASKINGS; i++)
        feed->askings[i].link = CLIENT_LINK_NONE;
    feed->since_ns[TOP_EVENTS] = cli_now_ns() - BACK_NS;
    return feed;
}

void top_feed_free(struct top_feed *feed)
{
    if (feed == NULL)
        return;
    for (unsigned i = 0; i < ASKINGS; i++)
        cli_asking_end(&feed->askings[i]);
    json_decref(feed->taken);
    free(feed);
}

static bool is_open(const struct cli_asking *asking)
{
    return asking->word != NULL;
}

/* ---- lists -------------------------------------------------------------------------------- */

static bool is_over(const json_t *element, const char *over)
{
    return over != NULL && !json_is_null(json_object_get(element, over));
}

/* Newest first, what goes on before what is over, and of that not more than KEEP. The list comes
 * oldest first. */
static json_t *arranged(const json_t *list, const char *over)
{
    json_t *out = json_array();
    size_t kept = 0;

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = json_array_size(list); i-- > 0;) {
            json_t *element = json_array_get(list, i);
            bool ended = is_over(element, over);

            if (ended == (pass == 1) && (!ended || kept++ < KEEP))
                (void)json_array_append(out, element);
        }
    return out;
}

/* A long history is not kept while it is read. */
static void thin(json_t *list, const char *over)
{
    size_t ended = 0, i = json_array_size(list);

    if (i % (4 * KEEP) != 0)
        return;
    while (i-- > 0)
        if (is_over(json_array_get(list, i), over) && ended++ >= KEEP)
            (void)json_array_remove(list, i);
}

static void take_element(void *data, const char *line, size_t length)
{
    struct top_feed *feed = data;

    (void)json_array_append_new(feed->taken, json_loadb(line, length, 0, NULL));
    thin(feed->taken, reads[feed->step].over);
}

/* Older than every run that is kept: it was resumed. Ids begin with their time. */
static bool is_forgotten(const struct top_model *model, const char *run_id)
{
    size_t i;
    json_t *run;
    bool older = *run_id != '\0' && json_array_size(model->lists[TOP_RUNS]) > 0;

    json_array_foreach(model->lists[TOP_RUNS], i, run)
    {
        older = older && strcmp(run_id, top_text(run, "run_id")) < 0;
    }
    return older;
}

static void take_event(void *data, const char *line, size_t length)
{
    struct top_feed *feed = data;
    json_t *event = json_loadb(line, length, 0, NULL), *list = feed->model->lists[TOP_EVENTS];
    json_int_t seq = json_integer_value(json_object_get(event, "seq"));
    int64_t soon = feed->ended_ms + feed->pause_ms;

    if (seq > feed->seq) {
        feed->seq = seq;
        (void)cli_time_parse(top_text(event, "ts"), &feed->since_ns[TOP_EVENTS]);
        (void)json_array_insert(list, 0, event);
        (void)json_array_remove(list, KEEP);
        if (feed->model->first[TOP_EVENTS] > 0) /* what is looked at stays where it is */
            feed->model->first[TOP_EVENTS]++;
        if (is_forgotten(feed->model, top_text(event, "run_id")))
            feed->again = true;
        if (soon < feed->next_ms)
            feed->next_ms = soon;
    }
    json_decref(event);
}

/* The next time nothing is asked for that is over, and older than what is kept. */
static void remember_since(struct top_feed *feed)
{
    const json_t *list = feed->model->lists[reads[feed->step].pane];
    int64_t *since = &feed->since_ns[reads[feed->step].pane], least = INT64_MAX, ns;
    size_t i;
    json_t *element;

    json_array_foreach((json_t *)(uintptr_t)list, i, element)
    {
        if (cli_time_parse(top_text(element, reads[feed->step].began), &ns) && ns < least)
            least = ns;
    }
    *since = least != INT64_MAX ? least : *since;
}

static void commit(struct top_feed *feed)
{
    struct top_model *model = feed->model;
    enum top_pane pane = reads[feed->step].pane;
    json_t *list = arranged(feed->taken, reads[feed->step].over);

    if (list != NULL && (pane != TOP_CALLS || strcmp(feed->of, model->run) == 0)) {
        json_decref(model->lists[pane]);
        model->lists[pane] = list;
        if (reads[feed->step].began != NULL)
            remember_since(feed);
        top_model_settle(model);
    } else {
        json_decref(list);
    }
    json_decref(feed->taken);
    feed->taken = NULL;
}

/* ---- asking ------------------------------------------------------------------------------- */

static void lost(struct top_feed *feed, const char *why)
{
    struct top_model *model = feed->model;

    for (unsigned i = 0; i < ASKINGS; i++) {
        if (i == ACT && is_open(&feed->askings[ACT])) {
            (void)snprintf(model->said, sizeof model->said,
                           "%s: no answer; look whether it is done", feed->order);
            model->said_bad = true;
        }
        cli_asking_end(&feed->askings[i]);
    }
    json_decref(feed->taken);
    feed->taken = NULL;
    feed->step = 0;
    (void)snprintf(model->trouble, sizeof model->trouble, "no sidecar: %s; trying again", why);
    feed->retry_ms = client_now_ms() + REFRESH_MS;
}

static bool begin(struct top_feed *feed, unsigned which, json_t *request, cli_each *each)
{
    char why[TOP_SAYING - 64];

    if (cli_asking_begin(&feed->askings[which], true, request, each, feed, why, sizeof why))
        return true;
    lost(feed, why);
    return false;
}

static bool follow(struct top_feed *feed)
{
    return begin(feed, FOLLOW,
                 json_pack("{s:s,s:b,s:b,s:I}", "verb", "events", "all", 1, "follow", 1, "since_ns",
                           (json_int_t)feed->since_ns[TOP_EVENTS]),
                 take_event);
}

/* When the calls begin that are asked for the first time: an hour before now, or before the run's
 * end. */
static int64_t calls_since(const struct top_model *model)
{
    int64_t end_ns = cli_now_ns();

    (void)cli_time_parse(top_text(top_chosen(model, TOP_RUNS), "ended_at"), &end_ns);
    return end_ns - BACK_NS;
}

static void read_on(struct top_feed *feed)
{
    struct top_model *model = feed->model;
    enum top_pane pane = reads[feed->step].pane;
    json_t *request = json_pack("{s:s}", "verb", reads[feed->step].verb);

    feed->taken = json_array();
    if (feed->step == 0)
        feed->began_ms = client_now_ms();
    if (pane == TOP_RUNS && feed->again) {
        feed->since_ns[TOP_RUNS] = 0;
        feed->again = false;
    }
    if (pane == TOP_CALLS && strcmp(feed->of, model->run) != 0)
        feed->since_ns[TOP_CALLS] = calls_since(model);
    if (pane == TOP_CALLS) {
        memcpy(feed->of, model->run, sizeof feed->of);
        (void)json_object_set_new(request, "run", json_string(model->run));
    }
    if (feed->since_ns[pane] != 0)
        (void)json_object_set_new(request, "since_ns", json_integer(feed->since_ns[pane]));
    (void)begin(feed, READ, request, take_element);
}

/* The round is over, and there will be another. */
static void rest(struct top_feed *feed)
{
    int64_t took_ms;

    feed->step = 0;
    feed->ended_ms = client_now_ms();
    took_ms = feed->ended_ms - feed->began_ms;
    feed->pause_ms = 9 * took_ms > SOON_MS ? 9 * took_ms : SOON_MS;
    feed->next_ms = feed->ended_ms + (feed->pause_ms > REFRESH_MS ? feed->pause_ms : REFRESH_MS);
    feed->model->trouble[0] = '\0';
    feed->model->loaded = true;
}

static void on_done(struct top_feed *feed, unsigned which, const struct cli_word *word)
{
    struct top_model *model = feed->model;

    if (which == ACT) {
        model->said_bad = word->status != CLI_OK;
        if (model->said_bad)
            (void)snprintf(model->said, sizeof model->said, "%.300s", word->text);
        else
            (void)snprintf(model->said, sizeof model->said, "%s: done", feed->order);
        feed->next_ms = 0;
    } else if (which == FOLLOW || word->status == CLI_UNAVAILABLE) {
        char why[TOP_SAYING - 64];

        (void)snprintf(why, sizeof why, "%.200s", word->text);
        lost(feed, why); /* which ends the asking, and its word */
        return;
    } else {
        commit(feed);
        if (++feed->step < READS && (reads[feed->step].pane != TOP_CALLS || model->run[0] != '\0'))
            feed->next_ms = 0;
        else
            rest(feed);
    }
    cli_asking_end(&feed->askings[which]);
}

static void hear(struct top_feed *feed, unsigned which)
{
    struct cli_asking *asking = &feed->askings[which];

    for (unsigned i = 0; i < FRAMES && is_open(asking); i++) {
        enum cli_said said = cli_asking_hear(asking, 0);

        if (said == CLI_SAID_LOST)
            lost(feed, CLI_CLOSED);
        else if (said == CLI_SAID_DONE)
            on_done(feed, which, asking->word);
        else if (said == CLI_SAID_NOTHING)
            return;
    }
}

void top_feed_go_on(struct top_feed *feed)
{
    int64_t now_ms = client_now_ms();

    feed->model->now_ns = cli_now_ns();
    for (unsigned i = 0; i < ASKINGS; i++)
        hear(feed, i);
    if (now_ms < feed->retry_ms)
        return;
    if (!cli_ledger_is_there()) { /* looking makes none */
        feed->model->loaded = true;
        feed->retry_ms = now_ms + REFRESH_MS;
        return;
    }
    if (!is_open(&feed->askings[FOLLOW]) && !follow(feed))
        return;
    if (!is_open(&feed->askings[READ]) && now_ms >= feed->next_ms)
        read_on(feed);
}

unsigned top_feed_wait(const struct top_feed *feed, struct pollfd fds[TOP_FEED_FDS], int *wait_ms)
{
    int64_t now_ms = client_now_ms(), until_ms = now_ms + REFRESH_MS; /* the clock moves */
    bool idle = !is_open(&feed->askings[READ]);
    unsigned count = 0;

    if (feed->retry_ms > now_ms)
        until_ms = feed->retry_ms;
    else if (idle && feed->next_ms < until_ms)
        until_ms = feed->next_ms;
    for (unsigned i = 0; i < ASKINGS; i++)
        if (is_open(&feed->askings[i]))
            fds[count++] = (struct pollfd){feed->askings[i].link.fd, POLLIN, 0};
    *wait_ms = until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
    return count;
}

void top_feed_hurry(struct top_feed *feed)
{
    struct top_model *model = feed->model;

    if (strcmp(feed->of, model->run) != 0) {
        (void)json_array_clear(model->lists[TOP_CALLS]);
        model->first[TOP_CALLS] = 0;
    }
    feed->next_ms = 0;
}

static void take_answer(void *data, const char *line, size_t length)
{
    (void)data, (void)line, (void)length;
}

void top_feed_order(struct top_feed *feed, json_t *order)
{
    if (is_open(&feed->askings[ACT])) {
        (void)snprintf(feed->model->said, sizeof feed->model->said,
                       "one thing at a time: %s is not answered yet", feed->order);
        feed->model->said_bad = true;
        json_decref(order);
        return;
    }
    (void)snprintf(feed->order, sizeof feed->order, "%s %.*s", top_text(order, "verb"), TOP_SHORT,
                   top_text(order, "run"));
    if (!begin(feed, ACT, order, take_answer)) {
        (void)snprintf(feed->model->said, sizeof feed->model->said, "%s: not sent", feed->order);
        feed->model->said_bad = true;
    }
}
