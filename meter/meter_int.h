/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Nobody outside it includes this.
 *
 * An answer goes through three machines, each of which can stop at any byte: decode (content
 * encodings) -> sse (lines of an event stream) -> json (a scanner without a tree). A row of an API
 * names the JSON paths that it wants; values found there arrive as fields, text as spans. */
#ifndef FLYBALL_METER_INT_H
#define FLYBALL_METER_INT_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "meter/meter.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#include "meter/price_int.h"

/* ---- numbers (number.c) ------------------------------------------------------------------- */

uint64_t meter_add(uint64_t a, uint64_t b);  /* saturates */
uint64_t meter_mul(uint64_t a, uint64_t b);  /* saturates */
uint64_t meter_less(uint64_t a, uint64_t b); /* a - b, at least 0 */

/* The text of a number as a whole count in 0..INT64_MAX: "6", "6.0", "1e3". false for everything
 * else; *out is untouched. */
bool meter_count_parse(const char *bytes, size_t count, int64_t *out);
/* The same for a quantity that is billed by begun units: "7.2" is 8. */
bool meter_begun_parse(const char *bytes, size_t count, int64_t *out);
/* A JSON number that is not negative as decimal text without an exponent, unrounded: "1.1e-5" is
 * "0.000011". false: it does not fit; out is then unspecified. */
bool meter_usd_plain(const char *bytes, size_t count, char *out, size_t room);

/* ---- text (text.c) ------------------------------------------------------------------------ */

/* Classes of bytes, by what a tokenizer makes of them. */
enum text_class {
    TEXT_WORD,  /* ASCII letters */
    TEXT_SPACE, /* blanks, line ends, control bytes */
    TEXT_DIGIT,
    TEXT_MARK,   /* ASCII punctuation: what code and JSON are full of */
    TEXT_DENSE,  /* beyond 40 bytes of letters and digits without a break: base64, hashes */
    TEXT_LATIN,  /* letters with diacritics */
    TEXT_GREEK,  /* Greek, Cyrillic */
    TEXT_ARABIC, /* Arabic, Hebrew */
    TEXT_INDIC,  /* Indic scripts, Thai */
    TEXT_CJK,    /* Chinese, Japanese, Korean */
    TEXT_RARE,   /* all other scripts, emoji */
    TEXT_CLASSES
};
_Static_assert(TEXT_CLASSES <= METER_TEXT_CLASSES, "meter.h keeps room for every class");

struct text {
    uint64_t bytes[TEXT_CLASSES];
    uint32_t run;  /* letters and digits since the last break */
    uint8_t class; /* of the character that a continuation byte belongs to */
};

/* The tokenizer family that an estimate is for. */
enum text_family { TEXT_OPENAI, TEXT_ANTHROPIC, TEXT_GEMINI, TEXT_FAMILIES };

void text_begin(struct text *text); /* a new string: runs do not go on from the one before */
void text_add(struct text *text, const char *bytes, size_t count);
void text_merge(struct text *into, const struct text *from);
bool text_empty(const struct text *text);
/* Calibrated tokens of the bytes seen, + 10 %, rounded up. */
uint64_t text_tokens(const struct text *text, enum text_family family);

/* ---- the JSON scanner (json.c, json_path.c, json_token.c) --------------------------------- */

#define SCAN_NODES_MAX 250u /* path segments of one API */
#define SCAN_SLOTS     16u  /* a power of two */
#define SCAN_SHORT_MAX 256u /* a wanted scalar that spans feeds */

/* clang-format off */
enum scan_type {
    SCAN_NULL, SCAN_FALSE, SCAN_TRUE, SCAN_NUMBER, SCAN_STRING, SCAN_OBJECT, SCAN_ARRAY
};
/* clang-format on */

/* What is wanted of the values at a path. */
enum scan_want {
    SCAN_BEGIN = 1 << 0, /* an object or array begins */
    SCAN_END = 1 << 1,   /* the value is complete; scalars with their bytes */
    SCAN_TEXT = 1 << 2,  /* a string's decoded text, in pieces */
    SCAN_DEEP = 1 << 3,  /* the same wants hold for everything below */
    SCAN_MUTE = 1 << 4,  /* not text, though all other strings are (scan_tree_all_text) */
};

