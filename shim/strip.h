/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one kind of event of a stream from the application: the chunk that reports the usage, which
 * an OpenAI-style stream has only because Flyball asked for it.
 *
 * The model. An event is the lines up to a blank one (lines end in LF, CR or CRLF). The chunk is an
 * event with one data line, and nothing beside it but event and id lines, whose data is one object
 * with an empty "choices" and a "usage" that is an object. It is dropped with its blank line; all
 * else comes out byte for byte. Bytes are held back only while their event could still be the
 * chunk: nearly all are decided by what "choices" begins with. The result is the same wherever the
 * bytes were cut.
 *
 * A delivery goes in like one of libcurl's to a write callback. On STRIP_PAUSED libcurl delivers
 * the same bytes again, with more behind them or cut in other places; those that were dealt with
 * already are passed over then.
 *
 * Caveats. A chunk longer than STRIP_HOLD_MAX passes. Nothing is allocated after strip_new(), so
 * nothing can be lost. One thread at a time. libc alone. */
#ifndef FLYBALL_STRIP_H
#define FLYBALL_STRIP_H

#include <stdbool.h>
#include <stddef.h>

#define STRIP_HOLD_MAX 8192u /* of one event, its blank line included */

enum strip_gave {
    STRIP_TAKEN,
    STRIP_PAUSED,  /* none of them, and they are to come again */
    STRIP_REFUSED, /* the transfer is over */
};

/* Gives bytes to the application: never more than a delivery has, or STRIP_HOLD_MAX. */
typedef enum strip_gave strip_giver(void *data, const char *bytes, size_t count);

/* Bytes [from, to) of the delivery were dealt with now: given, held back or dropped. */
struct strip_done {
    enum strip_gave gave; /* STRIP_TAKEN: to is the delivery's end */
    size_t from, to;
};

struct strip;

struct strip *strip_new(void); /* NULL: out of memory */
void strip_free(struct strip *strip);
/* A delivery. Calls give(data, ...) for what passes, in order. */
struct strip_done strip_write(struct strip *strip, const char *bytes, size_t count,
                              strip_giver *give, void *data);
/* The transfer has ended: gives what is held back, unless it is the chunk but for its blank line,
 * or the application has paused or refused before. After STRIP_PAUSED it may be called again. */
enum strip_gave strip_end(struct strip *strip, strip_giver *give, void *data);
/* Another answer begins, of the same transfer. What is held back stays in front of it. */
void strip_restart(struct strip *strip);

#endif
