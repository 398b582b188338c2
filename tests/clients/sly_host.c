/* SPDX-License-Identifier: Apache-2.0 */
/* usage: sly_host VERB
 * Uses libcurl in ways that few programs do: changes its mind in the middle of a transfer, or asks
 * within callbacks for what is refused there. $GOVERNED is the URL of a provider, $PLAIN one of
 * nobody's, at the double; $BODY and $DEARER are two requests. Prints what the program sees. */
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t drop(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes, (void)data;
    return size * count;
}

static struct curl_slist *json_lines(void)
{
    static struct curl_slist *json;

    if (json == NULL)
        json =
            curl_slist_append(curl_slist_append(json, "Content-Type: application/json"), "Expect:");
    return json;
}

static void ask(CURL *easy, const char *url, const char *body)
{
    curl_easy_setopt(easy, CURLOPT_URL, getenv(url));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, getenv(body));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, json_lines());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
}

static CURL *easy_to(const char *url)
{
    CURL *easy = curl_easy_init();

    ask(easy, url, "BODY");
    return easy;
}

static void show(const char *what, CURL *easy, CURLcode code)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    printf("%s %ld %d\n", what, status, (int)code);
}

static CURLcode drive(CURLM *multi)
{
    CURLMsg *message;
    int running = 1, left;

    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    message = curl_multi_info_read(multi, &left);
    return message != NULL ? message->data.result : CURLE_OK;
}

/* ---- another request than the one that was added --------------------------------------- */

static void reset(void)
{
    CURL *easy = easy_to("PLAIN");
    CURLM *multi = curl_multi_init();

    curl_multi_add_handle(multi, easy);
    curl_easy_reset(easy);
    ask(easy, "GOVERNED", "BODY");
    show("reset", easy, drive(multi));
}

static void reset_governed(void)
{
    CURL *easy = easy_to("GOVERNED");
    CURLM *multi = curl_multi_init();

    curl_multi_add_handle(multi, easy);
    curl_easy_reset(easy);
    ask(easy, "GOVERNED", "DEARER");
    show("reset", easy, drive(multi));
}

static curl_mime *form_of(CURL *easy, const char *images)
{
    curl_mime *form = curl_mime_init(easy);
    curl_mimepart *part = curl_mime_addpart(form);

    curl_mime_name(part, "model");
    curl_mime_data(part, "dall-e-2", CURL_ZERO_TERMINATED);
    part = curl_mime_addpart(form);
    curl_mime_name(part, "n");
    curl_mime_data(part, images, CURL_ZERO_TERMINATED);
    return form;
}

static CURL *easy_with(curl_mime **form_out)
{
    CURL *easy = curl_easy_init();

    *form_out = form_of(easy, "1");
    curl_easy_setopt(easy, CURLOPT_URL, getenv("EDITS"));
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, *form_out);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    return easy;
}

static void late_form(void)
{
    curl_mime *form;
    CURL *easy = easy_with(&form);
    CURLM *multi = curl_multi_init();

    curl_multi_add_handle(multi, easy);
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, form_of(easy, "10"));
    show("form", easy, drive(multi));
}

static void late_part(void)
{
    curl_mime *form;
    CURL *easy = easy_with(&form);
    CURLM *multi = curl_multi_init();
    curl_mimepart *part = curl_mime_addpart(form);

    curl_mime_name(part, "prompt");
    curl_multi_add_handle(multi, easy);
    part = curl_mime_addpart(form);
    curl_mime_name(part, "n");
    curl_mime_data(part, "10", CURL_ZERO_TERMINATED);
    show("part", easy, drive(multi));
}

static void late_raw(void)
{
    CURL *easy = easy_to("GOVERNED");
    CURLM *multi = curl_multi_init();
    CURLcode code;
    size_t sent = 0;

    curl_multi_add_handle(multi, easy);
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    code = drive(multi);
    printf("raw %d %d\n", code, curl_easy_send(easy, "POST /raw", 9, &sent));
}

/* The body of a transfer that is being performed. */
static int change_body(void *data, curl_socket_t socket, curlsocktype purpose)
{
    (void)socket, (void)purpose;
    curl_easy_setopt(data, CURLOPT_POSTFIELDS, getenv("DEARER"));
    return CURL_SOCKOPT_OK;
}

