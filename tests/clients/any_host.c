/* SPDX-License-Identifier: Apache-2.0 */
/* usage: any_host SEED STEPS
 * Does what a program may do with libcurl, in an order that SEED decides: options are set and
 * reset, handles duplicated and thrown away, performed or put into a multi handle. $GOVERNED and
 * $PLAIN are URLs at the double, $BODY_0 to $BODY_3 requests. Prints what comes of each transfer.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDLES 3
#define FORMS   64

struct host {
    CURL *easy;
    bool added;
    bool copied;       /* its body is a copy of libcurl's */
    size_t size;       /* of which this is told; 0: not */
    const char *given; /* by the read callback */
    size_t given_at;
    uint64_t hash; /* of what was received */
    size_t got;
    curl_mime *forms[FORMS];
    unsigned form_count;
};

static struct host hosts[HANDLES];
static CURLM *multi;
static struct curl_slist *lines;
static const char *bodies[4];
static uint64_t chance;
static int step;

static unsigned any(unsigned count)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (unsigned)(chance >> 11) % count;
}

/* ---- callbacks ------------------------------------------------------------------------- */

static size_t take(char *bytes, size_t size, size_t count, void *data)
{
    struct host *host = data;

    for (size_t i = 0; i < size * count; i++)
        host->hash = (host->hash ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    host->got += size * count;
    return size * count;
}

static size_t give(char *buffer, size_t size, size_t count, void *data)
{
    struct host *host = data;
    size_t piece = strlen(host->given) - host->given_at;

    piece = piece > size * count ? size * count : piece;
    piece = piece > 40 ? 40 : piece;
    memcpy(buffer, host->given + host->given_at, piece);
    host->given_at += piece;
    return piece;
}

static int seek(void *data, curl_off_t offset, int origin)
{
    struct host *host = data;

    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    host->given_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- transfers ------------------------------------------------------------------------- */

static void callbacks_set(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(host->easy, CURLOPT_WRITEDATA, host);
    curl_easy_setopt(host->easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(host->easy, CURLOPT_READDATA, host);
    curl_easy_setopt(host->easy, CURLOPT_SEEKFUNCTION, seek);
    curl_easy_setopt(host->easy, CURLOPT_SEEKDATA, host);
}

static void host_begin(struct host *host, CURL *easy)
{
    memset(host, 0, sizeof *host);
    host->easy = easy;
    host->given = "";
    callbacks_set(host);
}

static void options_begin(struct host *host)
{
    callbacks_set(host);
    host->copied = false;
    host->size = 0;
    curl_easy_setopt(host->easy, CURLOPT_URL, getenv("PLAIN"));
    curl_easy_setopt(host->easy, CURLOPT_HTTPHEADER, lines);
}

static void ready(struct host *host)
{
    host->hash = UINT64_C(14695981039346656037);
    host->got = host->given_at = 0;
    host->given = bodies[any(4)];
}

static void show(struct host *host, CURLcode code)
{
    char *method = NULL, *url = NULL;
    long status = 0;

    curl_easy_getinfo(host->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(host->easy, CURLINFO_EFFECTIVE_METHOD, &method);
    curl_easy_getinfo(host->easy, CURLINFO_EFFECTIVE_URL, &url);
    printf("%d %d: %d %ld %s %s %zu %016llx\n", step, (int)(host - hosts), (int)code, status,
           method, url, host->got, (unsigned long long)host->hash);
}

static void drive(void)
{
    CURLMsg *message;
    int running = 1, left;

    while (running > 0) {
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    CURLcode codes[HANDLES] = {0};
    while ((message = curl_multi_info_read(multi, &left)) != NULL)
        for (int i = 0; i < HANDLES; i++)
            if (hosts[i].easy == message->easy_handle)
                codes[i] = message->data.result;
    for (int i = 0; i < HANDLES; i++) {
        if (hosts[i].added) {
            show(&hosts[i], codes[i]);
            curl_multi_remove_handle(multi, hosts[i].easy);
        }
        hosts[i].added = false;
    }
}

/* ---- steps ----------------------------------------------------------------------------- */

static void go_elsewhere(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_URL, getenv(any(2) ? "GOVERNED" : "PLAIN"));
}

static void point_at_body(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_POSTFIELDSIZE, -1L);
    curl_easy_setopt(host->easy, CURLOPT_POSTFIELDS, bodies[any(4)]);
    host->copied = false;
}

/* With its size told before; without, libcurl 7.88 cannot duplicate the handle. */
static void copy_body(struct host *host)
{
    char *body = strdup(bodies[any(4)]);

    host->size = any(3) > 0 ? strlen(body) : 0;
    curl_easy_setopt(host->easy, CURLOPT_POSTFIELDSIZE, host->size > 0 ? (long)host->size : -1L);
    curl_easy_setopt(host->easy, CURLOPT_COPYPOSTFIELDS, body);
    memset(body, '?', strlen(body));
    free(body);
    host->copied = true;
}

static void shorten_copy(struct host *host)
{
    if (!host->copied || host->size < 2)
        return;
    host->size -= any(2);
    curl_easy_setopt(host->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)host->size);
}

static void get(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_HTTPGET, 1L);
}

static void post(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_POST, (long)any(2));
}

