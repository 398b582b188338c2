/* SPDX-License-Identifier: Apache-2.0 */
/* Where a transfer goes, and whether that is governed: a host of the provider table, a host that
 * the user's configuration added (the sidecar leaves the list in the state directory), or, on any
 * other host, a POST whose path is an LLM API's. A URL of plain characters is read here; everything
 * else by libcurl's own parser, so that no spelling of a host means one thing to us and another to
 * libcurl. */
#include "meter/glob.h"
#include "shim/shim_int.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum provider_id {
#define METER_PROVIDER_ROW(id, name, shape, cap, asks, cost) PROVIDER_##id,
#include "meter/providers.def"
};

static const enum refusal_shape provider_shapes[] = {
#define METER_PROVIDER_ROW(id, name, shape, cap, asks, cost) [PROVIDER_##id] = REFUSAL_##shape,
#include "meter/providers.def"
};

struct host_row {
    enum provider_id provider;
    const char *pattern;
    size_t size;
    const char *paths;
};

static const struct host_row host_rows[] = {
#define METER_HOST_ROW(id, pattern, paths) {PROVIDER_##id, pattern, sizeof pattern - 1, paths},
#include "meter/providers.def"
};

struct path_row {
    const char *pattern;
    size_t size;
    enum refusal_shape shape;
};

static const struct path_row path_rows[] = {
#define METER_PATH_ROW(pattern, shape, api) {pattern, sizeof pattern - 1, REFUSAL_##shape},
#include "meter/providers.def"
};

/* ---- hosts of the user's configuration ---------------------------------------------------- */

#define HOSTS_FILE_MAX 65536

static char
    *hosts_text; /* lines "host[:port] shape" as the sidecar wrote them; NULL: not read yet */

static char *hosts_read(void)
{
    char path[600], *text = NULL;
    struct stat info;
    int fd;

    (void)snprintf(path, sizeof path, "%s/hosts", shim_place()->home);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size < HOSTS_FILE_MAX)
        text = calloc(1, (size_t)info.st_size + 1);
    if (text != NULL)
        (void)!read(fd, text, (size_t)info.st_size);
    if (fd >= 0)
        (void)close(fd);
    return text != NULL ? text : calloc(1, 1);
}

void shim_hosts_forget(void)
{
    shim_lock(SHIM_LOCK_HOSTS);
    free(hosts_text);
    hosts_text = NULL;
    shim_unlock(SHIM_LOCK_HOSTS);
}

static bool host_line_matches(const char *line, size_t length, const char *host,
                              enum refusal_shape *shape_out)
{
    char pattern[SHIM_HOST_MAX], name[SHIM_HOST_MAX];
    int shape = 0;
    char format[40];

    if (length >= sizeof pattern)
        return false;
    (void)snprintf(format, sizeof format, "%%%us %%d", SHIM_HOST_MAX - 1);
    if (sscanf(line, format, pattern, &shape) != 2)
        return false;
    (void)snprintf(name, sizeof name, "%s", host);
    if (strchr(pattern, ':') == NULL)
        name[strcspn(name, ":")] = '\0';
    if (!meter_glob(pattern, name))
        return false;
    *shape_out = (enum refusal_shape)shape;
    return true;
}

static bool is_configured(const char *host, enum refusal_shape *shape_out)
{
    bool found = false;

    shim_lock(SHIM_LOCK_HOSTS);
    if (hosts_text == NULL)
        hosts_text = hosts_read();
    for (const char *line = hosts_text; line != NULL && *line != '\0' && !found;) {
        size_t length = strcspn(line, "\n");

        found = host_line_matches(line, length, host, shape_out);
        line += length + (line[length] == '\n');
    }
    shim_unlock(SHIM_LOCK_HOSTS);
    return found;
}

/* ---- is it governed? ---------------------------------------------------------------------- */

