/* show.published and show.changed: the announcement carries a version and a digest, the snapshot is fetched once.
 *
 * The inventory follows after the commit, because its rebuild raises the epoch in the fence row that the transaction
 * holds. Should the process die in between, the first hold finds the show CLOSED or on other TERMS and starts the
 * rebuild. */
#include "common/chassis/service.h"
#include "common/rpc/rpc.h"
#include "services/order/clients/snapshots.h"
#include "services/order/events/events.h"
#include "services/order/events/offers.h"
#include "services/order/inventory/inventory.h"
#include "services/order/sale/shelf.h"
#include "services/order/store/show_store.h"
#include "ticketflow/program/v1/sale.tf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGED_MAX = 256 };

/* Shows stored since the last commit; a show that finds no room is rebuilt on demand. */
static struct {
    pthread_mutex_t lock; /* of all below */
    int64_t show_ids[CHANGED_MAX];
    size_t n;
} changed = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_changed(int64_t show_id)
{
    pthread_mutex_lock(&changed.lock);
    if (changed.n < CHANGED_MAX) changed.show_ids[changed.n++] = show_id;
    pthread_mutex_unlock(&changed.lock);
}

void show_events_committed(struct tf_app *app)
{
    int64_t show_ids[CHANGED_MAX];
    size_t n;

    pthread_mutex_lock(&changed.lock);
    n = changed.n;
    memcpy(show_ids, changed.show_ids, n * sizeof(*show_ids));
    changed.n = 0;
    pthread_mutex_unlock(&changed.lock);

    for (size_t i = 0; i < n; i++) {
        sale_forget(show_ids[i]);
        inventory_rebuild_soon(show_ids[i]);
    }
    if (n) offers_wake(app);
}

static void freep(void **data)
{
    free(*data);
}

tf_code show_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    tf_cleanup(sale_unrefp) struct sale *before = NULL, *sale = NULL;
    tf_cleanup(freep) void *data = NULL;
    const ShowPublished *published;
    int32_t terms;
    size_t size;
    tf_code code;

    if (strcmp(event->type, "show.published") != 0 && strcmp(event->type, "show.changed") != 0) return TF_OK;
    published = (const ShowPublished *)tf_pb_unpack(ctx->arena, &ShowPublished_descriptor, event->payload, event->size);
    if (!published) return tf_fail(ctx, TF_INTERNAL, "a malformed %s", event->type);

    code = show_terms_in(conn, ctx, published->show_id, &terms);
    if (code) return code;
    if (terms >= published->version) return TF_OK; /* said before, or overtaken */

    code = snapshot_fetch(ctx, published->show_id, published->version, published->digest.data, published->digest.len,
                          &data, &size);
    if (code) return code;

    code = sale_decode(ctx, data, size, &sale);
    if (code) return code;
    if (sale->show_id != published->show_id || sale->terms != published->version)
        return tf_fail(ctx, TF_INTERNAL, "the snapshot of show %lld is another's", (long long)published->show_id);

    if (terms) code = sale_find_version(ctx, sale->show_id, terms, &before);
    if (code) return code;

    code = show_publish_in(conn, ctx, before, sale, data, size, published->digest.data, published->digest.len);
    if (code) return code;

    note_changed(sale->show_id);
    return TF_OK;
}