static void mid_body(void)
{
    CURL *easy = easy_to("GOVERNED");

    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, change_body);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, easy);
    show("body", easy, curl_easy_perform(easy));
}

/* Its last act is the call, which a compiler makes a jump: the return address is libcurl's. */
static int change_by_jump(void *data, curl_socket_t socket, curlsocktype purpose)
{
    (void)socket, (void)purpose;
    return curl_easy_setopt(data, CURLOPT_POSTFIELDS, getenv("DEARER"));
}

static void jump(void)
{
    CURL *easy = easy_to("GOVERNED");

    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, change_by_jump);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, easy);
    show("jump", easy, curl_easy_perform(easy));
}

/* ---- a socket of the program's own ----------------------------------------------------- */

static void raw(void)
{
    CURL *easy = curl_easy_init();
    CURLcode code;
    size_t sent = 0;

    curl_easy_setopt(easy, CURLOPT_URL, getenv("PARTLY"));
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, curl_slist_append(NULL, getenv("CONNECT_TO")));
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    code = curl_easy_perform(easy);
    printf("raw %d %d\n", code, curl_easy_send(easy, "POST /api/v1", 12, &sent));
}

/* ---- bodies ---------------------------------------------------------------------------- */

static size_t give_up(char *buffer, size_t size, size_t count, void *data)
{
    (void)buffer, (void)size, (void)count, (void)data;
    return CURL_READFUNC_ABORT;
}

static CURL *easy_reading(curl_read_callback reader)
{
    CURL *easy = easy_to("GOVERNED");

    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, reader);
    return easy;
}

static void aborted(void)
{
    CURL *easy = easy_reading(give_up);

    printf("aborted %d\n", curl_easy_perform(easy));
}

static void aborted_multi(void)
{
    CURLM *multi = curl_multi_init();

    curl_multi_add_handle(multi, easy_reading(give_up));
    printf("aborted %d\n", drive(multi));
}

/* Once, and again when it is read again. */
static size_t xyz(char *buffer, size_t size, size_t count, void *data)
{
    static int times;

    (void)size, (void)count, (void)data;
    memcpy(buffer, "xyz", 3);
    return times++ % 2 == 0 ? 3 : 0;
}

/* Gives a piece, and then has nothing for now. */
static size_t falter(char *buffer, size_t size, size_t count, void *data)
{
    static int times;

    (void)size, (void)count, (void)data;
    memcpy(buffer, "{}", 2);
    return times++ == 0 ? 2 : CURL_READFUNC_PAUSE;
}

static void paused(void)
{
    CURL *easy = easy_reading(falter);

    show("paused", easy, curl_easy_perform(easy));
}

static void paused_multi(void)
{
    CURLM *multi = curl_multi_init();
    CURL *easy = easy_reading(falter);

    curl_multi_add_handle(multi, easy);
    show("paused", easy, drive(multi));
}

static size_t no_end(char *buffer, size_t size, size_t count, void *data)
{
    (void)data;
    memset(buffer, ' ', size * count);
    return size * count;
}

static void endless(void)
{
    CURL *easy = easy_reading(no_end);

    show("endless", easy, curl_easy_perform(easy));
}

/* libcurl forgets its copy when the size grows; then it asks the reader. */
static void resized(void)
{
    CURL *easy = easy_to("PLAIN");

    curl_easy_setopt(easy, CURLOPT_READFUNCTION, xyz);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, -1L);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, "abcdefgh");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 3L);
    show("resized", easy, curl_easy_perform(easy));
}

/* A twin of a handle that has posted, and is to get. */
static void twin_get(void)
{
    CURL *easy = curl_easy_init(), *other;

    ask(easy, "PLAIN", "BODY");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(getenv("DEARER")));
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, getenv("DEARER"));
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    other = curl_easy_duphandle(easy);
    curl_easy_cleanup(easy);
    curl_easy_setopt(other, CURLOPT_URL, getenv("GOVERNED"));
    show("twin", other, curl_easy_perform(other));
}

static size_t get_next(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    curl_easy_setopt(data, CURLOPT_HTTPGET, 1L);
    return size * count;
}

