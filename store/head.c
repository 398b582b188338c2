/* SPDX-License-Identifier: Apache-2.0 */
/* The file `head`: the number and hash of the last record that was known to be on the disk. A
 * ledger that does not have that record is an older copy, or another one. */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_MOST 128

void store_hex(const uint8_t hash[32], char out[STORE_HEX_TEXT])
{
    for (unsigned i = 0; i < 32; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static bool hex_read(const char *text, uint8_t out[32])
{
    for (unsigned i = 0; i < 32; i++) {
        char pair[3] = {text[2 * i], text[2 * i] != '\0' ? text[2 * i + 1] : '\0', '\0'};

        if (strspn(pair, "0123456789abcdef") != 2)
            return false;
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

/* What is not there, or was not written to its end, says nothing. */
void store_head_read(struct store *store)
{
    char path[600], text[HEAD_MOST] = "", *hash;
    int fd;

    store->kept_seq = 0;
    (void)snprintf(path, sizeof path, "%s/head", store->home);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0) {
        store->kept_seq = strtoull(text, &hash, 10);
        if (*hash != ' ' || !hex_read(hash + 1, store->kept_head))
            store->kept_seq = 0;
    }
    (void)close(fd);
}

/* Written beside it and renamed: it is the old one or the new one. Not synced: one that is lost, or
 * older, claims less. */
bool store_head_write(const char *home, uint64_t seq, const uint8_t head[32])
{
    char path[600], fresh[620], text[HEAD_MOST], hex[65];
    int fd, length;
    bool ok;

    store_hex(head, hex);
    length = snprintf(text, sizeof text, "%llu %s\n", (unsigned long long)seq, hex);
    (void)snprintf(path, sizeof path, "%s/head", home);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    ok = write(fd, text, (size_t)length) == length;
    (void)close(fd);
    return ok && rename(fresh, path) == 0;
}

void store_head_keep(struct store *store)
{
    if (store->durable_seq != store->written_seq &&
        store_head_write(store->home, store->durable_seq, store->durable_head))
        store->written_seq = store->durable_seq;
}

/* Where a ledger was no new one is begun. */
enum store_err store_head_missing(struct store *store, const char *path, struct store_error *error)
{
    store_head_read(store);
    if (store->kept_seq == 0 || access(path, F_OK) == 0 || errno != ENOENT)
        return STORE_OK;
    store_say(error, "%s: is gone; it had %llu records when `head` beside it was written", path,
              (unsigned long long)store->kept_seq);
    return STORE_ROLLED_BACK;
}

/* Against the chain as it was opened. */
enum store_err store_head_check(struct store *store, struct store_error *error)
{
    struct store_event *event;
    uint8_t hash[32];
    enum store_err err = STORE_OK;

    if (store->kept_seq == 0)
        return STORE_OK;
    event = malloc(sizeof *event);
    if (event == NULL)
        return STORE_NOMEM;
    if (store->kept_seq <= store->seq)
        err = store_chain_get(store, store->txn, store->kept_seq, event, hash);
    if (err == STORE_OK &&
        (store->kept_seq > store->seq || (event->head.seq == store->kept_seq &&
                                          memcmp(hash, store->kept_head, sizeof hash) != 0))) {
        store_say(error,
                  "%s/ledger.mdb ends at record %llu, without the record %llu that `head` beside "
                  "it names: an older copy, or another ledger, is in its place",
                  store->home, (unsigned long long)store->seq, (unsigned long long)store->kept_seq);
        err = STORE_ROLLED_BACK;
    }
    free(event);
    return err;
}
