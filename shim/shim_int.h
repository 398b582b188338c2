/* SPDX-License-Identifier: Apache-2.0 */
/* The preloaded object, inside. Nothing outside this folder includes this file.
 *
 * The model. hooks_*.c export libcurl's names as thin doors. bind.c finds the real libcurl of every
 * caller. handle.c keeps, beside each easy handle, what libcurl will not tell (option.c). A
 * governed transfer is a call (call.c): its body is collected (body.c), the sidecar asked (link.c,
 * start.c), then either the answer is copied to the sidecar as the application takes it (tap.c),
 * without the chunk that it did not ask for (strip.c), or libcurl is pointed at ourselves and fed a
 * refusal (answer.c).
 *
 * Caveats. We are a guest: no thread, no stdio of our own, no signal, no lock held across a call of
 * libcurl or of the application, errno kept, every descriptor close-on-exec and high, DT_NEEDED
 * libc. Whatever goes wrong: a governed call is refused, any other passes. A handle belongs to one
 * thread at a time (libcurl's rule); the table of handles has a lock, known to the fork handlers.
 */
#ifndef FLYBALL_SHIM_INT_H
#define FLYBALL_SHIM_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CURL_DISABLE_DEPRECATION
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_share_setopt
#undef curl_multi_setopt

#include "shim/client.h"
#include "shim/refusal.h"
#include "shim/strip.h"
#include "shim/wire.h"

#define SHIM_EXPORT __attribute__((visibility("default")))
/* Where the current function will return to: the application's code, or libcurl's own. */
#define SHIM_CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

/* Ceilings of this folder. */
#define SHIM_CURLS_MAX 8u            /* libcurls in one process */
#define SHIM_HOST_MAX  300u          /* "host:port" with the NUL */
#define SHIM_PATH_MAX  4096u         /* a longer path cannot be read: refused */
#define SHIM_TAP_KEEP  (256u * 1024) /* delivered bytes kept until the sidecar has them */
#define SHIM_TAP_UNSENT                                                                            \
    (1024u * 1024) /* unsent bytes that are too many after SHIM_TAP_STALL_MS                       \
                    */
#define SHIM_TAP_STALL_MS 2000
#define SHIM_CLAIM_MS     2000      /* trying to take a call to a restarted sidecar */
#define SHIM_MULTI_MS     20        /* curl_multi_add_handle waits no longer */
#define SHIM_OLDEST_CURL  0x075000u /* 7.80: CURLOPT_PREREQFUNCTION; refused by CURLcode below */
#define SHIM_HOP_MS       1000      /* a redirect to a governed host inside a multi handle */
#define SHIM_FORM_TEXT    4096u     /* a form's part above this is described, not copied */

/* ---- bind.c: the real libcurls ------------------------------------------------------------ */

struct shim_curl {
    uintptr_t text_start, text_end; /* the object's mapped range */
    const char *path;
    unsigned number;  /* its place in the table, for the per-libcurl doors */
    unsigned version; /* curl_version_info()->version_num */
#define CALL(field, name) __typeof__(name) *field;
#define MUST(field, name) CALL(field, name)
#include "shim/curl_calls.def"
#undef CALL
#undef MUST
};

/* Does shim_bind() and reads the environment; once, from the constructor or the
 * first hook, whichever comes first. */
void shim_init(void);
/* libc's dlopen and dlsym, and no more: for the stubs. */
void shim_bind(void);
extern void *(*shim_real_dlsym)(void *handle, const char *name);
/* The libcurl whose code holds this address: a call that comes from there is libcurl's own and is
 * passed through. NULL: it is the application's. */
const struct shim_curl *shim_curl_at(const void *address);
/* The libcurl that this caller's calls reach; NULL when there is none to be found. */
const struct shim_curl *shim_curl_of_caller(const void *caller);
/* The libcurl that defines this function; learns it when it is new. NULL: not a libcurl, or ours.
 */
