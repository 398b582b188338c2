/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: numbers that look random and are the same in every run (splitmix64). */
#ifndef FLYBALL_TESTS_CHANCE_H
#define FLYBALL_TESTS_CHANCE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_u64(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 .. below - 1 */
static inline int64_t chance_below(struct chance *chance, int64_t below)
{
    return (int64_t)(chance_u64(chance) % (uint64_t)below);
}

/* One time in n. */
static inline int chance_one_in(struct chance *chance, int64_t n)
{
    return chance_below(chance, n) == 0;
}

static inline void chance_bytes(struct chance *chance, void *bytes, size_t count)
{
    unsigned char *at = bytes;

    for (size_t i = 0; i < count; i++)
        at[i] = (unsigned char)chance_u64(chance);
}

/* How often to repeat: the variable's number, else what CI does. */
static inline unsigned chance_rounds(const char *variable, unsigned otherwise)
{
    const char *text = getenv(variable);

    return text != NULL && atoi(text) > 0 ? (unsigned)atoi(text) : otherwise;
}

#endif
