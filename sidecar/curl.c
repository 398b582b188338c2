/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static struct side_curl curl;
static bool loaded;

/* It stays for the life of the process. */
static void load(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    bool all = library != NULL;

#define SIDE_CURL_CALL(name)                                                                       \
    do {                                                                                           \
        void *found = all ? dlsym(library, "curl_" #name) : NULL;                                  \
        memcpy(&curl.name, &found, sizeof found);                                                  \
        all = found != NULL;                                                                       \
    } while (0);
    SIDE_CURL_CALLS(SIDE_CURL_CALL)
#undef SIDE_CURL_CALL
    loaded = all && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

const struct side_curl *side_curl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, load);
    return loaded ? &curl : NULL;
}
