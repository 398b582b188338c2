/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/spare.h"

#include <stdlib.h>

struct side_spare side_spare_ops = {.lock = PTHREAD_MUTEX_INITIALIZER};
struct side_spare side_spare_calls = {.lock = PTHREAD_MUTEX_INITIALIZER};

void *side_spare_take(struct side_spare *spare, size_t size)
{
    void **memory;

    pthread_mutex_lock(&spare->lock);
    memory = spare->list;
    if (memory != NULL) {
        spare->list = *memory;
        spare->count--;
    }
    pthread_mutex_unlock(&spare->lock);
    return memory != NULL ? memory : malloc(size);
}

void side_spare_give(struct side_spare *spare, void *memory)
{
    pthread_mutex_lock(&spare->lock);
    if (spare->count < SIDE_SPARE_MOST) {
        *(void **)memory = spare->list;
        spare->list = memory;
        spare->count++;
        memory = NULL;
    }
    pthread_mutex_unlock(&spare->lock);
    free(memory);
}

static void release(struct side_spare *spare)
{
    while (spare->list != NULL) {
        void **memory = spare->list;

        spare->list = *memory;
        free(memory);
    }
    spare->count = 0;
}

void side_spares_release(void)
{
    release(&side_spare_ops);
    release(&side_spare_calls);
}
