/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes `flyball receipt validate`: any bytes are valid or not, and each document that can be read
 * has one canonical form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return freopen("/dev/null", "w", stdout) != NULL ? 0 : -1;
}

static void canonical_is_so_again(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, 0, NULL), *again;
    char *text, *second;

    if (json == NULL)
        return;
    text = side_canonical_text(json);
    again = json_loads(text, 0, NULL);
    second = again != NULL ? side_canonical_text(again) : NULL;
    if (second == NULL || strcmp(text, second) != 0)
        abort();
    json_decref(json);
    json_decref(again);
    free(text);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *arguments[] = {(char[]){"receipt"}, (char[]){"validate"}, (char[]){"-"}, NULL};
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
    FILE *before = stdin;
    int code;

    if (file == NULL)
        return 0;
    stdin = file;
    code = cli_receipt(3, arguments);
    stdin = before;
    (void)fclose(file);
    if (code != CLI_OK && code != CLI_NOT)
        abort();
    canonical_is_so_again(data, size);
    return 0;
}
