/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of the JSON scanner: escapes in strings and keys, scalars, numbers, literals. */
#include "meter/json_scan.h"

size_t scan_utf8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* What a one-letter escape stands for; 0: it is none. */
char scan_escape(char letter)
{
    static const char meanings[128] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                       ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

    return (unsigned char)letter < 128 ? meanings[(unsigned char)letter] : 0;
}

/* Keeps bytes of a key or a wanted scalar that spans feeds, as many as there is room for. */
void scan_keep(struct scan *scan, const char *bytes, size_t count)
{
    size_t room = SCAN_SHORT_MAX - scan->short_bytes;
    size_t n = count < room ? count : room;

    memcpy(scan->kept + scan->short_bytes, bytes, n);
    scan->short_bytes = (uint16_t)(scan->short_bytes + n);
    scan->spilled = true;
}

/* A lone half of a pair is passed on as U+FFFD, as parsers do. */
void scan_surrogate_flush(struct scan *scan)
{
    if (scan->surrogate != 0)
        scan_text_pass(scan, "\xef\xbf\xbd", 3);
    scan->surrogate = 0;
}

bool scan_escape_letter(struct scan *scan, char letter)
{
    char plain = scan_escape(letter);

    if (letter == 'u') {
        scan->escape = 4;
        scan->code = 0;
        scan->state = scan->state == IN_NAME_ESCAPE ? IN_NAME_UNICODE : IN_STRING_UNICODE;
        return true;
    }
    if (plain == 0)
        return bad(scan);
    if (scan->state == IN_NAME_ESCAPE) {
        scan_keep(scan, &plain, 1);
        scan->strings_bytes++;
        scan->state = IN_NAME;
        return true;
    }
    scan_surrogate_flush(scan);
    scan_text_pass(scan, &plain, 1);
    scan->state = IN_STRING;
    return true;
}

/* A code unit of \uXXXX is complete. */
static void unicode_pass(struct scan *scan)
{
    uint32_t code = scan->code;
    char utf8[4];

    if (scan->surrogate != 0 && code >= 0xdc00 && code <= 0xdfff) {
        code = 0x10000 + ((scan->surrogate - 0xd800) << 10) + (code - 0xdc00);
        scan->surrogate = 0;
    } else {
        scan_surrogate_flush(scan);
        if (code >= 0xd800 && code <= 0xdbff) {
            scan->surrogate = code;
            return;
        }
        if (code >= 0xdc00 && code <= 0xdfff)
            code = 0xfffd;
    }
    scan_text_pass(scan, utf8, scan_utf8(code, utf8));
}

bool scan_escape_digit(struct scan *scan, char c)
{
    int digit = scan_hex_digit(c);
    char utf8[4];

    if (digit < 0)
        return bad(scan);
    scan->code = scan->code << 4 | (uint32_t)digit;
    if (--scan->escape > 0)
        return true;
    if (scan->state == IN_NAME_UNICODE) {
        /* Halves of pairs stay apart: no key that anybody wants has one. */
        scan_keep(scan, utf8, scan_utf8(scan->code, utf8));
        scan->strings_bytes += 3;
        scan->state = IN_NAME;
        return true;
    }
    unicode_pass(scan);
    scan->state = IN_STRING;
    return true;
}

/* The grammar of RFC 8259, section 6; N_NONE: the character does not belong to the number. */
static inline enum scan_number number_next(enum scan_number state, char c)
{
    static const uint8_t digit[] = {N_WHOLE, N_NONE,  N_WHOLE, N_PART,
                                    N_PART,  N_POWER, N_POWER, N_POWER};
    static const bool whole[] = {false, true, true, false, true, false, false, true};

    if (c >= '0' && c <= '9')
        return c == '0' && state == N_MINUS ? N_ZERO : (enum scan_number)digit[state];
    if (c == '.')
        return state == N_ZERO || state == N_WHOLE ? N_POINT : N_NONE;
    if ((c == 'e' || c == 'E') && whole[state] && state != N_POWER)
        return N_E;
    return (c == '+' || c == '-') && state == N_E ? N_SIGN : N_NONE;
}

void scan_scalar_pass(struct scan *scan, const struct cursor *at, const char *stop)
{
    const struct scan_node *node = &scan->tree->nodes[scan->node];
    struct scan_value value = {.type = (enum scan_type)scan->type, .at = scan->value_at};
    uint64_t quotes = scan->type == SCAN_STRING ? 2 : 0;

    value.bytes = scan->taken;
    value.count = (size_t)(stop - scan->taken);
    value.size = offset_of(scan, at) - value.at;
    value.text_bytes = scan->strings_bytes - scan->value_strings;
    if (scan->spilled) {
        scan_keep(scan, scan->taken, value.count);
        value.bytes = scan->kept;
        value.count = scan->short_bytes;
        value.cut = value.size > value.count + quotes;
    }
    scan->spilled = false;
    scan->short_bytes = 0;
    scan->ops->end(scan->ctx, node->id, &value);
}

/* The feed ends within a scalar that somebody wants, or within a key. */
void scan_scalar_spill(struct scan *scan, const struct cursor *at)
{
    if (scan->state < IN_STRING || (scan->state >= IN_NAME && scan->state <= IN_NAME_UNICODE))
        return;
    if (scan->tree->nodes[scan->node].wants & SCAN_END)
        scan_keep(scan, scan->taken, (size_t)(at->end - scan->taken));
}

/* ---- numbers and literals ----------------------------------------------------------------- */

bool scan_number_go_on(struct scan *scan, struct cursor *at)
{
    enum scan_number state = (enum scan_number)scan->number;
    const char *p = at->p;

    for (; p < at->end && *p != ',' && *p != '}'; p++) {
        enum scan_number next = number_next(state, *p);

        if (next == N_NONE)
            break;
        state = next;
    }
    scan->number = (uint8_t)state;
    at->p = p;
    if (p == at->end)
        return true;
    if (state == N_MINUS || state == N_POINT || state == N_E || state == N_SIGN)
        return bad(scan);
    scalar_end(scan, at, p);
    value_end(scan);
    return true;
}

bool scan_number_begin(struct scan *scan, struct cursor *at)
{
    scalar_begin(scan, at, SCAN_NUMBER);
    scan->state = IN_NUMBER;
    scan->number = N_MINUS;
    if (*at->p == '-')
        at->p++;
    return scan_number_go_on(scan, at);
}

static const char *const literals[] = {
    [SCAN_NULL] = "null", [SCAN_FALSE] = "false", [SCAN_TRUE] = "true"};

bool scan_literal_go_on(struct scan *scan, struct cursor *at)
{
    const char *word = literals[scan->type];

    while (at->p < at->end && word[scan->position] != '\0')
        if (*at->p++ != word[scan->position++])
            return bad(scan);
    if (word[scan->position] != '\0')
        return true;
    scalar_end(scan, at, at->p);
    value_end(scan);
    return true;
}

bool scan_literal_begin(struct scan *scan, struct cursor *at, enum scan_type type)
{
    scalar_begin(scan, at, type);
    scan->state = IN_LITERAL;
    scan->position = 0;
    return scan_literal_go_on(scan, at);
}
