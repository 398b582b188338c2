/* SPDX-License-Identifier: Apache-2.0 */
/* The meter: what a request to an LLM provider may cost at most, and what its answer did cost.
 *
 * The model. A request is read once (meter_request_read): provider, API, model, output cap, an
 * upper bound of its input tokens. With a price (meter_price_find) that becomes a hold, which is
 * linear in the output cap (struct meter_hold_line). The answer's bytes are fed to a stream
 * (meter_stream_new, _feed, _end) at any split and give a usage record: what the provider reported,
 * in disjoint buckets. meter_bill_make turns usage, hold and price into the charge, by the rules of
 * broken-off calls in docs/METERING.md.
 *
 * Caveats. Everything here is pure: no globals that change, no clock, no file, no thread; time is
 * an argument. Objects may be used by one thread at a time, different objects by different threads.
 * Money is int64_t pico-dollars (1e-12 USD), tokens are uint64_t; no floating point anywhere.
 * "Absent" is -1 for signed figures. Text of prompts and answers is looked at, never kept. */
#ifndef FLYBALL_METER_H
#define FLYBALL_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METER_MUST_CHECK __attribute__((warn_unused_result))

/* Femto-dollars (1e-15 USD): products of rates and counts. */
__extension__ typedef unsigned __int128 meter_wide;

/* Ceilings: every growing buffer of this folder has its limit here. */
#define METER_USD_MAX      48u            /* a cost as a provider writes it, with the NUL */
#define METER_NAME_MAX     64u            /* provider, API, service tier, with the NUL */
#define METER_MODEL_MAX    128u           /* a model's id, with the NUL */
#define METER_EVENT_MAX    (256u * 1024u) /* one line of a stream; longer: scanned, not kept */
#define METER_REQUEST_MAX  (256u << 20)   /* a request body; longer: METER_TOO_LARGE */
#define METER_DEPTH_MAX    512u           /* JSON nesting */
#define METER_DECODERS_MAX 4u             /* stacked content encodings */
#define METER_MESSAGES_MAX 4096u          /* of an outline */
#define METER_MARKS_MAX    64u
#define METER_LINES_MAX    32u /* lines of an explained estimate */
#define METER_TEXT_CLASSES 12u /* classes of text that an estimate tells apart */
#define METER_FIGURES_MAX  64u /* figures of one answer as they were reported */

/* Results of this folder. Numbers are stable; append only. */
#define METER_ERR_MAP(X)                                                                           \
    X(METER_OK, 0, "ok")                                                                           \
    X(METER_NOMEM, 1, "out of memory")                                                             \
    X(METER_NOT_JSON, 2, "the body is not JSON")                                                   \
    X(METER_TOO_LARGE, 3, "the body is larger than 256 MiB")                                       \
    X(METER_BAD_FIELD, 4, "a field of the body has a value that cannot be used")                   \
    X(METER_NO_PRICE, 5, "no price is known for this model")                                       \
    X(METER_BAD_PRICES, 6, "the price file cannot be used")                                        \
    X(METER_OVERFLOW, 7, "the amount does not fit the ledger")                                     \
    X(METER_NO_REWRITE, 8, "the output cap of this body cannot be rewritten")                      \
    X(METER_BAD_EXCHANGE, 9, "the recorded exchange cannot be read")
enum meter_err {
#define X(name, number, text) name = (number),
    METER_ERR_MAP(X)
#undef X
};
const char *meter_strerror(enum meter_err err);

/* First error wins; 'text' names what and where ("row 12, column input: ..."). */
struct meter_error {
    char text[256];
};

/* ---- providers and APIs ------------------------------------------------------------------- */

enum meter_kind {
    METER_BILLABLE,  /* an API that costs money */
    METER_READ_ONLY, /* models, files, count_tokens ...: free at the provider */
    METER_POLLED,    /* asks for an object that another call made: it is billed once, not by poll */
    METER_UNKNOWN,   /* a provider's path that no adapter knows: may cost money */
};

struct meter_provider; /* a row of meter/providers.def */
struct meter_api;      /* a row of an API: adapter functions, price class, read-only or not */

/* The provider with this name, exactly ("openai"); NULL when there is none. */
const struct meter_provider *meter_provider_by_name(const char *name);
/* The provider of a host as it stands in a URL, with or without ":port"; patterns of the built-in
 * table only. NULL when the host is nobody's. */
