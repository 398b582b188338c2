/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to the sidecar, one question per connection. */
#include "cli/cli.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/wire.h"

bool cli_place(struct client_place *place)
{
    ssize_t length;
    char *slash;

    place->directory[0] = '\0';
    length = readlink("/proc/self/exe", place->directory, sizeof place->directory - 1);
    place->directory[length > 0 ? length : 0] = '\0';
    slash = strrchr(place->directory, '/');
    if (slash != NULL)
        *slash = '\0';
    return client_home(place->home, sizeof place->home);
}

const char *cli_login(void)
{
    const struct passwd *entry = getpwuid(getuid());
    static char text[32];

    if (entry != NULL)
        (void)snprintf(text, sizeof text, "%s", entry->pw_name);
    else
        (void)snprintf(text, sizeof text, "uid %ld", (long)getuid());
    return text;
}

bool cli_ledger_is_there(void)
{
    struct client_place place;
    char path[sizeof place.home + 16];

    if (!cli_place(&place))
        return true; /* whoever asks is told so */
    (void)snprintf(path, sizeof path, "%s/ledger.mdb", place.home);
    return access(path, F_OK) == 0 || errno != ENOENT;
}

bool cli_connect(struct client_link *link, bool start, char *reason, size_t reason_size)
{
    struct client_place place;
    bool started;

    if (!cli_place(&place)) {
        (void)snprintf(reason, reason_size, CLIENT_NO_HOME);
        return false;
    }
    return client_open(link, &place, start, &started, reason, reason_size);
}

bool cli_send(const struct client_link *link, json_t *request)
{
    return cli_send_with(link, request, -1);
}

bool cli_send_with(const struct client_link *link, json_t *request, int fd)
{
    char *text = json_dumps(request, JSON_COMPACT);
    unsigned char *frame = malloc(WIRE_FRAME_MAX);
    struct wire_writer w;
    bool ok = false;

    if (text != NULL && frame != NULL) {
        wire_begin(&w, frame, WIRE_FRAME_MAX, WIRE_REQUEST);
        wire_raw(&w, text, strlen(text));
        ok = !w.overflow && client_send(link, frame, w.used, fd) == CLIENT_OK;
    }
    free(text);
    free(frame);
    json_decref(request);
    return ok;
}

static void hear(struct cli_word *word, const unsigned char *frame, size_t count)
{
    struct wire_reader r;
    struct wire_head head;
    struct wire_value value;

    word->said = CLI_SAID_LOST;
    word->length = 0;
    word->text[0] = '\0';
    if (!wire_open(&r, frame, count, &head))
        return;
    if (head.type == WIRE_MISMATCH || head.version != WIRE_VERSION) {
        word->said = CLI_SAID_DONE;
        word->status = CLI_UNAVAILABLE;
        (void)snprintf(word->text, sizeof word->text,
                       "version_mismatch: the running flyballd speaks another version than this "
                       "flyball (%u); end the old one",
                       WIRE_VERSION);
    } else if (head.type == WIRE_REPLY || head.type == WIRE_NOTICE) {
        word->said = head.type == WIRE_REPLY ? CLI_SAID_REPLY : CLI_SAID_NOTICE;
        word->length = r.left < sizeof word->text ? r.left : sizeof word->text - 1;
        memcpy(word->text, r.at, word->length);
        word->text[word->length] = '\0';
    } else if (head.type == WIRE_DONE) {
        word->said = CLI_SAID_DONE;
        while (wire_next(&r, &value))
            if (value.tag == WIRE_STATUS)
                word->status = (int)wire_number(&value);
            else if (value.tag == WIRE_TEXT)
                (void)wire_text(&value, word->text, sizeof word->text);
    } else {
        word->said = CLI_SAID_NOTHING;
    }
}

