/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's forms, as the program finds them: doors that note what goes into a form, because
 * libcurl has no way to read it again. */
#include "shim/shim_int.h"

/* A form is found by its handle; a part belongs to some form of a libcurl, and all of them take it
 * alike: the caller's is right. */
static const struct shim_curl *curl_of(const curl_mime *mime, const void *caller)
{
    const struct shim_curl *curl = shim_mime_curl(mime);

    return curl != NULL ? curl : shim_curl_of_caller(caller);
}

static const struct shim_curl *curl_of_part(const curl_mimepart *part, const void *caller)
{
    const struct shim_curl *curl = shim_mime_part_curl(part);

    return curl != NULL ? curl : shim_curl_of_caller(caller);
}

SHIM_EXPORT curl_mime *curl_mime_init(CURL *easy)
{
    const struct shim_curl *curl = shim_curl_at(SHIM_CALLER());
    struct shim_handle *handle = curl == NULL ? shim_handle_find(easy) : NULL;
    curl_mime *mime;

    if (curl != NULL)
        return curl->mime_init(easy);
    curl = handle != NULL ? handle->curl : shim_curl_of_caller(SHIM_CALLER());
    if (curl == NULL)
        return NULL;
    mime = curl->mime_init(easy);
    shim_mime_made(mime, curl);
    return mime;
}

SHIM_EXPORT void curl_mime_free(curl_mime *mime)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    const struct shim_curl *curl = inner != NULL ? inner : curl_of(mime, SHIM_CALLER());

    if (inner == NULL)
        shim_mime_freed(mime);
    if (curl != NULL)
        curl->mime_free(mime);
}

SHIM_EXPORT curl_mimepart *curl_mime_addpart(curl_mime *mime)
{
    const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());
    const struct shim_curl *curl = inner != NULL ? inner : curl_of(mime, SHIM_CALLER());
    curl_mimepart *part = curl != NULL ? curl->mime_addpart(mime) : NULL;

    if (inner == NULL)
        shim_mime_part_added(mime, part);
    return part;
}

#define PART_HOOK(name, parameters, arguments, note)                                               \
    SHIM_EXPORT CURLcode curl_##name parameters                                                    \
    {                                                                                              \
        const struct shim_curl *inner = shim_curl_at(SHIM_CALLER());                               \
        const struct shim_curl *curl = inner != NULL ? inner : curl_of_part(part, SHIM_CALLER());  \
        CURLcode code = curl != NULL ? curl->name arguments : CURLE_BAD_FUNCTION_ARGUMENT;         \
                                                                                                   \
        if (inner == NULL && code == CURLE_OK)                                                     \
            note;                                                                                  \
        return code;                                                                               \
    }

PART_HOOK(mime_name, (curl_mimepart * part, const char *name), (part, name),
          shim_mime_named(part, name))
PART_HOOK(mime_data, (curl_mimepart * part, const char *data, size_t bytes), (part, data, bytes),
          shim_mime_filled(part, data, bytes))
PART_HOOK(mime_filedata, (curl_mimepart * part, const char *file), (part, file),
          shim_mime_file(part, file))
PART_HOOK(mime_data_cb,
          (curl_mimepart * part, curl_off_t bytes, curl_read_callback reader,
           curl_seek_callback seeker, curl_free_callback freer, void *data),
          (part, bytes, reader, seeker, freer, data),
          shim_mime_filled(part, NULL, bytes >= 0 ? (size_t)bytes : SHIM_BYTES_UNKNOWN))
PART_HOOK(mime_subparts, (curl_mimepart * part, curl_mime *parts), (part, parts),
          shim_mime_nested(part, parts))