/* "choices[].delta.content"; a last segment may begin with '*': any key that ends like the rest. */
struct scan_path {
    const char *path;
    uint8_t wants;
    uint8_t id;
};

/* A value, valid during the call alone. bytes: a scalar as it stands in the JSON, strings without
 * their quotes and undecoded. cut: longer than SCAN_SHORT_MAX and spread over feeds: bytes hold its
 * beginning. Whole when the document came in one feed. */
struct scan_value {
    enum scan_type type;
    bool cut;
    const char *bytes;
    size_t count;
    uint64_t text_bytes; /* of a string: decoded */
    uint64_t at;   /* offset of its first byte, quotes included, from the first byte ever fed */
    uint64_t size; /* bytes of it in the document, quotes included */
};

struct scan_ops {
    void (*begin)(void *ctx, uint8_t id, uint64_t at);
    void (*end)(void *ctx, uint8_t id, const struct scan_value *value);
    void (*text)(void *ctx, uint8_t id, bool first, const char *bytes, size_t count);
    void (*document)(
        void *ctx); /* a top-level value is complete (or an element of an array of them) */
};

struct scan_node {
    _Alignas(64) uint64_t head; /* the first 8 bytes of the key, zero-filled */
    uint64_t tail;              /* the last 8 bytes of a longer key; 0 */
    const char *key;
    uint8_t key_bytes;
    uint8_t wants;
    uint8_t id;
    uint8_t next;              /* next member of the same parent and slot */
    uint8_t element;           /* node of the elements of an array */
    uint8_t any;               /* member for keys with a suffix */
    bool members;              /* some slot is used */
    uint8_t slots[SCAN_SLOTS]; /* first members, by the hash of their keys */
};

static inline unsigned scan_slot(uint64_t head, size_t key_bytes)
{
    return (unsigned)((head ^ head >> 8 ^ key_bytes << 1) & (SCAN_SLOTS - 1));
}

/* The compiled paths of one API. Node 0: not wanted; node 1: the document. */
struct scan_tree {
    unsigned count;
    uint8_t rest; /* node of all values that no path names: 0, or one that wants text */
    struct scan_node nodes[SCAN_NODES_MAX];
};
void scan_tree_make(struct scan_tree *tree, const struct scan_path *paths, size_t count);
/* More paths of the same API; where one stands twice the later counts. */
void scan_tree_add(struct scan_tree *tree, const struct scan_path *paths, size_t count);
/* A tree that is made once, when it is first wanted, from what owns it; any thread may want it. */
struct scan_tree_once {
    atomic_bool made;
    struct scan_tree tree;
};
#define SCAN_TREE_ONCE (&(struct scan_tree_once){false})
const struct scan_tree *scan_tree_of(struct scan_tree_once *once,
                                     void (*make)(struct scan_tree *tree, const void *owner),
                                     const void *owner);
/* Every string of the document is text, with the id of its path, or with rest_id. */
void scan_tree_all_text(struct scan_tree *tree, uint8_t rest_id);

enum scan_state {
    AT_VALUE,
    AT_FIRST_VALUE, /* after '[' */
    AT_FIRST_NAME,  /* after '{' */
    AT_NAME,        /* after ',' in an object */
    AT_COLON,
    AT_COMMA, /* after a value */
    AT_END,
    AT_BAD,
    IN_STRING, /* from here on: within a token */
    IN_STRING_ESCAPE,
    IN_STRING_UNICODE,
    IN_NAME,
    IN_NAME_ESCAPE,
    IN_NAME_UNICODE,
    IN_NUMBER,
    IN_LITERAL,
};

/* States of a number, by the last character; N_NONE: it does not belong to the number. */
enum scan_number { N_MINUS, N_ZERO, N_WHOLE, N_POINT, N_PART, N_E, N_SIGN, N_POWER, N_NONE };

