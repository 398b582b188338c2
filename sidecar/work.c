/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: a thread for what would hold the loop up, one job after the other. */
#include "sidecar/side_int.h"

#include <stdlib.h>

struct side_worker {
    struct side *side;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct side_job *queue, **tail;
    bool stopping;
};

void side_work(struct side_worker *worker, struct side_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&worker->lock);
    *worker->tail = job;
    worker->tail = &job->next;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

/* The next job; NULL when it is time to stop. */
static struct side_job *take(struct side_worker *worker)
{
    struct side_job *job;

    pthread_mutex_lock(&worker->lock);
    while (worker->queue == NULL && !worker->stopping)
        pthread_cond_wait(&worker->wake, &worker->lock);
    job = worker->queue;
    if (job != NULL) {
        worker->queue = job->next;
        if (worker->queue == NULL)
            worker->tail = &worker->queue;
    }
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void *work(void *argument)
{
    struct side_worker *worker = argument;
    struct side_job *job;

    while ((job = take(worker)) != NULL) {
        job->work(job);
        side_deliver_job(worker->side, job);
    }
    return NULL;
}

struct side_worker *side_worker_start(struct side *side)
{
    struct side_worker *worker = calloc(1, sizeof *worker);

    if (worker == NULL)
        return NULL;
    worker->side = side;
    worker->tail = &worker->queue;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
        free(worker);
        return NULL;
    }
    return worker;
}

void side_worker_stop(struct side_worker *worker)
{
    if (worker == NULL)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->wake);
    free(worker);
}
