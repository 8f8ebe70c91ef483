/* The ordered list of instances. */
#include "common/etcd/members.h"

#include "common/base/macros.h"

#include <string.h>

void tf_etcd_members_done(struct tf_etcd_members *members)
{
    for (size_t i = 0; i < members->n; i++) {
        free(members->members[i].key);
        free(members->members[i].address);
    }
    free(members->members);
    *members = (struct tf_etcd_members){0};
}

/* Where the key is, or would be. */
static size_t position(const struct tf_etcd_members *members, const char *key, bool *ret_found)
{
    size_t low = 0, high = members->n;

    *ret_found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(members->members[middle].key, key);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void grow(struct tf_etcd_members *members)
{
    if (members->n < members->capacity) return;
    members->capacity = TF_MAX(members->capacity * 2, (size_t)16);
    members->members = realloc(members->members, members->capacity * sizeof *members->members);
    TF_ASSERT(members->members);
}

bool tf_etcd_members_set(struct tf_etcd_members *members, const char *key, const char *address)
{
    bool found;
    size_t at = position(members, key, &found);
    char *copy;

    if (!found && members->n == TF_ETCD_MEMBERS_MAX) return false;
    copy = strdup(address);
    TF_ASSERT(copy);
    if (found) {
        free(members->members[at].address);
        members->members[at].address = copy;
        return true;
    }
    grow(members);
    memmove(members->members + at + 1, members->members + at, (members->n - at) * sizeof *members->members);
    members->members[at] = (struct tf_etcd_member){strdup(key), copy};
    TF_ASSERT(members->members[at].key);
    members->n++;
    return true;
}

void tf_etcd_members_remove(struct tf_etcd_members *members, const char *key)
{
    bool found;
    size_t at = position(members, key, &found);

    if (!found) return;
    free(members->members[at].key);
    free(members->members[at].address);
    members->n--;
    memmove(members->members + at, members->members + at + 1, (members->n - at) * sizeof *members->members);
}

static bool is_in(const char *const *addresses, size_t n, const char *address)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(addresses[i], address) == 0) return true;
    return false;
}

const char **tf_etcd_members_addresses(const struct tf_etcd_members *members, size_t *ret_n)
{
    const char **addresses = calloc(members->n + 1, sizeof *addresses);

    TF_ASSERT(addresses);
    *ret_n = 0;
    for (size_t i = 0; i < members->n; i++)
        if (!is_in(addresses, *ret_n, members->members[i].address)) addresses[(*ret_n)++] = members->members[i].address;
    return addresses;
}
