/* SPDX-License-Identifier: Apache-2.0 */
/* What the ways of the test host have in common: a transfer, what is expected of it, a table. */
#ifndef FLYBALL_TESTS_HOST_H
#define FLYBALL_TESTS_HOST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

struct answer {
    char *bytes;
    size_t count;
};

struct transfer {
    CURL *easy;
    char *got;
    size_t used;
    const struct answer *want; /* what the program has to see */
    size_t stop_after;         /* the write callback says stop_by beyond it; 0: never */
    size_t stop_by;
    bool pause_once;
    bool pause_often; /* every second time */
    bool spares_last; /* but not for the last bytes that it wants */
    bool leaves;      /* alone(): tries to leave the multi handle from its callback */
    CURLM *multi;     /* which this is */
    unsigned calls;   /* of the write callback */
    size_t sent;      /* of a body from the read callback */
    char error[CURL_ERROR_SIZE];
};

struct way {
    const char *name; /* NULL: the table's end */
    void (*go)(void);
};

/* A finding, unless ok. */
void expect(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct transfer *transfer_new(const char *to);
void transfer_free(struct transfer *transfer);
/* It ended with this code: which has to be OK, with the answer that is wanted. */
void expect_answer(const struct transfer *transfer, CURLcode code, const char *what);
/* These free the transfer. alone(): in a multi handle of its own, going on when it has paused. */
void once(struct transfer *transfer, const char *what);
void alone(struct transfer *transfer, CURLcode want, const char *what);
/* Many in one multi handle; late: the messages are read when everything is over. */
void flock_of(struct transfer *(*make)(void), bool late);
/* A variable's value, or the bytes of the file that it names; ends the program without. */
const char *needed(const char *name);
void read_answer(const char *name, struct answer *answer);

/* Findings of this process so far. */
int host_findings(void);

/* links.c: the connections that are kept. */
extern const struct way links_ways[];

/* asked.c: streams that are asked for their usage. */
extern const struct way asked_ways[];
void asked_begin(void);
void asked_end(void);

#endif