static void want_no_body(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_NOBODY, (long)(any(3) == 0));
}

static void upload(struct host *host)
{
    curl_easy_setopt(host->easy, CURLOPT_UPLOAD, (long)any(2));
}

static void name_method(struct host *host)
{
    static const char *const names[] = {NULL, NULL, "POST", "PUT"};

    curl_easy_setopt(host->easy, CURLOPT_CUSTOMREQUEST, names[any(4)]);
}

static void fill_form(struct host *host)
{
    curl_mimepart *part;
    curl_mime *form;

    if (host->form_count == FORMS)
        return;
    form = curl_mime_init(host->easy);
    for (int i = 0; i < 2; i++) {
        part = curl_mime_addpart(form);
        curl_mime_name(part, i == 0 ? "model" : "x");
        curl_mime_data(part, i == 0 ? "m" : bodies[any(4)], CURL_ZERO_TERMINATED);
    }
    curl_easy_setopt(host->easy, CURLOPT_MIMEPOST, form);
    host->forms[host->form_count++] = form;
}

static void free_form(struct host *host)
{
    if (host->form_count < 2)
        return;
    curl_mime_free(host->forms[0]);
    memmove(host->forms, host->forms + 1, --host->form_count * sizeof *host->forms);
}

static void reset(struct host *host)
{
    curl_easy_reset(host->easy);
    options_begin(host);
}

static void duplicate(struct host *host)
{
    struct host *twin = &hosts[any(HANDLES)];
    bool copied = host->copied;
    size_t size = host->size;

    if (twin == host || twin->added || (copied && size == 0))
        return;
    curl_easy_cleanup(twin->easy);
    host_begin(twin, curl_easy_duphandle(host->easy));
    twin->copied = copied;
    twin->size = size;
}

static void replace(struct host *host)
{
    curl_easy_cleanup(host->easy);
    host_begin(host, curl_easy_init());
    options_begin(host);
}

static void perform(struct host *host)
{
    ready(host);
    show(host, curl_easy_perform(host->easy));
}

static void add(struct host *host)
{
    ready(host);
    host->added = curl_multi_add_handle(multi, host->easy) == CURLM_OK;
}

static void turn(struct host *host)
{
    (void)host;
    drive();
}

int main(int argc, char **argv)
{
    static void (*const steps[])(struct host * host) = {
        go_elsewhere, go_elsewhere, point_at_body, copy_body, copy_body,   shorten_copy,
        get,          post,         want_no_body,  upload,    name_method, fill_form,
        free_form,    reset,        duplicate,     duplicate, replace,     perform,
        perform,      perform,      perform,       add,       add,         turn,
    };
    char name[] = "BODY_0";

    if (argc != 3)
        return 2;
    chance = strtoull(argv[1], NULL, 10) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 4; i++, name[5]++)
        bodies[i] = getenv(name);
    lines = curl_slist_append(NULL, "Content-Type: application/json");
    lines = curl_slist_append(lines, "Expect:");
    multi = curl_multi_init();
    for (int i = 0; i < HANDLES; i++) {
        host_begin(&hosts[i], curl_easy_init());
        options_begin(&hosts[i]);
    }
    for (step = 0; step < atoi(argv[2]); step++) {
        struct host *host = &hosts[any(HANDLES)];
        unsigned which = any(sizeof steps / sizeof *steps);

        if (!host->added || steps[which] == turn)
            steps[which](host);
    }
    drive();
    return 0;
}
