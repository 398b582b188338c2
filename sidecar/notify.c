/* SPDX-License-Identifier: Apache-2.0 */
/* `notify:`, telling people: the event as the ledger has it goes to a command's standard input, or
 * to a webhook. No call waits for it; what cannot be told is counted and said, not tried again. The
 * workers are one for a rule, so that what hangs holds up itself alone. */
#include "sidecar/curl.h"
#include "sidecar/json.h"
#include "sidecar/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct telling {
    struct side_job job;
    struct side_child *child;
    unsigned rule_number;
    json_t *rule;
    char *text;
    char event[32], home[600]; /* FLYBALL_EVENT=..., FLYBALL_HOME=... */
    char error[200];           /* "" it was told */
};

/* ---- in a worker -------------------------------------------------------------------------- */

/* Its ledger is ours; it is not governed itself. free() it. NULL: out of memory. */
static char **environment_new(struct telling *telling)
{
    size_t count = 0, used = 0;
    char **out;

    while (environ[count] != NULL)
        count++;
    out = calloc(count + 3, sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 && strncmp(environ[i], "FLYBALL_", 8) != 0)
            out[used++] = environ[i];
    if (out != NULL) {
        out[used++] = telling->event;
        out[used] = telling->home;
    }
    return out;
}

static void run_command(struct telling *telling, const json_t *command)
{
    char *words[SIDE_CHILD_WORDS + 1] = {NULL};
    char **environment = environment_new(telling);

    for (size_t i = 0; i < json_array_size(command) && i < SIDE_CHILD_WORDS; i++)
        words[i] = (char *)(uintptr_t)json_string_value(json_array_get(command, i));
    if (environment == NULL || words[0] == NULL)
        (void)snprintf(telling->error, sizeof telling->error, "out of memory");
    else
        (void)side_child_run(telling->child, words, environment, telling->text, telling->error,
                             sizeof telling->error);
    free(environment);
}

static int ask_stopping(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct side_child *child = data;

    (void)a, (void)b, (void)c, (void)d;
    return child->stopping;
}

static size_t pass_over(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes, (void)data;
    return size * count;
}

/* Its address may be a secret, so errors do not have it. */
static void post(struct telling *telling, const char *url)
{
    const struct side_curl *lib = side_curl();
    struct curl_slist *headers;
    CURLcode code;
    CURL *curl;
    long status = 0;

    if (lib == NULL) {
        (void)snprintf(telling->error, sizeof telling->error, "webhook: no libcurl can be loaded");
        return;
    }
    curl = lib->easy_init();
    headers = lib->slist_append(NULL, "Content-Type: application/json");
    code = curl == NULL || headers == NULL ? CURLE_OUT_OF_MEMORY : CURLE_OK;
    if (code == CURLE_OK) {
        (void)lib->easy_setopt(curl, CURLOPT_URL, url);
        (void)lib->easy_setopt(curl, CURLOPT_POSTFIELDS, telling->text);
        (void)lib->easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        (void)lib->easy_setopt(curl, CURLOPT_USERAGENT, "flyball/" FLYBALL_VERSION);
        (void)lib->easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SIDE_CHILD_MS);
        (void)lib->easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        (void)lib->easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass_over);
        (void)lib->easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        (void)lib->easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, ask_stopping);
        (void)lib->easy_setopt(curl, CURLOPT_XFERINFODATA, telling->child);
#if LIBCURL_VERSION_NUM >= 0x075700 /* else libcurl waits for a name server that says nothing */
        (void)lib->easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
        code = lib->easy_perform(curl);
    }
    if (code == CURLE_OK)
        (void)lib->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        (void)snprintf(telling->error, sizeof telling->error, "webhook: %s",
                       lib->easy_strerror(code));
    else if (status < 200 || status > 299)
        (void)snprintf(telling->error, sizeof telling->error, "webhook: answered with %ld", status);
    lib->slist_free_all(headers);
    lib->easy_cleanup(curl);
}

static void work_telling(struct side_job *job)
{
    struct telling *telling = (struct telling *)job;
    const char *url = json_string_value(json_object_get(telling->rule, "webhook"));

    if (telling->child->stopping)
        (void)snprintf(telling->error, sizeof telling->error, "the sidecar ends");
    else if (url != NULL)
        post(telling, url);
    else
        run_command(telling, json_object_get(telling->rule, "command"));
}

/* ---- in the loop -------------------------------------------------------------------------- */

static void telling_free(struct telling *telling)
{
    json_decref(telling->rule);
    free(telling->text);
    free(telling);
}

static void say(struct side *side, unsigned rule_number, const char *error)
{
    (void)snprintf(side->notify.error, sizeof side->notify.error, "rule %u: %.180s",
                   rule_number + 1, error);
    if (!side->on_demand)
        (void)fprintf(stderr, "flyballd: notify: %s\n", side->notify.error);
}