/* Told to get while the answer to a post arrives, whose cap was lowered. */
static void get_after(void)
{
    CURL *easy = curl_easy_init();

    ask(easy, "GOVERNED", "DEAREST");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, get_next);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, easy);
    show("post", easy, curl_easy_perform(easy));
    curl_easy_setopt(easy, CURLOPT_URL, getenv("GOVERNED"));
    show("get", easy, curl_easy_perform(easy));
}

/* A twin of a handle whose form is gone. */
static void twin(void)
{
    curl_mime *form;
    CURL *easy = easy_with(&form), *other = curl_easy_duphandle(easy);

    curl_mime_free(form);
    curl_easy_cleanup(easy);
    show("twin", other, curl_easy_perform(other));
}

/* ---- where it goes --------------------------------------------------------------------- */

static void guessed(void)
{
    CURL *easy = easy_to("GUESSED");

    curl_easy_setopt(easy, CURLOPT_DEFAULT_PROTOCOL, "http");
    show("guessed", easy, curl_easy_perform(easy));
}

static void in_parts(void)
{
    CURL *easy = easy_to("GOVERNED");
    CURLU *parts = curl_url();

    curl_url_set(parts, CURLUPART_URL, "http://127.0.0.1:1/v1/messages", 0);
    curl_easy_setopt(easy, CURLOPT_URL, NULL);
    curl_easy_setopt(easy, CURLOPT_CURLU, parts);
    curl_easy_setopt(easy, CURLOPT_PORT, atol(getenv("HTTP")));
    show("parts", easy, curl_easy_perform(easy));
}

/* ---- a small stack --------------------------------------------------------------------- */

static void *perform_thread(void *data)
{
    show("small", data, curl_easy_perform(data));
    return NULL;
}

static void small(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 20480);
    pthread_create(&thread, &attributes, perform_thread, easy_to("GOVERNED"));
    pthread_join(thread, NULL);
}

/* ---- within callbacks ------------------------------------------------------------------ */

static CURLM *nested;
static CURL *outer, *inner;

static int turn_inside(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    static bool done;
    int running, left, taken = 0;

    (void)data, (void)a, (void)b, (void)c, (void)d;
    while (!done && access("answered", F_OK) != 0) { /* the test sees to it */
        taken += curl_multi_perform(nested, &running) != CURLM_RECURSIVE_API_CALL;
        taken += curl_multi_info_read(nested, &left) != NULL;
        taken += curl_multi_add_handle(nested, inner) != CURLM_RECURSIVE_API_CALL;
        taken += curl_multi_remove_handle(nested, outer) != CURLM_RECURSIVE_API_CALL;
        taken += curl_multi_cleanup(nested) != CURLM_RECURSIVE_API_CALL;
        (void)poll(NULL, 0, 1);
    }
    if (!done)
        printf("inside %d\n", taken);
    done = true;
    return 0;
}

static void inside(void)
{
    CURL *waits = easy_to("GOVERNED");

    nested = curl_multi_init();
    inner = easy_to("PLAIN");
    outer = easy_to("PLAIN");
    curl_easy_setopt(outer, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(outer, CURLOPT_XFERINFOFUNCTION, turn_inside);
    curl_multi_add_handle(nested, waits);
    curl_multi_add_handle(nested, outer);
    (void)drive(nested);
    show("waits", waits, CURLE_OK);
    show("plain", outer, CURLE_OK);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } verbs[] = {
        {"reset", reset},
        {"reset-governed", reset_governed},
        {"late-form", late_form},
        {"late-part", late_part},
        {"late-raw", late_raw},
        {"mid-body", mid_body},
        {"jump", jump},
        {"raw", raw},
        {"aborted", aborted},
        {"aborted-multi", aborted_multi},
        {"resized", resized},
        {"twin", twin},
        {"twin-get", twin_get},
        {"get-after", get_after},
        {"guessed", guessed},
        {"in-parts", in_parts},
        {"paused", paused},
        {"endless", endless},
        {"paused-multi", paused_multi},
        {"small", small},
        {"inside", inside},
    };

    for (size_t i = 0; argc == 2 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, argv[1]) == 0) {
            verbs[i].run();
            return 0;
        }
    return 2;
}
