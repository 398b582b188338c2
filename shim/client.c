/* SPDX-License-Identifier: Apache-2.0 */
/* The small things of client.h: the state directory, memory of others, the clock, ids. */
#include "shim/client.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool client_hex16(const char *text, unsigned char out[16])
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

static bool home_set(char *out, size_t size, const char *base, const char *rest)
{
    int length;

    if (base == NULL || base[0] != '/')
        return false;
    length = snprintf(out, size, "%s%s", base, rest);
    if (length < 0 || (size_t)length >= size) {
        out[0] = '\0';
        return false;
    }
    return true;
}

bool client_home(char *out, size_t size)
{
    char buffer[4096];
    struct passwd entry, *found = NULL;
    const char *own = getenv("FLYBALL_HOME");

    out[0] = '\0';
    if (own != NULL && own[0] != '\0')
        return home_set(out, size, own, "");
    if (home_set(out, size, getenv("XDG_STATE_HOME"), "/flyball") ||
        home_set(out, size, getenv("HOME"), "/.local/state/flyball"))
        return true;
    return getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != NULL &&
           home_set(out, size, entry.pw_dir, "/.local/state/flyball");
}

void *client_map(int fd, size_t bytes, bool writable)
{
    int needed = F_SEAL_SHRINK | (writable ? 0 : F_SEAL_WRITE), seals = fcntl(fd, F_GET_SEALS);
    struct stat info;
    void *at;

    if (seals < 0 || (seals & needed) != needed || fstat(fd, &info) != 0 || info.st_size < 0 ||
        (uint64_t)info.st_size < bytes)
        return NULL;
    at = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    return at != MAP_FAILED ? at : NULL;
}

int64_t client_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* RFC 9562: 48 bits of milliseconds, version 7, 12 bits of the fraction (section 6.2, method 3: ids
 * are in the order in which they were made), the rest random. Without randomness the address and
 * the clock have to do: the sidecar refuses an id that it has seen with other content. */
void client_uuid7(unsigned char out[16])
{
    struct timespec now;
    uint64_t ms, fraction;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (getrandom(out, 16, GRND_NONBLOCK) != 16) {
        uint64_t weak[2] = {(uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u,
                            (uint64_t)(uintptr_t)out ^ ((uint64_t)gettid() << 40)};

        memcpy(out, weak, 16);
    }
    for (int i = 0; i < 6; i++)
        out[i] = (unsigned char)(ms >> (40 - 8 * i));
    fraction = (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;
    out[6] = (unsigned char)(fraction >> 8 | 0x70);
    out[7] = (unsigned char)fraction;
    out[8] = (unsigned char)((out[8] & 0x3f) | 0x80);
}

void client_uuid_text(const unsigned char id[16], char out[37])
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
