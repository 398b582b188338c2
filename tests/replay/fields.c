/* SPDX-License-Identifier: Apache-2.0
 *
 * The header fields of an answer: as recorded, but for those that speak of the recorded connection
 * and not of ours, and those that a fault sets.
 */
#include "tests/replay/replay.h"

enum rule { RULE_RECORDED, RULE_DROP, RULE_KEEP_ALIVE, RULE_CODING, RULE_LENGTH, RULE_RETRY };

static const struct {
    const char *name;
    enum rule rule;
} adapted[] = {
    {"connection", RULE_KEEP_ALIVE},
    {"transfer-encoding", RULE_CODING},
    {"content-length", RULE_LENGTH},
    {"retry-after", RULE_RETRY},
    {"keep-alive", RULE_DROP},
    {"proxy-connection", RULE_DROP},
    {"te", RULE_DROP},
    {"trailer", RULE_DROP},
    {"upgrade", RULE_DROP},
};

static enum rule rule_of(const struct field *field)
{
    for (size_t i = 0; i < sizeof adapted / sizeof *adapted; i++)
        if (!evutil_ascii_strcasecmp(adapted[i].name, field->name))
            return adapted[i].rule;
    return RULE_RECORDED;
}

static const char *length_value(const struct call *call, enum framing framing)
{
    bool sent = framing == FRAMING_LENGTH || (framing == FRAMING_H2 && !call->exchange->chunked);

    return sent ? call->total_text : NULL;
}

static bool keeps_alive(const char *recorded, enum framing framing, bool closing)
{
    return framing != FRAMING_H2 && !closing && !evutil_ascii_strcasecmp(recorded, "keep-alive");
}

/* NULL: not sent. */
static const char *value_to_send(const struct call *call, enum framing framing, bool closing,
                                 const struct field *field)
{
    switch (rule_of(field)) {
    case RULE_RECORDED:
        return field->value;
    case RULE_DROP:
        return NULL;
    case RULE_KEEP_ALIVE:
        return keeps_alive(field->value, framing, closing) ? field->value : NULL;
    case RULE_CODING:
        return framing == FRAMING_CHUNKED ? "chunked" : NULL;
    case RULE_LENGTH:
        return length_value(call, framing);
    case RULE_RETRY:
        return call->fault.retry_after_s >= 0 ? NULL : field->value;
    }
    return NULL;
}

static bool is_sent(const struct field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!evutil_ascii_strcasecmp(fields[i].name, name))
            return true;
    return false;
}

static bool has_no_length(const struct call *call)
{
    return call->exchange->status == 204 || call->exchange->status == 304;
}

bool call_is_chunked(const struct call *call)
{
    return call->exchange->chunked && !has_no_length(call);
}

/* What the recording lacks and this connection needs. */
static size_t fields_add(const struct call *call, enum framing framing, bool closing,
                         struct field *fields, size_t count)
{
    if (framing == FRAMING_CHUNKED && !is_sent(fields, count, "transfer-encoding"))
        fields[count++] = (struct field){"Transfer-Encoding", "chunked"};
    if (framing == FRAMING_LENGTH && !has_no_length(call) &&
        !is_sent(fields, count, "content-length"))
        fields[count++] = (struct field){"Content-Length", call->total_text};
    if (framing != FRAMING_H2 && closing)
        fields[count++] = (struct field){"Connection", "close"};
    if (call->fault.retry_after_s >= 0)
        fields[count++] = (struct field){"Retry-After", call->retry_after_text};
    return count;
}

size_t call_fields(const struct call *call, enum framing framing, bool closing,
                   struct field *fields_out)
{
    const struct exchange *exchange = call->exchange;
    size_t count = 0;

    for (size_t i = 0; i < exchange->field_count; i++) {
        const char *value = value_to_send(call, framing, closing, &exchange->fields[i]);

        if (value)
            fields_out[count++] = (struct field){exchange->fields[i].name, value};
    }
    return fields_add(call, framing, closing, fields_out, count);
}
