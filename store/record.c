/* SPDX-License-Identifier: Apache-2.0 */
/* The chain's records: packing, hashing, appending, reading. A record is stored as its head, its
 * body, the scopes that a decision saw, and the SHA-256 of all that. */
#include "store/store_int.h"

#include <stdlib.h>
#include <string.h>

/* As the first Flyball wrote them, and as they are now. */
static const struct {
    uint16_t least, now;
} bodies[] = {
    [STORE_ALLOCATION] = {840, sizeof(struct store_allocation)},
    [STORE_ADMISSION] = {416, sizeof(struct store_admission)},
    [STORE_REFUSAL] = {256, sizeof(struct store_refusal)},
    [STORE_CONSUMPTION] = {520, sizeof(struct store_consumption)},
    [STORE_WARNING] = {56, sizeof(struct store_threshold)},
    [STORE_EXHAUSTED] = {56, sizeof(struct store_threshold)},
    [STORE_COMPLETED] = {96, sizeof(struct store_completed)},
    [STORE_OVERRUN] = {32, sizeof(struct store_overrun)},
    [STORE_RUN_ENDED] = {40, sizeof(struct store_run_ended)},
    [STORE_CORRECTED] = {376, sizeof(struct store_corrected)},
    [STORE_CHECKPOINT] = {88, sizeof(struct store_checkpoint)},
    [STORE_CLOCK] = {264, sizeof(struct store_clock)},
    [STORE_USED] = {144, sizeof(struct store_used)},
    [STORE_ASKED] = {280, sizeof(struct store_asked)},
    [STORE_ANSWERED] = {288, sizeof(struct store_answered)},
    [STORE_EXTENDED] = {296, sizeof(struct store_extended)},
    [STORE_TURNED] = {400, sizeof(struct store_turned)},
    [STORE_OVERRIDE] = {440, sizeof(struct store_override)},
    [STORE_BEGUN] = {176, sizeof(struct store_begun)},
    [STORE_TRANSITION] = {1040, sizeof(struct store_transition)},
    [STORE_SELECTED] = {808, sizeof(struct store_selected)},
    [STORE_BREACH] = {56, sizeof(struct store_threshold)},
    [STORE_COOLDOWN] = {264, sizeof(struct store_cooldown)},
};

size_t store_body_bytes(unsigned type)
{
    return type < sizeof bodies / sizeof bodies[0] ? bodies[type].now : 0;
}

void store_seq_key(uint64_t seq, uint8_t out[8])
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(seq >> (56 - 8 * i));
}

uint64_t store_key_seq(const void *key)
{
    const uint8_t *bytes = key;
    uint64_t seq = 0;

    for (int i = 0; i < 8; i++)
        seq = seq << 8 | bytes[i];
    return seq;
}

/* The body follows the head in memory as in the file; the scopes only in the file. */
static size_t pack(const struct store_event *event, uint8_t out[STORE_RECORD_MAX])
{
    size_t body = store_body_bytes(event->head.type);
    size_t scopes = event->head.scope_count * sizeof event->scopes[0], used = 0;

    memcpy(out, &event->head, sizeof event->head);
    used += sizeof event->head;
    memcpy(out + used, &event->allocation, body);
    used += body;
    memcpy(out + used, event->scopes, scopes);
    return used + scopes;
}
_Static_assert(sizeof(struct store_record) + sizeof(struct store_allocation) +
                       STORE_SCOPES_MAX * sizeof(struct store_scope_seen) + STORE_HASH_BYTES <=
                   STORE_RECORD_MAX,
               "the largest record fits");

/* How many bytes of a stored record are its body; 0: it cannot be one. */
static size_t body_of(const struct store_record *head, size_t count)
{
    size_t around = sizeof *head + head->scope_count * sizeof(struct store_scope_seen);
    size_t body = head->bytes - around;

    if (head->version == 0 || head->version > STORE_RECORD_VERSION ||
        head->scope_count > STORE_SCOPES_MAX || head->bytes < around ||
        count != head->bytes + (size_t)STORE_HASH_BYTES || store_body_bytes(head->type) == 0)
        return 0;
    return body >= bodies[head->type].least && body <= bodies[head->type].now ? body : 0;
}

bool store_unpack(const void *bytes, size_t count, struct store_event *out, uint8_t hash_out[32])
{
    const uint8_t *at = bytes;
    uint8_t hash[32];
    size_t body;

    memset(out, 0, sizeof *out);
    if (count < sizeof out->head + STORE_HASH_BYTES)
        return false;
    memcpy(&out->head, at, sizeof out->head);
    body = body_of(&out->head, count);
    if (body == 0)
        return false;
    memcpy(&out->allocation, at + sizeof out->head, body);
    memcpy(out->scopes, at + sizeof out->head + body,
           out->head.scope_count * sizeof out->scopes[0]);
    store_sha256(at, out->head.bytes, hash);
    if (hash_out != NULL)
        memcpy(hash_out, hash, sizeof hash);
    return memcmp(hash, at + out->head.bytes, sizeof hash) == 0;
}

enum store_err store_append(struct store *store, struct store_event *event, size_t body_bytes)
{
    uint8_t bytes[STORE_RECORD_MAX], key[8];
    size_t used;
    enum store_err err;

    if (body_bytes != store_body_bytes(event->head.type) ||
        event->head.scope_count > STORE_SCOPES_MAX)
        return STORE_DAMAGED;
    event->head.version = STORE_RECORD_VERSION;
    event->head.seq = store->seq + 1;
    event->head.bytes = (uint32_t)(sizeof event->head + body_bytes +
                                   event->head.scope_count * sizeof event->scopes[0]);
    memcpy(event->head.prev, store->head, sizeof event->head.prev);
    used = pack(event, bytes);
    store_sha256(bytes, used, bytes + used);
    store_seq_key(event->head.seq, key);
    err = store_put(store, STORE_CHAIN, key, sizeof key, bytes, used + STORE_HASH_BYTES);
    if (err == STORE_OK)
        err = store_hour_put(store, &event->head);
    if (err == STORE_OK && event->head.type == STORE_ALLOCATION)
        err = store_index_put(store, event, event->allocation.session, NULL);
    if (err == STORE_OK)
        err = store_alive_put(store, event);
    if (err != STORE_OK)
        return err;
    store->seq = event->head.seq;
    memcpy(store->head, bytes + used, sizeof store->head);
    return STORE_OK;
}

enum store_err store_chain_get(const struct store *store, MDB_txn *txn, uint64_t seq,
                               struct store_event *out, uint8_t hash_out[32])
{
    MDB_cursor *cursor = NULL;
    uint8_t bytes[8];
    MDB_val key = {sizeof bytes, bytes}, value;
    int code = mdb_cursor_open(txn, store->tables[STORE_CHAIN], &cursor);
    enum store_err err;

    store_seq_key(seq, bytes);
    if (code == MDB_SUCCESS)
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    err = store_err_of(store, code);
    if (err == STORE_OK) {
        uint64_t at = key.mv_size == sizeof bytes ? store_key_seq(key.mv_data) : 0;

        /* Also one at another's place: whoever goes on behind it has to come to the end. */
        if (!store_unpack(value.mv_data, value.mv_size, out, hash_out) || out->head.seq != at ||
            at < seq) {
            out->head.seq = at > seq ? at : seq;
            err = STORE_DAMAGED;
        }
    }
    mdb_cursor_close(cursor);
    return err;
}
