/* SPDX-License-Identifier: Apache-2.0 */
/* The frames between a governed process, the launcher or the operator's command, and the sidecar.
 *
 * The model. One AF_UNIX SOCK_SEQPACKET connection per call at a time, per run (the launcher's, for
 * as long as the run lives) or per question (the operator's). One frame is one packet: a wire_head,
 * then fields (WIRE_DATA: an offset, then raw bytes). A connection's end is the end of what it
 * stands for; after END, or a refusal, it stands for nothing, and another call may begin on it.
 *
 *   a call:   ADMIT (+ request body: in the frame, or a sealed memfd)  ->
 *                  <- HEARTBEAT ... VERDICT (+ memfd when the body was rewritten)
 *             SENT, RESPONSE, DATA ..., END  ->        <- ACK ..., CUT
 *             POKE (+ socket) before the verdict: send one byte on it when the verdict is out
 *             CLAIM instead of ADMIT: the call goes on with a sidecar that was restarted
 *   a page:   PAGE (a run's id and token)  ->   <- HEARTBEAT ... PAGE_IS (+ memfd: shim/page.h)
 *   others:   REQUEST (JSON; + memfd: a launcher's page)  ->   <- REPLY (JSON lines, in pieces) ...
 * DONE;  NOTICE at any time
 *
 * Caveats. Numbers are in host order: both ends are on one machine. A frame with another version is
 * answered by MISMATCH, naming both; anything else that cannot be read ends the connection. Only
 * libc is used here: this header is all that the preloaded object shares with the rest. */
#ifndef FLYBALL_WIRE_H
#define FLYBALL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WIRE_MAGIC     0x4c425946u /* "FYBL" */
#define WIRE_VERSION   4u
#define WIRE_FRAME_MAX 65536u       /* a whole frame, head included */
#define WIRE_DATA_MAX  32768u       /* tapped bytes in one frame */
#define WIRE_BODY_HERE 32768u       /* a body up to this is in the frame of its ADMIT */
#define WIRE_TYPE_ROOM 256u         /* for WIRE_CONTENT_TYPE, which is cut to fit, and its NUL */
#define WIRE_BODY_MAX  (256u << 20) /* a request body; longer: refused as request_too_large */

/* A caller who has waited this long is told so, half as long after that at most; silence of
 * WIRE_SILENCE_MS means that the sidecar is gone or stopped. Whatever is said, a caller that does
 * not wait for a person gives up WIRE_PATIENCE_MS after the last frame that said how long to wait.
 */
#define WIRE_HEARTBEAT_MS 80
#define WIRE_SILENCE_MS   250
#define WIRE_PATIENCE_MS  10000

enum wire_type {
    WIRE_ADMIT = 1,
    WIRE_SENT = 2,
    WIRE_RESPONSE = 3,
    WIRE_DATA = 4,
    WIRE_END = 5,
    WIRE_CLAIM = 6,
    WIRE_POKE = 7,
    WIRE_PAGE = 8,

    WIRE_HEARTBEAT = 16,
    WIRE_VERDICT = 17,
    WIRE_ACK = 18,
    WIRE_CUT = 19,     /* end the stream that is under way: with WIRE_ANSWER, where there is one */
    WIRE_PAGE_IS = 20, /* without a descriptor: there is none */

    WIRE_REQUEST = 32,
    WIRE_REPLY = 33,
    WIRE_DONE = 34,
    WIRE_NOTICE = 35,

    WIRE_MISMATCH = 48,
};

struct wire_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
};

enum wire_tag {
    WIRE_CALL_ID = 1,      /* 16 bytes, UUIDv7, made by the caller */
    WIRE_RUN_ID = 2,       /* 16 bytes; absent: the sidecar finds the run by ancestry */
    WIRE_TOKEN = 3,        /* 16 bytes, of the run */
    WIRE_METHOD = 4,       /* text */
    WIRE_HOST = 5,         /* text, lower case, ":port" when the URL has one */
    WIRE_PATH = 6,         /* text, without query */
    WIRE_CONTENT_TYPE = 7, /* text, of the request */
    WIRE_FLAGS = 8,        /* number, enum wire_flag bits */
    WIRE_BODY_BYTES = 9,   /* number; the memfd's length */
    WIRE_ENV = 10,         /* text "NAME=value", repeated; only without a run */
    WIRE_WAIT_MS = 11,     /* number; how long the caller can wait for headroom at most */
    WIRE_DECISION = 12,    /* number, enum wire_decision */
    WIRE_ANSWER = 13,      /* bytes: the whole HTTP/1.1 answer of a refusal */
    WIRE_TEXT = 14,        /* text: a refusal's message, an error's reason */
    WIRE_STATUS = 15,      /* number: HTTP status; DONE: the exit code */
    WIRE_HEADER = 16,      /* text "name: value" of the answer, repeated; listed names only */
    WIRE_OFFSET = 17,      /* number: bytes of the answer up to here */
    WIRE_CURL_CODE = 18,   /* number: CURLcode at the end */
    WIRE_EGRESS = 19,      /* number: request bytes sent, head and body */
    WIRE_SENT_MS = 20,     /* number: from sending to the end */
    WIRE_VERSION_IS = 21,  /* number: the version the sidecar speaks */
    WIRE_BODY = 22,        /* bytes: the request's body, instead of a memfd */
};

