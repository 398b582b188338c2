/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones, from the system's files. Once read they stay, for windows go by them in other threads
 * and for longer than the run that named them. */
#include "sidecar/side_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_ZONE "/etc/localtime"
#define ZONES       "/usr/share/zoneinfo/"
#define FILE_MOST   (256u << 10)

static struct side_zone *zones; /* the loop's, as far as it grows */

/* "Europe/Berlin": no way out of the folder. */
static bool is_name(const char *name)
{
    static const char signs[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_/";

    return name[0] != '/' && name[0] != '\0' && strspn(name, signs) == strlen(name);
}

static uint16_t tag_of(const char *name)
{
    struct store_scope_key key;
    uint16_t tag;

    if (name[0] == '\0')
        return 0;
    store_scope_name(&key, GOV_GLOBAL, name);
    memcpy(&tag, key.id, sizeof tag);
    return tag != 0 ? tag : 1;
}

/* The file's bytes behind the struct; NULL: it cannot be read (errno). */
static struct side_zone *zone_load(const char *path, const char *name)
{
    struct side_zone *zone = malloc(sizeof *zone + FILE_MOST), *fitted;
    FILE *file = zone != NULL ? fopen(path, "re") : NULL;

    if (file == NULL) {
        free(zone);
        return NULL;
    }
    memset(zone, 0, sizeof *zone);
    zone->count = fread(zone->bytes, 1, FILE_MOST, file);
    (void)fclose(file);
    (void)snprintf(zone->name, sizeof zone->name, "%s", name);
    zone->tag = tag_of(name);
    fitted = realloc(zone, sizeof *zone + zone->count);
    zone = fitted != NULL ? fitted : zone;
    if (gov_zone_init(&zone->zone, zone->bytes, zone->count))
        return zone;
    free(zone);
    errno = EINVAL;
    return NULL;
}

/* The same name with other bytes, after an update of the system's, is another zone. */
static const struct side_zone *zone_keep(struct side_zone *zone)
{
    for (const struct side_zone *other = zones; other != NULL; other = other->next)
        if (strcmp(other->name, zone->name) == 0 && other->count == zone->count &&
            memcmp(other->bytes, zone->bytes, zone->count) == 0) {
            free(zone);
            return other;
        }
    zone->next = zones;
    zones = zone;
    return zone;
}

const struct side_zone *side_zone_find(const char *name, struct side_error *error)
{
    static const struct side_zone utc;
    struct side_zone *zone;
    char path[128] = SYSTEM_ZONE;

    if (name[0] != '\0' && !is_name(name)) {
        (void)side_fail(error, "'%s' is no time zone, such as Europe/Berlin", name);
        return NULL;
    }
    if (name[0] != '\0')
        (void)snprintf(path, sizeof path, ZONES "%s", name);
    zone = zone_load(path, name);
    if (zone != NULL)
        return zone_keep(zone);
    if (name[0] == '\0' && errno == ENOENT)
        return &utc;
    if (errno == EINVAL)
        (void)side_fail(error, "%s: is no file of a time zone", path);
    else
        (void)side_fail(error, "%s: %s; a zone is a file of the package tzdata", path,
                        strerror(errno));
    return NULL;
}

void side_zones_release(void)
{
    while (zones != NULL) {
        struct side_zone *zone = zones;

        zones = zone->next;
        free(zone);
    }
}
