/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a screen, as it grows: text that nobody has looked at becomes harmless here. */
#include "cli/top.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* ---- text --------------------------------------------------------------------------------- */

/* What the next character becomes: its bytes, or those of an escape. Returns how many bytes of the
 * text it is. What takes no column (marks, joiners, directions) can rearrange a line, so it is
 * shown as well. */
static size_t next_glyph(const char *text, char out[8], unsigned *columns)
{
    mbstate_t state = {0};
    wchar_t wide;
    size_t count = mbrtowc(&wide, text, strlen(text), &state);
    int width = count != 0 && count < (size_t)-2 ? wcwidth(wide) : -1;

    if (width > 0) {
        memcpy(out, text, count);
        out[count] = '\0';
        *columns = (unsigned)width;
        return count;
    }
    (void)snprintf(out, 8, "\\x%02x", (unsigned)(unsigned char)*text);
    *columns = 4;
    return 1;
}

/* Up to the column `end`; how many bytes have found room. */
static size_t put_until(struct top_line *line, const char *text, unsigned end)
{
    const char *at = text;

    while (*at != '\0') {
        char glyph[8];
        unsigned columns;
        size_t count = next_glyph(at, glyph, &columns), bytes = strlen(glyph);

        if (line->columns + columns > end || line->used + bytes >= sizeof line->text)
            break;
        memcpy(line->text + line->used, glyph, bytes + 1);
        line->used += bytes;
        line->columns += columns;
        at += count;
    }
    return (size_t)(at - text);
}

void top_put(struct top_line *line, const char *text)
{
    (void)put_until(line, text, line->width);
}

void top_format(struct top_line *line, const char *format, ...)
{
    char text[TOP_SAYING];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    top_put(line, text);
}

void top_fill(struct top_line *line, unsigned columns, char with)
{
    char one[2] = {with, '\0'};

    while (line->columns < columns && put_until(line, one, line->width) == 1)
        continue;
}

void top_cell(struct top_line *line, unsigned width, const char *text)
{
    struct top_line begin = *line;
    unsigned end = line->columns + width < line->width ? line->columns + width : line->width;

    if (text[put_until(line, text, end)] != '\0' && end > begin.columns) {
        *line = begin;
        (void)put_until(line, text, end - 1);
        top_fill(line, end, '~');
    }
    top_fill(line, end + 1, ' ');
}

/* ---- amounts ------------------------------------------------------------------------------ */

#define PUSD_PER_MICRO INT64_C(1000000)

const char *top_amount(enum gov_dim dim, int64_t amount, char out[SIDE_AMOUNT_TEXT])
{
    int64_t seconds = amount / 1000, over = amount % PUSD_PER_MICRO;

    if (dim == GOV_COST && amount > 0 && over > 0 && amount < INT64_MAX - PUSD_PER_MICRO)
        amount += PUSD_PER_MICRO - over;
    if (dim != GOV_WALL)
        return side_amount_text(dim, amount, out);
    if (seconds >= 3600)
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "%lldh%02lldm%02llds", (long long)(seconds / 3600),
                       (long long)(seconds / 60 % 60), (long long)(seconds % 60));
    else if (seconds >= 60)
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "%lldm%02llds", (long long)(seconds / 60),
                       (long long)(seconds % 60));
    else
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "%llds", (long long)seconds);
    return out;
}

static unsigned cells_of(int64_t amount, int64_t limit, unsigned cells)
{
    if (amount <= 0)
        return 0;
    if (amount >= limit)
        return cells;
    return (unsigned)((__int128)amount * cells / limit);
}

void top_gauge(struct top_line *line, unsigned width, int64_t spent, int64_t held, int64_t limit)
{
    unsigned cells = width > 2 ? width - 2 : 0, begin = line->columns + 1;
    unsigned full = cells_of(spent, limit, cells), both;
    int64_t sum;

    if (__builtin_add_overflow(spent, held, &sum))
        sum = INT64_MAX;
    both = cells_of(sum, limit, cells);
    if (held > 0 && both == full && full < cells)
        both = full + 1; /* a hold is seen, however small */
    top_put(line, "[");
    top_fill(line, begin + full, '#');
    top_fill(line, begin + both, '=');
    top_fill(line, begin + cells, '.');
    top_put(line, "]");
}
