/* SPDX-License-Identifier: Apache-2.0
 *
 * Fault specs: `name`, `name=VALUE`, joined by commas. One row per fault; a row with a text takes
 * the rest of the spec, for URLs have commas.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/replay/replay.h"

enum kind { KIND_FLAG, KIND_NUMBER, KIND_TEXT, KIND_NONE };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    int64_t min;
    int64_t max;
    const char *help;
};

#define AT(member) offsetof(struct fault, member)
#define BYTES_MAX  ((int64_t)1 << 50)
#define COUNT_MAX  1000000000
#define MS_MAX     3600000

/* clang-format off */
static const struct row rows[] = {
    {"status", KIND_NUMBER, AT(status), 200, 999,
     "answer with this status and an error in the provider's shape"},
    {"cut-after", KIND_NUMBER, AT(cut_after), 0, BYTES_MAX,
     "break off after that many body bytes (HTTP/2: RST_STREAM)"},
    {"reset-after", KIND_NUMBER, AT(reset_after), 0, BYTES_MAX,
     "the same with a TCP reset"},
    {"stall-after", KIND_NUMBER, AT(stall_after), 0, BYTES_MAX,
     "hold there until `go` or `go N` on stdin, or the client closes"},
    {"stall", KIND_FLAG, AT(stall), 0, 0,
     "no answer at all until then"},
    {"repeat", KIND_NUMBER, AT(repeat), 1, COUNT_MAX,
     "the body that many times over"},
    {"slow-head", KIND_NUMBER, AT(slow_head_ms), 0, MS_MAX,
     "milliseconds to wait before the answer"},
    {"retry-after", KIND_NUMBER, AT(retry_after_s), 0, COUNT_MAX,
     "seconds, sent as Retry-After"},
    {"pace", KIND_NUMBER, AT(pace_ms), 0, MS_MAX,
     "as --pace, for this request"},
    {"chunk", KIND_NUMBER, AT(chunk_bytes), 1, COUNT_MAX,
     "as --chunk, for this request"},
    {"times", KIND_NUMBER, AT(times), 0, COUNT_MAX,
     "with --fault: only the first so many requests"},
    {"redirect", KIND_TEXT, AT(redirect307), 0, 0,
     "307 to this URL, which is the rest of SPEC"},
    {"redirect302", KIND_TEXT, AT(redirect302), 0, 0,
     "302 to this URL, likewise"},
    {"none", KIND_NONE, 0, 0, 0,
     "no fault, whatever --fault says"},
};
/* clang-format on */

void fault_help(FILE *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(out, "  %-12s %s\n", rows[i].name, rows[i].help);
}

static const struct row *row_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == bytes && !memcmp(rows[i].name, name, bytes))
            return &rows[i];
    return NULL;
}

static bool number_read(const char *text, size_t bytes, const struct row *row, int64_t *out)
{
    char *end;
    long long value;

    if (!bytes || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end != text + bytes || value < row->min || value > row->max)
        return false;
    *out = value;
    return true;
}

static bool text_read(const char *text, size_t bytes, char **out)
{
    free(*out);
    *out = bytes ? strndup(text, bytes) : NULL;
    return *out;
}

static bool value_read(const struct row *row, const char *value, size_t bytes, struct fault *fault)
{
    void *member = (char *)fault + row->offset;

    switch (row->kind) {
    case KIND_NONE:
        return !value;
    case KIND_FLAG:
        *(int64_t *)member = 1;
        return !value;
    case KIND_NUMBER:
        return value && number_read(value, bytes, row, member);
    case KIND_TEXT:
        return value && text_read(value, bytes, member);
    }
    return false;
}

/* One fault at `spec`; returns what follows it, or NULL where it is none. */
static const char *one_read(const char *spec, struct fault *fault)
{
    size_t name_bytes = strcspn(spec, "=,");
    const struct row *row = row_find(spec, name_bytes);
    const char *value = spec[name_bytes] == '=' ? spec + name_bytes + 1 : NULL;
    const char *start = value ? value : spec;
    size_t bytes;

    if (!row)
        return NULL;
    bytes = row->kind == KIND_TEXT ? strlen(start) : strcspn(start, ",");
    return value_read(row, value, bytes, fault) ? start + bytes : NULL;
}

struct fault fault_none(void)
{
    return (struct fault){.status = -1,
                          .cut_after = -1,
                          .reset_after = -1,
                          .stall_after = -1,
                          .stall = -1,
                          .repeat = -1,
                          .slow_head_ms = -1,
                          .retry_after_s = -1,
                          .pace_ms = -1,
                          .chunk_bytes = -1,
                          .times = -1};
}

bool fault_parse(const char *spec, struct fault *fault_out, struct why *why)
{
    struct fault fault = fault_none();

    for (const char *at = spec, *next; *at; at = *next == ',' ? next + 1 : next) {
        next = one_read(at, &fault);
        if (next)
            continue;
        why_set(why, "not a fault: %s", at);
        fault_release(&fault);
        return false;
    }
    *fault_out = fault;
    return true;
}

void fault_release(struct fault *fault)
{
    free(fault->redirect307);
    free(fault->redirect302);
    fault->redirect307 = fault->redirect302 = NULL;
}