struct scan {
    const struct scan_tree *tree;
    const struct scan_ops *ops;
    void *ctx;
    uint64_t fed;           /* bytes of all earlier feeds */
    uint64_t strings_bytes; /* UTF-8 bytes of all keys and strings so far, decoded */
    uint64_t value_at;
    uint64_t value_strings;    /* strings_bytes where it began */
    uint64_t container_at[16]; /* starts of the containers on a wanted path, by depth */
    const char *taken;         /* start of the wanted scalar in this feed */
    uint8_t state;
    uint8_t node;     /* of the value that comes next or is being read */
    uint8_t type;     /* of the scalar being read */
    uint8_t base;     /* 1: in a top-level array of documents */
    uint8_t escape;   /* digits of \uXXXX still to come */
    uint8_t position; /* in a literal */
    uint8_t number;   /* state of the number's grammar */
    bool text_first;
    bool elements; /* a top-level array is a sequence of documents */
    bool many;     /* documents may follow one another */
    bool spilled;
    uint16_t depth;
    uint16_t short_bytes;
    uint32_t code;      /* \uXXXX */
    uint32_t surrogate; /* the high half that waits for its other half */
    uint16_t stack[METER_DEPTH_MAX];
    char kept[SCAN_SHORT_MAX]; /* a key or wanted scalar that spans feeds */
};

void scan_init(struct scan *scan, const struct scan_tree *tree, const struct scan_ops *ops,
               void *ctx);
/* A new document begins; offsets go on. */
void scan_restart(struct scan *scan);
/* false: not JSON, and so it stays until scan_restart; *bad_at_out, if given, is the offset. */
bool scan_feed(struct scan *scan, const char *bytes, size_t count, uint64_t *bad_at_out);
bool scan_complete(const struct scan *scan); /* the document, or the array of them, is closed */
bool scan_open(const struct scan *scan);     /* more of it may come: neither complete nor bad */
bool scan_started(const struct scan *scan);  /* something but blanks has been read */

/* The text of a JSON string (undecoded bytes, no quotes) as UTF-8 with a NUL. false: longer than
 * room - 1, or it holds a NUL; out is then "". */
bool scan_string_copy(const char *bytes, size_t count, char *out, size_t room);
bool scan_string_is(const struct scan_value *value, const char *want);
static inline int scan_hex_digit(char c) /* -1: none */
{
    unsigned digit = (unsigned char)c - '0', letter = ((unsigned char)c | 0x20u) - 'a';

    return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}
/* Bytes that belong to no well-formed sequence. */
uint64_t meter_utf8_bad(const char *bytes, size_t count);
char scan_escape(char letter); /* what stands for after a backslash; 0: nothing */
size_t scan_utf8(uint32_t code, char out[4]);
/* A \uXXXX at *p, or a pair of them, as UTF-8; moves *p. 0: it is none. 12 bytes must be there. */
size_t scan_unicode_take(const char **p, const char *end, char out[4]);
/* For the scanner's own files. */
void scan_keep(struct scan *scan, const char *bytes, size_t count);
void scan_text_pass(struct scan *scan, const char *bytes, size_t count);
void scan_surrogate_flush(struct scan *scan);
bool scan_escape_letter(struct scan *scan, char letter);
bool scan_escape_digit(struct scan *scan, char digit);

/* ---- lines of an event stream (sse.c) ----------------------------------------------------- */

struct sse_ops {
    void (*data)(void *ctx, const char *bytes, size_t count); /* a piece of the event's data */
    void (*line)(void *ctx);  /* another data line of the same event begins */
    void (*event)(void *ctx); /* a blank line: the event is complete */
};

struct sse {
    const struct sse_ops *ops;
    void *ctx;
    uint64_t line_bytes;
    uint8_t state;
    uint8_t name_bytes;
    bool after_cr;  /* a line feed that comes now belongs to the line end before */
    bool data_seen; /* the event has a data line already */
    bool long_line; /* some line was longer than METER_EVENT_MAX */
    char name[8];
};

