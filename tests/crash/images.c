/* SPDX-License-Identifier: Apache-2.0 */
/* Power failures: `images SEED IMAGES BUILD`. What a sidecar writes to its ledger is recorded; an
 * image is the file as a disk may have it that lost power somewhere in that log: all up to the last
 * sync, and of what was written since, any part, in any order, torn at any sector. Every image has
 * to open, to prove itself, to be the beginning of the chain that was written, and to have every
 * hold that was acknowledged, and every settlement above its hold: what is lost may only be such
 * that more is counted than was spent. Some get a sidecar, which has to charge what had left. */
#include "tests/crash/images.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR         512u
#define IMAGES_OF_LIFE 250u
#define PENDING_MAX    4096u
#define SIDECAR_ONE_IN 40

struct entry {
    struct record_entry head;
    const unsigned char *bytes;
    unsigned long begins, ends; /* in the log */
};

struct disk {
    unsigned char *bytes;
    size_t used, size;
};

/* ---- the disk ------------------------------------------------------------------------------- */

static void disk_write(struct disk *disk, uint64_t offset, const void *bytes, size_t count)
{
    if (offset + count > disk->size) {
        size_t size = 2 * (offset + count);
        unsigned char *grown = realloc(disk->bytes, size);

        if (grown == NULL)
            ask_die("out of memory");
        memset(grown + disk->size, 0, size - disk->size);
        disk->bytes = grown;
        disk->size = size;
    }
    memcpy(disk->bytes + offset, bytes, count);
    if (offset + count > disk->used)
        disk->used = offset + count;
}

/* All of it, nothing, or some of its sectors. */
static bool write_some(struct disk *disk, struct chance *chance, const struct entry *entry,
                       int64_t keep_of_8)
{
    bool torn = chance_one_in(chance, 4);

    if (!torn) {
        if (chance_below(chance, 8) < keep_of_8)
            disk_write(disk, entry->head.offset, entry->bytes, entry->head.bytes);
        return false;
    }
    for (size_t at = 0; at < entry->head.bytes;) {
        uint64_t offset = entry->head.offset + at;
        size_t part = SECTOR - offset % SECTOR;

        if (part > entry->head.bytes - at)
            part = entry->head.bytes - at;
        if (chance_below(chance, 8) < keep_of_8)
            disk_write(disk, offset, entry->bytes + at, part);
        at += part;
    }
    return true;
}

static void shuffle(struct chance *chance, const struct entry **list, unsigned count)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)chance_below(chance, i);
        const struct entry *entry = list[i - 1];

        list[i - 1] = list[other];
        list[other] = entry;
    }
}

/* ---- the log -------------------------------------------------------------------------------- */

static struct entry *log_read(const struct record_log *log, unsigned *count_out)
{
    unsigned long used = atomic_load(&log->used), at = 0;
    struct entry *entries = NULL;
    unsigned count = 0, size = 0;

    while (at < used) {
        struct entry *entry;

        if (count == size) {
            size = size == 0 ? 1024 : 2 * size;
            entries = realloc(entries, size * sizeof *entries);
            if (entries == NULL)
                ask_die("out of memory");
        }
        entry = &entries[count++];
        memcpy(&entry->head, log->bytes + at, sizeof entry->head);
        entry->begins = at;
        entry->bytes = log->bytes + at + sizeof entry->head;
        at += sizeof entry->head + (entry->head.bytes + 7ul) / 8 * 8;
        entry->ends = at;
    }
    *count_out = count;
    return entries;
}

/* ---- an image ------------------------------------------------------------------------------- */

struct image {
    struct disk safe; /* as of the last sync before the cut */
    unsigned synced;  /* entries that are in it */
};

static bool is_write(const struct entry *entry)
{
    return entry->head.kind == RECORD_WRITE || entry->head.kind == RECORD_WRITE_THROUGH;
}

/* Brings what is safe up to the last sync before this entry. */
static void safe_advance(struct image *image, const struct entry *entries, unsigned cut)
{
    unsigned last = image->synced;

    for (unsigned i = image->synced; i < cut; i++)
        if (entries[i].head.kind == RECORD_SYNC)
            last = i + 1;
    for (; image->synced < last; image->synced++)
        if (is_write(&entries[image->synced]))
            disk_write(&image->safe, entries[image->synced].head.offset,
                       entries[image->synced].bytes, entries[image->synced].head.bytes);
}

