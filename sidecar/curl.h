/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, when it is first wanted: with the two dozen libraries that it stands on it takes longer
 * to load than all that a sidecar does from its start to its first verdict. */
#ifndef FLYBALL_SIDECAR_CURL_H
#define FLYBALL_SIDECAR_CURL_H

#include <curl/curl.h>

/* clang-format off */
#define SIDE_CURL_CALLS(X) \
    X(global_init) X(getdate) X(easy_init) X(easy_setopt) X(easy_perform) X(easy_getinfo) \
    X(easy_strerror) X(easy_cleanup) X(slist_append) X(slist_free_all)
/* clang-format on */

struct side_curl {
#define SIDE_CURL_CALL(name) __typeof__(curl_##name) *name;
    SIDE_CURL_CALLS(SIDE_CURL_CALL)
#undef SIDE_CURL_CALL
};

/* From any thread. NULL: it cannot be loaded. */
const struct side_curl *side_curl(void);

#endif
