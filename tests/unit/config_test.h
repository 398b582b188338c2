/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the configuration share: a directory with one file, read well or with an error
 * that has its place. */
#ifndef FLYBALL_TESTS_CONFIG_H
#define FLYBALL_TESTS_CONFIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sidecar/sidecar.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char dir[64], file[128];

static inline int dir_make(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/flyball-config-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(file, sizeof file, "%s/f.yaml", dir);
    return 0;
}

static inline int dir_remove(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(dir);
}

static inline void write_file(const char *path, const char *text, size_t bytes)
{
    FILE *stream = fopen(path, "w");

    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, bytes, stream), bytes);
    (void)fclose(stream);
}

static inline bool read_text(struct side_spec *spec, const char *text, const char *policy,
                             struct side_error *error)
{
    static const char *const env[] = {NULL};

    side_spec_init(spec);
    error->text[0] = '\0';
    write_file(file, text, strlen(text));
    return side_config_read(spec, file, policy, env, error);
}

/* Its limit of steps, as a run of the agent gets it; -1: it cannot be read. */
static inline int64_t steps_of(const char *given, const char *const *env, const char *agent,
                               const char *policy)
{
    struct side_spec spec;
    struct side_error error = {{0}};
    bool ok;

    side_spec_init(&spec);
    (void)snprintf(spec.agent, sizeof spec.agent, "%s", agent);
    ok = side_config_read(&spec, given, policy, env, &error);
    assert_string_equal(spec.agent, agent);
    return ok ? spec.limits[GOV_STEPS].amount : -1;
}

static inline void read_well(struct side_spec *spec, const char *text)
{
    struct side_error error;

    if (!read_text(spec, text, NULL, &error))
        fail_msg("%s\n%s", error.text, text);
}

/* where: line and column. */
struct wrong {
    const char *why, *text, *where, *want;
};

static inline void check_wrong(const struct wrong *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct side_spec spec;
        struct side_error error;
        char place[160];

        (void)snprintf(place, sizeof place, "%s:%s: ", file, rows[i].where);
        if (read_text(&spec, rows[i].text, NULL, &error))
            fail_msg("%s: accepted", rows[i].why);
        if (strncmp(error.text, place, strlen(place)) != 0 ||
            strstr(error.text, rows[i].want) == NULL)
            fail_msg("%s: \"%s\", wanted %s%s", rows[i].why, error.text, place, rows[i].want);
    }
}

#endif
