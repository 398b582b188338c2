/* SPDX-License-Identifier: Apache-2.0 */
/* usage: odd_doors VERB
 * Uses libcurl in ways that are allowed and odd. $GOVERNED is the URL of a provider, $PLAIN one of
 * nobody's, at the double; $BODY and $DEARER are two requests. Prints what the program sees. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t drop(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes, (void)data;
    return size * count;
}

static CURL *easy_to(const char *url)
{
    static struct curl_slist *json;
    CURL *easy = curl_easy_init();

    if (json == NULL)
        json = curl_slist_append(json, "Content-Type: application/json");
    curl_easy_setopt(easy, CURLOPT_URL, getenv(url));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, getenv("BODY"));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, json);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    return easy;
}

static void show(const char *what, CURL *easy, CURLcode code)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    printf("%s %ld %d\n", what, status, (int)code);
}

static void drive(CURLM *multi)
{
    int running = 1;

    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

/* ---- set when the handle is in the multi handle ---------------------------------------------- */

static void late(const char *first, CURLoption option, const char *value)
{
    CURL *easy = easy_to(first);
    CURLM *multi = curl_multi_init();
    CURLMsg *message;
    int left;

    curl_multi_add_handle(multi, easy);
    curl_easy_setopt(easy, option, getenv(value));
    drive(multi);
    message = curl_multi_info_read(multi, &left);
    show("late", easy, message != NULL ? message->data.result : CURLE_OK);
}

static void late_url(void)
{
    late("PLAIN", CURLOPT_URL, "GOVERNED");
}

static void late_body(void)
{
    late("GOVERNED", CURLOPT_POSTFIELDS, "DEARER");
}

/* ---- performed in a callback ------------------------------------------------------------------
 */

static int inner_code = -1;

/* Its last act is the call, which a compiler makes a jump: the return address is libcurl's. */
static int perform_another(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    static int done;

    (void)a, (void)b, (void)c, (void)d;
    return done++ > 0 ? 0 : (int)curl_easy_perform(data);
}

static void tail(void)
{
    CURL *inner = easy_to("GOVERNED"), *outer = easy_to("PLAIN");
    CURLcode code;

    curl_easy_setopt(outer, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(outer, CURLOPT_XFERINFOFUNCTION, perform_another);
    curl_easy_setopt(outer, CURLOPT_XFERINFODATA, inner);
    code = curl_easy_perform(outer);
    show("outer", outer, code);
    show("inner", inner, CURLE_OK);
}

static size_t perform_itself(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    if (inner_code < 0)
        inner_code = (int)curl_easy_perform(data);
    return size * count;
}

static void recursive(void)
{
    CURL *easy = easy_to("GOVERNED");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, perform_itself);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, easy);
    show("outer", easy, curl_easy_perform(easy));
    printf("inner %d\n", inner_code);
}

/* ---- messages -----------------------------------------------------------------------------------
 */

static void left(void)
{
    CURLM *multi = curl_multi_init();
    int count = 0, more = 0;

    curl_multi_add_handle(multi, easy_to("PLAIN"));
    curl_multi_add_handle(multi, easy_to("GOVERNED"));
    drive(multi);
    do
        count += curl_multi_info_read(multi, &more) != NULL;
    while (more > 0);
    printf("messages %d\n", count);
}

static void cleanup(void)
{
    CURL *easy = easy_to("GOVERNED");
    CURLM *multi = curl_multi_init();
    int more;

    curl_multi_add_handle(multi, easy);
    drive(multi);
    curl_easy_cleanup(easy);
    printf("message %s\n",
           curl_multi_info_read(multi, &more) != NULL ? "of a handle that is gone" : "none");
}

/* ---- cancelled ----------------------------------------------------------------------------------
 */

static void *cancelled(void *data)
{
    pthread_cancel(pthread_self());
    curl_easy_perform(data);
    return NULL;
}

static void cancel(void)
{
    CURL *easy = easy_to("PLAIN");
    pthread_t thread;

    pthread_create(&thread, NULL, cancelled, easy_to("PLAIN"));
    pthread_join(thread, NULL);
    alarm(30); /* else it would wait for a lock for ever */
    show("after", easy, curl_easy_perform(easy));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } verbs[] = {{"late-url", late_url},   {"late-body", late_body}, {"tail", tail},
                 {"recursive", recursive}, {"left", left},           {"cleanup", cleanup},
                 {"cancel", cancel}};

    for (size_t i = 0; argc == 2 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, argv[1]) == 0) {
            verbs[i].run();
            return 0;
        }
    return 2;
}