const struct shim_curl *shim_curl_of_function(const void *function);
const struct shim_curl *shim_curl_number(unsigned number);
/* For the dlsym stub: what to hand out for this name, NULL: whatever the real dlsym says. */
void *shim_dlsym_pick(void *handle, const char *name);
/* Where the sidecar is to be found, and started from. */
const struct client_place *shim_place(void);
/* exec.c: what is put back into the environments of programs that this one starts; own_path is the
 * preloaded file. Once, from shim_init(). */
void shim_exec_init(const char *own_path);
/* Every lock of ours: short, never held while foreign code runs. Around fork all are taken, in this
 * order; the child starts with free ones. */
enum shim_lock { SHIM_LOCK_CURLS, SHIM_LOCK_MAP, SHIM_LOCK_HOSTS, SHIM_LOCK_LINKS, SHIM_LOCKS };
void shim_lock(enum shim_lock lock);
void shim_unlock(enum shim_lock lock);

/* ---- handle.c, option.c: what stands beside a libcurl handle ------------------------------ */

enum shim_slot {
#define OPTION(slot, option, kind, start) slot,
#define ALSO(slot, option, kind)
#include "shim/options.def"
#undef OPTION
#undef ALSO
    SHIM_SLOTS
};

enum shim_method { SHIM_GET, SHIM_HEAD, SHIM_POST, SHIM_PUT, SHIM_MIME, SHIM_FORM };

struct shim_value {
    CURLoption option; /* the member of the slot that was set; 0: never set */
    int64_t number;    /* the value, a pointer's bits, or a char * of ours */
};

struct shim_call;
struct shim_copied;
struct shim_form;
struct shim_message;

struct shim_handle {
    CURL *easy;
    const struct shim_curl *curl;
    CURLM *multi;           /* added to it by the application; NULL: not */
    struct shim_call *call; /* in flight; NULL: none */
    bool blind;             /* we were not there when it was made: its options are not known */
    enum shim_method method;
    bool no_body; /* CURLOPT_NOBODY */
    bool performing;
    int remote_port, local_port; /* of the connection that its last request went to */
    bool requested;              /* the transfer has come to a request, or nobody would tell us */
    uint64_t egress;             /* bytes sent by the transfer, as far as they are counted */
    uint64_t line_bytes;         /* of the application's header lines, as it began */
    bool giving; /* what was held back, to its write callback, when the transfer has ended */
    struct shim_value slots[SHIM_SLOTS];
    uint64_t overridden; /* bit per slot: libcurl holds our value, the shadow the application's */
    void *mime;          /* CURLOPT_MIMEPOST */
    void *form;          /* CURLOPT_HTTPPOST */
    struct shim_form *twin_form;  /* a twin's form is a copy of libcurl's own: what is in it */
    struct shim_copied *copied;   /* our copy for CURLOPT_COPYPOSTFIELDS */
    struct shim_message *message; /* of its last multi handle: the application may still read it */
};

struct shim_multi {
    CURLM *multi;
    const struct shim_curl *curl;
    struct shim_call *waiting; /* calls without a verdict yet, linked by next_waiting */
    unsigned calls;            /* governed transfers in it that are not over */
    bool in_turn;              /* libcurl has it: what is called now is called by a callback */
    struct shim_message *messages, **messages_tail; /* read from libcurl, for the application */
};

/* Entries are found by libcurl's pointer and live until it is freed. NULL: not known (or, for _add,
 * out of memory). */
struct shim_handle *shim_handle_find(const CURL *easy);
struct shim_handle *shim_handle_add(CURL *easy, const struct shim_curl *curl);
/* Taken out of the table before libcurl frees its handle (which may come back at once, to another
 * thread), freed after it: cleaning up may still call our callbacks. */
