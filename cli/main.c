/* SPDX-License-Identifier: Apache-2.0 */
/* flyball: one program, many verbs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void help(void)
{
    (void)printf("usage: flyball COMMAND [OPTIONS]\n"
                 "\n"
                 "Governs what unmodified programs spend on LLM calls.\n"
                 "\n"
                 "    flyball run --max-cost 5.00 -- ./any-agent\n"
                 "\n");
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++)
        (void)printf("  %-10s %s\n", command->name, command->summary);
    (void)printf("\n`flyball COMMAND --help` says more. State is kept in $FLYBALL_HOME, else\n"
                 "$XDG_STATE_HOME/flyball, else ~/.local/state/flyball.\n");
}

static bool wants(const char *argument, const char *option)
{
    return argument != NULL && strcmp(argument, option) == 0;
}

/* In any place; `run` looks itself: what stands behind its program is the program's. */
static bool wants_help(const struct cli_command *command, char **arguments)
{
    for (; command->run != cli_run && *arguments != NULL; arguments++)
        if (wants(*arguments, "--help") || wants(*arguments, "-h"))
            return true;
    return false;
}

/* What was printed has to have arrived: a full disk is not silence. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return cli_fail(code != CLI_OK ? code : CLI_NOT, "standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    const struct cli_command *command = cli_commands;

    if (argc < 2 || wants(argv[1], "--help") || wants(argv[1], "-h") || wants(argv[1], "help")) {
        help();
        return finish(argc < 2 ? CLI_USAGE : CLI_OK);
    }
    if (wants(argv[1], "--version")) {
        (void)printf("flyball %s, prices of %s\n", FLYBALL_VERSION,
                     meter_price_book_date(meter_price_book_shipped()));
        return finish(CLI_OK);
    }
    while (command->name != NULL && strcmp(command->name, argv[1]) != 0)
        command++;
    if (command->name == NULL)
        return cli_fail(CLI_USAGE, "'%s' is no command; see `flyball --help`", argv[1]);
    return finish(wants_help(command, argv + 2) ? cli_help(command->name)
                                                : command->run(argc - 1, argv + 1));
}