/* A host of the table, and a path of it that is an LLM API's. */
static bool is_provider(const struct shim_target *target, enum refusal_shape *shape_out)
{
    const char *host = target->host;
    size_t length = strlen(host), name_length = strcspn(host, ":");
    char name[SHIM_HOST_MAX];

    memcpy(name, host, name_length);
    name[name_length] = '\0';
    for (size_t i = 0; i < sizeof host_rows / sizeof host_rows[0]; i++) {
        const struct host_row *row = &host_rows[i];

        if ((meter_glob_may(row->pattern, row->size, name, name_length) ||
             meter_glob_may(row->pattern, row->size, host, length)) &&
            meter_host_matches(row->pattern, host, name) &&
            (target->path_cut || target->raw || meter_glob(row->paths, target->path))) {
            *shape_out = provider_shapes[row->provider];
            return true;
        }
    }
    return false;
}

static const struct path_row *path_find(const char *path)
{
    size_t length = strlen(path);

    for (size_t i = 0; i < sizeof path_rows / sizeof path_rows[0]; i++)
        if (meter_glob_may(path_rows[i].pattern, path_rows[i].size, path, length) &&
            meter_glob(path_rows[i].pattern, path))
            return &path_rows[i];
    return NULL;
}

/* The path tells the shape of its errors; where it does not, the provider. */
static void recognise(struct shim_target *target)
{
    bool post = strcmp(target->method, "POST") == 0;
    bool known;
    const struct path_row *row;

    target->shape = REFUSAL_OPENAI;
    known = is_provider(target, &target->shape) || is_configured(target->host, &target->shape);
    row = known || post ? path_find(target->path) : NULL;
    target->governed = known || row != NULL || (post && target->path_cut);
    if (row != NULL)
        target->shape = row->shape;
}

/* ---- reading a URL ------------------------------------------------------------------------ */

static bool scheme_is_http(const char *scheme, size_t length)
{
    static const char *const known[] = {"https", "http", "wss", "ws"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == length && strncasecmp(scheme, known[i], length) == 0)
            return true;
    return false;
}

static bool host_set(struct shim_target *out, const char *name, size_t length, const char *port,
                     size_t port_length)
{
    size_t used = 0;

    if (length > 0 && name[length - 1] == '.')
        length--; /* "host." is the same host */
    if (length == 0 || length + port_length + 2 > sizeof out->host)
        return false;
    for (; used < length; used++)
        out->host[used] = (char)tolower((unsigned char)name[used]);
    if (port_length > 0) {
        out->host[used++] = ':';
        memcpy(out->host + used, port, port_length);
        used += port_length;
    }
    out->host[used] = '\0';
    return true;
}