void shim_handle_forget(struct shim_handle *handle);
void shim_handle_free(struct shim_handle *handle); /* its call must be over */
struct shim_multi *shim_multi_find(const CURLM *multi);
struct shim_multi *shim_multi_add(CURLM *multi, const struct shim_curl *curl);
void shim_multi_remove(struct shim_multi *multi); /* before libcurl frees its own */
/* Calls each(handle) for every handle that is in this multi handle; no lock is held meanwhile. */
void shim_multi_each(const CURLM *multi, void (*each)(struct shim_handle *handle));
/* A generic map from one of libcurl's pointers to one of ours, under the same lock. */
enum shim_kind { SHIM_EASY, SHIM_MULTI, SHIM_MIME_FORM, SHIM_MIME_PART };
void *shim_map_find(const void *key, enum shim_kind kind);
bool shim_map_put(const void *key, enum shim_kind kind, void *value); /* false: out of memory */
void shim_map_take(const void *key, enum shim_kind kind);

/* curl_easy_setopt with the value as 64 bits, re-passed by the option's type class. */
CURLcode shim_setopt_raw(const struct shim_curl *curl, CURL *easy, CURLoption option,
                         int64_t value);
/* The application's setopt: keeps the shadow, and libcurl's state where we have not overridden. */
CURLcode shim_setopt(struct shim_handle *handle, CURLoption option, int64_t value);
void shim_options_reset(struct shim_handle *handle);
bool shim_options_copy(struct shim_handle *to, const struct shim_handle *from);
int64_t shim_option(const struct shim_handle *handle, enum shim_slot slot);
const char *shim_option_text(const struct shim_handle *handle, enum shim_slot slot);
void *shim_option_pointer(const struct shim_handle *handle, enum shim_slot slot);
/* Gives libcurl our value for a slot until shim_restore(). option: which member of the slot. */
CURLcode shim_override(struct shim_handle *handle, enum shim_slot slot, CURLoption option,
                       int64_t value);
void shim_restore(struct shim_handle *handle); /* every overridden slot, to the shadow */

/* ---- target.c: is this transfer governed? ------------------------------------------------- */

struct shim_target {
    char method[32];
    char host[SHIM_HOST_MAX]; /* lower case, ":port" where the URL or CURLOPT_PORT has one */
    char path[SHIM_PATH_MAX];
    bool path_cut; /* it is longer: nobody knows what it names */
    bool raw;      /* the application wants the connection for itself: it may ask for any path */
    enum refusal_shape shape;
    bool governed;
};

/* Reads where the handle is about to go. url NULL: the handle's own; else that of a redirect, with
 * its method. What cannot be read by libcurl's rules is not governed: libcurl will not send it. */
void shim_target_read(const struct shim_handle *handle, const char *url, const char *method,
                      struct shim_target *out);
/* One part of the above, for tests: the host and path of a URL by libcurl's rules. */
bool shim_url_read(const struct shim_curl *curl, const char *url, long port,
                   struct shim_target *out);
/* Forgets the list of hosts that a sidecar wrote; the next transfer reads it again. */
void shim_hosts_forget(void);

/* ---- body.c, mime.c: the request's body --------------------------------------------------- */

struct shim_body {
    const unsigned char *bytes; /* what will be sent; NULL with 0 bytes: none */
    size_t count;
    int memfd;        /* the same, sealed, for the sidecar; -1: none */
    bool here;        /* small enough for the question's frame */
    bool mapped;      /* bytes is a mapping of ours */
    bool drained;     /* taken from the application's read callback: we must play it back */
    size_t read_at;   /* how far the playback is */
    uint32_t *pieces; /* how much each of the application's reads gave, so that chunks stay */
    size_t piece_count, piece_at, piece_left;
    bool rewritten;
    unsigned form_changes; /* as it was described */
};

