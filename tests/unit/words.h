/* SPDX-License-Identifier: Apache-2.0 */
/* Records as text, " name=value name=value ": what of it is wanted. */
#ifndef FLYBALL_TESTS_WORDS_H
#define FLYBALL_TESTS_WORDS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Every word of want stands in the text. */
static inline bool words_in(const char *text, const char *want)
{
    char words[512], *save = NULL, probe[256];
    bool all = strlen(want) < sizeof words;

    (void)snprintf(words, sizeof words, "%s", want);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        (void)snprintf(probe, sizeof probe, " %s ", word);
        all &= strstr(text, probe) != NULL;
    }
    return all;
}

#endif
