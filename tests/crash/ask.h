/* SPDX-License-Identifier: Apache-2.0 */
/* A caller of the sidecar that does on the wire what the preloaded object does, and keeps to its
 * order: SENT before the first byte, nothing after a lost link that was not claimed. It has no
 * upstream: a call that was told "admitted" and has said SENT counts as one that cost money. */
#ifndef FLYBALL_TESTS_CRASH_ASK_H
#define FLYBALL_TESTS_CRASH_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/client.h"
#include "shim/wire.h"
#include "sidecar/sidecar.h"

/* Of the model that is asked for: pico-dollars a token. */
#define ASK_INPUT_PUSD  150000
#define ASK_OUTPUT_PUSD 600000
#define ASK_OUTPUT_CAP  16

struct ask_run {
    uint8_t id[16], token[16];
};

enum ask_answer {
    ASK_ADMITTED,
    ASK_REFUSED,
    ASK_LOST, /* the link ended */
    ASK_MUTE, /* nothing was heard for as long as that may be */
};

/* A new state directory below $TMPDIR (else in memory); and it is gone again. */
void ask_home_make(struct client_place *place, const char *what);
void ask_home_remove(const struct client_place *place);
/* The sidecar of this place, started below this program, which is its reaper; 0: none lives. */
pid_t ask_sidecar_pid(const struct client_place *place);
/* What `flyball verify --json` says of a ledger that no sidecar has, and its wait status. */
int ask_command_verify(const struct client_place *place, const char *build, char *said,
                       size_t size);
/* It is asked to end, and does, in order. */
void ask_sidecar_end(const struct client_place *place);

/* A run as asked for, with nothing limited and no output cap ever lowered. */
void ask_spec(struct side_spec *out);
/* Opens a run on this link, which then is its launcher's. False: refused, or the link was lost. */
bool ask_run_open(const struct client_link *link, const struct side_spec *spec,
                  struct ask_run *out);
/* One question of an operator; the first line of the reply in out (it may be ""). The exit code,
 * or -1: the link was lost, or wait_ms passed in silence. */
int ask_question(const struct client_link *link, const char *json, char *out, size_t size,
                 int wait_ms);

/* Asks for a call of a run. False: the link is lost. */
enum ask_kind {
    ASK_PLAIN,
    ASK_STREAM, /* of server-sent events */
    ASK_LARGE,  /* a body in a memfd, read off the sidecar's loop */
};
bool ask_send(const struct client_link *link, const uint8_t id[16], const struct ask_run *run,
              enum ask_kind kind);
/* Waits for the verdict, WIRE_PATIENCE_MS at most; reason gets a refusal's primary reason. */
enum ask_answer ask_verdict(const struct client_link *link, int silence_ms, char reason[64]);
bool ask_sent(const struct client_link *link);
/* A whole answer that reports these tokens; of a stream, one that is acknowledged on the way. */
bool ask_answered(const struct client_link *link, unsigned input, unsigned output);
bool ask_streamed(const struct client_link *link, unsigned input, unsigned output);
/* sent false: the call is let go. */
bool ask_end(const struct client_link *link, bool sent, bool broken);
/* Takes a call over after a restart; the link is opened anew (start: also the sidecar). */
enum ask_answer ask_claim(struct client_link *link, const struct client_place *place, bool start,
                          const uint8_t id[16], const struct ask_run *run, bool sent);

int64_t ask_now_us(void);
void ask_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
