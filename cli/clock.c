/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball clock accept`: an operator's word that the wall clock is right. */
#include <getopt.h>
#include <string.h>

#include "cli/cli.h"

static void take_nothing(void *data, const char *line, size_t length)
{
    (void)data, (void)line, (void)length;
}

int cli_clock(int argc, char **argv)
{
    static const struct option rows[] = {{"actor", required_argument, NULL, 'a'},
                                         {"reason", required_argument, NULL, 'r'},
                                         {NULL, 0, NULL, 0}};
    json_t *request = json_pack("{s:s,s:s}", "verb", "clock.accept", "actor", cli_login());
    struct side_error error = {{0}};
    int id, code = CLI_OK;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1 && code == CLI_OK) {
        if (id == '?')
            code = cli_usage("clock", "'%s' is no option, or needs a value", argv[optind - 1]);
        else if (!cli_text_put(request, id == 'a' ? "actor" : "reason", optarg, &error))
            code = cli_usage("clock", "%s", error.text);
    }
    if (code == CLI_OK && (optind == argc || strcmp(argv[optind], "accept") != 0))
        code = cli_no_verb("clock", argv[optind], "accept");
    if (code == CLI_OK && optind + 1 < argc)
        code = cli_usage("clock", "'%s': no argument is expected", argv[optind + 1]);
    if (code == CLI_OK && cli_inside_run())
        code = cli_refuse_inside("clock accept");
    if (code == CLI_OK)
        return cli_ask(request, take_nothing, NULL);
    json_decref(request);
    return code;
}
