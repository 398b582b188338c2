/* SPDX-License-Identifier: Apache-2.0 */
/* The governor's words, from the lists in governor.h. */
#include "governor/governor.h"

#include <stdio.h>
#include <string.h>

unsigned gov_row_by_name(const void *rows, size_t row_bytes, unsigned count, const char *name)
{
    unsigned i = 0;

    while (i < count &&
           strcmp(*(const char *const *)((const char *)rows + i * row_bytes), name) != 0)
        i++;
    return i;
}

static const struct {
    const char *name, *phrase;
    enum gov_reason reason;
} dims[] = {
#define X(number, text, words, code) [number] = {text, words, code},
    GOV_DIM_MAP(X)
#undef X
};

const char *gov_dim_name(enum gov_dim dim)
{
    return dim < GOV_DIMS ? dims[dim].name : "";
}

const char *gov_dim_phrase(enum gov_dim dim)
{
    return dim < GOV_DIMS ? dims[dim].phrase : "budget";
}

enum gov_dim gov_dim_by_name(const char *name)
{
    return (enum gov_dim)gov_row_by_name(dims, sizeof dims[0], GOV_DIMS, name);
}

static const char *const policies[] = {
#define X(number, text) [number] = text,
    GOV_POLICY_MAP(X)
#undef X
};

const char *gov_policy_name(enum gov_policy policy)
{
    return policy < GOV_POLICIES ? policies[policy] : "";
}

enum gov_policy gov_policy_by_name(const char *name)
{
    return (enum gov_policy)gov_row_by_name(policies, sizeof policies[0], GOV_POLICIES, name);
}

static const struct {
    const char *name, *phrase;
    enum gov_reason reason;
} scopes[] = {
#define X(name, number, text, words, code) [number] = {text, words, code},
    GOV_SCOPE_MAP(X)
#undef X
};

const char *gov_scope_name(enum gov_scope_kind kind)
{
    return kind < GOV_SCOPES ? scopes[kind].name : "";
}

const char *gov_scope_phrase(enum gov_scope_kind kind)
{
    return kind < GOV_SCOPES ? scopes[kind].phrase : "";
}

enum gov_scope_kind gov_scope_by_name(const char *name)
{
    return (enum gov_scope_kind)gov_row_by_name(scopes, sizeof scopes[0], GOV_SCOPES, name);
}

static const struct {
    const char *name, *phrase;
    enum gov_reason reason;
} windows[] = {
#define X(name, number, text, words, code) [number] = {text, words, code},
    GOV_WINDOW_MAP(X)
#undef X
};

const char *gov_window_name(enum gov_window window)
{
    return window < GOV_WINDOWS ? windows[window].name : "";
}

const char *gov_window_phrase(enum gov_window window)
{
    return window < GOV_WINDOWS ? windows[window].phrase : "";
}

enum gov_window gov_window_by_name(const char *name)
{
    return (enum gov_window)gov_row_by_name(windows, sizeof windows[0], GOV_WINDOWS, name);
}

const char *gov_whose(enum gov_scope_kind kind, enum gov_window window, char out[GOV_WHOSE_TEXT])
{
    const char *phrase = gov_window_phrase(window);

    if (kind == GOV_GLOBAL && *phrase != '\0')
        (void)snprintf(out, GOV_WHOSE_TEXT, "%s", phrase);
    else
        (void)snprintf(out, GOV_WHOSE_TEXT, "%s%s%s", gov_scope_phrase(kind),
                       *phrase != '\0' ? " in " : "", phrase);
    return out;
}

enum gov_reason gov_reason_of_dim(enum gov_dim dim)
{
    return dim < GOV_DIMS ? dims[dim].reason : GOV_REASON_NONE;
}

enum gov_reason gov_reason_of(enum gov_scope_kind kind, enum gov_window window, enum gov_dim dim)
{
    if (kind == GOV_RUN)
        return gov_reason_of_dim(dim);
    return scopes[kind].reason != GOV_REASON_NONE ? scopes[kind].reason : windows[window].reason;
}

static const char *const reasons[] = {
#define X(name, number, text) [number] = text,
    GOV_REASON_MAP(X)
#undef X
};

const char *gov_reason_text(enum gov_reason reason)
{
    return reason < GOV_REASONS && reasons[reason] != NULL ? reasons[reason] : "";
}

static const char *const states[] = {
#define X(name, number, text) [number] = text,
    GOV_STATE_MAP(X)
#undef X
};

const char *gov_state_name(enum gov_state state)
{
    return state < GOV_STATES ? states[state] : "";
}

const char *gov_guidance(enum gov_dim dim)
{
    static const char *const sentences[GOV_DIMS] = {
        [GOV_STEPS] = "fewer, larger calls go further; raise --max-steps next time",
        [GOV_TOKENS] = "shorten the context or start afresh; raise --max-tokens next time",
        [GOV_COST] = "a cheaper model or less context goes further; raise --max-cost next time",
        [GOV_WALL] = "the run ends when the time is up; raise --max-time next time",
        [GOV_TOOLS] = "fewer, larger tool calls go further; raise --max tool_calls next time",
        [GOV_EGRESS] = "send less, or less often; raise --max-egress next time",
        [GOV_WRITES] = "the run ends when it has written more; raise --max-writes next time",
        [GOV_ERRORS] = "calls fail one after the other; look at why before going on",
        [GOV_COMMAND] = "a command takes long; see whether it still does anything",
    };

    return dim < GOV_DIMS && sentences[dim] != NULL ? sentences[dim] : "";
}
