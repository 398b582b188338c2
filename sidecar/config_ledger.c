/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, its part about the ledger: what is written down elsewhere, what may go. */
#include "sidecar/side_config.h"
#include "sidecar/side_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANCHOR_EVERY_MS 600000
#define ANCHOR_LEAST_MS 1000
#define RETENTION_LEAST (INT64_C(32) * 86400000) /* a month's window can be counted again */
#define RETENTION_MOST  (INT64_C(36500) * 86400000)

bool side_read_path(struct side_reader *reader, const yaml_node_t *value, char *out, size_t size)
{
    const char *text = side_read_text(reader, value), *slash = strrchr(reader->file, '/');
    int length;

    if (text == NULL)
        return false;
    if (*text == '/' || slash == NULL)
        length = snprintf(out, size, "%s", text);
    else
        length = snprintf(out, size, "%.*s/%s", (int)(slash - reader->file), reader->file, text);
    if (*text == '\0' || length < 0 || (size_t)length >= size)
        return side_read_fail(reader, value, "'%.60s' is no name of a file", text);
    return true;
}

static bool duration(struct side_reader *reader, const yaml_node_t *value, int64_t least,
                     int64_t most, const char *example, int64_t *out)
{
    const char *text = side_read_text(reader, value);

    if (text == NULL)
        return false;
    if (!side_duration_parse(text, out) || *out < least || *out > most)
        return side_read_fail(reader, value, "'%s' is not a duration %s", text, example);
    return true;
}

bool side_read_retention(struct side_reader *reader, const yaml_node_t *value)
{
    return duration(reader, value, RETENTION_LEAST, RETENTION_MOST,
                    "of 32 days or more, such as 90d", &reader->spec->keeping.retention_ms);
}

static bool anchor_every(struct side_reader *reader, const yaml_node_t *value)
{
    return duration(reader, value, ANCHOR_LEAST_MS, RETENTION_MOST,
                    "of a second or more, such as 10m", &reader->spec->keeping.anchor_ms);
}

static bool anchor_file(struct side_reader *reader, const yaml_node_t *value)
{
    struct side_keeping *keeping = &reader->spec->keeping;

    char path[sizeof keeping->anchor_file], here[PATH_MAX] = "";
    int length;

    if (!side_read_path(reader, value, path, sizeof path))
        return false;
    if (path[0] != '/' && getcwd(here, sizeof here) == NULL) /* the sidecar is elsewhere */
        return side_read_fail(reader, value, "%s: %s", path, strerror(errno));
    length = snprintf(keeping->anchor_file, sizeof keeping->anchor_file, "%s%s%s", here,
                      path[0] != '/' ? "/" : "", path);
    return (length > 0 && (size_t)length < sizeof keeping->anchor_file) ||
           side_read_fail(reader, value, "'%.60s': the name is too long", path);
}

static bool anchor_word(struct side_reader *reader, const yaml_node_t *node)
{
    const char *text = side_read_text(reader, node);
    char *at = reader->spec->keeping.anchor_words, *end = at + SIDE_WORDS;

    if (text == NULL)
        return false;
    while (*at != '\0')
        at += strlen(at) + 1;
    if (*text == '\0' || (size_t)(end - at) < strlen(text) + 2)
        return side_read_fail(reader, node, "an empty word, or a command that is too long");
    memcpy(at, text, strlen(text) + 1);
    return true;
}

static bool anchor_command(struct side_reader *reader, const yaml_node_t *value)
{
    memset(reader->spec->keeping.anchor_words, 0, SIDE_WORDS);
    return side_read_list(reader, value, anchor_word);
}

bool side_read_anchor(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"every", anchor_every}, {"file", anchor_file}, {"command", anchor_command}, {NULL, NULL}};
    struct side_keeping *keeping = &reader->spec->keeping;

    keeping->anchor_ms = ANCHOR_EVERY_MS;
    keeping->anchor_file[0] = '\0';
    keeping->anchor_words[0] = '\0';
    if (!side_read_map(reader, value, keys))
        return false;
    return (keeping->anchor_file[0] != '\0') != (keeping->anchor_words[0] != '\0') ||
           side_read_fail(reader, value, "an anchor needs a 'file' or a 'command'");
}
