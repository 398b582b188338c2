/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read as a whole. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *slurp(FILE *file, size_t *bytes_out)
{
    size_t used = 0, size = 65536, count;
    char *text = malloc(size + 1);

    while (text != NULL && (count = fread(text + used, 1, size - used, file)) > 0) {
        used += count;
        if (used == size) {
            char *grown = realloc(text, 2 * size + 1);

            if (grown == NULL)
                free(text);
            text = grown;
            size *= 2;
        }
    }
    if (text != NULL)
        text[used] = '\0';
    *bytes_out = used;
    return text;
}

char *cli_slurp(const char *path, size_t *bytes_out)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = file != NULL ? slurp(file, bytes_out) : NULL;

    if (text == NULL || ferror(file)) {
        (void)cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno != 0 ? errno : ENOMEM));
        free(text);
        text = NULL;
    }
    if (file != NULL && file != stdin)
        (void)fclose(file);
    return text;
}
