/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a text/event-stream, as the HTML standard reads them: ends of CR LF, LF or CR, comments,
 * a blank or none after the colon, data over several lines. Nothing is kept but the first letters
 * of a field's name, so that no line can be too long. */
#include "meter/meter_int.h"

enum { LINE_START, IN_FIELD, AFTER_COLON, IN_DATA, IN_OTHER };

/* The next ends of line in this feed; each is searched for once, so that a stream of one kind of
 * line ends costs no more than one of another. */
struct ends {
    const char *lf, *cr, *end;
};

void sse_init(struct sse *sse, const struct sse_ops *ops, void *ctx)
{
    memset(sse, 0, sizeof *sse);
    sse->ops = ops;
    sse->ctx = ctx;
}

void sse_skip_line(struct sse *sse)
{
    sse->state = IN_OTHER;
}

static const char *find(const char *p, const char *end, char c)
{
    const char *found = memchr(p, c, (size_t)(end - p));

    return found != NULL ? found : end;
}

static const char *line_end(struct ends *ends, const char *p)
{
    if (ends->lf < p)
        ends->lf = find(p, ends->end, '\n');
    if (ends->cr < p)
        ends->cr = find(p, ends->end, '\r');
    return ends->lf < ends->cr ? ends->lf : ends->cr;
}

static void line_finish(struct sse *sse, char c)
{
    if (sse->line_bytes > METER_EVENT_MAX)
        sse->long_line = true;
    sse->after_cr = c == '\r';
    sse->state = LINE_START;
    sse->line_bytes = 0;
    sse->name_bytes = 0;
}

static void blank_line(struct sse *sse, char c)
{
    line_finish(sse, c);
    if (sse->data_seen)
        sse->ops->event(sse->ctx);
    sse->data_seen = false;
}

/* The name of a field, up to its colon; only "data" matters. */
static const char *field_read(struct sse *sse, const char *p, const char *end)
{
    while (p < end && *p != ':' && *p != '\n' && *p != '\r') {
        if (sse->name_bytes < sizeof sse->name)
            sse->name[sse->name_bytes++] = *p;
        p++;
        sse->line_bytes++;
    }
    if (p == end)
        return p;
    sse->state = *p == ':' ? AFTER_COLON : IN_OTHER; /* a name alone has no value */
    sse->line_bytes += *p == ':';
    return *p == ':' ? p + 1 : p;
}

static void value_begin(struct sse *sse)
{
    if (sse->name_bytes != 4 || memcmp(sse->name, "data", 4) != 0) {
        sse->state = IN_OTHER;
        return;
    }
    sse->state = IN_DATA;
    if (sse->data_seen)
        sse->ops->line(sse->ctx);
    sse->data_seen = true;
}

static const char *after_colon(struct sse *sse, const char *p)
{
    value_begin(sse);
    return *p == ' ' ? p + 1 : p;
}

/* The usual line: it begins with "data:" and all of that is here. */
static const char *data_begin(struct sse *sse, const char *p)
{
    memcpy(sse->name, "data", 4);
    sse->name_bytes = 4;
    sse->line_bytes = 5;
    sse->state = AFTER_COLON;
    return p + 5;
}

/* The rest of a line, or of the feed. */
static const char *line_rest(struct sse *sse, struct ends *ends, const char *p)
{
    const char *stop = line_end(ends, p);

    if (sse->state == IN_DATA && stop > p)
        sse->ops->data(sse->ctx, p, (size_t)(stop - p));
    sse->line_bytes += (uint64_t)(stop - p);
    if (stop == ends->end)
        return stop;
    line_finish(sse, *stop);
    return stop + 1;
}

static const char *line_start(struct sse *sse, struct ends *ends, const char *p)
{
    const char *end = ends->end;

    if (sse->after_cr && *p == '\n') {
        sse->after_cr = false;
        return p + 1;
    }
    sse->after_cr = false;
    if (*p == '\n' || *p == '\r') {
        blank_line(sse, *p);
        return p + 1;
    }
    if (end - p > 5 && memcmp(p, "data:", 5) == 0)
        return line_rest(sse, ends, after_colon(sse, data_begin(sse, p)));
    sse->state = IN_FIELD;
    return p;
}

static const char *step(struct sse *sse, struct ends *ends, const char *p)
{
    switch (sse->state) {
    case LINE_START:
        return line_start(sse, ends, p);
    case IN_FIELD:
        return field_read(sse, p, ends->end);
    case AFTER_COLON:
        return after_colon(sse, p);
    default:
        return line_rest(sse, ends, p);
    }
}

void sse_feed(struct sse *sse, const char *bytes, size_t count)
{
    const char *p = bytes, *end = bytes + count;
    struct ends ends = {bytes, bytes, end};

    if (count == 0)
        return;
    ends.lf = find(p, end, '\n');
    ends.cr = find(p, end, '\r');
    while (p < end)
        p = step(sse, &ends, p);
    if (sse->line_bytes > METER_EVENT_MAX)
        sse->long_line = true;
}
