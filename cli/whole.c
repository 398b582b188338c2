/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball backup`, `restore` and `compact`: the ledger as a whole. The sidecar copies it while it
 * is used; it is replaced when nobody uses it: an idle sidecar is asked to end. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define LOCK_WAIT_MS 5000 /* for a sidecar that was asked to end */

/* CLI_OK, or the exit code of a mistake that has been told. argument_out NULL: none is expected. */
static int options_read(int argc, char **argv, bool *json, const char **argument_out)
{
    static const struct option rows[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    int id;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id != 'j')
            return cli_usage(argv[0], "'%s' is no option", argv[optind - 1]);
        *json = true;
    }
    if (argument_out != NULL && optind < argc)
        *argument_out = argv[optind++];
    else if (argument_out != NULL)
        return cli_usage(argv[0], "a directory is expected");
    if (optind < argc)
        return cli_usage(argv[0], "'%s' is not expected", argv[optind]);
    return CLI_OK;
}

static void print_json(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    if (text != NULL)
        (void)puts(text);
    free(text);
    json_decref(json);
}

struct apart {
    int (*work)(void *data);
    void *data;
};

static int work_and_flush(void *data)
{
    const struct apart *apart = data;
    int code = apart->work(apart->data);

    (void)fflush(stdout);
    return code;
}

int cli_apart(int (*work)(void *data), void *data, int64_t bytes, char *why, size_t size)
{
    struct apart apart = {work, data};

    (void)fflush(stdout); /* or both would write what is there */
    return side_apart(work_and_flush, &apart, bytes, why, size);
}

/* Who reads a ledger that may be damaged may die of it: then that is said. */
static int apart(int (*work)(void *data), void *data, int64_t bytes)
{
    char why[200];
    int code = cli_apart(work, data, bytes, why, sizeof why);

    return why[0] == '\0'
               ? code
               : cli_fail(code == SIDE_APART_DIED ? CLI_NOT : CLI_UNAVAILABLE, "%s", why);
}

/* ---- backup -----------------------------------------------------------------------------------
 */

static void ignore_line(void *data, const char *line, size_t length)
{
    (void)data, (void)line, (void)length;
}

struct copied {
    char dir[PATH_MAX];
    bool json;
};

/* What the sidecar has written, read by ourselves. */
static int prove_copy(void *data)
{
    const struct copied *copied = data;
    const char *dir = copied->dir;
    struct store_error error = {{0}};
    struct store_proof proof = {0};
    struct store_view *view;
    struct store *store;
    enum store_err err = store_open(dir, true, &store, &error);
    char head[65];

    if (err == STORE_OK) {
        err = store_view_open(store, &view);
        if (err == STORE_OK) {
            err = store_verify(view, NULL, NULL, NULL, &proof);
            store_view_close(view);
        }
        store_close(store);
    }
    if (err != STORE_OK)
        return cli_fail(CLI_UNAVAILABLE, "%s",
                        error.text[0] != '\0' ? error.text : store_strerror(err));
    if (!(proof.chain && proof.sums && proof.caps))
        return cli_fail(CLI_NOT, "%s: is not proven: %s", dir, proof.what);
    store_hex(proof.head, head);
    if (copied->json)
        print_json(json_pack("{s:s,s:I,s:s}", "dir", dir, "records", (json_int_t)proof.records,
                             "head", head));
    else
        (void)printf("%s: %llu records, proven, head %s\n", dir, (unsigned long long)proof.records,
                     head);
    return CLI_OK;
}

int cli_backup(int argc, char **argv)
{
    const char *name = NULL;
    struct copied copied = {.json = false};
    int code = options_read(argc, argv, &copied.json, &name);

    if (code == CLI_OK && cli_inside_run())
        code = cli_refuse_inside("backup");
    if (code == CLI_OK && !cli_ledger_is_there())
        code = cli_fail(CLI_UNAVAILABLE,
                        "there is no ledger yet; start one with `flyball run -- CMD`");
    if (code == CLI_OK &&
        ((mkdir(name, 0700) != 0 && errno != EEXIST) || realpath(name, copied.dir) == NULL))
        code = cli_fail(CLI_USAGE, "%s: %s", name, strerror(errno));
    if (code == CLI_OK)
        code =
            cli_ask(json_pack("{s:s,s:s}", "verb", "backup", "dir", copied.dir), ignore_line, NULL);
    return code == CLI_OK ? apart(prove_copy, &copied, side_ledger_bytes(copied.dir)) : code;
}

/* ---- restore, compact -------------------------------------------------------------------------
 */

/* True: no sidecar has the ledger, or the one that has it ends. start: so that the state directory
 * is there. False: it is needed; told. */
static bool sidecar_retires(int *code, bool start)
{
    struct client_link link;
    char reason[400];

    *code = CLI_OK;
    if (!cli_connect(&link, start, reason, sizeof reason))
        return true;
    client_close(&link);
    *code = cli_ask(json_pack("{s:s}", "verb", "retire"), ignore_line, NULL);
    return *code == CLI_OK;
}

struct replacing {
    struct client_place place;
    char dir[PATH_MAX];
    bool json;
};

typedef enum store_err (*replacer)(const char *home, const char *from, struct store_replaced *out,
                                   struct store_error *error);

static enum store_err compact_it(const char *home, const char *from, struct store_replaced *out,
                                 struct store_error *error)
{
    (void)from;
    return store_compact(home, out, error);
}

static int replace(const char *home, const char *from, replacer take, struct store_replaced *out)
{
    const struct timespec pause = {0, 5000000};
    struct store_error error = {{0}};
    int64_t until = client_now_ms() + LOCK_WAIT_MS;
    enum store_err err = take(home, from, out, &error);

    while (err == STORE_LOCKED && client_now_ms() < until) {
        (void)nanosleep(&pause, NULL);
        err = take(home, from, out, &error);
    }
    if (err == STORE_OK)
        return CLI_OK;
    return cli_fail(err == STORE_DAMAGED ? CLI_NOT : CLI_UNAVAILABLE, "%s",
                    error.text[0] != '\0' ? error.text : store_strerror(err));
}

static int restore(void *data)
{
    const struct replacing *restoring = data;
    struct store_replaced replaced;
    char head[65];
    int code = replace(restoring->place.home, restoring->dir, store_restore, &replaced);

    if (code != CLI_OK)
        return code;
    store_hex(replaced.head, head);
    if (restoring->json)
        print_json(json_pack("{s:I,s:s,s:s*}", "records", (json_int_t)replaced.records, "head",
                             head, "kept", replaced.kept[0] != '\0' ? replaced.kept : NULL));
    else
        (void)printf("%llu records, proven, head %s\n", (unsigned long long)replaced.records, head);
    if (!restoring->json && replaced.kept[0] != '\0')
        (void)printf("what was there is kept as %s\n", replaced.kept);
    return CLI_OK;
}

int cli_restore(int argc, char **argv)
{
    struct replacing restoring = {.json = false};
    const char *name = NULL;
    int code = options_read(argc, argv, &restoring.json, &name);

    if (code == CLI_OK && cli_inside_run())
        code = cli_refuse_inside("restore");
    if (code == CLI_OK && !cli_place(&restoring.place))
        code = cli_fail(CLI_UNAVAILABLE, CLIENT_NO_HOME);
    if (code == CLI_OK && realpath(name, restoring.dir) == NULL)
        code = cli_fail(CLI_USAGE, "%s: %s", name, strerror(errno));
    if (code != CLI_OK || !sidecar_retires(&code, true))
        return code;
    return apart(restore, &restoring, 4 * side_ledger_bytes(restoring.dir));
}

static int compact(void *data)
{
    const struct replacing *compacting = data;
    const char *home = compacting->place.home;
    long long before = side_ledger_bytes(home);
    struct store_replaced replaced;
    int code = replace(home, NULL, compact_it, &replaced);

    if (code != CLI_OK)
        return code;
    if (compacting->json)
        print_json(json_pack("{s:I,s:I,s:I}", "records", (json_int_t)replaced.records,
                             "before_bytes", (json_int_t)before, "after_bytes",
                             (json_int_t)side_ledger_bytes(home)));
    else
        (void)printf("%llu records, proven; %lld bytes -> %lld bytes\n",
                     (unsigned long long)replaced.records, before,
                     (long long)side_ledger_bytes(home));
    return CLI_OK;
}

int cli_compact(int argc, char **argv)
{
    struct replacing compacting = {.json = false};
    int code = options_read(argc, argv, &compacting.json, NULL);

    if (code == CLI_OK && cli_inside_run())
        code = cli_refuse_inside("compact");
    if (code == CLI_OK && !cli_place(&compacting.place))
        code = cli_fail(CLI_UNAVAILABLE, CLIENT_NO_HOME);
    if (code == CLI_OK && !cli_ledger_is_there())
        code = cli_fail(CLI_UNAVAILABLE,
                        "there is no ledger yet; start one with `flyball run -- CMD`");
    if (code != CLI_OK || !sidecar_retires(&code, false))
        return code;
    return apart(compact, &compacting, 4 * side_ledger_bytes(compacting.place.home));
}
