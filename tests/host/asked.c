/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that are asked for their usage. $HOST_ASKED is a URL whose answer has the chunk,
 * $HOST_WHOLE_ANSWER what it sends, in small pieces ($HOST_ASKED_AT_ONCE: in one),
 * $HOST_ASKED_ANSWER what the program has to see; $HOST_HALF is one whose stream ends in an event,
 * in good order, behind $HOST_HALF_ANSWER. */
#include "tests/host/host.h"

#include <stdlib.h>
#include <string.h>

static const char asked_body[] = "{\"model\":\"gpt-4o-mini\",\"max_tokens\":64,\"stream\":true,"
                                 "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
/* Of another model, and with room: the test looks at what these calls are charged. */
static const char half_body[] = "{\"model\":\"gpt-4o\",\"max_tokens\":5000,\"stream\":true,"
                                "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
static struct answer whole, asked, half;

static struct transfer *asked_new(void)
{
    struct transfer *transfer = transfer_new(needed("HOST_ASKED"));

    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, asked_body);
    transfer->want = &asked;
    return transfer;
}

static struct transfer *half_new(void)
{
    struct transfer *transfer = transfer_new(needed("HOST_HALF"));

    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, half_body);
    transfer->want = &half;
    return transfer;
}

/* ---- whole streams ------------------------------------------------------------------------ */

static void way_asked(void)
{
    once(asked_new(), "a stream that is asked");
}

static void way_asked_multi(void)
{
    flock_of(asked_new, false);
    flock_of(asked_new, true);
}

static void way_asked_pause(void)
{
    struct transfer *transfer = asked_new();

    transfer->pause_often = true;
    alone(transfer, CURLE_OK, "a stream that is asked, with pauses");
    transfer = asked_new();
    curl_easy_setopt(transfer->easy, CURLOPT_URL, needed("HOST_ASKED_AT_ONCE"));
    transfer->pause_often = true;
    transfer->calls = 1; /* on what comes behind the chunk, when what is before it was taken */
    alone(transfer, CURLE_OK, "a stream that comes at once, with a pause");
}

/* What it has taken is the beginning of what it would have. */
static void way_asked_stop(void)
{
    static const size_t codes[] = {0, 1, CURL_WRITEFUNC_ERROR, (size_t)-1};

    for (unsigned i = 0; i < 12; i++) {
        struct transfer *transfer = asked_new();

        transfer->stop_after = 1 + i * asked.count / 12;
        transfer->stop_by = codes[i % 4];
        expect(curl_easy_perform(transfer->easy) == CURLE_WRITE_ERROR, "stopped by the program");
        expect(transfer->used <= transfer->stop_after &&
                   (transfer->used == 0 || memcmp(transfer->got, asked.bytes, transfer->used) == 0),
               "stopped after %zu bytes: other ones", transfer->stop_after);
        transfer_free(transfer);
    }
}

/* ---- streams that must not be asked ------------------------------------------------------- */

/* What is not asked is not stripped: the program sees the chunk that this server sends anyway. */
static void seen_whole(struct transfer *transfer, const char *what)
{
    transfer->want = &whole;
    once(transfer, what);
}

static void way_not_asked(void)
{
    struct curl_slist *encoding = curl_slist_append(NULL, "Accept-Encoding: gzip");
    struct transfer *transfer = asked_new();

    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, encoding);
    seen_whole(transfer, "an encoding of its own");
    transfer = asked_new();
    curl_easy_setopt(transfer->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(transfer->easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    seen_whole(transfer, "an encoding that it undoes itself");
    transfer = asked_new();
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, encoding);
    curl_easy_setopt(transfer->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    once(transfer, "an encoding of its own that libcurl undoes");
    curl_slist_free_all(encoding);
}

/* ---- streams that end in an event --------------------------------------------------------- */

static void way_half(void)
{
    struct transfer *transfer;

    once(half_new(), "a half stream");
    transfer = half_new();
    transfer->leaves = true;
    alone(transfer, CURLE_OK, "a half stream in a multi handle");
    transfer = half_new();
    transfer->pause_often = transfer->spares_last = true;
    alone(transfer, CURLE_OK, "a half stream with pauses");
}

/* The rest is given when libcurl has no part in it any more; a no still counts, and a pause is one.
 */
static void way_half_stop(void)
{
    static const size_t codes[] = {0, CURL_WRITEFUNC_PAUSE};

    for (unsigned i = 0; i < 2; i++) {
        struct transfer *transfer = half_new();

        transfer->stop_after = half.count - 1;
        transfer->stop_by = codes[i];
        expect(curl_easy_perform(transfer->easy) == CURLE_WRITE_ERROR, "no to a rest");
        expect(strstr(transfer->error, "destination") != NULL, "no to a rest: %s", transfer->error);
        transfer_free(transfer);
        transfer = half_new();
        transfer->stop_after = half.count - 1;
        transfer->stop_by = codes[i];
        alone(transfer, CURLE_WRITE_ERROR, "no to a rest in a multi handle");
    }
}

const struct way asked_ways[] = {
    {"asked", way_asked},
    {"asked-multi", way_asked_multi},
    {"asked-pause", way_asked_pause},
    {"asked-stop", way_asked_stop},
    {"not-asked", way_not_asked},
    {"half", way_half},
    {"half-stop", way_half_stop},
    {NULL, NULL},
};

void asked_begin(void)
{
    (void)needed("HOST_ASKED");
    (void)needed("HOST_HALF");
    read_answer("HOST_WHOLE_ANSWER", &whole);
    read_answer("HOST_ASKED_ANSWER", &asked);
    read_answer("HOST_HALF_ANSWER", &half);
}

void asked_end(void)
{
    free(whole.bytes);
    free(asked.bytes);
    free(half.bytes);
}
