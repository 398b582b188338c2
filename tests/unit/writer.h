/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the sidecar's writer without its loop, on clocks that the test sets. */
#ifndef FLYBALL_TESTS_WRITER_H
#define FLYBALL_TESTS_WRITER_H

#include <sys/timex.h>
#include <time.h>

#include "sidecar/side_book.h"
#include "tests/unit/store_test.h"

/* ---- clocks ------------------------------------------------------------------------------- */

static int64_t wall_s, boot_s;
static bool synchronised;

int clock_gettime(clockid_t clock, struct timespec *out)
{
    *out = (struct timespec){.tv_sec = (time_t)(clock == CLOCK_REALTIME ? wall_s : boot_s)};
    return 0;
}

int adjtimex(struct timex *words)
{
    words->status = synchronised ? 0 : STA_UNSYNC;
    return synchronised ? TIME_OK : TIME_ERROR;
}

/* ---- what the loop would do; nothing here comes to it -----------------------------------------
 */

void side_deliver_ops(struct side *side, struct side_op *list)
{
    (void)side, (void)list;
    abort();
}
void side_deliver_job(struct side *side, struct side_job *job)
{
    (void)side, (void)job;
    abort();
}
static unsigned mail_opened; /* so often */

void side_mail_open(struct side *side)
{
    (void)side;
    mail_opened++;
}
void side_later(struct side *side, void (*then)(struct side *side, void *data), void *data)
{
    (void)side, (void)then, (void)data;
    abort();
}
void side_give_up(struct side *side)
{
    (void)side;
    abort();
}

#endif