const struct meter_provider *meter_provider_by_host(const char *host);
const char *meter_provider_name(const struct meter_provider *provider);
/* All of them, in the order of the table: NULL gives the first; NULL after the last. */
const struct meter_provider *meter_provider_next(const struct meter_provider *provider);
/* The API's name as in the ledger ("chat.completions"); "" for NULL. */
const char *meter_api_name(const struct meter_api *api);
enum meter_kind meter_api_kind(const struct meter_api *api);
const struct meter_api *meter_api_by_name(const char *name);
/* Whether a POST to this path below a provider's address ("v1/messages") is of this API; a path
 * that no API is known for, and NULL, may be of any. */
bool meter_api_may_be(const struct meter_api *api, const struct meter_provider *provider,
                      const char *endpoint);

/* The shape of error bodies, so that a refusal reads as the provider's own. */
enum meter_shape { METER_SHAPE_OPENAI, METER_SHAPE_ANTHROPIC, METER_SHAPE_GEMINI };
/* By the path, and where that says nothing by the provider. */
enum meter_shape meter_shape_of(const struct meter_provider *provider, const char *path);

/* ---- requests ----------------------------------------------------------------------------- */

/* A content type of this many bytes may have been cut, and says nothing. */
#define METER_TYPE_MAX 255

/* What the caller knows of a request. content_type: NULL where there is none; of several lines the
 * values, ", " between them. provider: from the user's configuration, or NULL: found from
 * host, then from the shape of the path (provider "unknown"). path has no query. */
struct meter_target {
    const char *method;
    const char *host;
    const char *path;
    const char *content_type;
    const struct meter_provider *provider;
    struct meter_outline *outline; /* filled in where it is given */
};

/* Where the messages of a request stand in its body, and what each is at most: a request that
 * begins like an earlier one costs for that beginning what was reported of it. */
struct meter_outline {
    bool usable; /* the API has messages, and all of them are listed here */
    unsigned count;
    struct meter_message {
        uint32_t at, bytes;
        uint64_t tokens; /* at most */
    } messages[METER_MESSAGES_MAX];
    /* Places that say nothing to the model: marks of caches, caps. In order, apart from each other,
     * each within one message or within none. */
    unsigned mark_count;
    struct meter_mark {
        uint32_t at, bytes;
    } marks[METER_MARKS_MAX];
};

enum meter_tier {
    METER_TIER_STANDARD,
    METER_TIER_PRIORITY,
    METER_TIER_FLEX,
    METER_TIER_BATCH,
    METER_TIER_FAST,
    METER_TIERS
};

/* Things that are billed or limited by number, not by token. */
enum meter_count {
    METER_WEB_SEARCHES,
    METER_FILE_SEARCHES,
    METER_TOOL_CALLS,   /* of the answer; no fee */
    METER_IMAGES,       /* made */
    METER_PAGES,        /* of documents read */
    METER_SECONDS,      /* of sound or film, begun ones whole */
    METER_CHARACTERS,   /* spoken */
    METER_SEARCH_UNITS, /* of a reranker */
    METER_REQUESTS,     /* the call itself, where it has a fee */
    METER_COUNTS
};
const char *meter_count_name(enum meter_count count); /* "web_searches" */

/* One line of an explained estimate. tokens -1: not a token count. why is static text. */
struct meter_line {
    const char *what;
    const char *why;
    int64_t tokens;
};

/* Tokens of what stands in the body and is not bounded by its bytes: more than any window. */
#define METER_ANY_WINDOW (1ull << 40)

