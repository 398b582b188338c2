/* SPDX-License-Identifier: Apache-2.0 */
/* See strip.h. Two machines in one: of an event that passes only its lines are of interest; one
 * that could be the chunk is read byte by byte, as far as it takes to know that it is not. Reading
 * changes a copy of where we are, which counts once the application has taken what passes: so a
 * pause needs nothing undone. */
#include "shim/strip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum place {
    LINE,    /* in front of a line */
    OTHER,   /* in one, of an event that passes */
    COMMENT, /* in one between events */
    FIELD,   /* in the name of a line's field */
    SILENT,  /* in a value that says nothing here: of event or id */
    DATA,    /* in front of the object */
    KEY,     /* in front of a key of it */
    NAME,    /* in a key */
    COLON,   /* behind it */
    VALUE,   /* in front of its value */
    CHOICES, /* in an array that has to be empty */
    INSIDE,  /* in any other value */
    TEXT,    /* in a string */
    ESCAPE,  /* in one, behind a backslash */
    BEHIND,  /* behind the object */
};

enum key { KEY_CHOICES, KEY_USAGE, KEY_ELSE };

/* Where in the stream we are. */
struct reading {
    uint8_t place;       /* enum place */
    uint8_t then;        /* the place behind the string that we are in */
    uint8_t key;         /* enum key: of the value, or as which the name may still come out */
    uint8_t field;       /* which one the line's may be */
    uint8_t matched;     /* bytes of the name of that field, or key */
    bool passes;         /* the event is not the chunk */
    bool begun;          /* the event has bytes */
    bool after_cr;       /* an LF now belongs to the line end before it */
    bool dropped;        /* which was dropped */
    bool choices, usage; /* were seen as the chunk has them */
    bool whole;          /* the data line was the object, and is over */
    uint32_t depth;      /* of brackets, inside of a value */
};

struct strip {
    struct reading reading;
    size_t again;  /* bytes that come again and were dealt with */
    bool finished; /* the application paused, or refused: nothing is given at the end */
    size_t held_bytes;
    char held[STRIP_HOLD_MAX];
};

/* ---- one byte of an event that may be the chunk ------------------------------------------- */

enum verdict { MAYBE, NOT, CHUNK };

