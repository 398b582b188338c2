/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/spare.h"

#include <stdlib.h>

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
