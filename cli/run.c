/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball run`: from flags, environment and configuration to an open run, a started program, and
 * its end. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch.h"

/* ---- what is asked for -------------------------------------------------------------------- */

enum option_id {
    OPTION_DIM = 1000, /* + enum gov_dim */
    OPTION_MAX = 2000,
    OPTION_EXHAUSTION,
    OPTION_LIMITS,
    OPTION_SESSION,
    OPTION_TASK,
    OPTION_AGENT,
    OPTION_LABEL,
    OPTION_POLICY,
    OPTION_CONFIG,
    OPTION_REQUIRE,
    OPTION_ON_EXHAUSTED,
    OPTION_METER_ONLY,
    OPTION_SUMMARY,
    OPTION_RESUME,
    OPTION_HELP,
};

static const struct option options[] = {
    {"max-cost", required_argument, NULL, OPTION_DIM + GOV_COST},
    {"max-tokens", required_argument, NULL, OPTION_DIM + GOV_TOKENS},
    {"max-steps", required_argument, NULL, OPTION_DIM + GOV_STEPS},
    {"max-time", required_argument, NULL, OPTION_DIM + GOV_WALL},
    {"max-egress", required_argument, NULL, OPTION_DIM + GOV_EGRESS},
    {"max-writes", required_argument, NULL, OPTION_DIM + GOV_WRITES},
    {"max", required_argument, NULL, OPTION_MAX},
    {"exhaustion", required_argument, NULL, OPTION_EXHAUSTION},
    {"limits", required_argument, NULL, OPTION_LIMITS},
    {"session", required_argument, NULL, OPTION_SESSION},
    {"task", required_argument, NULL, OPTION_TASK},
    {"agent", required_argument, NULL, OPTION_AGENT},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"policy", required_argument, NULL, OPTION_POLICY},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"require", required_argument, NULL, OPTION_REQUIRE},
    {"on-exhausted", required_argument, NULL, OPTION_ON_EXHAUSTED},
    {"meter-only", no_argument, NULL, OPTION_METER_ONLY},
    {"summary", required_argument, NULL, OPTION_SUMMARY},
    {"resume", required_argument, NULL, OPTION_RESUME},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

extern char **environ;

enum gov_dim cli_dim_split(const char *text, const char *what, const char **value_out,
                           struct side_error *error)
{
    static const char names[] =
#define X(number, name, phrase, reason) " " name
        GOV_DIM_MAP(X)
#undef X
        ;
    char name[64];
    size_t length = strcspn(text, "=");
    enum gov_dim dim = GOV_DIMS;

    if (text[length] == '=' && length < sizeof name) {
        memcpy(name, text, length);
        name[length] = '\0';
        dim = gov_dim_by_name(name);
        *value_out = text + length + 1;
    }
    if (dim == GOV_DIMS)
        (void)side_fail(error, "%s'%.80s' is not DIM=N with a dimension; these are:%s", what, text,
                        names);
    return dim;
}

static bool copy_name(char *out, size_t size, const char *what, const char *text,
                      struct side_error *error)
{
    if (strlen(text) >= size || *text == '\0')
        return side_fail(error, "%s: '%.80s' has to have 1 to %zu characters", what, text,
                         size - 1);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return side_fail(error, "%s: a control character is in it", what);
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool level_check(const char *level, struct side_error *error)
{
    if (strcmp(level, "metered") == 0)
        return true;
    if (strcmp(level, "guarded") != 0 && strcmp(level, "enforced") != 0)
        return side_fail(error, "--require: '%s' is none of metered, guarded, enforced", level);
    return side_fail(error, "--require: this version of Flyball reaches the level metered, not %s",
                     level);
}

/* One option, into the description of the run. The files are read before any of these. */
static bool option_apply(struct launch *launch, int id, const char *value, struct side_error *error)
{
    struct side_spec *spec = &launch->spec;
    const char *amount;
    char in_unit[SIDE_UNIT_TEXT];
    enum gov_dim dim;

    if (id >= OPTION_DIM && id < OPTION_DIM + (int)GOV_DIMS) {
        static const char *const names[GOV_DIMS] = {
            [GOV_COST] = "--max-cost",     [GOV_TOKENS] = "--max-tokens",
            [GOV_STEPS] = "--max-steps",   [GOV_WALL] = "--max-time",
            [GOV_EGRESS] = "--max-egress", [GOV_WRITES] = "--max-writes"};

        return side_spec_limit(spec, (enum gov_dim)(id - OPTION_DIM), value, names[id - OPTION_DIM],
                               SIDE_FLAG, error);
    }
    switch (id) {
    case OPTION_MAX:
        dim = cli_dim_split(value, "--max: ", &amount, error);
        return dim != GOV_DIMS && side_spec_limit(spec, dim, side_in_unit(dim, amount, in_unit),
                                                  "--max", SIDE_FLAG, error);
    case OPTION_EXHAUSTION:
        dim = cli_dim_split(value, "--exhaustion: ", &amount, error);
        return dim != GOV_DIMS && side_spec_policy(spec, dim, amount, "--exhaustion", error);
    case OPTION_LIMITS:
        return side_spec_profile(spec, value, "--limits", SIDE_FLAG, error);
    case OPTION_SESSION:
        return copy_name(spec->session, sizeof spec->session, "--session", value, error);
    case OPTION_TASK:
        return copy_name(spec->task, sizeof spec->task, "--task", value, error);
    case OPTION_LABEL:
        return side_spec_label(spec, value, error);
    case OPTION_AGENT:
        return copy_name(spec->agent, sizeof spec->agent, "--agent", value, error);
    case OPTION_REQUIRE:
        launch->ungovernable = !level_check(value, error);
        return !launch->ungovernable;
    case OPTION_ON_EXHAUSTED:
        return side_spec_on_exhausted(spec, value, "--on-exhausted", error);
    case OPTION_METER_ONLY:
        spec->meter_only = true;
        return true;
    case OPTION_SUMMARY:
        launch->summary_file = value;
        return true;
    case OPTION_RESUME:
        launch->resume = value;
        return true;
    default: /* --config, --policy: read before */
        return true;
    }
}

static bool read_files(struct launch *launch, int argc, char **argv, struct side_error *error)
{
    const char *config = NULL, *policy = NULL;
    int id;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (id == OPTION_CONFIG)
            config = optarg;
        else if (id == OPTION_POLICY)
            policy = optarg;
        else if (id == OPTION_AGENT) /* whose policy may be another one */
            (void)snprintf(launch->spec.agent, sizeof launch->spec.agent, "%s", optarg);
        else if (id == OPTION_HELP || optopt == 'h')
            return !(launch->help = true);
        else if (id == '?')
            return side_fail(error, "'%s' is no option, or needs a value", argv[optind - 1]);
    }
    return side_config_read(&launch->spec, config, policy, (const char *const *)environ, error);
}

static bool read_flags(struct launch *launch, int argc, char **argv, struct side_error *error)
{
    int id;

    optind = 0;
    while ((id = getopt_long(argc, argv, "+", options, NULL)) != -1)
        if (!option_apply(launch, id, optarg, error))
            return false;
    launch->argv = argv + optind;
    for (unsigned dim = 0; launch->resume != NULL && dim < GOV_DIMS; dim++)
        if (launch->spec.source[dim] == SIDE_FLAG)
            return side_fail(error, "--resume: the limits are those of the run; flyball extend "
                                    "raises them");
    if (optind == argc)
        return side_fail(error, "which program? flyball run [OPTIONS] -- CMD");
    return true;
}

/* ---- before the start --------------------------------------------------------------------- */

static void announce_bare(const struct side_spec *spec)
{
    const char *between = "flyball: no limit was given, so these hold:";
    char amount[SIDE_AMOUNT_TEXT];

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        if (spec->limits[dim].amount == 0)
            continue;
        (void)fprintf(stderr, "%s %s %s", between, gov_dim_phrase((enum gov_dim)dim),
                      side_amount_text((enum gov_dim)dim, spec->limits[dim].amount, amount));
        between = ",";
    }
    (void)fputs(" (--max-cost and others change them)\n", stderr);
}

/* CLI_OK: it can be started. */
static int check_program(struct launch *launch)
{
    char why[800] = "";

    switch (cli_preflight(launch->argv[0], launch->path, sizeof launch->path, why, sizeof why)) {
    case CLI_IS_MISSING:
        return cli_fail(CLI_NOT_FOUND, "%s: no such program", launch->argv[0]);
    case CLI_IS_NO_PROGRAM:
        return cli_fail(CLI_NOT_EXECUTABLE, "%s: cannot be executed", launch->argv[0]);
    case CLI_CANNOT_BE_GOVERNED:
        return cli_fail(CLI_UNGOVERNABLE, "%s; it was not started", why);
    case CLI_FLIES:
        break;
    }
    if (!cli_preload(launch->preload, sizeof launch->preload, why, sizeof why))
        return cli_fail(CLI_UNGOVERNABLE, "%s; %s was not started", why, launch->argv[0]);
    return CLI_OK;
}

static json_t *open_request(const struct launch *launch)
{
    char cwd[4096] = "";

    if (getcwd(cwd, sizeof cwd) == NULL)
        cwd[0] = '\0';
    return json_pack("{s:s,s:o,s:s,s:s,s:s,s:s*}", "verb", "run.open", "spec",
                     side_spec_json(&launch->spec), "argv0", launch->argv[0], "cwd", cwd, "level",
                     "metered", "resume", launch->resume);
}

static bool take_identity(struct launch *launch, const char *text)
{
    struct side_error error = {{0}};
    json_t *json = json_loads(text, 0, NULL);
    const char *run = json_string_value(json_object_get(json, "run_id"));
    const char *token = json_string_value(json_object_get(json, "token"));
    bool ok = run != NULL && token != NULL && strlen(run) < sizeof launch->run_id &&
              strlen(token) < sizeof launch->token;

    if (ok) {
        (void)snprintf(launch->run_id, sizeof launch->run_id, "%s", run);
        (void)snprintf(launch->token, sizeof launch->token, "%s", token);
    }
    for (unsigned dim = 0; ok && dim < GOV_DIMS; dim++)
        launch->before[dim] = json_integer_value(
            json_object_get(json_object_get(json, "used"), gov_dim_name((enum gov_dim)dim)));
    if (ok && json_object_get(json, "spec") != NULL) /* of a run that goes on */
        ok = side_spec_parse(json_object_get(json, "spec"), &launch->spec, &error);
    json_decref(json);
    return ok;
}

static int open_run(struct launch *launch)
{
    struct cli_word *word = malloc(sizeof *word);
    char reason[400] = "out of memory";
    int code = CLI_UNGOVERNABLE;

    if (word == NULL || !cli_connect(&launch->link, true, reason, sizeof reason)) {
        free(word);
        return cli_fail(code, "%s was not started: the sidecar is not to be had: %s",
                        launch->argv[0], reason);
    }
    launch->page_fd = page_make();
    word->said = cli_send_with(&launch->link, open_request(launch), launch->page_fd)
                     ? CLI_SAID_NOTHING
                     : CLI_SAID_LOST;
    while (word->said != CLI_SAID_DONE && word->said != CLI_SAID_LOST) {
        cli_listen(&launch->link, LAUNCH_PATIENCE_MS, word);
        if (word->said == CLI_SAID_NOTHING)
            word->said = CLI_SAID_LOST;
        if (word->said == CLI_SAID_REPLY && !take_identity(launch, word->text))
            word->said = CLI_SAID_LOST;
    }
    if (word->said == CLI_SAID_DONE && word->status == 0)
        code = CLI_OK;
    else if (word->said == CLI_SAID_DONE)
        (void)cli_fail(code, "%s was not started: %s", launch->argv[0], word->text);
    else
        (void)cli_fail(code, "%s was not started: the sidecar does not answer", launch->argv[0]);
    free(word);
    return code;
}

static bool environment_make(const struct launch *launch)
{
    struct client_place place;
    const char *theirs = getenv("LD_PRELOAD");
    char *preload = NULL;
    bool ok;

    if (asprintf(&preload, "%s%s%s", launch->preload, theirs != NULL && *theirs != '\0' ? ":" : "",
                 theirs != NULL && strcmp(theirs, launch->preload) != 0 ? theirs : "") < 0)
        return false;
    ok = cli_place(&place) && setenv("LD_PRELOAD", preload, 1) == 0 &&
         setenv("FLYBALL_HOME", place.home, 1) == 0 &&
         setenv("FLYBALL_RUN", launch->run_id, 1) == 0 &&
         setenv("FLYBALL_TOKEN", launch->token, 1) == 0;
    free(preload);
    return ok;
}

/* ---- the command -------------------------------------------------------------------------- */

/* What cannot be written is told before anything is spent. */
static bool summary_can_be_written(const struct launch *launch)
{
    FILE *file = launch->summary_file != NULL ? fopen(launch->summary_file, "ae") : NULL;

    if (file != NULL)
        (void)fclose(file);
    return file != NULL || launch->summary_file == NULL;
}

/* What is asked for and cannot be had here is told before anything starts. */
static int check_wishes(const struct launch *launch)
{
    const struct gov_limit *limits = launch->spec.limits;

    if (!summary_can_be_written(launch))
        return cli_usage("run", "--summary %s: %s", launch->summary_file, strerror(errno));
    if ((limits[GOV_WRITES].amount > 0 || limits[GOV_COMMAND].amount > 0) && !tree_can_measure())
        return cli_fail(CLI_UNGOVERNABLE,
                        "%s was not started: this kernel does not show what processes write "
                        "(/proc/PID/io, /proc/PID/task/TID/children); --max "
                        "storage_write_bytes=0 does without",
                        launch->argv[0]);
    return CLI_OK;
}

static int governed(struct launch *launch)
{
    int code = check_wishes(launch);

    if (code == CLI_OK)
        code = check_program(launch);
    if (code == CLI_OK)
        code = open_run(launch);
    if (code != CLI_OK)
        return code;
    if (launch->spec.bare && launch->resume == NULL)
        announce_bare(&launch->spec);
    if (!environment_make(launch))
        return cli_fail(CLI_UNGOVERNABLE, "out of memory");
    return launch_supervise(launch);
}

int cli_run(int argc, char **argv)
{
    struct launch *launch = calloc(1, sizeof *launch);
    struct side_error error = {{0}};
    int code;

    if (launch == NULL)
        return cli_fail(CLI_UNGOVERNABLE, "out of memory");
    launch->link = CLIENT_LINK_NONE;
    side_spec_init(&launch->spec);
    if (!read_files(launch, argc, argv, &error) || !read_flags(launch, argc, argv, &error) ||
        !side_spec_env(&launch->spec, (const char *const *)environ, &error)) {
        code = launch->help ? cli_help("run")
               : launch->ungovernable
                   ? cli_fail(CLI_UNGOVERNABLE, "%s; the program was not started", error.text)
                   : cli_usage("run", "%s", error.text);
    } else {
        side_spec_finish(&launch->spec);
        code = governed(launch);
    }
    client_close(&launch->link);
    free(launch);
    return code;
}
