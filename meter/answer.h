/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read answers share: a table of paths per API, what a value at one of them
 * means, and how figures become disjoint buckets. Nobody outside this folder includes this. */
#ifndef FLYBALL_METER_ANSWER_H
#define FLYBALL_METER_ANSWER_H

#include "meter/meter_int.h"

/* Fields of one event; those before ANSWER_NUMBERS are counts of tokens, or of other things. */
/* clang-format off */
enum answer_field {
    ANSWER_INPUT, ANSWER_OUTPUT, ANSWER_TOTAL, ANSWER_CACHED,
    ANSWER_WRITE, ANSWER_WRITE_5M, ANSWER_WRITE_1H, ANSWER_REASONING, ANSWER_TOOL_INPUT,
    ANSWER_AUDIO_IN, ANSWER_IMAGE_IN, ANSWER_AUDIO_CACHED, ANSWER_IMAGE_CACHED,
    ANSWER_AUDIO_OUT, ANSWER_IMAGE_OUT,
    ANSWER_CACHED_TOO, /* another key for ANSWER_CACHED, where that is not there */
    ANSWER_SEARCHES, ANSWER_PAGES, ANSWER_SECONDS, ANSWER_UNITS,
    ANSWER_NUMBERS,
    /* The others have a row each in answer_field.c. */
    ANSWER_OTHER_TOKENS = ANSWER_NUMBERS,
    ANSWER_USAGE, ANSWER_MODEL, ANSWER_TIER, ANSWER_SPEED, ANSWER_STATUS, ANSWER_TYPE, ANSWER_ERROR,
    ANSWER_ERROR_CODE, /* what the error is called */
    ANSWER_RESULT,     /* a code that is an error unless it is 0 */
    ANSWER_FINISH,
    ANSWER_DONE,       /* true: the end */
    ANSWER_METRICS,    /* the object that ends a stream */
    ANSWER_TOOL, ANSWER_TEXT,
    ANSWER_TEXT_WHOLE, /* all of the text so far, which events have in pieces too */
    ANSWER_GEO, /* where it was served */
    ANSWER_MEDIA, /* sound or pictures */
    ANSWER_ITEM, ANSWER_ITEM_TYPE, ANSWER_ITEM_ACTION, ANSWER_QUERY, ANSWER_IMAGE,
    ANSWER_ADD_INPUT, ANSWER_ADD_OUTPUT, /* figures that are one of several to be added up */
    ANSWER_ADD_SEARCHES,
    ANSWER_ID,
    ANSWER_COST, ANSWER_COST_TICKS, /* USD; 1e-10 USD */
    ANSWER_COST_UPSTREAM,           /* a vendor's bill to the user ... */
    ANSWER_BYOK,                    /* ... which comes on top */
    ANSWER_PROMPT_DETAIL, /* tokens by modality; the five lists stand in this order */
    ANSWER_CACHE_DETAIL, ANSWER_TOOL_DETAIL, ANSWER_OUTPUT_DETAIL, ANSWER_WRITE_DETAIL,
    ANSWER_DETAIL_MODALITY, ANSWER_DETAIL_TOKENS,
    ANSWER_PARTS, ANSWER_PART, ANSWER_PART_MODEL, ANSWER_PART_TYPE,
    ANSWER_PART_NUMBER, /* ... + ANSWER_INPUT etc.: counts of a part */
    ANSWER_FIELDS = ANSWER_PART_NUMBER + ANSWER_NUMBERS
};
/* clang-format on */
_Static_assert(ANSWER_NUMBERS <= 32, "a bit of answer_event.seen for each");

/* What the type of an event means. */
enum answer_mark {
    ANSWER_ENDS = 1 << 0,   /* the protocol's own end */
    ANSWER_ENDING = 1 << 1, /* the last figures: final if the transfer ends in order */
    ANSWER_FAILS = 1 << 2,
    ANSWER_ADDS = 1 << 3,     /* its calls are new ones */
    ANSWER_SILENT = 1 << 4,   /* its strings are no text: sound */
    ANSWER_REPEATED = 1 << 5, /* its calls come again in another event */
    ANSWER_FOREIGN = 1 << 6,  /* its figures and ids are those of something else */
};

struct answer_type {
    const char *name;
    uint8_t bytes, marks;
};
#define TYPE(name, marks)                                                                          \
    {                                                                                              \
        name, sizeof name - 1, marks                                                               \
    }

/* A pass of the answer that is billed beside the main figures, or apart from them. */
struct answer_part {
    char model[METER_MODEL_MAX];
    bool main; /* the main figures contain it */
    int64_t number[ANSWER_NUMBERS];
};
#define ANSWER_PARTS_MAX COUNT_OF(((struct meter_usage *)0)->parts)

/* The provider's own figures of the cost. -1: none. */
struct answer_cost {
    int64_t pusd, upstream_pusd;
    bool byok;
    char text[METER_USD_MAX];
};
extern const struct answer_cost answer_no_cost;

/* One event, or one whole document. Nothing of it counts before its end, but for its text where
 * there is only one document. */
