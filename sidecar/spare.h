/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one size that is wanted all the time: what was used is kept for the next. Operations
 * and calls are larger than what malloc() has at hand, and with many callers its search for them is
 * a tenth of the loop's time. */
#ifndef FLYBALL_SIDECAR_SPARE_H
#define FLYBALL_SIDECAR_SPARE_H

#include <pthread.h>
#include <stddef.h>

/* As many as are kept; 0, of builds with a sanitizer, which is to see what is freed: none. */
#ifndef SIDE_SPARE_MOST
#define SIDE_SPARE_MOST 256
#endif

struct side_spare {
    pthread_mutex_t lock;
    void *list; /* a piece has the next one in front */
    int count;
};
extern struct side_spare side_spare_ops, side_spare_calls;

/* size bytes, the same for all of a spare, of any content. From any thread. NULL: out of memory. */
void *side_spare_take(struct side_spare *spare, size_t size);
void side_spare_give(struct side_spare *spare, void *memory);
/* All that is kept, at the end. */
void side_spares_release(void);

#endif