static int hex_value(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Percent-decoded, without query and what names nothing. What does not fit is cut: then nobody
 * knows where it leads. */
static void path_set(struct shim_target *out, const char *path, size_t length)
{
    size_t used = 0, at = 0; /* at: what is behind was not read */

    for (size_t i = 0; i < length && used < sizeof out->path - 1; i++) {
        char c = path[i];

        if (c == '%' && i + 2 < length && hex_value(path[i + 1]) >= 0 &&
            hex_value(path[i + 2]) >= 0) {
            c = (char)(hex_value(path[i + 1]) * 16 + hex_value(path[i + 2]));
            i += 2;
        }
        out->path[used++] = c != '\0' ? c : '\1';
        at = i + 1;
    }
    out->path_cut = at < length;
    out->path[used] = '\0';
    meter_path_flatten(out->path);
    if (used == 0 || out->path_cut)
        (void)snprintf(out->path, sizeof out->path, out->path_cut ? "/\1" : "/");
}

/* scheme://host[:port][/path...] of letters, digits, '.', '-', '_' in the host: nothing to argue
 * about. False: let libcurl read it. */
static bool read_plain(const char *url, struct shim_target *out)
{
    size_t scheme = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const char *host = url + scheme + 3, *port, *path;
    size_t host_length, port_length = 0;

    if (scheme == 0 || strncmp(url + scheme, "://", 3) != 0)
        return false;
    host_length = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    port = host + host_length;
    path = port;
    if (*port == ':') {
        port++;
        port_length = strspn(port, "0123456789");
        path = port + port_length;
    }
    if (host_length == 0 || strchr("/?#", *path) == NULL || strchr(path, '\\') != NULL)
        return false;
    if (!scheme_is_http(url, scheme) || !host_set(out, host, host_length, port, port_length))
        return false;
    path_set(out, path, strcspn(path, "?#"));
    return true;
}

#ifndef CURLU_PUNYCODE
#define CURLU_PUNYCODE (1 << 12)
#endif

static bool read_parts(const struct shim_curl *curl, CURLU *parts, struct shim_target *out)
{
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
    bool ok = false;

    (void)curl->url_get(parts, CURLUPART_SCHEME, &scheme, CURLU_DEFAULT_SCHEME);
    if (curl->url_get(parts, CURLUPART_HOST, &host, CURLU_PUNYCODE | CURLU_URLDECODE) != CURLUE_OK)
        (void)curl->url_get(parts, CURLUPART_HOST, &host, 0);
    (void)curl->url_get(parts, CURLUPART_PORT, &port, 0);
    (void)curl->url_get(parts, CURLUPART_PATH, &path, 0);
    if (host != NULL && scheme != NULL && scheme_is_http(scheme, strlen(scheme)))
        ok = host_set(out, host, strlen(host), port, port != NULL ? strlen(port) : 0);
    if (ok)
        path_set(out, path != NULL ? path : "/", path != NULL ? strlen(path) : 1);
    curl->free(scheme);
    curl->free(host);
    curl->free(port);
    curl->free(path);
    return ok;
}

/* What has no scheme is read as HTTP, whatever libcurl would guess (ftp.example.com): the
 * application may have set CURLOPT_DEFAULT_PROTOCOL. */
static bool read_by_libcurl(const struct shim_curl *curl, const char *url, struct shim_target *out)
{
    CURLU *parts = curl->url();
    bool ok = parts != NULL &&
              curl->url_set(parts, CURLUPART_URL, url,
                            CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
              read_parts(curl, parts, out);

    if (parts != NULL)
        curl->url_cleanup(parts);
    return ok;
}

/* file://, ftp://: no LLM is asked so. */
static bool is_of_another_scheme(const char *url)
{
    size_t scheme = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return scheme > 0 && strncmp(url + scheme, "://", 3) == 0 && !scheme_is_http(url, scheme);
}

/* CURLOPT_PORT beats the URL's. */
static bool port_set(struct shim_target *out, long port)
{
    char digits[24];
    size_t name = strcspn(out->host, ":");
    int length = snprintf(digits, sizeof digits, "%ld", port);

    return port <= 0 || host_set(out, out->host, name, digits, (size_t)length);
}

bool shim_url_read(const struct shim_curl *curl, const char *url, long port,
                   struct shim_target *out)
{
    return !is_of_another_scheme(url) &&
           (read_plain(url, out) || read_by_libcurl(curl, url, out)) && port_set(out, port);
}

/* ---- the handle's target ------------------------------------------------------------------ */

static const char *method_of(const struct shim_handle *handle)
{
    static const char *const names[] = {
        [SHIM_GET] = "GET", [SHIM_HEAD] = "HEAD", [SHIM_POST] = "POST",
        [SHIM_PUT] = "PUT", [SHIM_MIME] = "POST", [SHIM_FORM] = "POST",
    };
    const char *custom = shim_option_text(handle, SLOT_METHOD);

    return custom != NULL ? custom : names[handle->method];
}

void shim_target_read(const struct shim_handle *handle, const char *url, const char *method,
                      struct shim_target *out)
{
    CURLU *parts = shim_option_pointer(handle, SLOT_CURLU);
    const char *target = shim_option_text(handle, SLOT_TARGET);
    long port = (long)shim_option(handle, SLOT_PORT);
    bool ok;

    out->governed = false;
    out->raw = shim_option(handle, SLOT_CONNECT_ONLY) != 0 &&
               shim_option(handle, SLOT_CONNECT_ONLY) != 2; /* 2: for a WebSocket of this path */
    (void)snprintf(out->method, sizeof out->method, "%s",
                   method != NULL ? method : method_of(handle));
    if (url == NULL && parts != NULL)
        ok = read_parts(handle->curl, parts, out) && port_set(out, port);
    else if (url == NULL)
        ok = shim_option_text(handle, SLOT_URL) != NULL &&
             shim_url_read(handle->curl, shim_option_text(handle, SLOT_URL), port, out);
    else
        ok = shim_url_read(handle->curl, url, 0, out);
    if (!ok)
        return;
    if (target != NULL)
        path_set(out, target, strcspn(target, "?#"));
    recognise(out);
}