static const char *const fields[] = {"data:", "event:", "id:"};
static const char *const keys[] = {[KEY_CHOICES] = "choices\"", [KEY_USAGE] = "usage\""};
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static enum verdict go(struct reading *r, enum place place)
{
    r->place = place;
    return MAYBE;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Only between the lines of the chunk, and in values that do not matter, may a line end. */
static enum verdict line_ended(struct reading *r)
{
    if (r->place == LINE)
        return r->whole ? CHUNK : NOT;
    if (r->place != SILENT && r->place != BEHIND)
        return NOT;
    r->whole |= r->place == BEHIND;
    return go(r, LINE);
}

static enum verdict line_begun(struct reading *r, char c)
{
    for (r->field = 0; r->field < COUNT_OF(fields); r->field++)
        if (fields[r->field][0] == c) {
            r->matched = 1;
            return go(r, FIELD);
        }
    return NOT;
}

static enum verdict in_field(struct reading *r, char c)
{
    if (fields[r->field][r->matched++] != c)
        return NOT;
    if (c != ':')
        return MAYBE;
    if (r->field > 0)
        return go(r, SILENT);
    return r->whole ? NOT : go(r, DATA); /* data of two lines is not the chunk */
}

static enum verdict name_begun(struct reading *r)
{
    r->matched = 0;
    return go(r, NAME);
}

/* By its first letter a name is one of two, or none; a name that is written with escapes is none.
 */
static enum verdict in_name(struct reading *r, char c)
{
    if (r->matched == 0)
        r->key = c == 'c' ? KEY_CHOICES : c == 'u' ? KEY_USAGE : KEY_ELSE;
    if (r->key != KEY_ELSE && keys[r->key][r->matched] == c) {
        r->matched++;
        return c == '"' ? go(r, COLON) : MAYBE;
    }
    r->key = KEY_ELSE;
    r->then = COLON;
    return go(r, c == '"' ? COLON : c == '\\' ? ESCAPE : TEXT);
}

/* This is where nearly every event of a stream turns out not to be the chunk. */
static enum verdict value_begun(struct reading *r, char c)
{
    r->depth = 0;
    if (r->key == KEY_CHOICES)
        return c == '[' ? go(r, CHOICES) : NOT;
    if (r->key == KEY_USAGE && c != '{')
        return NOT;
    r->usage |= r->key == KEY_USAGE;
    r->place = INSIDE;
    if (c == '"') {
        r->then = INSIDE;
        return go(r, TEXT);
    }
    r->depth = c == '{' || c == '[';
    return strchr(",:]}", c) != NULL ? NOT : MAYBE;
}

static enum verdict in_value(struct reading *r, char c)
{
    switch (c) {
    case '"':
        r->then = INSIDE;
        return go(r, TEXT);
    case '{':
    case '[':
        r->depth++;
        return MAYBE;
    case '}':
    case ']':
        if (r->depth > 0)
            r->depth--;
        else
            return c == '}' && r->choices && r->usage ? go(r, BEHIND) : NOT;
        return MAYBE;
    case ',':
        return r->depth > 0 ? MAYBE : go(r, KEY);
    default:
        return MAYBE;
    }
}

static enum verdict in_object(struct reading *r, char c)
{
    switch (r->place) {
    case NAME:
        return in_name(r, c);
    case TEXT:
        return c == '"' ? go(r, r->then) : c == '\\' ? go(r, ESCAPE) : MAYBE;
    case ESCAPE:
        return go(r, TEXT);
    case INSIDE:
        return in_value(r, c);
    default:
        break;
    }
    if (is_blank(c))
        return MAYBE;
    switch (r->place) {
    case KEY:
        return c == '"' ? name_begun(r) : NOT;
    case COLON:
        return c == ':' ? go(r, VALUE) : NOT;
    case VALUE:
        return value_begun(r, c);
    case CHOICES:
        r->choices = c == ']';
        return r->choices ? go(r, INSIDE) : NOT;
    default: /* BEHIND */
        return NOT;
    }
}

static enum verdict step(struct reading *r, char c)
{
    if (c == '\n' && r->after_cr) {
        r->after_cr = false;
        return MAYBE;
    }
    r->after_cr = c == '\r';
    if (c == '\n' || c == '\r')
        return line_ended(r);
    switch (r->place) {
    case LINE:
        return line_begun(r, c);
    case FIELD:
        return in_field(r, c);
    case SILENT:
        return MAYBE;
    case DATA:
        return c == '{' ? go(r, KEY) : is_blank(c) ? MAYBE : NOT;
    default:
        return in_object(r, c);
    }
}

/* ---- lines that pass ---------------------------------------------------------------------- */

#define WINDOW 256u /* so that a stream without one of the two ends is not searched for it anew */

static size_t line_bytes(const char *bytes, size_t count)
{
    for (size_t at = 0; at < count; at += WINDOW) {
        size_t most = count - at < WINDOW ? count - at : WINDOW;
        const char *lf = memchr(bytes + at, '\n', most), *cr;

        cr = memchr(bytes + at, '\r', lf != NULL ? (size_t)(lf - bytes) - at : most);
        if (cr != NULL || lf != NULL)
            return (size_t)((cr != NULL ? cr : lf) - bytes);
    }
    return count;
}

static void event_over(struct reading *r)
{
    *r = (struct reading){.after_cr = r->after_cr};
}

/* On to behind the end of a line. */
static size_t pass_line(struct reading *r, const char *bytes, size_t count)
{
    size_t at;

    if (r->after_cr && *bytes == '\n') {
        r->after_cr = false;
        return 1;
    }
    at = line_bytes(bytes, count);
    if (at > 0 && r->place == LINE)
        r->place = OTHER;
    r->after_cr = at < count && bytes[at] == '\r';
    if (at == count)
        return count;
    if (r->place == OTHER)
        r->place = LINE;
    else
        event_over(r);
    return at + 1;
}

static void let_pass(struct reading *r)
{
    r->passes = true;
    r->place = r->place == LINE ? LINE : OTHER;
}

/* ---- a stretch of the stream -------------------------------------------------------------- */

/* What is to be done with bytes: the first `pass` are given, those from there to `end` have the
 * fate. MAYBE: held back; CHUNK: dropped, with what is held; NOT: there are none, first give what
 * is held. */
struct cut {
    size_t pass, end;
    enum verdict fate;
};

/* How many bytes of a string have nothing to say. */
static size_t silent_bytes(const struct reading *r, const char *bytes, size_t count)
{
    size_t at = 0;

    if (r->place != TEXT)
        return 0;
    while (at < count && bytes[at] != '"' && bytes[at] != '\\' && bytes[at] != '\n' &&
           bytes[at] != '\r')
        at++;
    return at;
}

/* One byte; NOT: it is not the chunk, and r is in front of the byte again, passing. */
static enum verdict judge(struct reading *r, char c, size_t event_bytes)
{
    enum place before = (enum place)r->place;
    bool begun = r->begun, after_cr = r->after_cr;
    enum verdict verdict;

    r->begun = true;
    verdict = step(r, c);
    if (verdict == MAYBE || (verdict == CHUNK && event_bytes <= STRIP_HOLD_MAX))
        return verdict;
    r->place = before;
    r->after_cr = after_cr;
    let_pass(r);
    if (!begun && c == ':')
        r->place = COMMENT;
    return NOT;
}

/* held: bytes of the event that we are in which are held back. */
static struct cut read_on(struct reading *r, size_t held, const char *bytes, size_t count)
{
    size_t at = 0, open = 0; /* open: where the event begins that may be the chunk */

    while (at < count) {
        if (r->passes) {
            at += pass_line(r, bytes + at, count - at);
            open = at;
        } else if (!r->begun && r->after_cr && bytes[at] == '\n') {
            r->after_cr = false;
            at++;
            if (r->dropped)
                return (struct cut){open, at, CHUNK};
            open = at;
        } else {
            size_t silent = silent_bytes(r, bytes + at, count - at);
            enum verdict verdict = silent > 0 ? MAYBE : judge(r, bytes[at], held + at + 1 - open);

            if (verdict == NOT && held > 0)
                return (struct cut){0, 0, NOT};
            at += silent > 0 ? silent : verdict != NOT;
            if (verdict == CHUNK) {
                event_over(r);
                r->dropped = r->after_cr;
                return (struct cut){open, at, CHUNK};
            }
        }
    }
    if (held + count - open > STRIP_HOLD_MAX) {
        if (held > 0)
            return (struct cut){0, 0, NOT};
        let_pass(r);
        open = count;
    }
    return (struct cut){open, count, MAYBE};
}

/* ---- from libcurl to the application ------------------------------------------------------ */

struct strip *strip_new(void)
{
    return calloc(1, sizeof(struct strip));
}

void strip_free(struct strip *strip)
{
    free(strip);
}

static enum strip_gave give_held(struct strip *strip, strip_giver *give, void *data)
{
    enum strip_gave gave = give(data, strip->held, strip->held_bytes);

    if (gave == STRIP_TAKEN)
        strip->held_bytes = 0;
    return gave;
}

/* A stretch of the delivery; done->to goes on by it. */
static enum strip_gave go_on(struct strip *strip, const char *bytes, size_t count,
                             strip_giver *give, void *data, size_t *to)
{
    struct reading reading = strip->reading;
    struct cut cut = {0, 0, NOT};
    enum strip_gave gave = STRIP_TAKEN;

    if (reading.begun || strip->held_bytes == 0)
        cut = read_on(&reading, strip->held_bytes, bytes, count);
    if (cut.fate == NOT) {
        gave = give_held(strip, give, data);
        if (gave == STRIP_TAKEN && strip->reading.begun)
            let_pass(&strip->reading);
        return gave;
    }
    if (cut.pass > 0)
        gave = give(data, bytes, cut.pass);
    if (gave != STRIP_TAKEN)
        return gave;
    if (cut.fate == CHUNK) {
        strip->held_bytes = 0;
    } else {
        memcpy(strip->held + strip->held_bytes, bytes + cut.pass, cut.end - cut.pass);
        strip->held_bytes += cut.end - cut.pass;
    }
    strip->reading = reading;
    *to += cut.end;
    return STRIP_TAKEN;
}

struct strip_done strip_write(struct strip *strip, const char *bytes, size_t count,
                              strip_giver *give, void *data)
{
    size_t known = strip->again < count ? strip->again : count;
    struct strip_done done = {STRIP_TAKEN, known, known};

    strip->again -= known;
    while (done.gave == STRIP_TAKEN && done.to < count)
        done.gave = go_on(strip, bytes + done.to, count - done.to, give, data, &done.to);
    strip->finished = done.gave != STRIP_TAKEN;
    if (done.gave == STRIP_PAUSED)
        strip->again = done.to;
    return done;
}

enum strip_gave strip_end(struct strip *strip, strip_giver *give, void *data)
{
    bool chunk = strip->reading.whole || strip->reading.place == BEHIND;

    if (strip->held_bytes == 0 || strip->finished || chunk)
        return STRIP_TAKEN;
    return give_held(strip, give, data);
}

void strip_restart(struct strip *strip)
{
    strip->reading = (struct reading){0};
    strip->again = 0;
}
