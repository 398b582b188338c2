/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching the sidecar, starting one when none runs, and the small things that everybody who speaks
 * to it needs: where the state directory is, ids. Used by the preloaded object and by the
 * operator's command; libc alone, thread-safe, nothing kept open.
 *
 * Caveats. In a host process any descriptor may be closed and its number used again for something
 * else: a link is only used after a look at its socket's cookie. */
#ifndef FLYBALL_CLIENT_H
#define FLYBALL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENT_START_MS 3000 /* for a sidecar that is being started */

struct client_place {
    char home[512];      /* the state directory; "" when none can be found */
    char directory[512]; /* of our own file: the sidecar's program is found from there */
};

/* FLYBALL_HOME, else XDG_STATE_HOME/flyball, else HOME/.local/state/flyball, else by the passwd
 * entry. False: none, or FLYBALL_HOME is set and no absolute path: another ledger than the one that
 * was asked for would have other limits. */
#define CLIENT_NO_HOME "no state directory: set FLYBALL_HOME to an absolute path, or HOME"
bool client_home(char *out, size_t size);

struct client_link {
    int fd;
    uint64_t cookie;
};
#define CLIENT_LINK_NONE ((struct client_link){-1, 0})

enum client_result { CLIENT_OK, CLIENT_FULL, CLIENT_LOST };

/* Connects; with start, starts a sidecar when none runs (*started_out: it did). False: reason_out
 * says why not. */
bool client_open(struct client_link *link, const struct client_place *place, bool start,
                 bool *started_out, char *reason_out, size_t reason_size);
void client_close(struct client_link *link);
bool client_live(const struct client_link *link);
/* Never blocks. fd -1: none goes with it. */
enum client_result client_send(const struct client_link *link, const void *frame, size_t count,
                               int fd);
/* The same for a frame in two pieces: it need not be put together first. */
enum client_result client_send_pieces(const struct client_link *link, const void *head,
                                      size_t head_count, const void *rest, size_t rest_count);
/* The same for the last frame of a link: finds room where the other frames have left none. */
enum client_result client_send_last(const struct client_link *link, const void *frame,
                                    size_t count);
/* The next frame if there is one: its length, 0 when there is none, -1 when the link is lost. Waits
 * up to wait_ms; a signal does not end the wait. fd_out: a descriptor that came with it, or -1. */
ssize_t client_receive(const struct client_link *link, void *frame, size_t size, int wait_ms,
                       int *fd_out);
/* Waits until a frame may be sent. */
bool client_room(const struct client_link *link, int wait_ms);
/* The turn to start a sidecar, of the processes of one home: when one has ended its callers all
 * come at once, and each that loads only to find another one there is in the way of that one. A
 * lock's descriptor; -1: there can be none, so everybody has the turn. */
int client_turn(const char *home);
bool client_turn_take(int turn);
void client_turn_end(int turn);
/* Starts a sidecar and waits until it answers or fails. True: it may be connected to now. */
bool client_start(const struct client_place *place, char *reason_out, size_t reason_size);

/* Maps a memfd of this many bytes or more that somebody else made, writable with them or for
 * reading alone. NULL: it is none, or its owner could still shorten it (a page that is gone ends
 * whoever reads it), or change what is only to be read. */
void *client_map(int fd, size_t bytes, bool writable);
/* Moves a descriptor out of a host's way: high, close-on-exec; closes the old one. */
int client_fd_away(int fd);
int64_t client_now_ms(void); /* monotonic */
/* RFC 9562, version 7. */
void client_uuid7(unsigned char out[16]);
void client_uuid_text(const unsigned char id[16], char out[37]);
/* 32 hex digits, dashes between them allowed; false: it is not that. */
bool client_hex16(const char *text, unsigned char out[16]);

#endif