void sse_init(struct sse *sse, const struct sse_ops *ops, void *ctx);
void sse_feed(struct sse *sse, const char *bytes, size_t count);
/* The next byte is in the middle of a line that does not matter any more. */
void sse_skip_line(struct sse *sse);

/* ---- AWS event streams (eventstream.c) ----------------------------------------------------- */

/* What a frame's headers say. */
struct frame_head {
    bool chunk;     /* the payload wraps another document in base64 */
    bool exception; /* the payload is an error */
};

struct frame_ops {
    void (*begin)(void *ctx, const struct frame_head *head);
    void (*payload)(void *ctx, const char *bytes, size_t count); /* a piece of it */
    void (*end)(void *ctx); /* the frame is whole, and its checksum right */
};

struct frames {
    const struct frame_ops *ops;
    void *ctx;
    uint32_t total, headers; /* bytes: of the frame, of its headers */
    uint32_t at;             /* bytes of this frame so far */
    uint32_t crc;            /* of them */
    bool damaged;            /* a checksum or a length is wrong: nothing more is read */
    uint8_t state, value_type;
    uint16_t left; /* of a header's name or value */
    uint16_t have; /* bytes kept of it */
    uint8_t name_is;
    uint8_t word[12]; /* of lengths and checksums */
    struct frame_head head;
    char kept[32]; /* the beginning of a name or value */
};

void frames_init(struct frames *frames, const struct frame_ops *ops, void *ctx);
void frames_feed(struct frames *frames, const char *bytes, size_t count);
/* Between two frames, and none is damaged. */
bool frames_whole(const struct frames *frames);

/* Base64 in pieces of a JSON string, decoded as it comes. */
struct base64 {
    uint32_t bits;
    uint8_t have;
};
/* At most count / 4 * 3 + 3 bytes of out. */
size_t base64_feed(struct base64 *base64, const char *bytes, size_t count, char *out);

/* ---- content encodings (decode.c) --------------------------------------------------------- */

struct decode;
typedef void decode_sink(void *ctx, const char *bytes, size_t count);

/* encodings: the header's value, "gzip, br", or NULL. Unknown names count as undecodable.
 * NULL: out of memory. */
struct decode *decode_new(const char *encodings, decode_sink *sink, void *ctx);
enum meter_err decode_feed(struct decode *decode, const char *bytes, size_t count);
bool decode_failed(const struct decode *decode); /* the bytes are not what the header says */
bool decode_ended(const struct decode *decode);  /* every encoding came to its end */
bool decode_plain(const struct decode *decode);  /* nothing is encoded, as far as can be seen */
void decode_assume_plain(struct decode *decode); /* fresh: what comes is known not to be encoded */
void decode_free(struct decode *decode);

/* ---- recognising (provider.c, route.c)
 * ------------------------------------------------------------- */

enum provider_id {
#define METER_PROVIDER_ROW(id, name, shape, cap, asks, cost) PROVIDER_##id,
#include "meter/providers.def"
    PROVIDERS
};

enum cap_key { CAP_NEW, CAP_OLD, CAP_BOTH };
enum cost_kind { COST_ESTIMATE, COST_CHARGE, COST_FREE_TOO };

struct meter_provider { /* a row of providers.def, which says what these are */
    const char *name;
    enum meter_shape shape;
    enum cap_key cap;
    const char *asks;
    enum cost_kind cost;
};

struct meter_api {
    const char *name;
    enum meter_kind kind;
    bool streams; /* every answer is a stream (the path says so) */
    enum text_family family;
    const struct request_reader *reader;
    const struct answer_adapter *adapter;
};

const struct meter_provider *meter_provider_unknown(void);
enum provider_id provider_id_of(const struct meter_provider *provider);
/* The model that a decoded path names; false: none. *wins_out: whatever the body says. */
bool meter_path_model(const char *path, char *out, size_t room, bool *wins_out);
/* The API of a method and a percent-decoded path without query; NULL and METER_UNKNOWN: none. */
const struct meter_api *meter_route(const struct meter_provider *provider, const char *method,
                                    const char *path, enum meter_kind *kind_out);
void meter_path_decode(const char *path, char *out, size_t room);

#endif