enum shim_body_result {
    SHIM_BODY_OK,
    SHIM_BODY_UNREADABLE,
    SHIM_BODY_TOO_LARGE,
    SHIM_BODY_NO_MEMORY,
    SHIM_BODY_ABORTED /* by the application's read callback */
};
/* in_use: libcurl is sending it already, so a reader must not be asked. */
enum shim_body_result shim_body_collect(struct shim_handle *handle, bool in_use,
                                        struct shim_body *out);
/* Makes the body the one in memfd (owned by the body afterwards). */
bool shim_body_replace(struct shim_body *body, int memfd, size_t count);
/* Makes libcurl send this body, where that needs anything. */
bool shim_body_install(struct shim_handle *handle, struct shim_body *body);
void shim_body_rewind(struct shim_body *body); /* the playback, to its beginning */
void shim_body_release(struct shim_body *body);
/* Writes at the end of a memfd of ours; false: no room. */
bool shim_memfd_add(int memfd, const void *bytes, size_t count);
/* Describes a curl_mime or curl_httppost as multipart text: names, short parts, sizes. */
bool shim_form_describe(const struct shim_handle *handle, int memfd, size_t *count_out);

/* What stands in the handle's curl_mime, as it is now; NULL: not known, or out of memory. */
struct shim_form *shim_form_copy(const struct shim_handle *handle);
void shim_form_free(struct shim_form *form); /* NULL is fine */
/* How often the application has changed it. */
unsigned shim_form_changes(const struct shim_handle *handle);

/* What the application did to a curl_mime. Each does nothing when the form is not known. */
void shim_mime_made(const curl_mime *mime, const struct shim_curl *curl);
void shim_mime_freed(const curl_mime *mime);
void shim_mime_part_added(const curl_mime *mime, const curl_mimepart *key);
void shim_mime_named(const curl_mimepart *key, const char *name);
void shim_mime_filled(const curl_mimepart *key, const char *text, size_t bytes);
void shim_mime_file(const curl_mimepart *key, const char *path);
#define SHIM_BYTES_UNKNOWN ((size_t)INT64_MAX)
void shim_mime_nested(const curl_mimepart *key, curl_mime *mime);
/* Which libcurl made it; NULL: not known. */
const struct shim_curl *shim_mime_curl(const curl_mime *mime);
const struct shim_curl *shim_mime_part_curl(const curl_mimepart *part);

/* ---- environment (env.c) ------------------------------------------------------------------ */

struct shim_env {
    bool has_run;
    unsigned char run_id[16];
    unsigned char token[16];
};
/* As it was when the process started: what the program does to its environment is of no interest.
 */
const struct shim_env *shim_env(void);
void shim_env_read(void);
/* Calls each(data, "NAME=value") for what the sidecar needs to know of a process without a run. */
void shim_env_each(void (*each)(void *data, const char *entry), void *data);

/* ---- egress.c: what is sent ----------------------------------------------------------------- */

/* What libcurl says that the transfer has sent; from here on it is counted. */
uint64_t shim_egress(struct shim_handle *handle);
/* Of the application's header lines, which it may free as soon as the transfer is done; 0 where
 * this libcurl counts by itself. */
uint64_t shim_egress_lines(const struct shim_handle *handle);
/* After a transfer, or part of one: counts what is not counted yet. */
void shim_egress_count(struct shim_handle *handle);
/* There may be a page now: a call was answered. anew: another one than before, as there may be
 * another sidecar. */
void shim_egress_look(bool anew);

/* ---- call.c, verdict.c, tap.c, answer.c: a governed transfer ------------------------------- */

/* Bytes of the answer on their way to the sidecar: [from, from + used) of the stream. */
struct shim_tap {
    unsigned char *bytes;
    size_t used, size;
    uint64_t from;
    uint64_t sent;      /* offset up to which frames have left */
    uint64_t acked;     /* offset that a restarted sidecar would go on from */
    int64_t stalled_ms; /* since when nothing left; 0: it flows */
    bool lost;
    bool head_sent;  /* RESPONSE has left */
    bool in_headers; /* CURLOPT_HEADER: the write callback is getting header lines */
    uint64_t passed; /* body bytes that the application has accepted */
    char last[4];    /* the last of them that were given to it */
};

