/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's multi interface, as the program finds it: doors, as in hooks_easy.c. A governed
 * transfer begins when it is added, and ends when its message is read, or when it is taken out,
 * whichever comes first. */
#include "shim/shim_int.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static struct shim_multi *known(CURLM *handle, const void *caller)
{
    struct shim_multi *multi = shim_multi_find(handle);
    const struct shim_curl *curl;

    if (multi != NULL || handle == NULL)
        return multi;
    curl = shim_curl_of_caller(caller);
    return curl != NULL ? shim_multi_add(handle, curl) : NULL;
}

static CURLM *multi_init(const struct shim_curl *curl)
{
    CURLM *handle = curl != NULL ? curl->multi_init() : NULL;

    if (handle != NULL && shim_multi_add(handle, curl) == NULL) {
        (void)curl->multi_cleanup(handle);
        return NULL;
    }
    return handle;
}

SHIM_EXPORT CURLM *curl_multi_init(void)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());

    shim_init();
    return inner != NULL ? inner->multi_init() : multi_init(shim_curl_of_caller(SHIM_CALLER()));
}

static CURLMcode setopt_raw(const struct shim_curl *curl, CURLM *handle, CURLMoption option,
                            va_list arguments)
{
    switch ((int)option / 10000) {
    case CURLOPTTYPE_LONG / 10000:
        return curl->multi_setopt(handle, option, va_arg(arguments, long));
    case CURLOPTTYPE_OFF_T / 10000:
        return curl->multi_setopt(handle, option, va_arg(arguments, curl_off_t));
    default:
        return curl->multi_setopt(handle, option, va_arg(arguments, void *));
    }
}

/* HTTP/2 push is refused: a pushed answer is one that nobody asked to be admitted. A server may
 * never push, so a program that offers to take pushes sees nothing unusual. */
SHIM_EXPORT CURLMcode curl_multi_setopt(CURLM *handle, CURLMoption option, ...)
{
    const struct shim_curl *curl = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi = curl == NULL ? known(handle, SHIM_CALLER()) : NULL;
    CURLMcode code = CURLM_OK;
    va_list arguments;

    if (multi != NULL)
        curl = multi->curl;
    if (curl == NULL)
        return CURLM_BAD_HANDLE;
    va_start(arguments, option);
    if (multi == NULL || option != CURLMOPT_PUSHFUNCTION)
        code = setopt_raw(curl, handle, option, arguments);
    va_end(arguments);
    return code;
}

/* ---- in and out --------------------------------------------------------------------------- */

static CURLMcode add(struct shim_multi *multi, struct shim_handle *handle)
{
    int saved_errno = errno;
    enum shim_begun begun = shim_call_begin(handle, true);
    CURLMcode code;

    if (begun == SHIM_NO_MEMORY)
        return CURLM_OUT_OF_MEMORY;
    errno = saved_errno;
    code = multi->curl->multi_add_handle(multi->multi, handle->easy);
    saved_errno = errno;
    if (code != CURLM_OK) {
        shim_call_end(handle, CURLE_ABORTED_BY_CALLBACK);
    } else {
        handle->multi = multi->multi;
        multi->calls += handle->call != NULL;
        if (handle->call != NULL && handle->call->state == SHIM_CALL_WAITING)
            shim_multi_wait(multi, handle->call);
    }
    errno = saved_errno;
    return code;
}

SHIM_EXPORT CURLMcode curl_multi_add_handle(CURLM *multi_handle, CURL *easy)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi;
    struct shim_handle *handle = shim_handle_find(easy);

    /* libcurl adds handles of its own, and the one that it performs. */
    if (inner != NULL && (handle == NULL || handle->performing))
        return inner->multi_add_handle(multi_handle, easy);
    multi = known(multi_handle, SHIM_CALLER());
    if (multi == NULL)
        return CURLM_BAD_HANDLE;
    if (handle != NULL && handle->giving) /* we are in its callback, as libcurl would know */
        return CURLM_RECURSIVE_API_CALL;
    if (multi->in_turn)
        return multi->curl->multi_add_handle(multi_handle, easy);
    if (handle == NULL && easy != NULL) {
        handle = shim_handle_add(easy, multi->curl);
        if (handle != NULL)
            handle->blind = true;
    }
    if (handle == NULL || handle->multi != NULL) /* libcurl says what is wrong with it */
        return multi->curl->multi_add_handle(multi_handle, easy);
    return add(multi, handle);
}

SHIM_EXPORT CURLMcode curl_multi_remove_handle(CURLM *multi_handle, CURL *easy)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi;
    struct shim_handle *handle;
    CURLMcode code;
    int saved_errno;

    if (inner != NULL)
        return inner->multi_remove_handle(multi_handle, easy);
    multi = known(multi_handle, SHIM_CALLER());
    if (multi == NULL)
        return CURLM_BAD_HANDLE;
    handle = shim_handle_find(easy);
    if (handle != NULL && handle->giving)
        return CURLM_RECURSIVE_API_CALL;
    code = multi->curl->multi_remove_handle(multi_handle, easy);
    saved_errno = errno;
    if (code == CURLM_OK && handle != NULL && handle->multi == multi_handle) {
        /* Its message was not read, or it was not over: what was seen of the answer decides. */
        shim_call_end(handle, CURLE_ABORTED_BY_CALLBACK);
        handle->multi = NULL;
        shim_multi_leave(multi, easy);
    }
    errno = saved_errno;
    return code;
}

