/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator's command shares with the sidecar: how a run is described (limits, policies,
 * providers, prices), and how that description comes from configuration, environment and flags.
 *
 * The model. side_spec is a run as asked for. It is filled from the configuration files
 * (side_config_read), then from RUNTIME_BUDGET_* (side_spec_env), then from flags;
 * side_spec_finish() puts the default table where nothing was asked for. It travels to the sidecar
 * as JSON.
 *
 * Caveats. Everything that does not parse is an error that names it; nothing is ignored. */
#ifndef FLYBALL_SIDECAR_H
#define FLYBALL_SIDECAR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "governor/directive.h"
#include "governor/governor.h"
#include "store/store.h"

#define SIDE_PROVIDERS_MAX 32u
#define SIDE_WINDOWS_ASKED 8u  /* by the user */
#define SIDE_WINDOWS_MAX   16u /* with those that follow from guardrails and caps */
#define SIDE_LABELS_MAX    8u
#define SIDE_SCOPE_NAME    256u
#define SIDE_PERCENTS      3u

#define SIDE_ROUTING_TEXT 8192u
#define SIDE_NOTIFY_TEXT  4096u
#define SIDE_AGENTS_TEXT  4096u

#define SIDE_BUSY_WAIT_MS        45000
#define SIDE_APPROVAL_TIMEOUT_MS 900000
#define SIDE_WAIT_MOST_MS        (INT64_C(365) * 86400000) /* beyond any call, within any clock */

