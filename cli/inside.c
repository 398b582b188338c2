/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this command stands inside a run: an operator's verbs are refused there, because an agent
 * with a shell must not change what governs it. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANCESTORS_MOST 256u /* a chain without an end is none of this kernel's */

/* The process above; 0: it cannot be told. The name in front may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    const char *behind;
    size_t count = 0;
    FILE *file;
    int parent = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file != NULL) {
        count = fread(text, 1, sizeof text - 1, file);
        (void)fclose(file);
    }
    text[count] = '\0';
    behind = strrchr(text, ')');
    return behind != NULL && sscanf(behind, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* "flyball run ...": this very program, as a launcher. */
static bool is_launcher(pid_t pid, const char *own)
{
    char path[64], program[4096], words[4096];
    const char *verb;
    size_t count = 0;
    ssize_t length;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    length = readlink(path, program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    if (strcmp(program, own) != 0)
        return false;
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    file = fopen(path, "re");
    if (file != NULL) {
        count = fread(words, 1, sizeof words - 1, file);
        (void)fclose(file);
    }
    words[count] = '\0';
    verb = words + strlen(words) + 1;
    return verb < words + count && strcmp(verb, "run") == 0;
}

bool cli_inside_run(void)
{
    const char *run = getenv("FLYBALL_RUN");
    char own[4096];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    pid_t pid = getppid();

    own[length > 0 ? length : 0] = '\0';
    if (run != NULL && *run != '\0')
        return true;
    for (unsigned i = 0; pid > 1 && own[0] != '\0' && i < ANCESTORS_MOST; i++) {
        if (is_launcher(pid, own))
            return true;
        pid = parent_of(pid);
    }
    return false;
}

int cli_refuse_inside(const char *what)
{
    return cli_fail(CLI_USAGE, "inside_run: `flyball %s` is for a shell outside any run", what);
}

bool cli_text_put(json_t *request, const char *name, const char *text, struct side_error *error)
{
    static const struct {
        const char *name;
        size_t size;
    } rows[] = {
        {"run", 64}, {"session", 64}, {"actor", STORE_ACTOR_TEXT}, {"reason", STORE_REASON_TEXT}};
    char what[32];
    size_t i = 0;

    while (strcmp(rows[i].name, name) != 0)
        i++;
    (void)snprintf(what, sizeof what, "--%s", name);
    return side_text_check(text, rows[i].size, what, error) &&
           (json_object_set_new(request, name, json_string(text)) == 0 ||
            side_fail(error, "%s: it is not UTF-8", what));
}
