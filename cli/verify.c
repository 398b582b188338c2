/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball verify`: asks the sidecar; where none runs, takes the ledger's lock and reads it itself.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define VERIFY_BY_SIDECAR SIDE_APART_MOST

struct wish {
    const char *head;
    bool json;
    struct client_place place;
};

static void print_proof(const json_t *proof)
{
    static const char *const names[] = {"chain", "sums", "caps"};
    static const char *const words[] = {
        "every record is the one that was written, and none is missing",
        "counters, calls and runs are the sums of their records",
        "no admission passed a limit that was in force"};
    const json_t *checks = json_object_get(proof, "checks");
    const char *what = json_string_value(json_object_get(proof, "what"));
    const char *head = json_string_value(json_object_get(proof, "head"));

    for (unsigned i = 0; i < 3; i++)
        (void)printf("%-6s %-4s %s\n", names[i],
                     json_is_true(json_object_get(checks, names[i])) ? "ok" : "NOT", words[i]);
    (void)printf("%lld records, head %s\n",
                 (long long)json_integer_value(json_object_get(proof, "records")),
                 head != NULL ? head : "unknown");
    if (what != NULL)
        (void)printf("%s\n", what);
}

static void take_proof(void *data, const char *line, size_t length)
{
    const struct wish *wish = data;
    json_t *proof = wish->json ? NULL : json_loadb(line, length, 0, NULL);

    if (proof != NULL)
        print_proof(proof);
    else
        (void)printf("%.*s\n", (int)length, line);
    json_decref(proof);
}

/* ---- without a sidecar -------------------------------------------------------------------- */

static void show_progress(void *data, uint64_t done, uint64_t all)
{
    (void)data;
    if (isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r%llu of %llu records", (unsigned long long)done,
                      (unsigned long long)all);
}

static void tell(const struct wish *wish, const struct store_proof *proof)
{
    json_t *json = side_proof_json(proof);
    char *text = json_dumps(json, JSON_COMPACT);

    if (text != NULL)
        take_proof((void *)(uintptr_t)wish, text, strlen(text));
    free(text);
    json_decref(json);
}

static int prove(struct store *store, const struct wish *wish)
{
    struct store_proof proof;
    struct store_view *view;
    uint8_t head[32];
    enum store_err err = STORE_OK;

    if (wish->head != NULL)
        (void)side_hash_parse(wish->head, head);
    err = store_view_open(store, &view);
    if (err == STORE_OK) {
        err = store_verify(view, wish->head != NULL ? head : NULL, show_progress, NULL, &proof);
        store_view_close(view);
    }
    if (isatty(STDERR_FILENO))
        (void)fputs("\r\033[K", stderr);
    if (err != STORE_OK)
        return cli_fail(CLI_UNAVAILABLE, "%s", store_strerror(err));
    tell(wish, &proof);
    return proof.chain && proof.sums && proof.caps ? CLI_OK : CLI_NOT;
}

static int open_and_prove(void *data)
{
    const struct wish *wish = data;
    struct store_error error = {{0}};
    struct store *store;
    enum store_err err = store_open(wish->place.home, true, &store, &error);
    int code;

    if (err == STORE_SCHEMA_OLDER) /* the sidecar brings it over, or says why it cannot */
        return VERIFY_BY_SIDECAR;
    if (err != STORE_OK)
        return cli_fail(err == STORE_DAMAGED ? CLI_NOT : CLI_UNAVAILABLE, "%s",
                        error.text[0] != '\0' ? error.text : store_strerror(err));
    code = prove(store, wish);
    store_close(store);
    return code;
}

static int verify_alone(struct wish *wish)
{
    struct store_proof proof = {0};
    int code = cli_apart(open_and_prove, wish, side_ledger_bytes(wish->place.home), proof.what,
                         sizeof proof.what);

    if (code == SIDE_APART_NONE)
        return cli_fail(CLI_UNAVAILABLE, "%s", proof.what);
    if (code != SIDE_APART_DIED)
        return code;
    tell(wish, &proof);
    return CLI_NOT;
}

static bool sidecar_runs(void)
{
    struct client_link link;
    char reason[300];

    if (!cli_connect(&link, false, reason, sizeof reason))
        return false;
    client_close(&link);
    return true;
}

int cli_verify(int argc, char **argv)
{
    static const struct option rows[] = {{"head", required_argument, NULL, 'h'},
                                         {"json", no_argument, NULL, 'j'},
                                         {NULL, 0, NULL, 0}};
    struct wish wish = {0};
    uint8_t head[32];
    json_t *request;
    int id, code = VERIFY_BY_SIDECAR;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id == 'h')
            wish.head = optarg;
        else if (id == 'j')
            wish.json = true;
        else
            return cli_usage("verify", "'%s' is no option, or needs a value", argv[optind - 1]);
    }
    if (optind < argc)
        return cli_usage("verify", "'%s': no argument is expected", argv[optind]);
    if (wish.head != NULL && !side_hash_parse(wish.head, head))
        return cli_usage("verify", "--head: '%s' is not 64 hex digits", wish.head);
    if (!cli_ledger_is_there())
        return cli_fail(CLI_UNAVAILABLE,
                        "there is no ledger yet; start one with `flyball run -- CMD`");
    if (!sidecar_runs())
        code = cli_place(&wish.place) ? verify_alone(&wish)
                                      : cli_fail(CLI_UNAVAILABLE, CLIENT_NO_HOME);
    if (code != VERIFY_BY_SIDECAR)
        return code;
    request = json_pack("{s:s}", "verb", "verify");
    if (wish.head != NULL)
        (void)json_object_set_new(request, "head", json_string(wish.head));
    return cli_ask(request, take_proof, &wish);
}