struct meter_request {
    const struct meter_provider *provider; /* never NULL after METER_OK */
    const struct meter_api *api;           /* may be NULL for METER_UNKNOWN alone */
    enum meter_kind kind;
    char model[METER_MODEL_MAX]; /* as asked for; "" when the request names none */
    bool stream;
    bool stream_open; /* whether it is one is not plainly said: it may come as one all the same */
    bool context_window; /* the body refers to content it does not carry: hold the whole window */
    bool unbounded;      /* billed for what no price and no figure of the request bounds */
    bool several;        /* inputs that have a window each: no window bounds all of them */
    bool cache_write_5m; /* this request may write to a cache at these rates */
    bool cache_write_1h;
    enum meter_tier tier;      /* the dearest that the request allows */
    enum meter_tier tier_open; /* ... that may serve it unasked: by a header, by a setting */
    int64_t output_cap;        /* tokens per choice as asked for; -1: none */
    int64_t thinking_budget;   /* -1: none */
    uint64_t choices;          /* n, best_of, candidateCount; at least 1 */
    uint64_t
        input_tokens; /* upper bound of all text and media parts, before the window's ceiling */
    uint64_t estimated_input_tokens; /* for charging: calibrated by kind of text, + 10 % */
    uint64_t audio_input_tokens; /* the part of the input that may be audio: dearer on some models;
                                  * above it: all of it */
    uint64_t counts[METER_COUNTS]; /* upper bounds of what is billed by number; 0: none */
    bool seconds_open; /* ... but of seconds, if there are any, nobody can say: this is a guess */
    bool thinks;       /* beyond its cap whatever the price says: to its budget, or its window */
    bool cap_of_text;  /* the output cap does not count reasoning: a model that reasons may go on */
    bool regional;     /* served in a region of the caller's choice: dearer with some providers */
    bool regional_open; /* ... unless the account's default says otherwise: held as if it did */
    /* A part of its answer does not tell what it costs: tools run at the provider, generation goes
     * on without the caller, or makes sound or pictures. Broken off it is charged its hold. */
    bool hold_if_broken;
    /* Where the output cap stands in the body: [cap_at, cap_at + cap_bytes) is the number;
     * cap_bytes 0: it may be inserted at cap_at with cap_prefix before and cap_suffix after the
     * number. rewritable false: neither. */
    bool rewritable;
    size_t cap_at;
    size_t cap_bytes;
    const char *cap_prefix;
    const char *cap_suffix;
    /* A stream that reports its usage only when it is asked to, and was not: the ask_bytes at
     * ask_at become ask_text. NULL: it reports, or cannot be asked. */
    const char *ask_text;
    size_t ask_at;
    size_t ask_bytes;
    /* Where the model's name stands in a JSON body, quotes included; model_bytes 0: nowhere, or
     * more than once. */
    size_t model_at;
    size_t model_bytes;
    unsigned line_count;
    struct meter_line lines[METER_LINES_MAX];
};

/* Reads a request. body may be NULL with 0 bytes (a GET). METER_OK: *out is filled, also for bodies
 * of METER_UNKNOWN paths, whose body is not looked at beyond a top-level "model". METER_NOT_JSON,
 * METER_BAD_FIELD (a cap of -1 or 1e309, a model that is not a string ...), METER_TOO_LARGE: the
 * request must not be let through under a limit that depends on it; *error says where (byte). */
METER_MUST_CHECK enum meter_err meter_request_read(const struct meter_target *target,
                                                   const void *body, size_t body_bytes,
                                                   struct meter_request *out,
                                                   struct meter_error *error);
/* Of a request that cannot be read, and goes all the same: where it goes, and so how its answer is
 * read. Its input is not bounded by anything in it. */
void meter_request_unread(const struct meter_target *target, struct meter_request *out);

/* What to change in a body. */
struct meter_rewrite {
    bool cap_set;
    uint64_t cap;      /* the output cap, where cap_set */
    bool ask_usage;    /* where request->ask_text is given */
    const char *model; /* NULL: as it is; else a name without characters that JSON escapes */
};

/* Writes the body with these changes into a new buffer (free() it). Where an old cap has at least
 * as many digits its length stays the same (padded with spaces after the number). METER_NO_REWRITE:
 * the cap of this body cannot be set, or there is nothing to change; METER_NOMEM. */
METER_MUST_CHECK enum meter_err meter_request_rewrite(const struct meter_request *request,
                                                      const void *body, size_t body_bytes,
                                                      const struct meter_rewrite *rewrite,
                                                      char **body_out, size_t *body_bytes_out);

/* ---- prices ------------------------------------------------------------------------------- */

/* Disjoint token buckets: every billed token is in exactly one. Output includes reasoning. */
enum meter_bucket {
    METER_INPUT,
    METER_CACHE_READ,
    METER_CACHE_WRITE_5M,
    METER_CACHE_WRITE_1H,
    METER_AUDIO_IN,
    METER_IMAGE_IN,
    METER_OUTPUT,
    METER_AUDIO_OUT,
    METER_IMAGE_OUT,
    METER_BUCKETS
};
const char *meter_bucket_name(enum meter_bucket bucket); /* "cache_write_5m" */

