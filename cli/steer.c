/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball snapshot`; `flyball profile` and `flyball cooldown`: what an operator chooses for every
 * run. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

extern char **environ;

struct asked {
    const char *command;
    bool json;
    const char *actor, *reason;
    const char *provider; /* of lines, those of this one; NULL: all */
    char **words;         /* the arguments */
    int count;
};

static const struct option rows[] = {
    {"actor", required_argument, NULL, 'a'},
    {"reason", required_argument, NULL, 'r'},
    {"json", no_argument, NULL, 'j'},
    {NULL, 0, NULL, 0},
};

static int asked_read(int argc, char **argv, struct asked *out)
{
    int id;

    *out = (struct asked){.command = argv[0], .actor = cli_login()};
    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id == '?')
            return cli_usage(argv[0], "'%s' is no option, or needs a value", argv[optind - 1]);
        if (id == 'j')
            out->json = true;
        else if (id == 'a')
            out->actor = optarg;
        else
            out->reason = optarg;
    }
    out->words = argv + optind;
    out->count = argc - optind;
    return CLI_OK;
}

static bool said(const struct asked *asked, int count, const char *word)
{
    return asked->count == count && strcmp(asked->words[0], word) == 0;
}

/* None of the verbs, or not as it has to stand. */
static int not_said(const struct asked *asked, const char *verbs)
{
    const char *word = asked->words[0];

    return cli_no_verb(asked->command, word == NULL || strstr(verbs, word) != NULL ? NULL : word,
                       verbs);
}

static void take_line(void *data, const char *line, size_t length)
{
    const struct asked *asked = data;
    json_t *json = json_loadb(line, length, 0, NULL);
    const char *profile = json_string_value(json_object_get(json, "profile"));
    const char *provider = json_string_value(json_object_get(json, "provider"));

    if (asked->provider != NULL && (provider == NULL || strcmp(provider, asked->provider) != 0))
        ; /* of another one */
    else if (asked->json)
        (void)printf("%.*s\n", (int)length, line);
    else if (profile != NULL)
        (void)printf("%s\n", profile);
    else if (provider != NULL)
        (void)printf("%-16s until %s\n", provider,
                     json_string_value(json_object_get(json, "until")));
    json_decref(json);
}

/* An operator's word; the request is taken. */
static int say(struct asked *asked, const char *what, json_t *request)
{
    struct side_error error = {{0}};

    if (cli_inside_run()) {
        json_decref(request);
        return cli_refuse_inside(what);
    }
    if (!cli_text_put(request, "actor", asked->actor, &error) ||
        (asked->reason != NULL && !cli_text_put(request, "reason", asked->reason, &error))) {
        json_decref(request);
        return cli_usage(asked->command, "%s", error.text);
    }
    return cli_ask(request, take_line, asked);
}

int cli_profile(int argc, char **argv)
{
    struct asked asked;
    int code = asked_read(argc, argv, &asked);

    if (code != CLI_OK)
        return code;
    if (said(&asked, 1, "get"))
        return cli_ask(json_pack("{s:s}", "verb", "profile.get"), take_line, &asked);
    if (!said(&asked, 2, "set"))
        return not_said(&asked, "get, set PROFILE");
    if (gov_quality_by_name(asked.words[1]) == GOV_QUALITIES && strcmp(asked.words[1], "auto") != 0)
        return cli_usage("profile", "'%s' is none of performance, balanced, economy, auto",
                         asked.words[1]);
    return say(&asked, "profile set",
               json_pack("{s:s,s:s}", "verb", "profile.set", "profile", asked.words[1]));
}

int cli_cooldown(int argc, char **argv)
{
    struct asked asked;
    int64_t ms = 60000;
    int code = asked_read(argc, argv, &asked);

    if (code != CLI_OK)
        return code;
    if (said(&asked, 1, "list"))
        return cli_ask(json_pack("{s:s}", "verb", "cooldown.list"), take_line, &asked);
    if (!said(&asked, 2, "set") && !said(&asked, 3, "set") && !said(&asked, 2, "clear"))
        return not_said(&asked, "list, set PROVIDER [DUR], clear PROVIDER");
    if (meter_provider_by_name(asked.words[1]) == NULL)
        return cli_usage("cooldown",
                         "no provider is called '%s'; `flyball prices list` has their names",
                         asked.words[1]);
    if (said(&asked, 3, "set") &&
        (!side_duration_parse(asked.words[2], &ms) || ms < 1 || ms > GOV_COOLDOWN_MOST_MS))
        return cli_usage("cooldown", "'%s' is not a duration up to an hour, such as 90s",
                         asked.words[2]);
    if (said(&asked, 2, "clear"))
        ms = 0;
    code = say(&asked, ms > 0 ? "cooldown set" : "cooldown clear",
               json_pack("{s:s,s:s,s:I}", "verb", "cooldown.set", "provider", asked.words[1], "ms",
                         (json_int_t)ms));
    asked.provider = asked.words[1]; /* one that ran longer has not been shortened */
    return code == CLI_OK && ms > 0
               ? cli_ask(json_pack("{s:s}", "verb", "cooldown.list"), take_line, &asked)
               : code;
}

/* In which the day is that a run was in which is over. */
static bool timezone_put(json_t *request, struct side_error *error)
{
    struct side_spec *spec = calloc(1, sizeof *spec);
    bool ok = spec != NULL || side_fail(error, "out of memory");

    if (ok)
        side_spec_init(spec);
    ok = ok && side_config_read(spec, NULL, NULL, (const char *const *)environ, error);
    if (ok)
        (void)json_object_set_new(request, "timezone", json_string(spec->timezone));
    free(spec);
    return ok;
}

int cli_snapshot(int argc, char **argv)
{
    static const struct option selectors[] = {{"run", required_argument, NULL, 'r'},
                                              {"session", required_argument, NULL, 's'},
                                              {NULL, 0, NULL, 0}};
    struct asked asked = {.json = true};
    json_t *request = json_pack("{s:s}", "verb", "snapshot");
    struct side_error error = {{0}};
    int id, code = CLI_OK;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", selectors, NULL)) != -1 && code == CLI_OK) {
        if (id == '?')
            code = cli_usage("snapshot", "'%s' is no option, or needs a value", argv[optind - 1]);
        else
            (void)json_object_set_new(request, id == 'r' ? "run" : "session", json_string(optarg));
    }
    if (code == CLI_OK && optind != argc)
        code = cli_usage("snapshot", "'%s': no argument is expected", argv[optind]);
    if (code == CLI_OK && !timezone_put(request, &error))
        code = cli_usage("snapshot", "%s", error.text);
    if (code == CLI_OK)
        return cli_ask(request, take_line, &asked);
    json_decref(request);
    return code;
}
