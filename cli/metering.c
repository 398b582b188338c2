/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball meter` and `flyball estimate`: the meter on files, without a ledger. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/estimate.h"
#include "cli/exchange.h"

int cli_meter(int argc, char **argv)
{
    const struct meter_price_book *book = meter_price_book_shipped();
    struct meter_error error = {{0}};
    const char *json;
    char *text, *line;
    size_t bytes, at = 0, length, count = 0;
    int code = CLI_OK;

    if (argc != 2)
        return cli_usage("meter", "one FILE, or - for standard input");
    text = cli_slurp(argv[1], &bytes);
    if (text == NULL)
        return CLI_USAGE;
    while (cli_exchange_next(text, bytes, &at, &json, &length)) {
        enum meter_err err = cli_exchange_meter(json, length, book, &line, &error);

        count++;
        if (err != METER_OK) {
            code = cli_fail(CLI_USAGE, "%s: exchange %zu: %s%s%s", argv[1], count,
                            meter_strerror(err), error.text[0] != '\0' ? ": " : "", error.text);
            error.text[0] = '\0';
            continue;
        }
        (void)puts(line);
        free(line);
    }
    free(text);
    if (count == 0)
        return cli_fail(CLI_USAGE, "%s: there is no exchange in it", argv[1]);
    return code;
}

int cli_estimate_command(int argc, char **argv)
{
    bool want_json = argc == 3 && strcmp(argv[1], "--json") == 0;
    struct meter_error error = {{0}};
    char *text, *json = NULL, *words = NULL;
    size_t bytes;
    enum meter_err err;

    if (argc != (want_json ? 3 : 2))
        return cli_usage("estimate", "one FILE, or - for standard input");
    text = cli_slurp(argv[argc - 1], &bytes);
    if (text == NULL)
        return CLI_USAGE;
    err = cli_estimate(text, bytes, meter_price_book_shipped(), &json, &words, &error);
    free(text);
    if (err != METER_OK)
        return cli_fail(CLI_USAGE, "%s: %s%s%s", argv[argc - 1], meter_strerror(err),
                        error.text[0] != '\0' ? ": " : "", error.text);
    (void)(want_json ? puts(json) : fputs(words, stdout));
    free(json);
    free(words);
    return CLI_OK;
}