#define METER_NO_RATE  UINT64_MAX
#define METER_USD_TEXT 32u /* room for any decimal amount, with the NUL */

/* The rates that apply to one call: femto-dollars per token (= nano-dollars per million tokens),
 * and femto-dollars per counted thing. METER_NO_RATE: the row has none. */
struct meter_rates {
    uint64_t token[METER_BUCKETS];
    uint64_t count[METER_COUNTS];
};

struct meter_price_book; /* rows sorted for exact lookup; immutable once made */

/* "provider/model", with the NUL. */
#define METER_ROW_MAX   (METER_NAME_MAX + METER_MODEL_MAX)
#define METER_CAP_MODEL "*cap"

/* A price as found for one model at one time. Points into the book, which must outlive it. */
struct meter_price {
    char row[METER_ROW_MAX]; /* "openai/gpt-5.6-sol"; of a cap "openai/" and METER_CAP_MODEL */
    const char *from;        /* "2026-08-21"; "" when the row has no date */
    int64_t when_s;          /* what it was looked up for */
    uint64_t context_tokens; /* 0: not known */
    uint64_t output_tokens;  /* the model's own output ceiling; 0: not known */
    uint64_t
        hidden_tokens_per_second; /* the model reasons out of sight: ceiling rate; 0: it does not */
    bool free;                    /* the row says that it costs nothing */
    bool estimated; /* of another region's id, whose price is not known: rates are 6/5 of these */
    bool capped;    /* meter_price_cap made it: most has its rates */
    const struct meter_price_book *book;
    const void *rows; /* tiers, services, regions and hours; for the meter alone */
    unsigned row_count;
    struct meter_rates most;
};

/* The book that this build ships (never NULL, not to be freed), and its date ("2026-11-22"). */
const struct meter_price_book *meter_price_book_shipped(void);
const char *meter_price_book_date(const struct meter_price_book *book);
/* A book from the text of a price file (docs/PRICES.md; the user's override), over a base book:
 * rows of the text win, whole models at a time; aliases of the base follow. base may be NULL and
 * must outlive the book. METER_BAD_PRICES: *error names line, column and value, a price per million
 * tokens entered as per token (or the reverse) with the guess. METER_NOMEM. */
METER_MUST_CHECK enum meter_err meter_price_book_parse(const char *text, size_t bytes,
                                                       const struct meter_price_book *base,
                                                       struct meter_price_book **book_out,
                                                       struct meter_error *error);
void meter_price_book_free(struct meter_price_book *book); /* NULL is fine; never the shipped one */
/* The book as the text of a price file, sorted, aliases on a model's first line; free() it. NULL:
 * out of memory. */
METER_MUST_CHECK char *meter_price_book_text(const struct meter_price_book *book,
                                             size_t *bytes_out);

/* One row of a book as people see it. Text is the book's. */
struct meter_price_line {
    const char *provider;
    const char *model;
    const char *from;  /* "": it always held */
    const char *hours; /* "mon-fri 01:00-04:00" (UTC); "": at all hours */
    uint64_t prompt_from;
    enum meter_tier tier;
    bool regional;
    bool free;
    uint64_t context_tokens, output_tokens, hidden_tokens_per_second; /* 0: none */
    struct meter_rates rates;
};
const char *meter_tier_text(enum meter_tier tier); /* "standard" */
/* The name of a count's fee in a price file, "web_search"; NULL: it has none. *decimals_out: what
 * turns its rate into USD as they stand there (tokens: METER_TOKEN_DECIMALS). */
#define METER_TOKEN_DECIMALS 9u
const char *meter_fee_name(enum meter_count count, unsigned *decimals_out);
/* A rate / 10^decimals as decimal text without needless zeros. */
const char *meter_rate_text(uint64_t rate, unsigned decimals, char out[METER_USD_TEXT]);
/* Calls each(ctx, line) for every row, in the order of the book's text, until it says false. */
void meter_price_book_each(const struct meter_price_book *book,
                           bool (*each)(void *ctx, const struct meter_price_line *line), void *ctx);

