/* SPDX-License-Identifier: Apache-2.0 */
/* Where the messages of a request stand, and what each of them is at most. */
#include "meter/request.h"

void request_message_begin(struct request_read *read, uint64_t at)
{
    read->message_at = at;
    read->message_bound = request_bound(read);
}

/* The bound of the message is what it has added to the whole. A message that is a mere string has
 * not begun before, and is its bytes. */
void request_message_end(struct request_read *read, const struct scan_value *value)
{
    struct meter_outline *outline = read->outline;
    struct meter_message *message;

    if (outline == NULL)
        return;
    if (outline->count == METER_MESSAGES_MAX || value->at + value->size > UINT32_MAX ||
        value->type != SCAN_OBJECT || value->at != read->message_at) {
        outline->usable = false;
        read->outline = NULL;
        return;
    }
    message = &outline->messages[outline->count++];
    message->at = (uint32_t)value->at;
    message->bytes = (uint32_t)value->size;
    message->tokens = meter_less(request_bound(read), read->message_bound);
}

static void mark_add(struct meter_outline *outline, uint64_t at, uint64_t end)
{
    unsigned count = outline->mark_count;

    if (count > 0 && at < (uint64_t)outline->marks[count - 1].at + outline->marks[count - 1].bytes)
        return; /* in one that is marked */
    if (count == METER_MARKS_MAX || end > UINT32_MAX) {
        outline->usable = false;
        return;
    }
    outline->marks[outline->mark_count++] = (struct meter_mark){(uint32_t)at, (uint32_t)(end - at)};
}

void request_mark(struct request_read *read, const struct scan_value *value)
{
    if (read->outline != NULL)
        mark_add(read->outline, value->at, value->at + value->size);
}

static uint64_t blanks_back(const char *body, uint64_t at)
{
    while (at > 0 && strchr(" \t\r\n", body[at - 1]) != NULL && body[at - 1] != '\0')
        at--;
    return at;
}

/* The member is marked with the comma in front of it: without it the body would be the same but for
 * that. Where it is the first of its object, or its name is spelled otherwise, nothing is marked:
 * the beginning is then another one. */
void request_mark_member(struct request_read *read, const char *name,
                         const struct scan_value *value)
{
    const char *body = read->body;
    uint64_t at = value->at, bytes = strlen(name);

    if (read->outline == NULL)
        return;
    at = blanks_back(body, at);
    if (at == 0 || body[--at] != ':')
        return;
    at = blanks_back(body, at);
    if (at < bytes + 2 || body[at - 1] != '"' || body[at - bytes - 2] != '"' ||
        memcmp(body + at - bytes - 1, name, bytes) != 0)
        return;
    at = blanks_back(body, at - bytes - 2);
    if (at > 0 && body[at - 1] == ',')
        mark_add(read->outline, at - 1, value->at + value->size);
}

void request_outline_drop(struct request_read *read)
{
    if (read->outline != NULL)
        read->outline->usable = false;
    read->outline = NULL;
}

void request_outline_end(struct request_read *read)
{
    if (read->outline != NULL)
        read->outline->usable &= read->outline->count > 0;
}