/* The entry at the cut is the one that was under way. */
static bool image_make(const struct image *image, const struct entry *entries, unsigned cut,
                       struct chance *chance, struct disk *out)
{
    static const struct entry *pending[PENDING_MAX];
    unsigned count = 0;
    int64_t keep_of_8 = chance_below(chance, 9);
    bool torn = false;

    out->used = 0;
    disk_write(out, 0, image->safe.bytes, image->safe.used);
    for (unsigned i = image->synced; i <= cut; i++)
        if (is_write(&entries[i]) && count < PENDING_MAX)
            pending[count++] = &entries[i];
    if (chance_one_in(chance, 2))
        shuffle(chance, pending, count);
    for (unsigned i = 0; i < count; i++) {
        if (pending[i]->head.kind == RECORD_WRITE_THROUGH && pending[i] != &entries[cut])
            disk_write(out, pending[i]->head.offset, pending[i]->bytes, pending[i]->head.bytes);
        else
            torn = write_some(out, chance, pending[i], keep_of_8) || torn;
    }
    return torn;
}

/* It is not synced: any that was put in its place, one that was not written to its end, or none. */
static void head_write(const struct images_life *life, const struct entry *entries, unsigned cut,
                       struct chance *chance)
{
    const struct entry *head = NULL;
    size_t length;
    char path[160];
    int fd;

    (void)snprintf(path, sizeof path, "%s/head", life->image);
    (void)unlink(path);
    for (unsigned i = 0; i <= cut; i++)
        if (entries[i].head.kind == RECORD_HEAD && (head == NULL || !chance_one_in(chance, 4)))
            head = &entries[i];
    if (head == NULL || chance_one_in(chance, 8))
        return;
    length = chance_one_in(chance, 8) ? (size_t)chance_below(chance, head->head.bytes + 1)
                                      : head->head.bytes;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, head->bytes, length) != (ssize_t)length || close(fd) != 0)
        ask_die("%s: %s", path, strerror(errno));
}

static void image_write(const struct images_life *life, const struct disk *disk)
{
    char path[160];
    int fd;

    (void)mkdir(life->image, 0700);
    (void)snprintf(path, sizeof path, "%s/ledger.mdb", life->image);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, disk->bytes, disk->used) != (ssize_t)disk->used || close(fd) != 0)
        ask_die("%s: %s", path, strerror(errno));
}

/* ---- what has to be in it -------------------------------------------------------------------- */

static void check_chain(const struct images_life *life, struct store_view *view, unsigned number,
                        struct images_totals *totals)
{
    struct store_proof proof;
    uint8_t head[32];
    uint64_t seq;

    if (store_verify(view, NULL, NULL, NULL, &proof) != STORE_OK || !proof.chain || !proof.sums ||
        !proof.caps)
        ask_die("image %u: record %llu: %s", number, (unsigned long long)proof.first_bad,
                proof.what);
    store_view_head(view, &seq, head);
    if (seq > life->records || (seq > 0 && memcmp(head, life->hashes[seq], sizeof head) != 0))
        ask_die("image %u: its %llu records are not the beginning of what was written", number,
                (unsigned long long)seq);
    totals->shorter += seq < life->records;
}

static void check_call(struct store_view *view, const struct images_call *call, unsigned long cut,
                       unsigned number, bool settled)
{
    static struct store_event event;
    unsigned long held = atomic_load(&call->held), over = atomic_load(&call->overrun);
    unsigned long gone = atomic_load(&call->gone);
    struct store_call row;

    if (held == 0 || held > cut)
        return;
    if (store_view_call(view, call->id, &row) != STORE_OK || row.admission_seq == 0)
        ask_die("image %u: an acknowledged hold is not in it", number);
    if (over != 0 && over <= cut && row.state != STORE_CALL_ENDED)
        ask_die("image %u: a settlement above its hold is not in it", number);
    if (!settled)
        return;
    if (row.state != STORE_CALL_ENDED || store_view_event(view, row.consumption_seq, &event) != 0)
        ask_die("image %u: a hold is stuck", number);
    if (gone != 0 && gone <= cut && event.consumption.end == STORE_RELEASED)
        ask_die("image %u: a call that had left was released", number);
}