/* What an import says of one entry of LiteLLM's file. Text is valid during the call alone. */
enum meter_import {
    METER_IMPORT_TAKEN,
    METER_IMPORT_SKIPPED, /* nothing of this build's: another provider, no price */
    METER_IMPORT_WRONG,   /* a figure that no price can be */
};
struct meter_import_note {
    enum meter_import result;
    const char *key;      /* the entry's own name */
    const char *provider; /* ours; "" unknown */
    const char *model;    /* the id of requests; "" unknown */
    const char *why;      /* column, value and the guess of what was meant; "" for TAKEN */
};
/* LiteLLM's model_prices_and_context_window.json as the text of a price file (free() it; only a
 * header when nothing is taken). told is called for every entry, in the file's order. against: the
 * book whose prices tell a figure that is 20 times too low; may be NULL. METER_BAD_PRICES: not such
 * a file, *error says where. METER_NOMEM. */
METER_MUST_CHECK enum meter_err
meter_price_import(const char *json, size_t bytes, const struct meter_price_book *against,
                   void (*told)(void *ctx, const struct meter_import_note *note), void *ctx,
                   char **text_out, size_t *text_bytes_out, struct meter_error *error);

/* The price of a model at a time (seconds since the epoch, the request's start), which is the same
 * for all of a UTC day but for when_s. The id, lower case and percent-decoded, exactly or as an
 * alias; then without what the provider's ids may carry beside the name (the table of
 * meter/price_match.c: wrappers, routing, versions, one trailing date), an exact lookup after each
 * step; then the provider's row '*', which is always free. Nothing fuzzy. METER_NO_PRICE: none. */
METER_MUST_CHECK enum meter_err meter_price_find(const struct meter_price_book *book,
                                                 const struct meter_provider *provider,
                                                 const char *model, int64_t when_s,
                                                 struct meter_price *out);
/* The same by the provider's name; the book may have providers that this build cannot meter. */
METER_MUST_CHECK enum meter_err meter_price_find_named(const struct meter_price_book *book,
                                                       const char *provider, const char *model,
                                                       int64_t when_s, struct meter_price *out);
/* What a model that the book does not have costs at most: the dearest of all rates, of each bucket
 * and count, and the largest limits, of all rows that the provider has at that time.
 * METER_NO_PRICE: it has none. */
METER_MUST_CHECK enum meter_err meter_price_cap(const struct meter_price_book *book,
                                                const struct meter_provider *provider,
                                                int64_t when_s, struct meter_price *out);

/* What decides which rates of a price a call pays. */
struct meter_price_key {
    uint64_t prompt_tokens; /* all input buckets together; tiers are cliffs on the whole prompt */
    enum meter_tier tier;
    bool regional;  /* served in a region of the caller's choice */
    int64_t when_s; /* the request's start: the hours of the day */
};
/* tier_name_out: "" or "272000+ priority regional hours"; static or the book's. A service that the
 * price does not list is priced, rate by rate, at the dearest listed one ("dearest"); so is one
 * that lacks the row of this prompt tier, or that lists its dimensions apart but not together. No
 * regional row: the plain one. A row of the hours wins over the row of all hours. "estimated",
 * "cap": see struct meter_price. */
void meter_price_rates(const struct meter_price *price, const struct meter_price_key *key,
                       struct meter_rates *out, const char **tier_name_out);

/* The cost of disjoint buckets and counts: products in 128 bits, rounded up once, to the
 * pico-dollar. METER_NO_PRICE: a bucket that is not zero has no rate. METER_OVERFLOW: above
 * INT64_MAX pico-dollars. Rates of cache reads default to the input rate, of cache writes to 5/4
 * and 2 x the input rate (docs/PRICES.md). */
METER_MUST_CHECK enum meter_err meter_price_cost(const struct meter_rates *rates,
                                                 const uint64_t tokens[METER_BUCKETS],
                                                 const uint64_t counts[METER_COUNTS],
                                                 int64_t *cost_pusd_out);

/* Decimal USD text ("0.0000000375", "5", "1e-7") to pico-dollars, rounded up; false when it is not
 * a number, negative, or too large. Never goes through a double. */
bool meter_usd_parse(const char *text, size_t bytes, int64_t *pusd_out);
/* Pico-dollars as decimal USD text without needless zeros ("0.000123", "5", "-0.5"). */
const char *meter_usd_text(int64_t pusd, char out[METER_USD_TEXT]);

/* ---- holds -------------------------------------------------------------------------------- */

/* The upper bound of a call as a line in its output cap: tokens(cap) = input + choices x cap, cost
 * likewise. The governor lowers the cap until it fits. */
