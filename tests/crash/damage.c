/* SPDX-License-Identifier: Apache-2.0 */
/* Damage: `damage SEED ROUNDS BUILD`. A ledger is made, then harmed behind its back: bytes of every
 * kind of page are flipped, the file is cut short, an older copy or another ledger is put in its
 * place, records are edited, left out, put in, swapped. Whoever opens or proves it has to say so;
 * where it dies of what it reads, `flyball verify` has to; where nobody says anything, all that can
 * be read of it must be as it was. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/ask.h"
#include "tests/unit/chance.h"

#define PAGE       4096u
#define CALLS      240u
#define FILE_MAX   (16u << 20)
#define TABLES     32u
#define PATIENCE_S 5 /* of the processor, for a reader; a whole ledger takes some ms */
#define NOON_NS    (INT64_C(1900000000) * 1000000000)
#define DAY_NS     (INT64_C(86400) * 1000000000)
#define OLD        60u /* calls that are forgotten, if they are over */

/* LMDB's pages: where in their head something stands. */
#define PAGE_FLAGS 10u
#define PAGE_LOWER 12u /* the end of what is used at its beginning; then: where it begins again */
enum page { BRANCH, LEAF, OVERFLOW_PAGE, META, UNUSED, PAGE_KINDS };
static const char *const page_names[] = {"branch", "leaf", "overflow", "meta", "unused"};

enum outcome { HARMLESS, AT_OPEN, BY_VERIFY, DIED, OUTCOMES, ENDLESS };
static const char *const outcome_names[] = {"harmless", "at open", "by verify",
                                            "by the command, whose reader died"};

static struct client_place place;
static const char *build;
static unsigned char whole[FILE_MAX], harmed[FILE_MAX];
static size_t whole_bytes;
static uint8_t digest_before[32], head_before[32];

static void must(enum store_err err, const char *what)
{
    if (err != STORE_OK)
        ask_die("%s: %s", what, store_strerror(err));
}

/* ---- a ledger with everything in it -----------------------------------------------------------
 */

static void id_of(char kind, uint64_t number, uint8_t out[16])
{
    memset(out, 0, 16);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(number >> (56 - 8 * i));
    out[15] = (uint8_t)kind;
}

static void head_of(struct store_event *event, enum store_type type, uint64_t run, uint64_t call)
{
    memset(event, 0, sizeof *event);
    event->head.type = (uint16_t)type;
    event->head.ts_ns = call > 0 ? NOON_NS + (int64_t)call * 1000000000 : NOON_NS - 2 * DAY_NS;
    id_of('r', run, event->head.run_id);
    if (call > 0)
        id_of('c', call, event->head.call_id);
}

static void run_make(struct store *store, uint64_t run)
{
    static struct store_event event;
    struct store_run row = {.state = GOV_RUNNING};

    head_of(&event, STORE_ALLOCATION, run, 0);
    event.allocation.limits[GOV_COST] = 1000000000;
    must(store_append(store, &event, sizeof event.allocation), "allocate");
    memcpy(row.run_id, event.head.run_id, sizeof row.run_id);
    row.started_ns = event.head.ts_ns;
    row.allocation = event.allocation;
    row.allocation_seq = event.head.seq;
    must(store_run_put(store, &row), "run");
}

static void call_admit(struct store *store, uint64_t call)
{
    static struct store_event event;
    struct store_call row;

    head_of(&event, STORE_ADMISSION, 1 + call % 3, call);
    event.admission.hold[GOV_STEPS] = 1;
    event.admission.hold[GOV_TOKENS] = 1000;
    event.admission.hold[GOV_COST] = 500 + (int64_t)call;
    event.admission.request_hash[0] = (uint8_t)call;
    event.head.scope_count = 2;
    store_scope_run(&event.scopes[0].key, event.head.run_id);
    event.scopes[0].limit[GOV_COST] = 1000000000;
    store_scope_name(&event.scopes[1].key, GOV_SESSION, "nightly");
    must(store_admit(store, &event, &row), "admit");
}