void cli_listen(const struct client_link *link, int wait_ms, struct cli_word *word)
{
    unsigned char *frame = malloc(WIRE_FRAME_MAX);
    int fd = -1;
    ssize_t count = frame != NULL ? client_receive(link, frame, WIRE_FRAME_MAX, wait_ms, &fd) : -1;

    word->said = count < 0 ? CLI_SAID_LOST : CLI_SAID_NOTHING;
    word->status = 0;
    if (fd >= 0)
        (void)close(fd);
    if (count > 0)
        hear(word, frame, (size_t)count);
    free(frame);
}

/* Lines come in pieces: keeps what has no end yet. */
static bool lines_add(struct cli_asking *asking, const char *bytes, size_t count)
{
    size_t at = 0;
    char *end;

    if (asking->used + count > asking->size) {
        size_t size = 2 * (asking->used + count);
        char *grown = realloc(asking->kept, size);

        if (grown == NULL)
            return false;
        asking->kept = grown;
        asking->size = size;
    }
    memcpy(asking->kept + asking->used, bytes, count);
    asking->used += count;
    while ((end = memchr(asking->kept + at, '\n', asking->used - at)) != NULL) {
        asking->each(asking->data, asking->kept + at, (size_t)(end - asking->kept) - at);
        at = (size_t)(end - asking->kept) + 1;
    }
    asking->used -= at;
    memmove(asking->kept, asking->kept + at, asking->used);
    return true;
}

bool cli_asking_begin(struct cli_asking *asking, bool start, json_t *request, cli_each *each,
                      void *data, char *reason, size_t reason_size)
{
    bool ok;

    *asking = (struct cli_asking){.link = CLIENT_LINK_NONE, .each = each, .data = data};
    asking->word = malloc(sizeof *asking->word);
    (void)snprintf(reason, reason_size, "out of memory");
    ok = asking->word != NULL && cli_connect(&asking->link, start, reason, reason_size);
    if (!ok)
        json_decref(request);
    else if (!cli_send(&asking->link, request)) {
        (void)snprintf(reason, reason_size, CLI_CLOSED);
        ok = false;
    }
    if (!ok)
        cli_asking_end(asking);
    return ok;
}

enum cli_said cli_asking_hear(struct cli_asking *asking, int wait_ms)
{
    struct cli_word *word = asking->word;

    cli_listen(&asking->link, wait_ms, word);
    if (word->said == CLI_SAID_REPLY && !lines_add(asking, word->text, word->length))
        word->said = CLI_SAID_LOST;
    return word->said;
}

void cli_asking_end(struct cli_asking *asking)
{
    client_close(&asking->link);
    free(asking->kept);
    free(asking->word);
    *asking = (struct cli_asking){.link = CLIENT_LINK_NONE};
}

int cli_question(json_t *request, cli_each *each, void *data, char *why, size_t why_size)
{
    struct cli_asking asking;
    char reason[400];
    int code = CLI_UNAVAILABLE;
    enum cli_said said = CLI_SAID_NOTHING;

    if (!cli_asking_begin(&asking, true, request, each, data, reason, sizeof reason)) {
        (void)snprintf(why, why_size, "the sidecar is not to be had: %s", reason);
        return code;
    }
    while (said != CLI_SAID_LOST && said != CLI_SAID_DONE)
        said = cli_asking_hear(&asking, 3600000);
    if (said == CLI_SAID_DONE)
        code = asking.word->status;
    (void)snprintf(why, why_size, "%s", said == CLI_SAID_DONE ? asking.word->text : CLI_CLOSED);
    cli_asking_end(&asking);
    return code;
}

int cli_ask(json_t *request, cli_each *each, void *data)
{
    char why[1024];
    int code = cli_question(request, each, data, why, sizeof why);

    return why[0] != '\0' ? cli_fail(code, "%s", why) : code;
}

bool cli_amount_of(const json_t *map, enum gov_dim dim, int64_t *out)
{
    const json_t *value = json_object_get(map, gov_dim_name(dim));

    if (json_is_integer(value))
        *out = json_integer_value(value);
    return json_is_integer(value) ||
           (json_is_string(value) &&
            meter_usd_parse(json_string_value(value), json_string_length(value), out));
}
