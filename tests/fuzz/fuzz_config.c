/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the configuration: any bytes are read, or refused with a message that names the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sidecar/sidecar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const nothing[] = {NULL};
    static struct side_spec spec;
    struct side_error error = {{0}};
    int fd = memfd_create("config", MFD_CLOEXEC);
    char name[64];
    json_t *json;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    side_spec_init(&spec);
    if (!side_config_read(&spec, name, NULL, nothing, &error)) {
        if (strstr(error.text, name) == NULL)
            abort();
    } else {
        static struct side_spec copy;

        side_spec_finish(&spec);
        json = side_spec_json(&spec); /* what goes to the sidecar is understood there */
        if (json == NULL || !side_spec_parse(json, &copy, &error))
            abort();
        json_decref(json);
    }
    (void)close(fd);
    return 0;
}
