/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's easy interface, as the program finds it. Every hook is a door: a call from libcurl's
 * own code goes straight to that libcurl; else the real function does the work, and the shadow, or
 * the call, is kept in step. A handle that was made before we were there is taken in blind. */
#include "shim/shim_int.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* The handle's entry; made now when it is unknown. NULL: out of memory, or no libcurl to be found.
 */
static struct shim_handle *known(CURL *easy, const void *caller)
{
    struct shim_handle *handle = shim_handle_find(easy);
    const struct shim_curl *curl;

    if (handle != NULL || easy == NULL)
        return handle;
    curl = shim_curl_of_caller(caller);
    handle = curl != NULL ? shim_handle_add(easy, curl) : NULL;
    if (handle != NULL)
        handle->blind = true;
    return handle;
}

/* libcurl's own call, for a handle of its own. An application's callback that ends in a call (a
 * jump, then) seems to be libcurl: but its handles are known. */
static const struct shim_curl *inner_curl(const CURL *easy, const void *caller)
{
    const struct shim_curl *curl = shim_curl_at(caller);

    return curl != NULL && shim_handle_find(easy) == NULL ? curl : NULL;
}

/* Without an entry nothing can be watched: then there is no handle. */
static CURL *easy_init(const struct shim_curl *curl)
{
    CURL *easy = curl != NULL ? curl->easy_init() : NULL;

    if (easy != NULL && shim_handle_add(easy, curl) == NULL) {
        curl->easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

SHIM_EXPORT CURL *curl_easy_init(void)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());

    shim_init();
    return inner != NULL ? inner->easy_init() : easy_init(shim_curl_of_caller(SHIM_CALLER()));
}

/* By class of the option, as libcurl's own documentation has it: the value comes as that type. */
static int64_t option_value(CURLoption option, va_list arguments)
{
    switch ((int)option / 10000) {
    case CURLOPTTYPE_LONG / 10000:
        return va_arg(arguments, long);
    case CURLOPTTYPE_OFF_T / 10000:
        return va_arg(arguments, curl_off_t);
    default:
        return (int64_t)(intptr_t)va_arg(arguments, void *);
    }
}

SHIM_EXPORT CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    const struct shim_curl *inner = inner_curl(easy, SHIM_CALLER());
    struct shim_handle *handle;
    va_list arguments;
    int64_t value;

    va_start(arguments, option);
    value = option_value(option, arguments);
    va_end(arguments);
    if (inner != NULL)
        return shim_setopt_raw(inner, easy, option, value);
    handle = known(easy, SHIM_CALLER());
    return handle != NULL ? shim_setopt(handle, option, value) : CURLE_BAD_FUNCTION_ARGUMENT;
}

static CURLcode perform(struct shim_handle *handle)
{
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    int saved_errno = errno;

    if (shim_call_begin(handle, false) == SHIM_NO_MEMORY)
        return CURLE_OUT_OF_MEMORY;
    if (handle->call == NULL || !handle->call->blocked) {
        errno = saved_errno;
        handle->performing = true;
        code = shim_tap_rest(handle, handle->curl->easy_perform(handle->easy));
        handle->performing = false;
        saved_errno = errno;
    }
    shim_call_end(handle, code);
    errno = saved_errno;
    return code;
}

SHIM_EXPORT CURLcode curl_easy_perform(CURL *easy)
{
    /* Not by the caller's address: no libcurl performs a handle itself, but an application's
     * callback that ends in this call (a jump, then) seems to be libcurl. */
    struct shim_handle *handle = known(easy, SHIM_CALLER());

    if (handle == NULL)
        return CURLE_BAD_FUNCTION_ARGUMENT;
    if (handle->giving) /* its own callback, which libcurl would know of */
        return CURLE_RECURSIVE_API_CALL;
    /* In a multi handle, or in its own callback: libcurl refuses, and the call there goes on. */
    return handle->multi != NULL || handle->performing ? handle->curl->easy_perform(easy)
                                                       : perform(handle);
}

SHIM_EXPORT void curl_easy_reset(CURL *easy)
{
    const struct shim_curl *inner = inner_curl(easy, SHIM_CALLER());
    struct shim_handle *handle = inner == NULL ? known(easy, SHIM_CALLER()) : NULL;

    if (inner != NULL) {
        inner->easy_reset(easy);
        return;
    }
    if (handle == NULL)
        return;
    shim_call_end(handle, CURLE_ABORTED_BY_CALLBACK);
    handle->curl->easy_reset(easy);
    shim_options_reset(handle);
    handle->blind = false;
    if (handle->multi != NULL) /* it goes to what it is set to until the next turn */
        shim_call_watch(handle);
}

static CURL *duplicate(struct shim_handle *handle)
{
    CURL *easy = handle->curl->easy_duphandle(handle->easy);
    struct shim_handle *twin;

    if (easy == NULL)
        return NULL;
    twin = shim_handle_add(easy, handle->curl);
    if (twin != NULL && shim_options_copy(twin, handle))
        return easy;
    if (twin != NULL) {
        shim_handle_forget(twin);
        shim_handle_free(twin);
    }
    handle->curl->easy_cleanup(easy);
    return NULL;
}

SHIM_EXPORT CURL *curl_easy_duphandle(CURL *easy)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_handle *handle;

    if (inner != NULL)
        return inner->easy_duphandle(easy);
    handle = known(easy, SHIM_CALLER());
    return handle != NULL ? duplicate(handle) : NULL;
}

SHIM_EXPORT void curl_easy_cleanup(CURL *easy)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_handle *handle = inner == NULL ? known(easy, SHIM_CALLER()) : NULL;
    struct shim_multi *multi;

    if (inner != NULL) {
        inner->easy_cleanup(easy);
        return;
    }
    if (handle == NULL)
        return;
    shim_call_end(handle, CURLE_ABORTED_BY_CALLBACK);
    multi = handle->multi != NULL ? shim_multi_find(handle->multi) : NULL;
    if (multi != NULL)
        shim_multi_leave(multi, easy);
    shim_handle_forget(handle);
    handle->curl->easy_cleanup(easy);
    shim_handle_free(handle);
}

/* ---- for dlsym ---------------------------------------------------------------------------- */

/* A function that makes a handle is asked for by pointer from one libcurl, and called by code
 * (libffi) that belongs to nobody: so there is one per libcurl. */
#define DOOR(n)                                                                                    \
    static CURL *easy_init_##n(void)                                                               \
    {                                                                                              \
        return easy_init(shim_curl_number(n));                                                     \
    }
/* clang-format off */
DOOR(0) DOOR(1) DOOR(2) DOOR(3) DOOR(4) DOOR(5) DOOR(6) DOOR(7)
/* clang-format on */
#undef DOOR

    shim_function shim_easy_init_door(const struct shim_curl *curl)
{
    static CURL *(*const doors[SHIM_CURLS_MAX])(void) = {
        easy_init_0, easy_init_1, easy_init_2, easy_init_3,
        easy_init_4, easy_init_5, easy_init_6, easy_init_7,
    };

    return (shim_function)doors[curl->number];
}
