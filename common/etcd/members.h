/* The instances of one service as last heard: key → address, ordered by key. For this room only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { TF_ETCD_MEMBERS_MAX = 1024 };

struct tf_etcd_members {
    struct tf_etcd_member {
        char *key, *address;
    } * members;
    size_t n, capacity;
};

void tf_etcd_members_done(struct tf_etcd_members *members);
/* Copies. False when there are too many. */
bool tf_etcd_members_set(struct tf_etcd_members *members, const char *key, const char *address);
void tf_etcd_members_remove(struct tf_etcd_members *members, const char *key);
/* The different addresses, in the order of keys: an array of borrowed strings to free; n is at most members->n. */
const char **tf_etcd_members_addresses(const struct tf_etcd_members *members, size_t *ret_n);