enum wire_flag {
    WIRE_NO_REWRITE = 1 << 0,      /* the body must go as it is: signed, or its length is fixed */
    WIRE_DECODED = 1 << 1,         /* RESPONSE: the bytes come decoded */
    WIRE_WAS_SENT = 1 << 2,        /* CLAIM, END: the request has been sent */
    WIRE_TAP_LOST = 1 << 3,        /* END: not all bytes were copied */
    WIRE_BROKEN = 1 << 4,          /* END: the transfer did not end in order */
    WIRE_HELD_OPEN = 1 << 5,       /* HEARTBEAT: waiting is as it should be, whatever it takes */
    WIRE_BODY_UNREADABLE = 1 << 6, /* ADMIT: the application could not hand its body out */
    WIRE_BODY_TOO_LARGE = 1 << 7,  /* ADMIT: above WIRE_BODY_MAX */
    WIRE_RAW_SOCKET = 1 << 8,      /* ADMIT: the application wants the socket: bytes unseen */
    WIRE_CAN_STRIP = 1 << 9,       /* ADMIT: a usage chunk can be kept from the application */
    WIRE_STRIP_USAGE = 1 << 10,    /* VERDICT: the body asks for one, and it is to be kept */
    WIRE_WANTS_SOCKET = 1 << 11,   /* VERDICT: let the connection's descriptor come with SENT */
    WIRE_BY_LINES = 1 << 12,       /* CUT: an event is a line, not lines up to an empty one */
};

enum wire_decision {
    WIRE_ADMITTED = 1,
    WIRE_REFUSED = 2,      /* serve WIRE_ANSWER */
    WIRE_REFUSED_CURL = 3, /* fail with CURLE_ABORTED_BY_CALLBACK and WIRE_TEXT */
    WIRE_CLAIMED = 4,      /* CLAIM: go on, from WIRE_OFFSET */
    WIRE_CLAIM_LOST = 5,   /* CLAIM: the call has been settled without you */
};

/* ---- writing ------------------------------------------------------------------------------ */

struct wire_writer {
    unsigned char *at;
    size_t used, size;
    bool overflow; /* something did not fit: the frame must not be sent */
};

struct wire_field {
    uint16_t tag;
    uint16_t zero;
    uint32_t bytes;
};

static inline void wire_raw(struct wire_writer *w, const void *bytes, size_t count)
{
    if (w->overflow || count > w->size - w->used) {
        w->overflow = true;
        return;
    }
    if (count > 0)
        memcpy(w->at + w->used, bytes, count);
    w->used += count;
}

/* Begins a frame in buffer. */
static inline void wire_begin(struct wire_writer *w, void *buffer, size_t size, enum wire_type type)
{
    const struct wire_head head = {WIRE_MAGIC, WIRE_VERSION, (uint16_t)type};

    *w = (struct wire_writer){buffer, 0, size, false};
    wire_raw(w, &head, sizeof head);
}

static inline void wire_put(struct wire_writer *w, enum wire_tag tag, const void *bytes,
                            size_t count)
{
    const struct wire_field field = {(uint16_t)tag, 0, (uint32_t)count};

    if (count > WIRE_FRAME_MAX) {
        w->overflow = true;
        return;
    }
    wire_raw(w, &field, sizeof field);
    wire_raw(w, bytes, count);
}

/* NULL text is left out. */
static inline void wire_put_text(struct wire_writer *w, enum wire_tag tag, const char *text)
{
    if (text != NULL)
        wire_put(w, tag, text, strlen(text));
}

static inline void wire_put_number(struct wire_writer *w, enum wire_tag tag, uint64_t number)
{
    wire_put(w, tag, &number, sizeof number);
}

/* ---- reading ------------------------------------------------------------------------------ */

struct wire_reader {
    const unsigned char *at;
    size_t left;
};

/* A field's value as it stands in the frame: not NUL-terminated, valid as long as the frame is. */
struct wire_value {
    enum wire_tag tag;
    const void *bytes;
    size_t count;
};

/* Opens a frame. False: too short or another magic: end the connection. A frame of another version
 * opens; look at head_out->version first. */
static inline bool wire_open(struct wire_reader *r, const void *frame, size_t count,
                             struct wire_head *head_out)
{
    if (count < sizeof *head_out)
        return false;
    memcpy(head_out, frame, sizeof *head_out);
    *r = (struct wire_reader){(const unsigned char *)frame + sizeof *head_out,
                              count - sizeof *head_out};
    return head_out->magic == WIRE_MAGIC;
}

/* The next field; false at the end, and for a field that runs over it (r->left is then not 0). */
static inline bool wire_next(struct wire_reader *r, struct wire_value *value_out)
{
    struct wire_field field;

    if (r->left < sizeof field)
        return false;
    memcpy(&field, r->at, sizeof field);
    if (field.bytes > r->left - sizeof field)
        return false;
    *value_out = (struct wire_value){(enum wire_tag)field.tag, r->at + sizeof field, field.bytes};
    r->at += sizeof field + field.bytes;
    r->left -= sizeof field + field.bytes;
    return true;
}

/* A number field; 0 when it has another size. */
static inline uint64_t wire_number(const struct wire_value *value)
{
    uint64_t number = 0;

    if (value->count == sizeof number)
        memcpy(&number, value->bytes, sizeof number);
    return number;
}

/* Copies a text field; false when it does not fit or holds a NUL. */
static inline bool wire_text(const struct wire_value *value, char *out, size_t size)
{
    if (value->count >= size || memchr(value->bytes, 0, value->count) != NULL)
        return false;
    memcpy(out, value->bytes, value->count);
    out[value->count] = '\0';
    return true;
}

#endif