struct meter_hold_line {
    uint64_t input_tokens;
    uint64_t choices;
    uint64_t full_cap;     /* the cap asked for, else the model's; UINT64_MAX: neither is known */
    uint64_t smallest_cap; /* min(full_cap, thinking budget + 1024) */
    bool priced;           /* false: no price; the cost is not known and must not be read as 0 */
    bool rewritable;
    meter_wide input_fusd; /* input and fees, femto-dollars; all ones: does not fit */
    uint64_t output_rate;  /* femto-dollars per output token */
};

/* price NULL: not priced. Uses the dearest applicable input-side rate. Never fails: saturates. */
void meter_hold_line_make(const struct meter_request *request, const struct meter_price *price,
                          struct meter_hold_line *out);
/* Saturate towards refusal: INT64_MAX / UINT64_MAX. */
int64_t meter_hold_cost(const struct meter_hold_line *line, uint64_t cap);
uint64_t meter_hold_tokens(const struct meter_hold_line *line, uint64_t cap);

/* ---- answers ------------------------------------------------------------------------------ */

/* What the caller knows of the answer before its body. decoded: the bytes come to us after the HTTP
 * client has undone Content-Encoding. Header values may be NULL. headers: further ones of the
 * provider's, "name: value" each, NULL-terminated; may be NULL. */
struct meter_response {
    int status;
    const char *content_type;
    const char *content_encoding;
    bool decoded;
    const char *const *headers;
};

/* Exactly what the answer reports; -1 or "" is "not reported". Names of the recorded corpus. */
struct meter_reported {
    char model[METER_MODEL_MAX];
    int64_t input_tokens;
    int64_t output_tokens;
    int64_t cached_input_tokens;
    int64_t cache_write_tokens;
    int64_t reasoning_tokens;
    int64_t total_tokens;
    int64_t provider_cost_pusd;            /* of the body; rounded up to the pico-dollar */
    char provider_cost_usd[METER_USD_MAX]; /* the same as decimal text, unrounded */
    char object_id[METER_MODEL_MAX];       /* of an object that can be asked for again */
};

/* What a provider's own figure of the cost is worth. */
enum meter_cost {
    METER_COST_NONE,
    METER_COST_ESTIMATED, /* a gateway's reckoning */
    METER_COST_CHARGED,   /* what it took from the account */
};

enum meter_warning {
    METER_WARN_TOTAL = 1 << 0,         /* the parts do not add up to the provider's total */
    METER_WARN_CLAMPED = 1 << 1,       /* a part was larger than its whole */
    METER_WARN_BAD_USAGE = 1 << 2,     /* a usage figure was not a usable number (-1, 1e309) */
    METER_WARN_UNDECODABLE = 1 << 3,   /* the body could not be decompressed to its end */
    METER_WARN_LONG_LINE = 1 << 4,     /* a line above METER_EVENT_MAX was scanned, not parsed */
    METER_WARN_UNKNOWN_FIELD = 1 << 5, /* usage has a token field that no adapter knows */
    METER_WARN_MODEL = 1 << 6,         /* served another model than the one asked for */
};
/* The text of one bit; NULL for a bit that is none. */
const char *meter_warning_text(enum meter_warning bit);

struct meter_usage {
    struct meter_reported reported;
    bool usage_seen;   /* some count was reported */
    bool complete;     /* the final one: the protocol's own end, or a whole body */
    bool error;        /* an error answer, by status or by body */
    bool billable;     /* false: an error known not to be billed, a read-only call */
    bool output_begun; /* some text of the answer has been seen */
    bool streamed;     /* it came in events or elements; before any byte: it was asked for so */
    bool strange;      /* what came is no answer of any kind that is known: a page, a fragment, or a
                        * document of which nothing is an answer's, but for figures */
    bool wordless;     /* a picture or sound: no text shows how much it is */
    bool reasoned;     /* a part of it was reasoning, of which no more than a summary is shown */
    unsigned warnings; /* enum meter_warning bits */
    enum meter_cost cost;       /* what provider_cost_pusd is */
    int64_t provider_cost_pusd; /* of body or headers, a vendor's bill to the user included; -1 */
    enum meter_tier tier;       /* as served */
    bool regional;              /* ... in a region of the caller's choice */
    uint64_t tokens[METER_BUCKETS];
    uint64_t counts[METER_COUNTS];
    uint64_t delivered_tokens;  /* calibrated estimate of the answer text that was seen, + 10 % */
    int64_t last_output_tokens; /* the last count of output tokens seen, -1: none */
    bool counted_output;        /* ... and it was seen after the output had begun */
    bool uncounted;             /* of a stream: text has come since the last count */
    /* Parts that are priced on their own (other models, compaction passes): see meter_part. */
    unsigned part_count;
    struct meter_part {
        char model[METER_MODEL_MAX];
        bool in_reported; /* the figures on top contain it; tokens above is without it */
        bool unnamed;     /* the answer named no model for it: it is the answer's own */
        uint64_t tokens[METER_BUCKETS];
    } parts[8];
};