enum shim_call_state { SHIM_CALL_WAITING, SHIM_CALL_ADMITTED, SHIM_CALL_REFUSED };

struct shim_call {
    struct shim_handle *handle;
    struct shim_call *next_waiting;
    enum shim_call_state state;
    unsigned char id[16];
    pid_t pid; /* who made it: a forked child leaves it alone */
    struct client_link link;
    bool link_clean;  /* nothing more of this call comes on it: another may use it */
    int64_t again_ms; /* until when others are asked, as the sidecar has gone; 0: it has not */
    bool anew;        /* so the transfer that waits has lost its other end */
    uint64_t flags;   /* of the question */
    struct shim_target target;
    struct shim_body body;
    struct shim_tap tap;
    struct strip *strip; /* keeps the usage chunk from the application; NULL: nothing is kept */
    bool sent;
    bool settled;      /* END has left; the transfer may go on elsewhere */
    bool hop;          /* began in the middle of a transfer: libcurl has the body already */
    bool stale;        /* the application has changed the request since it was asked about */
    long header_bytes; /* received in this transfer before the request that is under way */
    int64_t sent_ms;
    int64_t heard_ms;   /* the last frame of the sidecar */
    int64_t asked_ms;   /* since when we wait without being told to */
    int listener, peer; /* our ends of a refusal or of a wait; -1 */
    uint64_t listener_cookie, peer_cookie;
    char *answer; /* HTTP bytes of the refusal */
    size_t answer_bytes;
    bool wants_socket; /* the sidecar may have to end its stream */
    bool cut;          /* it is to end, by the sidecar's word: with answer, if there is one */
    bool cut_by_lines;
    bool curl_error; /* refuse by CURLcode, not by an HTTP answer */
    bool blocked;    /* refused, and libcurl could not even be pointed at ourselves */
    char text[512];  /* why */
};

/* cut.c: the sidecar ends a stream. Its word; whether the application has whole events, so that it
 * may end here; the end, in the place of code: the API's own error event, and CURLE_OK. */
void shim_cut_take(struct shim_call *call, struct wire_reader *r);
bool shim_cut_here(const struct shim_call *call);
/* The descriptor of the connection that the call's request goes to; -1: not found. */
int shim_cut_socket(const struct shim_call *call);
CURLcode shim_cut_end(struct shim_handle *handle, CURLcode code);

enum shim_begun {
    SHIM_PASS,      /* not governed: libcurl may have it */
    SHIM_CALL,      /* handle->call is set and the handle prepared for its state */
    SHIM_NO_MEMORY, /* governed, and not even a refusal can be made: fail the transfer */
};

/* Before a transfer: recognises, asks, prepares the handle. multi: in curl_multi_add_handle. */
enum shim_begun shim_call_begin(struct shim_handle *handle, bool multi);
/* A handle that has become another while it is in a multi handle: looks at where it goes. */
void shim_call_watch(struct shim_handle *handle);
/* After a transfer, once: settles, and puts the handle's options back. code: how it ended. */
void shim_call_end(struct shim_handle *handle, CURLcode code);
/* Prepares the handle for the call's state: the real transfer, a refusal, a wait. */
void shim_call_prepare(struct shim_call *call);
/* Takes the call to a restarted sidecar; false: it is lost. */
bool shim_call_claim(struct shim_call *call);
/* Ends, on a new link, what may stand in the ledger of a call that nobody has heard of; false:
 * there was no sidecar until until_ms that would have listened, or (reason_out) none can be had. */
bool shim_call_let_go(struct shim_call *call, int64_t until_ms, char *reason_out,
                      size_t reason_size);