static void abandon(struct shim_handle *handle)
{
    shim_call_end(handle, CURLE_ABORTED_BY_CALLBACK);
}

SHIM_EXPORT CURLMcode curl_multi_cleanup(CURLM *multi_handle)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER()), *curl;
    struct shim_multi *multi;
    CURLMcode code;

    if (inner != NULL)
        return inner->multi_cleanup(multi_handle);
    multi = known(multi_handle, SHIM_CALLER());
    if (multi == NULL)
        return CURLM_BAD_HANDLE;
    curl = multi->curl;
    if (multi->in_turn)
        return curl->multi_cleanup(multi_handle);
    shim_multi_each(multi_handle, abandon);
    shim_multi_leave(multi, NULL);
    shim_multi_remove(multi);
    code = curl->multi_cleanup(multi_handle);
    return code;
}

/* ---- turns -------------------------------------------------------------------------------- */

#define LIBCURLS_TURN(multi, call)                                                                 \
    ((multi)->in_turn = true, code = (multi)->curl->call, (multi)->in_turn = false, code)

/* One turn of libcurl's, and another one when a waiting call got its verdict meanwhile: the count
 * of running handles must be the one after that. */
#define TURN(multi, call)                                                                          \
    do {                                                                                           \
        if ((multi)->in_turn) /* by a callback: libcurl says what is wrong with it */              \
            return (multi)->curl->call;                                                            \
        (void)shim_multi_turn(multi);                                                              \
        code = LIBCURLS_TURN(multi, call);                                                         \
        bool anew = shim_multi_settle(multi);                                                      \
        if (((multi)->waiting != NULL && shim_multi_turn(multi)) || anew)                          \
            code = LIBCURLS_TURN(multi, call);                                                     \
    } while (0)

SHIM_EXPORT CURLMcode curl_multi_perform(CURLM *multi_handle, int *running)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi = inner == NULL ? known(multi_handle, SHIM_CALLER()) : NULL;
    CURLMcode code = CURLM_BAD_HANDLE;

    if (inner != NULL)
        return inner->multi_perform(multi_handle, running);
    if (multi != NULL)
        TURN(multi, multi_perform(multi_handle, running));
    return code;
}

SHIM_EXPORT CURLMcode curl_multi_socket_action(CURLM *multi_handle, curl_socket_t socket,
                                               int events, int *running)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi = inner == NULL ? known(multi_handle, SHIM_CALLER()) : NULL;
    CURLMcode code = CURLM_BAD_HANDLE;

    if (inner != NULL)
        return inner->multi_socket_action(multi_handle, socket, events, running);
    if (multi != NULL)
        TURN(multi, multi_socket_action(multi_handle, socket, events, running));
    return code;
}

#undef curl_multi_socket
SHIM_EXPORT CURLMcode curl_multi_socket(CURLM *multi_handle, curl_socket_t socket, int *running)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi = inner == NULL ? known(multi_handle, SHIM_CALLER()) : NULL;
    CURLMcode code = CURLM_BAD_HANDLE;

    if (inner != NULL)
        return inner->multi_socket(multi_handle, socket, running);
    if (multi != NULL)
        TURN(multi, multi_socket(multi_handle, socket, running));
    return code;
}

SHIM_EXPORT CURLMcode curl_multi_socket_all(CURLM *multi_handle, int *running)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi = inner == NULL ? known(multi_handle, SHIM_CALLER()) : NULL;
    CURLMcode code = CURLM_BAD_HANDLE;

    if (inner != NULL)
        return inner->multi_socket_all(multi_handle, running);
    if (multi != NULL)
        TURN(multi, multi_socket_all(multi_handle, running));
    return code;
}

SHIM_EXPORT CURLMsg *curl_multi_info_read(CURLM *multi_handle, int *left)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    struct shim_multi *multi = inner == NULL ? known(multi_handle, SHIM_CALLER()) : NULL;
    CURLMsg *message;
    int saved_errno;

    if (inner != NULL)
        return inner->multi_info_read(multi_handle, left);
    if (multi == NULL)
        return NULL;
    if (multi->in_turn) /* by a callback, which gets none */
        return multi->curl->multi_info_read(multi_handle, left);
    saved_errno = errno;
    message = shim_multi_message(multi, left);
    errno = saved_errno;
    return message;
}

/* ---- for dlsym ---------------------------------------------------------------------------- */

#define DOOR(n)                                                                                    \
    static CURLM *multi_init_##n(void)                                                             \
    {                                                                                              \
        return multi_init(shim_curl_number(n));                                                    \
    }
/* clang-format off */
DOOR(0) DOOR(1) DOOR(2) DOOR(3) DOOR(4) DOOR(5) DOOR(6) DOOR(7)
/* clang-format on */
#undef DOOR

    shim_function shim_multi_init_door(const struct shim_curl *curl)
{
    static CURLM *(*const doors[SHIM_CURLS_MAX])(void) = {
        multi_init_0, multi_init_1, multi_init_2, multi_init_3,
        multi_init_4, multi_init_5, multi_init_6, multi_init_7,
    };

    return (shim_function)doors[curl->number];
}
