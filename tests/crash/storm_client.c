/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/storm.h"

#include <time.h>
#include <unistd.h>

struct client {
    struct storm_shared *shared;
    const struct client_place *place;
    struct chance chance;
    struct client_link link;
    unsigned generation; /* of the link */
    bool start;
};

/* So that kills find calls at every point of their lives, not only sockets that are full. */
static void dawdle(struct client *client)
{
    const struct timespec pause = {0, chance_below(&client->chance, 4000000)};

    if (chance_one_in(&client->chance, 2))
        (void)nanosleep(&pause, NULL);
}

static bool dial(struct client *client)
{
    char reason[256];
    bool started;

    client->generation = atomic_load(&client->shared->generation);
    return client_open(&client->link, client->place, client->start, &started, reason,
                       sizeof reason);
}

/* The first one from a sidecar that was started after the last one's death. */
static void note_verdict(struct client *client)
{
    struct storm_shared *shared = client->shared;
    unsigned generation = client->generation % STORM_GENERATIONS;
    long long none = 0;

    if (client->generation == atomic_load(&shared->generation))
        (void)atomic_compare_exchange_strong(&shared->first_us[generation], &none,
                                             (long long)ask_now_us());
}

static void tell(struct storm_call *call, enum storm_told told)
{
    atomic_store(&call->told, told);
}

/* The link was lost: the call is taken to the next sidecar, or given up. */
static bool take_over(struct client *client, const struct storm_call *call,
                      const struct ask_run *run, bool sent)
{
    client->generation = atomic_load(&client->shared->generation);
    if (ask_claim(&client->link, client->place, client->start, call->id, run, sent) !=
        ASK_ADMITTED) {
        client_close(&client->link);
        return false;
    }
    note_verdict(client);
    atomic_fetch_add(&client->shared->claimed, 1);
    return true;
}

/* Half of them do as the preloaded object does, half just go on. */
static void let_go(struct client *client, const struct storm_call *call, const struct ask_run *run)
{
    if (chance_one_in(&client->chance, 2) && take_over(client, call, run, false) &&
        !ask_end(&client->link, false, true))
        client_close(&client->link);
}

static bool answer(struct client *client, struct storm_call *call)
{
    return ask_answered(&client->link, call->input, call->output) &&
           ask_end(&client->link, true, false);
}

static void ask_status(struct client *client, struct storm_call *call, const struct ask_run *run)
{
    char text[37], request[128], reply[4096];

    client_uuid_text(run->id, text);
    (void)snprintf(request, sizeof request, "{\"verb\":\"status\",\"run\":\"%s\"}", text);
    if (ask_question(&client->link, request, reply, sizeof reply, 10000) == 0)
        tell(call, STORM_SETTLED);
    client_close(&client->link); /* a question has its own */
}

static void send_and_end(struct client *client, struct storm_call *call, const struct ask_run *run)
{
    if (!ask_sent(&client->link) && !take_over(client, call, run, true)) {
        tell(call, STORM_UNSENT);
        return;
    }
    tell(call, STORM_GONE);
    dawdle(client);
    if (chance_one_in(&client->chance, 6)) { /* given up in the middle, by one that lives on */
        client_close(&client->link);
        return;
    }
    if (!answer(client, call) && !(take_over(client, call, run, true) && answer(client, call))) {
        client_close(&client->link);
        return;
    }
    tell(call, STORM_ENDED);
    if (chance_one_in(&client->chance, 8))
        ask_status(client, call, run);
}

static void on_admitted(struct client *client, struct storm_call *call, const struct ask_run *run)
{
    note_verdict(client);
    atomic_fetch_add(&client->shared->admitted, 1);
    tell(call, STORM_HELD);
    dawdle(client);
    if (!chance_one_in(&client->chance, 8)) {
        send_and_end(client, call, run);
        return;
    }
    tell(call, STORM_UNSENT);
    if (chance_one_in(&client->chance, 2) || !ask_end(&client->link, false, true))
        client_close(&client->link);
}

static void on_refused(struct client *client, struct storm_call *call, unsigned which,
                       const char *reason)
{
    note_verdict(client);
    atomic_fetch_add(&client->shared->refused, 1);
    tell(call, STORM_REFUSED);
    if (strcmp(reason, "budget_busy") != 0)
        atomic_fetch_or(&client->shared->used_up, 1u << which);
}

static void one_call(struct client *client, struct storm_call *call)
{
    unsigned which = (unsigned)chance_below(&client->chance, STORM_RUNS_OPEN);
    unsigned current = atomic_load(&client->shared->current[which]);
    const struct ask_run *run = &client->shared->runs[current];
    char reason[64];

    if (!ask_send(&client->link, call->id, run, ASK_PLAIN)) {
        client_close(&client->link);
        return;
    }
    switch (ask_verdict(&client->link, WIRE_SILENCE_MS, reason)) {
    case ASK_ADMITTED:
        on_admitted(client, call, run);
        return;
    case ASK_REFUSED:
        if (atomic_load(&client->shared->current[which]) == current)
            on_refused(client, call, which, reason);
        return;
    case ASK_LOST:
        atomic_fetch_add(&client->shared->lost, 1);
        let_go(client, call, run);
        return;
    case ASK_MUTE:
        atomic_fetch_add(&client->shared->mute, 1);
        client_close(&client->link);
        return;
    }
}

void storm_client(struct storm_shared *shared, unsigned slot, const struct client_place *place,
                  uint64_t seed, bool start)
{
    struct client client = {shared, place, {seed}, CLIENT_LINK_NONE, 0, start};
    struct storm_client *own = &shared->clients[slot];

    while (atomic_load(&own->count) < STORM_JOURNAL) {
        unsigned number = atomic_load(&own->count);
        struct storm_call *call = &own->calls[number];

        dawdle(&client);
        if (!client_live(&client.link) && !dial(&client))
            continue;
        client_uuid7(call->id);
        call->input = (uint32_t)(1 + chance_below(&client.chance, 60));
        call->output = (uint32_t)(1 + chance_below(&client.chance, ASK_OUTPUT_CAP));
        tell(call, STORM_ASKED);
        atomic_store(&own->count, number + 1);
        one_call(&client, call);
    }
    _exit(0);
}