/* links.c. A connection to the sidecar: one that an earlier call has done with, if such a one will
 * do, else a new one; to a sidecar that is started, if none runs. */
enum shim_link_how { SHIM_LINK_KEPT = 1, SHIM_LINK_START = 2 };
bool shim_link_open(struct client_link *link, unsigned how, char *reason_out, size_t reason_size);
/* The call has done with it: kept for the next one, or closed. */
void shim_link_done(struct client_link *link, bool clean);
/* verdict.c. */
/* Sends the question; false: refused already, for want of a sidecar. */
bool shim_call_ask(struct shim_call *call);
/* Waits up to wait_ms for the state to change from WAITING. True: it has. */
bool shim_call_poll(struct shim_call *call, int wait_ms);
/* Fills in a refusal of our own, for when there is no sidecar to make one. */
void shim_call_refuse(struct shim_call *call, const char *reason, const char *detail);

/* tap.c. What the write callback is while a governed transfer runs; data: struct shim_handle. */
size_t shim_tap_write(char *bytes, size_t size, size_t count, void *data);
size_t shim_tap_header(char *bytes, size_t size, size_t count, void *data);
/* The transfer has ended with this code, and nobody knows yet: gives the application what was held
 * back. Returns the code that it ends with, which is another one when that is not taken. */
/* What the tap does, for what is not from the provider. */
size_t shim_tap_give(const struct shim_handle *handle, const char *bytes, size_t count);
/* Whether the sidecar has said anything. */
void shim_tap_listen(struct shim_call *call);
CURLcode shim_tap_rest(struct shim_handle *handle, CURLcode code);
/* libcurl undoes Content-Encoding for the application. */
bool shim_tap_decodes(const struct shim_handle *handle);
/* A new request of the same transfer (a redirect, a retry): its answer starts anew. */
void shim_tap_restart(struct shim_call *call);
/* Reports the end. */
void shim_tap_finish(struct shim_call *call, CURLcode code);
void shim_tap_release(struct shim_tap *tap);

/* answer.c. Points the handle at ourselves: for a refusal, or to wait inside a multi handle. False:
 * this libcurl cannot do it. */
bool shim_answer_install(struct shim_call *call);
/* Where even that cannot be had: lets libcurl fail the transfer before it connects anywhere. */
bool shim_answer_block(struct shim_handle *handle);
void shim_answer_release(struct shim_call *call);
/* In the pre-request callback of such a transfer. */
int shim_answer_prereq(struct shim_call *call);

/* multi.c: looks after the waiting calls of a multi handle, before and after libcurl's turn. True:
 * a transfer was changed, and libcurl has to be given another turn. */
bool shim_multi_turn(struct shim_multi *multi);
void shim_multi_wait(struct shim_multi *multi, struct shim_call *call);
/* After libcurl's turn: settles what has ended, without waiting for the application to ask. True: a
 * call that waits has to wait anew, and libcurl has to be given another turn. */
bool shim_multi_settle(struct shim_multi *multi);
/* The application asks what has ended: the next message, NULL: none. */
CURLMsg *shim_multi_message(struct shim_multi *multi, int *left);
/* The handle leaves the multi handle, and its messages with it; NULL: all do. One that the
 * application has got stays with the handle, as libcurl's own does. */
void shim_multi_leave(struct shim_multi *multi, const CURL *easy);
void shim_multi_forget(struct shim_call *call);
/* Counts a call that began in mid-transfer; shim_multi_forget() takes it out again. */
void shim_multi_note(const struct shim_call *call);

/* hooks_*.c, for dlsym: the hook of a function that makes a handle, for one libcurl. */
typedef void (*shim_function)(void);
shim_function shim_easy_init_door(const struct shim_curl *curl);
shim_function shim_multi_init_door(const struct shim_curl *curl);

/* Bits of a function pointer, for shim_override(). */
int64_t shim_bits(void (*function)(void));

#endif