static void call_go_on(struct store *store, uint64_t call, struct chance *chance)
{
    static struct store_event event;
    uint8_t id[16], progress[3000];

    id_of('c', call, id);
    must(store_sent(store, id, NOON_NS), "sent");
    if (call % 3 != 0) {
        chance_bytes(chance, progress, sizeof progress); /* in pages of its own */
        must(store_progress_put(store, id, progress, sizeof progress), "progress");
    }
    if (call % 5 == 0)
        return;
    head_of(&event, STORE_CONSUMPTION, 1 + call % 3, call);
    event.consumption.end = STORE_SETTLED;
    event.consumption.tokens_total = 300;
    event.consumption.tokens[METER_INPUT] = 300;
    event.consumption.charged_pusd = event.consumption.cost_pusd = 200 + (int64_t)call;
    event.consumption.provider_cost_pusd = -1;
    must(store_settle(store, &event), "settle");
}

static void ledger_grow(uint64_t from, uint64_t to, struct chance *chance)
{
    struct store_error error;
    struct store *store;

    must(store_open(place.home, false, &store, &error), error.text);
    for (uint64_t call = from; call <= to; call++) {
        must(store_begin(store), "begin");
        if (call <= 3)
            run_make(store, call);
        if (call > 3)
            call_admit(store, call);
        if (call > 12)
            call_go_on(store, call - 9, chance);
        must(store_commit(store, call % 2 == 0), "commit");
    }
    store_close(store);
}

/* What is needed of them stays. */
static void ledger_forget(void)
{
    int64_t before_ns = NOON_NS + OLD * INT64_C(1000000000);
    struct store_error error;
    struct store *store;
    unsigned count;

    must(store_open(place.home, false, &store, &error), error.text);
    must(store_begin(store), "begin");
    must(store_prune(store, NOON_NS + DAY_NS, before_ns, 1000, &count), "forget");
    must(store_commit(store, true), "commit");
    if (count < OLD)
        ask_die("%u records are forgotten", count);
    store_close(store);
}

/* ---- the file ------------------------------------------------------------------------------- */

static void path_of(const char *name, char path[600])
{
    (void)snprintf(path, 600, "%s/%s", place.home, name);
}

