/* SPDX-License-Identifier: Apache-2.0 */
/* The time that windows go by: the wall clock, as long as it agrees with the time since boot. That
 * goes on while the machine sleeps, and nobody can set it. What the kernel calls synchronised is
 * believed; another jump ahead leaves the windows where they were, closed, until an operator has
 * looked. Going back never brings a window back. In the writer. */
#include "sidecar/side_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define STEP_NS  NS_PER_S /* less is no step */
#define JUMP_NS  (300 * NS_PER_S)

static int64_t since_boot_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool is_synchronised(void)
{
    struct timex words = {.modes = 0};

    return adjtimex(&words) != TIME_ERROR && (words.status & STA_UNSYNC) == 0;
}

static enum store_err word_append(struct side_book *book, enum store_clock_word word,
                                  int64_t expected_ns, const char *actor, const char *reason)
{
    struct store_event *event = calloc(1, sizeof *event);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    event->head.type = STORE_CLOCK;
    event->head.ts_ns = side_now_ns();
    event->clock.word = (uint8_t)word;
    event->clock.expected_ns = expected_ns;
    event->clock.found_ns = event->head.ts_ns;
    memcpy(event->clock.boot_id, book->clock.boot_id, sizeof event->clock.boot_id);
    (void)snprintf(event->clock.actor, sizeof event->clock.actor, "%s", actor);
    (void)snprintf(event->clock.reason, sizeof event->clock.reason, "%s", reason);
    err = store_append(book->store, event, sizeof event->clock);
    free(event);
    return err;
}

/* Compares; false: nothing of the row has changed. */
static bool look(struct side_book *book, int64_t wall_ns, int64_t boot_ns, bool *vouched)
{
    struct store_clock_row *row = &book->clock;
    int64_t ahead_ns = wall_ns - boot_ns, step_ns = ahead_ns - row->ahead_ns;

    *vouched = false;
    if (memcmp(book->boot_id, row->boot_id, sizeof row->boot_id) !=
        0) { /* nothing to compare with */
        memcpy(row->boot_id, book->boot_id, sizeof row->boot_id);
        row->ahead_ns = ahead_ns;
        return true;
    }
    if (!row->jumped && step_ns <= STEP_NS && step_ns >= -STEP_NS)
        return false;
    if (is_synchronised()) {
        *vouched = row->jumped != 0;
        row->jumped = 0;
        row->ahead_ns = ahead_ns;
        return true;
    }
    if (row->jumped || step_ns <= JUMP_NS)
        return false;
    row->jumped = 1;
    return true;
}

enum store_err side_clock_look(struct side_book *book)
{
    int64_t wall_ns = side_now_ns(), boot_ns = since_boot_ns(), expected_ns;
    bool was = book->clock.jumped != 0, vouched, changed;
    enum store_err err = STORE_OK;

    if (!book->clock_known) {
        err = store_clock_get(book->store, &book->clock);
        if (err != STORE_OK && err != STORE_NOT_FOUND)
            return err;
        err = STORE_OK;
        side_boot_id(book->boot_id);
        book->clock_known = true;
        was = book->clock.jumped != 0;
    }
    expected_ns = boot_ns + book->clock.ahead_ns;
    changed = look(book, wall_ns, boot_ns, &vouched);
    if (!was && book->clock.jumped)
        err = word_append(book, STORE_CLOCK_JUMPED, expected_ns, "flyballd",
                          "the wall clock was set ahead, and the kernel does not call it "
                          "synchronised");
    else if (vouched)
        err = word_append(book, STORE_CLOCK_ACCEPTED, expected_ns, "kernel",
                          "the clock is synchronised");
    if (err == STORE_OK && changed)
        err = store_clock_put(book->store, &book->clock);
    if (was != (book->clock.jumped != 0))
        book->changes++;
    book->wall_ns = book->clock.jumped ? expected_ns : wall_ns;
    if (book->wall_ns / NS_PER_S > book->now_s)
        book->now_s = book->wall_ns / NS_PER_S;
    if (book->clock.latest_s > book->now_s)
        book->now_s = book->clock.latest_s;
    return err;
}

enum store_err side_clock_began(struct side_book *book, int64_t start_s)
{
    if (start_s <= book->clock.latest_s)
        return STORE_OK;
    book->clock.latest_s = start_s;
    return store_clock_put(book->store, &book->clock);
}

enum store_err side_clock_accept(struct side_book *book, const char *actor, const char *reason)
{
    enum store_err err = side_clock_look(book);
    int64_t wall_ns = side_now_ns(), boot_ns = since_boot_ns();

    if (err == STORE_OK)
        err =
            word_append(book, STORE_CLOCK_ACCEPTED, boot_ns + book->clock.ahead_ns, actor, reason);
    book->clock.jumped = 0;
    book->clock.ahead_ns = wall_ns - boot_ns;
    book->clock.latest_s = book->now_s = wall_ns / NS_PER_S;
    book->next_s = INT64_MIN;
    book->changes++;
    return err == STORE_OK ? store_clock_put(book->store, &book->clock) : err;
}