struct meter_stream;

/* NULL: out of memory. request and its provider must outlive the stream; response is copied. */
METER_MUST_CHECK struct meter_stream *meter_stream_new(const struct meter_request *request,
                                                       const struct meter_response *response);
/* Bytes as they come, at any split: the same record results. At most 256 KiB are kept however long
 * a line is. METER_NOMEM is sticky: the stream then counts as lost. */
enum meter_err meter_stream_feed(struct meter_stream *stream, const void *bytes, size_t count);
/* The record so far; may be called at any time and again. whole: the transfer ended in order. */
void meter_stream_usage(const struct meter_stream *stream, bool whole, struct meter_usage *out);
void meter_stream_free(struct meter_stream *stream);

/* Where a stream stands at its last event boundary: plain data, so that the ledger can keep it and
 * a restarted sidecar go on from there. offset: bytes fed up to that boundary. */
struct meter_progress {
    uint64_t offset;
    struct meter_usage usage;
    /* What the usage record was made of; for the meter alone. */
    int64_t figures[METER_FIGURES_MAX];
    uint64_t text_bytes[METER_TEXT_CLASSES];
};
/* false: this answer cannot be taken up in the middle (one JSON document, compressed bytes, no
 * event seen yet); *out is untouched. */
bool meter_stream_progress(const struct meter_stream *stream, struct meter_progress *out);
/* Puts a new stream where progress stood; the next byte fed is that at progress->offset. */
void meter_stream_resume(struct meter_stream *stream, const struct meter_progress *progress);

/* ---- bills -------------------------------------------------------------------------------- */

/* How the transfer ended, as the caller saw it. */
enum meter_end {
    METER_END_WHOLE,     /* in order, all bytes seen */
    METER_END_BROKEN,    /* client died or closed, connection lost, cut */
    METER_END_TAP_LOST,  /* bytes passed that we did not see */
    METER_END_NO_ANSWER, /* the request was sent, no answer came */
    METER_END_UNSENT,    /* nothing was sent */
};

enum meter_provenance {
    METER_PROVIDER_REPORTED,
    METER_MEASURED,
    METER_ESTIMATED,
    METER_MISSING,
};
const char *meter_provenance_text(enum meter_provenance provenance); /* "provider-reported" */

struct meter_bill {
    enum meter_provenance provenance;
    bool charged_unknown;   /* CHARGED_UNKNOWN: the whole hold */
    const char *charged_by; /* "provider", "price", "gateway" or "hold"; static */
    uint64_t tokens[METER_BUCKETS];
    uint64_t tokens_total;      /* what counts against llm_tokens */
    int64_t cost_pusd;          /* computed; -1: no price */
    int64_t provider_cost_pusd; /* reported; -1: none */
    int64_t charged_pusd;       /* what the ledger books; -1: no price and nothing reported */
    char row[METER_ROW_MAX];    /* the price row used; "" none */
    char row_from[16];
    char tier[METER_NAME_MAX];
};

/* Everything that decides a charge. held_*: the hold in the ledger. book and when_s: the price of
 * the model that was served, else of the model asked for. sent_ms: from sending to the end. */
struct meter_settling {
    const struct meter_request *request;
    const struct meter_usage *usage; /* NULL: nothing was seen */
    const struct meter_price_book *book;
    int64_t when_s;
    const struct meter_price *fallback; /* of a model that the book does not have; NULL: none */
    enum meter_end end;
    uint64_t sent_ms;
    uint64_t held_tokens;
    int64_t held_pusd; /* -1: the hold had no price */
    uint64_t held_cap; /* the output cap in force */
};

/* The charge by docs/METERING.md. Never fails: where a figure cannot be had, the hold is charged.
 */
void meter_bill_make(const struct meter_settling *settling, struct meter_bill *out);

#endif