static size_t file_read(unsigned char *out)
{
    char path[600];
    int fd;
    ssize_t count;

    path_of("ledger.mdb", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    count = fd >= 0 ? read(fd, out, FILE_MAX) : -1;
    if (count <= 0 || close(fd) != 0)
        ask_die("%s: %s", path, strerror(errno));
    return (size_t)count;
}

static void file_write(const unsigned char *bytes, size_t count)
{
    char path[600];
    int fd;

    path_of("ledger.mdb-lock", path);
    (void)unlink(path);
    path_of("ledger.mdb", path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count || close(fd) != 0)
        ask_die("%s: %s", path, strerror(errno));
}

static enum page kind_of(const unsigned char *page, unsigned number)
{
    unsigned flags = page[PAGE_FLAGS] | (unsigned)page[PAGE_FLAGS + 1] << 8;
    uint64_t own;

    memcpy(&own, page, sizeof own);
    if ((flags & 8) != 0)
        return META;
    if (own != number) /* what is in the middle of an overflow, or was never used */
        return UNUSED;
    return (flags & 1) != 0 ? BRANCH : (flags & 4) != 0 ? OVERFLOW_PAGE : LEAF;
}

/* A byte that says something, of a page of nodes; of others any. */
static size_t used_byte(const unsigned char *page, enum page kind, struct chance *chance)
{
    uint16_t lower, upper;
    size_t at = (size_t)chance_below(chance, PAGE);

    memcpy(&lower, page + PAGE_LOWER, sizeof lower);
    memcpy(&upper, page + PAGE_LOWER + 2, sizeof upper);
    if (kind == META)
        return at % 256;
    if ((kind != BRANCH && kind != LEAF) || lower > upper || upper >= PAGE)
        return at;
    return chance_one_in(chance, 4) ? at % lower : upper + at % (PAGE - upper);
}

/* ---- whoever looks ----------------------------------------------------------------------------
 */

struct look {
    struct store_view *view;
    uint8_t hash[32];
};

static void add(struct look *look, const void *bytes, size_t count)
{
    static unsigned char joined[32 + 16384];

    memcpy(joined, look->hash, 32);
    memcpy(joined + 32, bytes, count);
    store_sha256(joined, 32 + count, look->hash);
}

static void add_counter(struct look *look, const struct store_scope_key *key)
{
    struct store_counter counter;

    (void)store_view_counter(look->view, key, &counter);
    add(look, &counter.charged, sizeof counter.charged);
    add(look, &counter.credited, sizeof counter.credited);
    add(look, &counter.held, sizeof counter.held);
    add(look, &counter.in_flight, sizeof counter.in_flight);
}

/* All balances, and where every call and run stands. */
static void look_at(struct store_view *view, uint8_t digest_out[32])
{
    struct look look = {view, {0}};
    struct store_scope_key key;
    struct store_call call;
    struct store_run run;
    uint8_t id[16], head[32];
    uint64_t seq;

    store_view_head(view, &seq, head);
    for (uint64_t number = 1; number <= CALLS; number++) {
        id_of('c', number, id);
        if (store_view_call(view, id, &call) == STORE_OK) {
            add(&look, &call.state, sizeof call.state);
            add(&look, &call.admission_seq, sizeof call.admission_seq);
            add(&look, &call.consumption_seq, sizeof call.consumption_seq);
        }
        id_of('r', number, id);
        if (number <= 3 && store_view_run(view, id, &run) == STORE_OK) {
            add(&look, &run.state, sizeof run.state);
            add(&look, &run.in_flight, sizeof run.in_flight);
        }
        store_scope_run(&key, id);
        if (number <= 3)
            add_counter(&look, &key);
    }
    store_scope_name(&key, GOV_SESSION, "nightly");
    add_counter(&look, &key);
    add(&look, &seq, sizeof seq);
    memcpy(digest_out, look.hash, 32);
}

/* As listings do, from row to row: rows that lead back would be listed for ever. */
static bool walks_end(struct store_view *view)
{
    unsigned left = 4 * CALLS;
    struct store_call call;
    struct store_run run;

    for (bool more = store_view_next_call(view, NULL, NULL, &call) == STORE_OK; more && left > 0;
         left--)
        more = store_view_next_call(view, NULL, call.call_id, &call) == STORE_OK;
    for (int back = 0; back < 2; back++)
        for (bool more = store_view_next_run(view, NULL, back != 0, &run) == STORE_OK;
             more && left > 0; left--)
            more = store_view_next_run(view, run.run_id, back != 0, &run) == STORE_OK;
    for (bool more = store_view_next_open(view, NULL, &call) == STORE_OK; more && left > 0; left--)
        more = store_view_next_open(view, call.call_id, &call) == STORE_OK;
    return left > 0;
}

/* In a process of its own. As a sidecar does, then as `flyball verify` does with the last head that
 * somebody outside has noted (head NULL: nobody has). */
static enum outcome look(const uint8_t *head, uint8_t digest_out[32])
{
    struct store_error error;
    struct store *store;
    struct store_view *view;
    struct store_proof proof;
    enum outcome outcome = HARMLESS;

    if (store_open(place.home, true, &store, &error) != STORE_OK)
        return AT_OPEN;
    if (store_view_open(store, &view) != STORE_OK)
        return BY_VERIFY;
    if (!walks_end(view))
        return ENDLESS;
    if (store_verify(view, head, NULL, NULL, &proof) != STORE_OK || !proof.chain || !proof.sums ||
        !proof.caps)
        return BY_VERIFY;
    look_at(view, digest_out);
    store_view_close(view);
    store_close(store);
    return outcome;
}

static enum outcome look_apart(const uint8_t *head, uint8_t digest_out[32])
{
    struct {
        enum outcome outcome;
        uint8_t digest[32];
    } seen = {DIED, {0}};
    int ends[2], status;
    pid_t pid;

    if (pipe(ends) != 0)
        ask_die("pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        const struct rlimit circle = {PATIENCE_S, PATIENCE_S};

        (void)setrlimit(RLIMIT_CPU, &circle);
        seen.outcome = look(head, seen.digest);
        (void)!write(ends[1], &seen, sizeof seen);
        _exit(0);
    }
    (void)close(ends[1]);
    if (read(ends[0], &seen, sizeof seen) != sizeof seen)
        seen.outcome = DIED;
    (void)close(ends[0]);
    if (waitpid(pid, &status, 0) != pid)
        ask_die("waitpid: %s", strerror(errno));
    memcpy(digest_out, seen.digest, 32);
    return seen.outcome;
}

/* `flyball verify` says that it is damaged, in words and by its exit code. */
static void expect_told(const char *what)
{
    char said[1000];
    int status = ask_command_verify(&place, build, said, sizeof said);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || strstr(said, "\"ok\":false") == NULL)
        ask_die("%s: a reader dies of it, and `flyball verify` ends with status 0x%x: %s", what,
                (unsigned)status, said);
}