/* Opens it as a sidecar does. settled: a sidecar has had it. */
static void check(const struct images_life *life, unsigned long cut, unsigned number, bool settled,
                  struct images_totals *totals)
{
    struct store_error error;
    struct store *store;
    struct store_view *view;
    enum store_err err = store_open(life->image, settled, &store, &error);

    if (err != STORE_OK)
        ask_die("image %u does not open: %s", number, error.text);
    if (store_view_open(store, &view) != STORE_OK)
        ask_die("image %u cannot be read", number);
    if (!settled)
        check_chain(life, view, number, totals);
    for (unsigned i = 0; i < IMAGES_CLIENTS; i++)
        for (unsigned k = 0; k < IMAGES_CALLS; k++)
            check_call(view, &life->calls[i][k], cut, number, settled);
    store_view_close(view);
    store_close(store);
}

/* One that is asked answers from a ledger in which all ends are booked. */
static void give_to_sidecar(const struct images_life *life, const char *build)
{
    struct client_place place = {.directory = ""};
    struct client_link link;
    char reply[65536], reason[256];
    bool started;
    pid_t pid = images_sidecar(build, life->image, NULL, NULL);

    (void)snprintf(place.home, sizeof place.home, "%s", life->image);
    if (!client_open(&link, &place, false, &started, reason, sizeof reason) ||
        ask_question(&link, "{\"verb\":\"verify\"}", reply, sizeof reply, 10000) != 0)
        ask_die("a sidecar on an image: %s", reply);
    client_close(&link);
    images_sidecar_end(pid);
}

static int by_size(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return x < y ? -1 : x > y;
}

void images_check(struct images_life *life, const char *build, struct chance *chance,
                  unsigned count, struct images_totals *totals)
{
    struct image image = {{NULL, 0, 0}, 0};
    struct disk disk = {NULL, 0, 0};
    unsigned entry_count, first = 0, *cuts = calloc(count, sizeof *cuts);
    struct entry *entries = log_read(life->log, &entry_count);

    for (unsigned i = 0; i < entry_count; i++)
        totals->syncs += entries[i].head.kind == RECORD_SYNC;
    for (unsigned i = 0; i < entry_count; i++)
        totals->writes += is_write(&entries[i]);
    totals->calls += IMAGES_CLIENTS * IMAGES_CALLS;
    while (first < entry_count && entries[first].head.kind != RECORD_SYNC)
        first++; /* before that there was no ledger yet */
    if (++first >= entry_count)
        ask_die("the ledger is never synced");
    for (unsigned i = 0; i < count; i++)
        cuts[i] = first + (unsigned)chance_below(chance, entry_count - first);
    qsort(cuts, count, sizeof *cuts, by_size);
    for (unsigned i = 0; i < count; i++) {
        safe_advance(&image, entries, cuts[i]);
        totals->torn += image_make(&image, entries, cuts[i], chance, &disk);
        image_write(life, &disk);
        head_write(life, entries, cuts[i], chance);
        check(life, entries[cuts[i]].begins, i, false, totals);
        if (chance_one_in(chance, SIDECAR_ONE_IN)) {
            give_to_sidecar(life, build);
            check(life, entries[cuts[i]].begins, i, true, totals);
            totals->sidecars++;
        }
        totals->images++;
    }
    free(image.safe.bytes);
    free(disk.bytes);
    free(entries);
    free(cuts);
}

int main(int argc, char **argv)
{
    unsigned long images = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    struct images_totals totals = {0};
    struct chance chance;

    if (images == 0 || argc < 4)
        ask_die("usage: images SEED IMAGES BUILD");
    chance.state = strtoull(argv[1], NULL, 10);
    while (totals.images < images) {
        struct images_life life = {.directory = ""};
        unsigned long left = images - totals.images;

        images_live(&life, argv[3], chance_u64(&chance));
        images_check(&life, argv[3], &chance,
                     left < IMAGES_OF_LIFE ? (unsigned)left : IMAGES_OF_LIFE, &totals);
        images_life_release(&life);
    }
    printf("images: seed %s, %lu images (%lu with torn writes, %lu short of the end) of %lu writes "
           "and %lu syncs for %lu calls: 0 unreadable, 0 wrong, no acknowledged hold lost; %lu "
           "given to a sidecar\n",
           argv[1], totals.images, totals.torn, totals.shorter, totals.writes, totals.syncs,
           totals.calls, totals.sidecars);
    return 0;
}
