/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP answer of a refused call, in the error shape of the provider that was called, so that
 * unmodified agents stop and show the reason. Made here by the sidecar, and by the preloaded object
 * when there is no sidecar; so it uses libc alone. */
#ifndef FLYBALL_REFUSAL_H
#define FLYBALL_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

enum refusal_shape { REFUSAL_OPENAI, REFUSAL_ANTHROPIC, REFUSAL_GEMINI };

/* How a client should take it: stop; come back soon; the governor itself is out of order. */
enum refusal_class { REFUSAL_FINAL, REFUSAL_BUSY, REFUSAL_UNAVAILABLE };

/* Texts are UTF-8, NULL where there is nothing to say (JSON null). Amounts are given as JSON
 * (quoted decimal USD, or a bare number). reasons: NULL-terminated; reasons[0] is the primary. */
struct refusal {
    enum refusal_shape shape;
    enum refusal_class class;
    bool responses_api; /* OpenAI /responses: 400 where others get 402 (clients retry 402 there) */
    unsigned retry_after_s; /* 0: no such header */
    const char *message;
    const char *call_id, *run_id;
    const char *const *reasons;
    const char *scope, *dimension;
    const char *spent, *held, *limit, *remaining;
    const char *resets_at;
    const char *hint;
};

/* The HTTP status it will have. */
int refusal_status(const struct refusal *refusal);
/* The whole HTTP/1.1 answer, head and body; free() it. NULL: out of memory. */
char *refusal_answer(const struct refusal *refusal, size_t *bytes_out)
    __attribute__((warn_unused_result));

/* The same as an event in the middle of a stream, whole: of server-sent events, or a line; free()
 * it. NULL: out of memory. */
char *refusal_event(const struct refusal *refusal, bool by_lines, size_t *bytes_out)
    __attribute__((warn_unused_result));

#endif
