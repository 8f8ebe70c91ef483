/* Membership by etcd (JSON gateway over HTTP): registration under a lease in the layout of Go's clientv3 naming, and
 * watching a service.
 *
 * Key "<prefix>/<service>/<instance>", value {"Op":0,"Addr":"host:port","Metadata":{…}}. With etcd down everything goes
 * on: the last known membership stays in use, registration is repeated with jittered backoff until it holds, a lost
 * lease is granted anew. */
#pragma once

#include "common/base/ctx.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct tf_etcd tf_etcd;

struct tf_etcd_config {
    const char *endpoints; /* "127.0.0.1:2379", several by comma: the next is tried when one fails */
    const char *prefix;    /* "/ticketflow" */
    /* Whom to log in as, by name and password, where etcd asks (auth enabled); user NULL: nobody. The token is asked
     * for before the first call, and again when etcd refuses it; an etcd that asks nobody is used without. */
    const char *user, *password;
};

/* Copies the config. */
tf_etcd *tf_etcd_new(const struct tf_etcd_config *config);
/* Stops watches, revokes the lease, joins. */
void tf_etcd_free(tf_etcd *etcd);

/* Keeps `service/instance → address` registered until tf_etcd_deregister or free. metadata_json: an object or NULL.
 * Returns at once; the work goes on a thread. */
void tf_etcd_register(tf_etcd *etcd, const char *service, const char *instance, const char *address, int ttl_s,
                      const char *metadata_json);
/* Removes the key and revokes the lease, bounded by the deadline of ctx. */
void tf_etcd_deregister(tf_ctx *ctx, tf_etcd *etcd);
bool tf_etcd_registered(tf_etcd *etcd);

/* Calls `changed` on a thread of ours with the whole list of addresses, first as soon as it is known, then at each
 * change. An empty list is passed on too; the receiver decides. Recovers from compaction, lost watches and restarts of
 * etcd. */
typedef void (*tf_etcd_changed)(const char *const *addresses, size_t n, void *arg);
void tf_etcd_watch(tf_etcd *etcd, const char *service, tf_etcd_changed changed, void *arg);