/* Where a message about the user's input is put: first error wins. */
struct side_error {
    char text[512];
};
/* Formats into error when nothing is there yet; returns false, for `return side_fail(...)`. */
bool side_fail(struct side_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Rising: who comes later beats who came before. */
enum side_source { SIDE_NOWHERE, SIDE_FILE, SIDE_FLAG, SIDE_ENV };

enum side_exhausted { SIDE_DENY, SIDE_TERMINATE, SIDE_PAUSE };
enum side_unknown { SIDE_UNKNOWN_DENY, SIDE_UNKNOWN_WARN, SIDE_UNKNOWN_ROW, SIDE_UNKNOWN_CAP };

struct side_window {
    enum gov_scope_kind scope;
    char name[SIDE_SCOPE_NAME]; /* "anthropic" of provider:anthropic; "" of global, or whichever
                                   provider the call goes to */
    enum gov_window window;
    int64_t duration_s; /* of a rolling one; else 0 */
    struct gov_limit limits[GOV_DIMS];
    bool guard; /* these limits are guardrails */
};

/* Guardrails: calls and tokens that a day, a session, a provider's day may come to. */
enum side_guard { SIDE_GUARD_DAILY, SIDE_GUARD_SESSION, SIDE_GUARD_PROVIDER, SIDE_GUARDS };

/* What directives follow from (quality.c). */
struct side_quality {
    struct {
        bool on;
        int64_t requests, tokens;
    } guards[SIDE_GUARDS];
    struct gov_quality_rules rules;   /* by_hand, chosen: the sidecar's */
    int64_t cooldown_ms;              /* after a 429 that names no time */
    char local_model[GOV_MODEL_TEXT]; /* "" none */
};

struct side_provider {
    char name[24];
    char host[128]; /* "host" or "host:port", lower case */
};

/* Caps of routing: USD of a day, a week, a task; calls of the highest tier and day. */
enum side_cap { SIDE_CAP_DAILY, SIDE_CAP_WEEKLY, SIDE_CAP_TASK, SIDE_CAP_T0, SIDE_CAPS };

/* How the ledger is looked after; for all runs on it. */
#define SIDE_WORDS 1024u
struct side_keeping {
    int64_t retention_ms;          /* older records go; 0: none do */
    int64_t anchor_ms;             /* how often the head is written down elsewhere; 0: never */
    char anchor_file[512];         /* appended to; "" none */
    char anchor_words[SIDE_WORDS]; /* a command, each word with its NUL, an empty one at the end */
};

struct side_spec {
    struct side_keeping keeping;
    struct gov_limit limits[GOV_DIMS];
    enum side_source source[GOV_DIMS]; /* who asked for this limit, be it 0 */
    bool policy_given[GOV_DIMS];
    struct gov_limit session_limits[GOV_DIMS];
    struct gov_limit ceilings[GOV_DIMS]; /* of the system's configuration; amounts alone */
    unsigned profile;                    /* its number; 0: none was asked for */
    enum side_source profile_source;
    uint8_t percents[SIDE_PERCENTS]; /* thresholds, rising; 0: fewer were asked for */
    bool bare;                       /* nothing was asked for: the default table holds */
    bool meter_only;
    bool clamp;       /* clamp_output: fit */
    bool ask_usage;   /* ask_usage: on */
    bool refuse_curl; /* refuse: curl-error */
    enum side_exhausted on_exhausted;
    int64_t busy_wait_ms;
    int64_t approval_timeout_ms;
    char policy[32]; /* the policy that was applied; "" none */
    char session[64];
    char task[64];
    char agent[64];
    char labels[SIDE_SCOPE_NAME]; /* K=V, a line each */
    char timezone[64];            /* of the calendar; "" the system's */
    unsigned window_count;
    struct side_window windows[SIDE_WINDOWS_MAX];
    struct side_quality quality;
    char routing[SIDE_ROUTING_TEXT]; /* JSON, see routing.h; "" none */
    char notify[SIDE_NOTIFY_TEXT];   /* JSON: [{on: [], command: [] or webhook}]; "" none */
    char agents[SIDE_AGENTS_TEXT];   /* JSON, see side_agent_find; "" none */
    int64_t caps[SIDE_CAPS];         /* of routing; 0: none */
    unsigned provider_count;
    struct side_provider providers[SIDE_PROVIDERS_MAX];
    char price_file[512]; /* the user's override; "" none */
    enum side_unknown unknown_model;
    char unknown_row[128]; /* SIDE_UNKNOWN_ROW: "provider/model" */
};

/* What the configuration says of an agent. */
struct side_agent {
    unsigned preferred;       /* 1 + the tier; 0: none */
    unsigned max_concurrency; /* calls in flight; 0: any number */
    char policy[32];          /* "" none */
};
/* By its name, in {NAME: {preferred_tier, max_concurrency, policy}}; nothing where it is not there.
 */
void side_agent_find(const struct side_spec *spec, const char *name, struct side_agent *out);

/* Nothing asked for, everything at its default. */
void side_spec_init(struct side_spec *spec);

/* Reads the configuration: the system's (/etc/flyball/flyball.yaml), then over it the file given,
 * or the one that env says (see side_env_find), or the user's. policy NULL: that of spec->agent,
 * else the one named "default", if there is one. A file that was asked for must exist. False:
 * *error has file, line, column and what would be valid. */
bool side_config_read(struct side_spec *spec, const char *file, const char *policy,
                      const char *const *env, struct side_error *error);
/* An object whose keys are the names of its policies, in their order; the caller's. The files are
 * found, and read, as above. NULL: *error says what is wrong. */
json_t *side_config_policies(const char *file, const char *const *env, struct side_error *error);
/* The value of NAME in a list of "NAME=value"; NULL: none. The last one wins. */
const char *side_env_find(const char *const *env, const char *name);
/* RUNTIME_BUDGET_* of env, after the flags: beats a file; beside a flag the lower one counts. */
bool side_spec_env(struct side_spec *spec, const char *const *env, struct side_error *error);
/* One limit as text, as a flag, a variable or a key has it: "5.00", "45s", "1h30m". what names it
 * in errors. */
bool side_spec_limit(struct side_spec *spec, enum gov_dim dim, const char *text, const char *what,
                     enum side_source source, struct side_error *error);
bool side_spec_policy(struct side_spec *spec, enum gov_dim dim, const char *text, const char *what,
                      struct side_error *error);
bool side_spec_on_exhausted(struct side_spec *spec, const char *text, const char *what,
                            struct side_error *error);
const char *side_exhausted_name(enum side_exhausted what);
/* --label K=V; more than once. */
bool side_spec_label(struct side_spec *spec, const char *text, struct side_error *error);
/* The profile of limits with this number, which is stored; NULL: none has it. */
const char *side_profile_name(unsigned profile);
/* conservative, balanced or extended; it takes effect in side_spec_finish(). */
bool side_spec_profile(struct side_spec *spec, const char *name, const char *what,
                       enum side_source source, struct side_error *error);
/* After everything: the profile, the bare table, the clamps of session and ceilings, what
 * --meter-only and pause mean. */
void side_spec_finish(struct side_spec *spec);

/* quality.c: the defaults; the variables of this part (side_quality_is_variable: by its name, up to
 * '='); the windows of guardrails, into the run's; the way to the sidecar and back. */
void side_quality_init(struct side_quality *quality);
bool side_quality_is_variable(const char *entry);
bool side_quality_env(struct side_quality *quality, const char *const *env,
                      struct side_error *error);
/* One value, by the name of its variable without RUNTIME_BUDGET_; what names it in errors. */
bool side_quality_set(struct side_quality *quality, const char *name, const char *text,
                      const char *what, struct side_error *error);
void side_quality_guard_all(struct side_quality *quality); /* guardrails: on */
void side_quality_finish(struct side_spec *spec);
json_t *side_quality_json(const struct side_quality *quality);
bool side_quality_parse(const json_t *json, struct side_quality *quality);

json_t *side_spec_json(const struct side_spec *spec); /* NULL: out of memory */
bool side_spec_parse(const json_t *json, struct side_spec *spec, struct side_error *error);

/* ---- amounts (amount.c) ------------------------------------------------------------------- */

/* "5.00" (USD), "1h30m", "10M" (bytes), "50", by the dimension. False: it is not one. */
bool side_amount_parse(enum gov_dim dim, const char *text, int64_t *out);
/* What would have been one: "a whole number, such as 50". */
const char *side_amount_expected(enum gov_dim dim);
/* An amount as DIM=N has it: a bare number of the wall clock is milliseconds. Returns text or out.
 */
#define SIDE_UNIT_TEXT 48u
const char *side_in_unit(enum gov_dim dim, const char *text, char out[SIDE_UNIT_TEXT]);
/* A dimension's amount as the contract has it in JSON: money as a decimal string, else an integer.
 */
json_t *side_amount_json(enum gov_dim dim, int64_t amount);
/* The same for people: "$0.50", "180,000", "30m", "10 MiB". out needs 48. */
#define SIDE_AMOUNT_TEXT 48u
const char *side_amount_text(enum gov_dim dim, int64_t amount, char out[SIDE_AMOUNT_TEXT]);
/* Durations: "45s", "30m", "1h30m", "250ms", "90" (seconds). False: not one. */
bool side_duration_parse(const char *text, int64_t *ms_out);
/* 64 hex digits. False: it is not that. */
bool side_hash_parse(const char *text, uint8_t out[32]);
/* The answer of `verify`. NULL: out of memory. */
json_t *side_proof_json(const struct store_proof *proof);
/* RFC 3339, UTC, milliseconds. out needs 32. */
const char *side_time_text(int64_t ts_ns, char out[32]);

/* ---- orders as JSON (fields.c) ------------------------------------------------------------ */

/* A member of what is sent, and what becomes of it in the question to the sidecar. */
enum side_field_kind {
    SIDE_FIELD_TEXT,    /* 1 to size - 1 characters, none of them a control character */
    SIDE_FIELD_WORD,    /* one of words */
    SIDE_FIELD_TRUE,    /* true; in the question the first of words, if there are any */
    SIDE_FIELD_AMOUNTS, /* a map of dimensions to amounts above 0: "1.00", "10M", 50 */
};
#define SIDE_FIELD_NEEDED 1u
#define SIDE_FIELD_ONE    2u /* exactly one of those that have this */
#define SIDE_FIELD_NULL   4u /* null is the last of words */
struct side_field {
    const char *name, *as;
    enum side_field_kind kind;
    unsigned flags;
    size_t size;
    const char *const *words; /* NULL behind the last */
    const char *what;         /* for those who send it; NULL: nothing is to be said */
};
/* What is wrong with it: the field ("" the whole), its value (of the body; NULL: none), in words.
 */
struct side_wrong {
    char field[128];
    const json_t *value;
    char text[400];
};
/* The members of body, by fields (no name: the end), into request. False: *wrong; what is in
 * request is of no use then. */
bool side_fields_read(const struct side_field *fields, const json_t *body, json_t *request,
                      struct side_wrong *wrong);
/* Words for somebody who asked, as far as they are UTF-8: what they repeat may be cut off anywhere.
 * NULL: out of memory. */
json_t *side_prose_json(const char *text);
/* A text for the record, of 1 to size - 1 characters, none of them a control character. False:
 * *error begins with what. */
bool side_text_check(const char *text, size_t size, const char *what, struct side_error *error);
/* An amount that is to be added, as people write it, into a map by dimension. False: *error names
 * dimension and value. */
bool side_amount_put(json_t *map, enum gov_dim dim, const char *text, struct side_error *error);

/* ---- apart (apart.c) ------------------------------------------------------------------------ */

/* Calls work() in a process of its own, which has none of this one's descriptors but 0, 1 and 2:
 * for what reads so many bytes of a ledger that may be damaged, and has its time for that. Returns
 * what it returned, 0 to 254; else why says what is the matter. */
#define SIDE_APART_MOST 254
#define SIDE_APART_DIED 256 /* of what it read */
#define SIDE_APART_NONE 257 /* there was no process, or somebody ended it */
int side_apart(int (*work)(void *data), void *data, int64_t bytes, char *why, size_t size);
/* Ends those of other threads, now and from now on. */
void side_apart_stop(void);
/* The size of its file; 0: there is none. */
int64_t side_ledger_bytes(const char *home);

/* ---- receipts (receipt.c, canonical.c); docs/RECEIPTS.md says what they say ----------------- */

#define SIDE_JSON_INTEGER_MAX  INT64_C(9007199254740991) /* the largest that JSON carries safely */
#define SIDE_RECEIPT_HASH      "receipt_hash"            /* the member */
#define SIDE_RECEIPT_HASH_TEXT 72u

/* The canonical form of RFC 8785; free() it. NULL: out of memory. */
char *side_canonical_text(const json_t *value);
/* "sha256:" and the hex digits over the canonical form without the member receipt_hash. False: out
 * of memory. */
bool side_receipt_hash(const json_t *receipt, char out[SIDE_RECEIPT_HASH_TEXT]);
/* The text of an event's receipt of this kind, canonical, with its hash; free() it. NULL: it has
 * none, or out of memory. */
enum side_receipt { SIDE_RECEIPT_ADMISSION, SIDE_RECEIPT_SETTLEMENT, SIDE_RECEIPT_KINDS };
char *side_receipt_text(struct store_view *view, const struct store_event *event,
                        enum side_receipt kind);
/* Those of one kind ("admission", "settlement"), or of both (""), a line each, none behind the
 * last; as above. */
char *side_receipt_lines(struct store_view *view, const struct store_event *event,
                         const char *kind);

#endif
