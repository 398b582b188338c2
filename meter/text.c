/* SPDX-License-Identifier: Apache-2.0 */
/* How many tokens a text is, by the script and the kind of its bytes: the calibrated estimate for
 * charging where a provider reports nothing. It is not an upper bound: holds never use it. */
#include "meter/meter_int.h"

#define DENSE_RUN 40u /* the longest word in prose or code that is not data */

/* What to do with a byte: a class, or a class and the wish to be told from its neighbours. */
enum { CONTINUES = TEXT_CLASSES };

#define W TEXT_WORD
#define S TEXT_SPACE
#define D TEXT_DIGIT
#define M TEXT_MARK
#define C CONTINUES
#define L TEXT_LATIN
#define G TEXT_GREEK
#define A TEXT_ARABIC
#define I TEXT_INDIC
#define K TEXT_CJK
#define R TEXT_RARE
/* The class of a first byte of a UTF-8 sequence; 0xe1 is Vietnamese more often than anything else,
 * 0xe2 is mostly quotation marks and dashes, which cost about as much as a Chinese character. */
static const uint8_t classes[256] = {
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, /* 00 */
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, /* 10 */
    S, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, /* 20 */
    D, D, D, D, D, D, D, D, D, D, M, M, M, M, M, M, /* 30 */
    M, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* 40 */
    W, W, W, W, W, W, W, W, W, W, W, M, M, M, M, M, /* 50 */
    M, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* 60 */
    W, W, W, W, W, W, W, W, W, W, W, M, M, M, M, S, /* 70 */
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* 80 */
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* 90 */
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* a0 */
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* b0 */
    R, R, L, L, L, L, L, L, L, L, L, L, L, L, G, G, /* c0 */
    G, G, G, G, G, R, R, A, A, A, A, A, A, A, R, R, /* d0 */
    I, L, K, K, K, K, K, K, K, K, K, K, K, K, R, K, /* e0 */
    R, R, R, R, R, R, R, R, R, R, R, R, R, R, R, R, /* f0 */
};
#undef W
#undef S
#undef D
#undef M
#undef C
#undef L
#undef G
#undef A
#undef I
#undef K
#undef R

/* Thousandths of a token per byte, fitted to the bytes per token that were measured for each family
 * (docs/METERING.md has the table). Anthropic: the tokenizer since Opus 4.7. */
static const uint16_t millitokens[TEXT_CLASSES][TEXT_FAMILIES] = {
    /*                OpenAI, Anthropic, Gemini */
    [TEXT_WORD] = {205, 280, 210},   [TEXT_SPACE] = {30, 40, 30},
    [TEXT_DIGIT] = {340, 400, 1000}, [TEXT_MARK] = {600, 650, 800},
    [TEXT_DENSE] = {690, 720, 850},  [TEXT_LATIN] = {850, 1000, 700},
    [TEXT_GREEK] = {150, 400, 150},  [TEXT_ARABIC] = {190, 500, 220},
    [TEXT_INDIC] = {130, 550, 100},  [TEXT_CJK] = {280, 420, 240},
    [TEXT_RARE] = {600, 1000, 300},
};

void text_begin(struct text *text)
{
    text->run = 0;
    text->class = TEXT_RARE;
}

/* Letters and digits are counted by runs: a long one is data, not words. */
static const char *word_add(struct text *text, const char *p, const char *end, uint8_t class)
{
    const char *start = p;
    uint64_t count, words;

    do
        p++;
    while (p < end && classes[(unsigned char)*p] == class);
    count = (uint64_t)(p - start);
    words = DENSE_RUN - text->run < count ? DENSE_RUN - text->run : count;
    text->run += (uint32_t)words;
    text->bytes[class] += words;
    text->bytes[TEXT_DENSE] += count - words;
    return p;
}

/* Base64 has marks of its own, and they do not break a run. */
static const bool keeps_run[256] = {
    ['+'] = true, ['/'] = true, ['_'] = true, ['-'] = true, ['='] = true};

static inline void mark_add(struct text *text, char c, uint8_t class)
{
    bool keeps = keeps_run[(unsigned char)c];

    if (keeps && text->run >= DENSE_RUN)
        class = TEXT_DENSE;
    if (!keeps)
        text->run = 0;
    text->bytes[class]++;
}

/* A character above ASCII, or the rest of one. */
static inline const char *sequence_add(struct text *text, const char *p, const char *end,
                                       uint8_t class)
{
    const char *start = p;

    if (class != CONTINUES)
        text->class = class;
    text->run = 0;
    do
        p++;
    while (p < end && classes[(unsigned char)*p] == CONTINUES);
    text->bytes[text->class] += (uint64_t)(p - start);
    return p;
}

void text_add(struct text *text, const char *bytes, size_t count)
{
    const char *p = bytes, *end = bytes + count;

    while (p < end) {
        uint8_t class = classes[(unsigned char)*p];

        if (class == TEXT_WORD || class == TEXT_DIGIT) {
            p = word_add(text, p, end, class);
            continue;
        }
        if (*p == ' ') { /* what most words end with */
            text->class = TEXT_SPACE;
            text->bytes[TEXT_SPACE]++;
            text->run = 0;
            p++;
            continue;
        }
        if ((unsigned char)*p >= 0x80) {
            p = sequence_add(text, p, end, class);
            continue;
        }
        text->class = class;
        mark_add(text, *p++, class);
    }
}

void text_merge(struct text *into, const struct text *from)
{
    for (unsigned i = 0; i < TEXT_CLASSES; i++)
        into->bytes[i] += from->bytes[i];
}

bool text_empty(const struct text *text)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < TEXT_CLASSES; i++)
        any |= text->bytes[i];
    return any == 0;
}

uint64_t text_tokens(const struct text *text, enum text_family family)
{
    meter_wide sum = 0;

    for (unsigned i = 0; i < TEXT_CLASSES; i++)
        sum += (meter_wide)text->bytes[i] * millitokens[i][family];
    sum = (sum * 11 + 9999) / 10000; /* + 10 %, rounded up */
    return sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}
