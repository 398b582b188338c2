/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request goes to: the table of providers, and their hosts. */
#include "meter/glob.h"
#include "meter/meter_int.h"

const char *meter_strerror(enum meter_err err)
{
    switch (err) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        METER_ERR_MAP(X)
#undef X
    }
    return "an error that this build does not know";
}

static const struct meter_provider providers[] = {
#define METER_PROVIDER_ROW(id, name, shape, cap, asks, cost)                                       \
    [PROVIDER_##id] = {name, METER_SHAPE_##shape, CAP_##cap, asks, COST_##cost},
#include "meter/providers.def"
};

static const struct {
    enum provider_id provider;
    const char *pattern;
} hosts[] = {
#define METER_HOST_ROW(id, pattern, paths) {PROVIDER_##id, pattern},
#include "meter/providers.def"
};

const struct meter_provider *meter_provider_unknown(void)
{
    return &providers[PROVIDER_UNKNOWN];
}

enum provider_id provider_id_of(const struct meter_provider *provider)
{
    return (enum provider_id)(provider - providers);
}

const struct meter_provider *meter_provider_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        if (strcmp(providers[i].name, name) == 0)
            return &providers[i];
    return NULL;
}

const struct meter_provider *meter_provider_next(const struct meter_provider *provider)
{
    const struct meter_provider *next = provider != NULL ? provider + 1 : providers;

    return next < providers + COUNT_OF(providers) ? next : NULL;
}

const char *meter_provider_name(const struct meter_provider *provider)
{
    return provider->name;
}

/* A host without the dot of a fully qualified name, in lower case; port_at_out: where its port
 * begins, with the colon. false: it does not fit. */
static bool host_plain(const char *host, char *out, size_t room, size_t *port_at_out)
{
    size_t name = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    size_t bytes = strnlen(host, room), end = name < bytes ? name : bytes;
    size_t port = bytes - end;

    if (bytes >= room)
        return false;
    while (end > 0 && host[end - 1] == '.')
        end--;
    for (size_t i = 0; i < end; i++)
        out[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] | 0x20 : host[i]);
    memcpy(out + end, host + (bytes - port), port);
    out[end + port] = '\0';
    *port_at_out = end;
    return true;
}

const struct meter_provider *meter_provider_by_host(const char *host)
{
    char plain[256], name[256];
    size_t port_at;

    if (host == NULL || !host_plain(host, plain, sizeof plain, &port_at))
        return NULL;
    memcpy(name, plain, sizeof name);
    name[port_at] = '\0';
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        if (meter_host_matches(hosts[i].pattern, plain, name))
            return &providers[hosts[i].provider];
    return NULL;
}
