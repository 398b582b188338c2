/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball doctor`: whether Flyball can work here, part by part, and what to do where it cannot. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

#define CHECKS_MAX 8u
#define TEXT_MOST  600u

extern char **environ;

struct check {
    const char *name;
    bool ok;
    char text[600];
};

static void note(struct check *check, const char *name, bool ok, const char *text)
{
    check->name = name;
    check->ok = ok;
    (void)snprintf(check->text, sizeof check->text, "%s", text);
}

/* ---- the parts ---------------------------------------------------------------------------- */

static void check_home(struct check *check)
{
    struct client_place place;
    struct stat info;
    char text[600];

    if (!cli_place(&place)) {
        note(check, "state directory", false, "there is none: set FLYBALL_HOME or HOME");
        return;
    }
    if (stat(place.home, &info) != 0) {
        (void)snprintf(text, sizeof text, "%s (%s)", place.home,
                       errno == ENOENT ? "will be made" : strerror(errno));
        note(check, "state directory", errno == ENOENT, text);
        return;
    }
    (void)snprintf(text, sizeof text, "%s%s", place.home,
                   access(place.home, W_OK) == 0 ? "" : ": cannot be written");
    note(check, "state directory", access(place.home, W_OK) == 0, text);
}

static void check_config(struct check *check)
{
    struct side_spec *spec = calloc(1, sizeof *spec);
    struct side_error error = {{0}};
    bool ok;

    if (spec == NULL) {
        note(check, "configuration", false, "out of memory");
        return;
    }
    side_spec_init(spec);
    ok = side_config_read(spec, NULL, NULL, (const char *const *)environ, &error) &&
         side_spec_env(spec, (const char *const *)environ, &error);
    free(spec);
    note(check, "configuration", ok, ok ? "can be read" : error.text);
}

/* What is not well where the ledger is, behind what is; where operators' HTTP is. */
static void take_ping(void *data, const char *line, size_t length)
{
    json_t *json = json_loadb(line, length, 0, NULL);
    const char *warning = json_string_value(json_object_get(json, "warning"));
    const char *url = json_string_value(json_object_get(json, "control"));
    const char *error = json_string_value(json_object_get(json, "control_error"));
    char *text = data;

    (void)snprintf(text + strlen(text), TEXT_MOST - strlen(text), "; control plane: %s%s",
                   url != NULL ? url : "none, ", url == NULL && error != NULL ? error : "");
    if (warning != NULL && warning[0] != '\0')
        (void)snprintf(text + strlen(text), TEXT_MOST - strlen(text), "; %s", warning);
    json_decref(json);
}

static void check_sidecar(struct check *check)
{
    struct client_link link;
    char reason[400], text[TEXT_MOST];

    if (!cli_connect(&link, true, reason, sizeof reason)) {
        (void)snprintf(text, sizeof text, "cannot be started: %s", reason);
        note(check, "sidecar", false, text);
        return;
    }
    client_close(&link);
    (void)snprintf(text, sizeof text, "answers, and has the ledger open");
    (void)cli_ask(json_pack("{s:s}", "verb", "ping"), take_ping, text);
    note(check, "sidecar", true, text);
}

static void check_preload(struct check *check)
{
    char path[700], why[800];

    if (cli_preload(path, sizeof path, why, sizeof why))
        note(check, "libflyball.so", true, path);
    else
        note(check, "libflyball.so", false, why);
}

/* The preloaded object in a program that uses libcurl: the loader says on stderr when it cannot. */
static void check_curl(struct check *check)
{
    char path[700], why[800], command[900], line[256] = "", version[64], library[64], tls[64];
    FILE *pipe;
    int status;

    if (!cli_preload(path, sizeof path, why, sizeof why)) {
        note(check, "curl", false, "cannot be tried without libflyball.so");
        return;
    }
    (void)snprintf(command, sizeof command, "LD_PRELOAD='%s' curl --version 2>&1", path);
    pipe = popen(command, "re");
    if (pipe == NULL || fgets(line, sizeof line, pipe) == NULL)
        line[0] = '\0';
    status = pipe != NULL ? pclose(pipe) : -1;
    line[strcspn(line, "\n")] = '\0';
    if (status != 0 && strstr(line, "not found") != NULL) {
        note(check, "curl", true, "not installed; other users of libcurl are governed alike");
    } else if (status == 0 && sscanf(line, "curl %63s %*s %63s %63s", version, library, tls) == 3) {
        (void)snprintf(line, sizeof line, "%s, with %s and %s", version, library, tls);
        note(check, "curl", true, line);
    } else {
        note(check, "curl", false, line);
    }
}

static void check_prices(struct check *check)
{
    char text[100];

    (void)snprintf(text, sizeof text, "of %s", meter_price_book_date(meter_price_book_shipped()));
    note(check, "prices", true, text);
}

/* ---- the command -------------------------------------------------------------------------- */

static void print_json(const struct check *checks, unsigned count, bool well)
{
    json_t *list = json_array(), *json;
    char *text;

    for (unsigned i = 0; i < count; i++)
        (void)json_array_append_new(list, json_pack("{s:s,s:b,s:s}", "name", checks[i].name, "ok",
                                                    checks[i].ok, "text", checks[i].text));
    json = json_pack("{s:b,s:s,s:o}", "ok", well, "level", "metered", "checks", list);
    text = json_dumps(json, JSON_COMPACT);
    (void)puts(text != NULL ? text : "{}");
    free(text);
    json_decref(json);
}

int cli_doctor(int argc, char **argv)
{
    static void (*const parts[])(struct check *) = {check_home,    check_config, check_preload,
                                                    check_sidecar, check_curl,   check_prices};
    struct check checks[CHECKS_MAX];
    unsigned count = sizeof parts / sizeof parts[0];
    bool well = true, want_json = argc == 2 && strcmp(argv[1], "--json") == 0;

    if (argc > (want_json ? 2 : 1))
        return cli_usage("doctor", "'%s' is not expected", argv[1]);
    for (unsigned i = 0; i < count; i++) {
        parts[i](&checks[i]);
        well = well && checks[i].ok;
    }
    if (want_json)
        print_json(checks, count, well);
    for (unsigned i = 0; i < count && !want_json; i++)
        (void)printf("%-4s %-16s %s\n", checks[i].ok ? "ok" : "NOT", checks[i].name,
                     checks[i].text);
    if (!want_json && well)
        (void)printf("programs that use libcurl can be governed here; level metered\n");
    return well ? CLI_OK : CLI_NOT;
}
