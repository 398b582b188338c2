/* SPDX-License-Identifier: Apache-2.0 */
/* What the process was told at its start: where the ledger's home is, which run it belongs to. Read
 * once; what the program does to its environment later changes nothing. Also clock and ids. */
#include "shim/shim_int.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static struct shim_env env;

const struct shim_env *shim_env(void)
{
    return &env;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* 32 hex digits, dashes between them allowed. */
static bool hex16(const char *text, unsigned char out[16])
{
    unsigned digits = 0;

    for (; *text != '\0'; text++) {
        int digit = hex_digit(*text);

        if (*text == '-')
            continue;
        if (digit < 0 || digits == 32)
            return false;
        out[digits / 2] = (unsigned char)(digits % 2 == 0 ? digit << 4 : out[digits / 2] | digit);
        digits++;
    }
    return digits == 32;
}

static bool home_set(const char *base, const char *rest)
{
    int length;

    if (base == NULL || base[0] != '/')
        return false;
    length = snprintf(env.home, sizeof env.home, "%s%s", base, rest);
    if (length < 0 || (size_t)length >= sizeof env.home) {
        env.home[0] = '\0';
        return false;
    }
    return true;
}

/* The rule of the state directory; a program without any of the variables has a passwd entry. */
static void home_find(void)
{
    char buffer[4096];
    struct passwd entry, *found = NULL;

    if (home_set(getenv("FLYBALL_HOME"), "") || home_set(getenv("XDG_STATE_HOME"), "/flyball") ||
        home_set(getenv("HOME"), "/.local/state/flyball"))
        return;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
        (void)home_set(entry.pw_dir, "/.local/state/flyball");
}

void shim_env_read(void)
{
    const char *run, *token;

    if (getauxval(AT_SECURE) != 0)
        return;
    home_find();
    run = getenv("FLYBALL_RUN");
    token = getenv("FLYBALL_TOKEN");
    env.has_run = run != NULL && token != NULL && hex16(run, env.run_id) &&
                  hex16(token, env.token);
}

/* Read at the first governed call of a process that no launcher started. */
void shim_env_each(void (*each)(void *data, const char *entry), void *data)
{
    static const char *const wanted[] = {"RUNTIME_BUDGET_", "FLYBALL_CONFIG=", "XDG_CONFIG_HOME=",
                                         "HOME="};

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (strncmp(*entry, wanted[i], strlen(wanted[i])) == 0)
                each(data, *entry);
}

int64_t shim_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* RFC 9562: 48 bits of milliseconds, version 7, the rest random. Without randomness the address and
 * the clock have to do: the sidecar refuses an id that it has seen with other content. */
void shim_uuid7(unsigned char out[16])
{
    struct timespec now;
    uint64_t ms;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (getrandom(out, 16, GRND_NONBLOCK) != 16) {
        uint64_t weak[2] = {(uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u,
                            (uint64_t)(uintptr_t)out ^ ((uint64_t)gettid() << 40)};

        memcpy(out, weak, 16);
    }
    for (int i = 0; i < 6; i++)
        out[i] = (unsigned char)(ms >> (40 - 8 * i));
    out[6] = (unsigned char)((out[6] & 0x0f) | 0x70);
    out[8] = (unsigned char)((out[8] & 0x3f) | 0x80);
}

void shim_uuid_text(const unsigned char id[16], char out[37])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id[i] >> 4];
        *at++ = digits[id[i] & 15];
    }
    *at = '\0';
}