static void done_telling(struct side *side, struct side_job *job)
{
    struct telling *telling = (struct telling *)job;

    side->notify.waiting[telling->rule_number]--;
    if (telling->error[0] == '\0') {
        side->notify.told++;
    } else {
        side->notify.failed++;
        say(side, telling->rule_number, telling->error);
    }
    telling_free(telling);
}

/* NULL: out of memory. */
static struct telling *telling_new(struct side *side, unsigned i, json_t *rule, const char *event,
                                   const char *text)
{
    struct telling *telling = calloc(1, sizeof *telling);

    if (telling == NULL)
        return NULL;
    telling->job.work = work_telling;
    telling->job.done = done_telling;
    telling->child = &side->notify.children[i];
    telling->rule_number = i;
    telling->rule = json_incref(rule);
    telling->text = strdup(text);
    (void)snprintf(telling->event, sizeof telling->event, "FLYBALL_EVENT=%s", event);
    (void)snprintf(telling->home, sizeof telling->home, "FLYBALL_HOME=%s", side->home);
    if (telling->text != NULL)
        return telling;
    telling_free(telling);
    return NULL;
}

static void tell(struct side *side, unsigned i, json_t *rule, const char *event, const char *text)
{
    struct side_notify *notify = &side->notify;
    struct telling *telling = NULL;

    if (notify->waiting[i] == SIDE_NOTIFY_MOST) {
        notify->failed++;
        say(side, i, "too many wait already");
        return;
    }
    if (notify->workers[i] == NULL)
        notify->workers[i] = side_worker_start(side);
    if (notify->workers[i] != NULL)
        telling = telling_new(side, i, rule, event, text);
    if (telling == NULL) {
        notify->failed++;
        say(side, i, "no thread, or out of memory");
        return;
    }
    notify->waiting[i]++;
    side_work(notify->workers[i], &telling->job);
}

static bool is_on(const json_t *rule, const char *event)
{
    size_t i;
    const json_t *name;

    json_array_foreach(json_object_get(rule, "on"), i,
                       name) if (json_is_string(name) &&
                                 strcmp(json_string_value(name), event) == 0) return true;
    return false;
}

/* The record as `flyball events` has it, a line; free() it. NULL: it cannot be read. */
static char *record_text(struct side *side, uint64_t seq)
{
    struct store_event *event = calloc(1, sizeof *event);
    struct store_view *view;
    char *text = NULL;

    if (event != NULL && store_view_open(side->store, &view) == STORE_OK) {
        if (store_view_event(view, seq, event) == STORE_OK) {
            json_t *json = side_event_json(view, event);

            text = json_dumps(json, JSON_COMPACT);
            json_decref(json);
        }
        store_view_close(view);
    }
    free(event);
    return text;
}

/* A question is one while its run does not know of it. NULL: nothing that people are told. */
static const char *event_of(const struct side_notice *notice)
{
    if (notice->turned)
        return notice->asked_seq != 0 && notice->asked_seq != notice->run->asked_seq ? "approval"
                                                                                     : NULL;
    return notice->terminate ? NULL : notice->percent > 0 ? "warning" : "exhausted";
}

void side_notify(struct side *side, const struct side_notice *notice)
{
    const char *event = event_of(notice);
    const struct side_run *run = notice->run;
    char *text = NULL;
    json_t *rules, *rule;
    size_t i;

    while (run->parent != NULL)
        run = run->parent;
    if (event == NULL || run->spec.notify[0] == '\0' || side->notify.children[0].stopping)
        return;
    rules = json_loads(run->spec.notify, 0, NULL);
    json_array_foreach(rules, i, rule)
    {
        if (i >= SIDE_NOTIFY_RULES || !is_on(rule, event))
            continue;
        if (text == NULL)
            text = record_text(side, notice->turned ? notice->asked_seq : notice->seq);
        if (text != NULL)
            tell(side, (unsigned)i, rule, event, text);
    }
    free(text);
    json_decref(rules);
}

/* Commands that the sidecar runs are out of the reach of limits: what is governed names none. */
void side_notify_check(struct side *side, struct side_spec *spec, pid_t asking)
{
    if (side_run_above(side, asking))
        spec->notify[0] = '\0';
}

bool side_notify_busy(const struct side *side)
{
    for (unsigned i = 0; i < SIDE_NOTIFY_RULES; i++)
        if (side->notify.waiting[i] > 0)
            return true;
    return false;
}

void side_notify_stop(struct side *side)
{
    for (unsigned i = 0; i < SIDE_NOTIFY_RULES; i++)
        side_child_stop(&side->notify.children[i]);
    for (unsigned i = 0; i < SIDE_NOTIFY_RULES; i++)
        side_worker_stop(side->notify.workers[i]);
}
