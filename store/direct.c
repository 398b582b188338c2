/* SPDX-License-Identifier: Apache-2.0 */
/* What directives depend on and no scope has: the profile that a person chose, and the providers
 * that are to be left alone. One row beside the chain, which has every change of it. */
#include "store/store_int.h"
#include "store/window.h"

#include <string.h>

#define DIRECT_VERSION 1u

enum store_err store_direct_get(struct store *store, struct store_direct *out)
{
    enum store_err err = store_get(store, store->txn, STORE_META, "direct", 6, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

enum store_err store_view_direct(struct store_view *view, struct store_direct *out)
{
    enum store_err err =
        store_get(view->store, view->txn, STORE_META, "direct", 6, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

enum store_err store_direct_put(struct store *store, const struct store_direct *row)
{
    struct store_direct stored = *row;

    stored.version = DIRECT_VERSION;
    return store_put(store, STORE_META, "direct", 6, &stored, sizeof stored);
}
