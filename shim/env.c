/* SPDX-License-Identifier: Apache-2.0 */
/* What the process was told at its start: which run it belongs to. Read once; what the program does
 * to its environment later changes nothing. */
#include "shim/shim_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

static struct shim_env env;

const struct shim_env *shim_env(void)
{
    return &env;
}

void shim_env_read(void)
{
    const char *run, *token;

    if (getauxval(AT_SECURE) != 0)
        return;
    run = getenv("FLYBALL_RUN");
    token = getenv("FLYBALL_TOKEN");
    env.has_run = run != NULL && token != NULL && client_hex16(run, env.run_id) &&
                  client_hex16(token, env.token);
}

/* The sidecar has another working directory than the program. */
static void each_config(void (*each)(void *data, const char *entry), void *data, const char *entry)
{
    char absolute[1200], cwd[512];
    const char *file = strchr(entry, '=') + 1;

    if (*file == '/' || *file == '\0' || getcwd(cwd, sizeof cwd) == NULL) {
        each(data, entry);
        return;
    }
    (void)snprintf(absolute, sizeof absolute, "FLYBALL_CONFIG=%s/%.600s", cwd, file);
    each(data, absolute);
}

/* Read at the first governed call of a process that no launcher started. */
void shim_env_each(void (*each)(void *data, const char *entry), void *data)
{
    static const char *const wanted[] = {"RUNTIME_BUDGET_", "XDG_CONFIG_HOME=", "HOME="};

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, "FLYBALL_CONFIG=", strlen("FLYBALL_CONFIG=")) == 0)
            each_config(each, data, *entry);
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (strncmp(*entry, wanted[i], strlen(wanted[i])) == 0)
                each(data, *entry);
    }
}