struct answer_event {
    uint32_t seen; /* bits of number */
    bool bad_number, other_tokens, error, unbilled, finish, pending, tier_seen, text_seen;
    bool parts_seen, item_counts, cost_seen;
    bool made, reasoned; /* an item of the answer; one of reasoning */
    bool wordless;       /* sound or pictures */
    bool geo_seen, regional;
    bool pieces;          /* text came in pieces */
    bool counted, costed; /* counts, cost: something was written there */
    uint8_t marks;
    uint8_t item; /* enum meter_count, or METER_COUNTS */
    uint8_t modality;
    int64_t detail_tokens;
    enum meter_tier tier;
    int64_t number[ANSWER_NUMBERS]; /* from here on nothing is cleared but what was written */
    uint64_t counts[METER_COUNTS];
    char model[METER_MODEL_MAX], id[METER_MODEL_MAX];
    struct answer_cost cost;
    unsigned part_count;
    struct answer_part part; /* the one that is being read */
    struct answer_part parts[ANSWER_PARTS_MAX];
    struct text text;
};

/* What all events so far said. */
struct answer {
    int64_t number[ANSWER_NUMBERS]; /* -1: not reported */
    bool error, unbilled, ended, ending, pending, output_begun, counted_output, tier_seen;
    bool pieces; /* text has come in pieces */
    bool cut;    /* an error came, and no figures since */
    bool made, reasoned, geo_seen, regional, wordless;
    bool uncounted; /* text has come since the last count of it */
    unsigned warnings;
    enum meter_tier tier;
    uint64_t counts[METER_COUNTS];
    uint64_t documents;
    char model[METER_MODEL_MAX], id[METER_MODEL_MAX];
    struct answer_cost cost;
    int64_t header_cost_pusd; /* of a header; -1 */
    unsigned part_count;
    struct answer_part parts[ANSWER_PARTS_MAX];
    struct text text;
};

struct answer_adapter {
    struct scan_tree_once *tree;
    const struct scan_path *paths;
    size_t path_count;
    const struct answer_adapter *also[2]; /* whose paths belong to it too */
    const struct answer_type *types; /* names of events and what they mean; the last has no name */
    bool merges;     /* a figure stays until the same one comes again; else all go together */
    bool keeps;      /* a zero does not take the place of a figure */
    bool usage_ends; /* figures come once, with the end */
    bool lines_end;  /* lines of documents are complete when one of them says so */
    bool wordless;   /* what is made is a picture or sound */
    bool opaque;     /* the answer is no text: it is complete when the transfer is */
    bool later;      /* what was ordered is billed later, and elsewhere */
    bool cumulative; /* text may come again and again; the figures of each event tell how much */
    unsigned adds;   /* bits of enum meter_count: each event's are new ones, not all so far */
    /* Disjoint buckets from the figures; adds warnings. */
    void (*buckets)(const struct answer *answer, const struct meter_request *request,
                    struct meter_usage *usage);
};

extern const struct answer_adapter answer_chat, answer_responses, answer_messages, answer_generate,
    answer_unknown, answer_images, answer_speech, answer_transcription, answer_runs, answer_batch,
    answer_cohere, answer_ocr, answer_predict, answer_interactions, answer_converse, answer_invoke,
    answer_ollama, answer_watsonx, answer_dashscope, answer_tgi;

/* Types of adapters whose events have none. */
extern const struct answer_type answer_no_types[];

/* answer.c. ctx of the scanner: a struct answer_reader. */
struct answer_reader {
    const struct answer_adapter *adapter;
    struct answer_event event;
    struct answer answer;
    bool committed; /* the event has been taken over */
    bool touched;   /* the event has something of a document */
    bool deferred;  /* events are taken over by answer_commit alone ... */
    bool ready;     /* ... and one is complete */
};
extern const struct scan_ops answer_ops;
void answer_init(struct answer_reader *reader, const struct answer_adapter *adapter);
void answer_event_reset(struct answer_reader *reader);
/* The event is complete and true: it counts. */
void answer_commit(struct answer_reader *reader);
/* A header of the answer, "name: value"; only those that somebody has a use for count. */
void answer_header(struct answer_reader *reader, const char *line);

/* answer_field.c: what a field means. */
void answer_field_begin(struct answer_reader *reader, uint8_t id);
void answer_field_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value);

/* usage.c. */
int64_t answer_or_zero(int64_t figure);
/* The number itself, or what another key said of the same. */
int64_t answer_cached(const struct answer *answer);
/* Takes part out of *whole: the smaller of the two; a part that is larger sets the warning. */
uint64_t answer_take(uint64_t *whole, int64_t part, unsigned *warnings);
/* openai.c: what most of the others' shapes are. */
void answer_openai_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage);
/* anthropic.c: input, cache reads and cache writes beside each other. */
void answer_anthropic_buckets(const struct answer *answer, const struct meter_request *request,
                              struct meter_usage *usage);
/* Some count was reported, and not a row of zeros beside an answer: those are seen, and no answer
 * was made from nothing. */
bool answer_counted(const struct answer *answer);
/* Anything of an answer beside its figures, or of an error. Without it a whole document is no more
 * than a promise: the name of what will be fetched later. */
bool answer_says(const struct answer *answer);
/* What a stream knows beside what the answer said. */
struct answer_state {
    const struct meter_request *request;
    int status;
    bool complete, undecodable, long_line;
};
void answer_usage(const struct answer *answer, const struct answer_adapter *adapter,
                  const struct answer_state *state, struct meter_usage *out);

#endif