/* Nobody says anything: then it has to be as it was. */
static enum outcome expect_noticed(const uint8_t *head, const char *what, bool may_be_harmless)
{
    uint8_t digest[32];
    enum outcome outcome = look_apart(head, digest);

    if (outcome == HARMLESS && memcmp(digest, digest_before, sizeof digest) != 0)
        ask_die("%s: a balance has changed, and nobody says so", what);
    if (outcome == HARMLESS && !may_be_harmless)
        ask_die("%s: nobody notices", what);
    if (outcome == ENDLESS)
        ask_die("%s: whoever lists it comes to no end", what);
    if (outcome == DIED)
        expect_told(what);
    return outcome;
}

/* ---- harm ---------------------------------------------------------------------------------------
 */

static void flips(struct chance *chance, unsigned rounds)
{
    unsigned counts[PAGE_KINDS][OUTCOMES] = {{0}}, pages = (unsigned)(whole_bytes / PAGE);

    for (unsigned round = 0; round < rounds; round++) {
        unsigned page = (unsigned)chance_below(chance, pages), tries = 1000;
        enum page wanted = (enum page)(round % PAGE_KINDS);
        size_t at;

        while (kind_of(whole + page * PAGE, page) != wanted && tries-- > 0)
            page = (unsigned)chance_below(chance, pages);
        wanted = kind_of(whole + page * PAGE, page);
        memcpy(harmed, whole, whole_bytes);
        at = page * PAGE + used_byte(whole + page * PAGE, wanted, chance);
        for (int64_t i = chance_below(chance, 8); i >= 0 && at + (size_t)i < whole_bytes; i--)
            harmed[at + (size_t)i] ^= (unsigned char)(1 + chance_below(chance, 255));
        file_write(harmed, whole_bytes);
        counts[wanted][expect_noticed(NULL, page_names[wanted], true)]++;
    }
    for (unsigned kind = 0; kind < PAGE_KINDS; kind++) {
        printf("damage: bytes of a page, %s:", page_names[kind]);
        for (unsigned i = 0; i < OUTCOMES; i++)
            printf(" %u %s%s", counts[kind][i], outcome_names[i], i + 1 < OUTCOMES ? "," : "\n");
    }
}

static void cuts(struct chance *chance, unsigned rounds)
{
    unsigned counts[OUTCOMES] = {0};

    for (unsigned round = 0; round < rounds; round++) {
        size_t left = (size_t)chance_below(chance, (int64_t)whole_bytes);

        if (chance_one_in(chance, 2))
            left = left / PAGE * PAGE;
        file_write(whole, left);
        counts[expect_noticed(head_before, "cut short", true)]++;
    }
    printf("damage: cut short:");
    for (unsigned i = 0; i < OUTCOMES; i++)
        printf(" %u %s%s", counts[i], outcome_names[i], i + 1 < OUTCOMES ? "," : "\n");
}

/* An older copy, and one in which something else happened since. */
static void copies(struct chance *chance, const unsigned char *older, size_t older_bytes)
{
    char path[600];

    file_write(older, older_bytes);
    (void)expect_noticed(NULL, "an older copy", false);
    path_of("head", path);
    (void)unlink(path);
    (void)expect_noticed(head_before, "an older copy, against a head that was noted", false);
    ledger_grow(200, 230, chance);
    (void)expect_noticed(head_before, "a clone that went on", false);
    path_of("ledger.mdb", path);
    (void)unlink(path);
    (void)expect_noticed(head_before, "no file", false);
    printf("damage: an older copy, a clone that went on, no file: noticed\n");
}

/* ---- the chain
 * ------------------------------------------------------------------------------------ */

struct rows {
    unsigned count;
    struct {
        size_t key_bytes, bytes;
        unsigned char key[32], value[4096];
    } row[2 * CALLS + 64];
};
static struct rows rows;

enum edit { EDIT, LEAVE_OUT, PUT_IN, SWAP, EDITS };
static const char *const edit_names[] = {"edited", "left out", "put in", "swapped"};

static void chain_read(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_cursor *cursor;
    MDB_val key, value;

    rows.count = 0;
    if (mdb_cursor_open(txn, dbi, &cursor) != 0)
        ask_die("no chain");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 &&
           rows.count < sizeof rows.row / sizeof rows.row[0]) {
        rows.row[rows.count].key_bytes = key.mv_size;
        rows.row[rows.count].bytes = value.mv_size;
        memcpy(rows.row[rows.count].key, key.mv_data, key.mv_size);
        memcpy(rows.row[rows.count++].value, value.mv_data, value.mv_size);
    }
    mdb_cursor_close(cursor);
}

static void put(MDB_txn *txn, MDB_dbi dbi, unsigned at_key, unsigned of)
{
    MDB_val key = {rows.row[at_key].key_bytes, rows.row[at_key].key};
    MDB_val value = {rows.row[of].bytes, rows.row[of].value};

    if (mdb_put(txn, dbi, &key, &value, 0) != 0)
        ask_die("put");
}

/* Half of the edited records get the hash that they then should have. */
static void edit(struct chance *chance, MDB_txn *txn, MDB_dbi dbi, enum edit how)
{
    unsigned at = (unsigned)chance_below(chance, rows.count - 1);
    unsigned other = at + 1 + (unsigned)chance_below(chance, rows.count - at - 1);
    MDB_val key = {rows.row[at].key_bytes, rows.row[at].key};
    size_t used = rows.row[at].bytes - 32;

    switch (how) {
    case EDIT:
        rows.row[at].value[chance_below(chance, (int64_t)used)] ^=
            (unsigned char)(1 + chance_below(chance, 255));
        if (chance_one_in(chance, 2))
            store_sha256(rows.row[at].value, used, rows.row[at].value + used);
        put(txn, dbi, at, at);
        return;
    case LEAVE_OUT:
        if (mdb_del(txn, dbi, &key, NULL) != 0)
            ask_die("delete");
        for (unsigned i = at; chance_one_in(chance, 2) && i + 1 < rows.count; i++)
            put(txn, dbi, i, i + 1);
        return;
    case PUT_IN: /* what stood there goes on behind it */
        for (unsigned i = rows.count - 1; i > at; i--)
            put(txn, dbi, i, i - 1);
        put(txn, dbi, at, other);
        return;
    default:
        put(txn, dbi, at, other);
        put(txn, dbi, other, at);
        return;
    }
}

static void edits(struct chance *chance, unsigned rounds)
{
    unsigned counts[EDITS] = {0};

    for (unsigned round = 0; round < rounds; round++) {
        enum edit how = (enum edit)(round % EDITS);
        char path[600];
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;

        file_write(whole, whole_bytes);
        path_of("ledger.mdb", path);
        if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, TABLES) != 0 ||
            mdb_env_set_mapsize(env, (size_t)1 << 30) != 0 ||
            mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC, 0600) != 0 ||
            mdb_txn_begin(env, NULL, 0, &txn) != 0 || mdb_dbi_open(txn, "chain", 0, &dbi) != 0)
            ask_die("the file cannot be opened behind the ledger's back");
        chain_read(txn, dbi);
        edit(chance, txn, dbi, how);
        if (mdb_txn_commit(txn) != 0)
            ask_die("commit");
        mdb_env_close(env);
        (void)expect_noticed(head_before, edit_names[how], false);
        counts[how]++;
    }
    printf("damage: records of the chain: %u edited, %u left out, %u put in, %u swapped: all "
           "noticed\n",
           counts[EDIT], counts[LEAVE_OUT], counts[PUT_IN], counts[SWAP]);
}

int main(int argc, char **argv)
{
    static unsigned char older[FILE_MAX];
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    struct chance chance;
    struct store_error error;
    struct store *store;
    struct store_view *view;
    size_t older_bytes;
    uint64_t seq;

    if (argc < 4 || rounds == 0)
        ask_die("usage: damage SEED ROUNDS BUILD");
    build = argv[3];
    chance.state = strtoull(argv[1], NULL, 10);
    ask_home_make(&place, "damage");
    ledger_grow(1, 199, &chance);
    ledger_forget();
    older_bytes = file_read(older);
    ledger_grow(200, CALLS, &chance);
    whole_bytes = file_read(whole);
    must(store_open(place.home, true, &store, &error), error.text);
    must(store_view_open(store, &view), "view");
    look_at(view, digest_before);
    store_view_head(view, &seq, head_before);
    store_view_close(view);
    store_close(store);
    if (expect_noticed(head_before, "nothing", true) != HARMLESS)
        ask_die("a ledger that nobody harmed is suspected");
    flips(&chance, rounds);
    cuts(&chance, rounds / 5 + 1);
    edits(&chance, rounds);
    copies(&chance, older, older_bytes);
    ask_home_remove(&place);
    return 0;
}
