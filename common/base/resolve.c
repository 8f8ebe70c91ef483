/* A table of names; a thread for each search under way. The names come from settings: they are few. */
#include "common/base/resolve.h"

#include "common/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { ENTRIES = 64 };

struct entry {
    char host[TF_RESOLVE_HOST_MAX + 1]; /* "": free */
    struct tf_addresses addresses;      /* n 0: not known */
    int64_t answered_us;                /* monotonic: when they were learnt */
    int64_t used_us;                    /* by the last call: the longest unused gives way */
    uint64_t searches;                  /* ended ones */
    tf_code code;                       /* of the last one */
    bool searching;                     /* a thread has this entry in hand: it must not give way */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects the entries */
static pthread_cond_t answered;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct entry entries[ENTRIES];

static void answered_init(void)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static bool is_numeric(const char *host)
{
    struct in_addr any;

    return inet_pton(AF_INET, host, &any) == 1 || strchr(host, ':'); /* no name has a colon */
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

static tf_code code_of(int status)
{
    switch (status) {
    case 0:
        return TF_OK;
    case EAI_NONAME:
    case EAI_NODATA:
        return TF_NOT_FOUND;
    default:
        return TF_STORE_DOWN;
    }
}

static tf_code ask_system(const char *host, struct tf_addresses *ret_addresses)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct tf_addresses addresses = {0};
    struct addrinfo *found = NULL;
    tf_code code = code_of(getaddrinfo(host, NULL, &hints, &found));

    if (code) return code;
    for (struct addrinfo *at = found; at && addresses.n < TF_RESOLVE_ADDRESSES_MAX; at = at->ai_next)
        if (getnameinfo(at->ai_addr, at->ai_addrlen, addresses.text[addresses.n], TF_RESOLVE_TEXT, NULL, 0,
                        NI_NUMERICHOST) == 0)
            addresses.n++;
    freeaddrinfo(found);
    *ret_addresses = addresses;
    return addresses.n ? TF_OK : TF_NOT_FOUND;
}

/* What was known stays when nobody could tell; it goes when the name is said not to exist. */
static void *search(void *arg)
{
    struct entry *entry = arg;
    struct tf_addresses addresses = {0};
    tf_code code = ask_system(entry->host, &addresses); /* the name does not change while searching is set */

    pthread_mutex_lock(&lock);
    if (code == TF_OK || code == TF_NOT_FOUND) entry->addresses = addresses;
    if (code == TF_OK) entry->answered_us = tf_mono_us();
    entry->code = code;
    entry->searches++;
    entry->searching = false;
    pthread_cond_broadcast(&answered);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- the table; the lock is held --------------------------------------------------------------------------------- */

static struct entry *entry_of(const char *host)
{
    struct entry *oldest = NULL;

    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *entry = &entries[i];

        if (strcmp(entry->host, host) == 0) return entry;
        if (!entry->searching && (!oldest || entry->used_us < oldest->used_us)) oldest = entry;
    }
    if (!oldest) return NULL;
    *oldest = (struct entry){0};
    memcpy(oldest->host, host, strlen(host));
    return oldest;
}

static bool search_start(struct entry *entry)
{
    pthread_attr_t detached;
    pthread_t thread;
    int error;

    if (entry->searching) return true;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    entry->searching = true;
    error = pthread_create(&thread, &detached, search, entry);
    if (error) entry->searching = false;
    pthread_attr_destroy(&detached);
    return !error;
}

/* Waits for the search under way. False: not in time. */
static bool wait_answer(const char *host, const struct entry *entry, int64_t until_us)
{
    struct timespec until = {until_us / TF_US_PER_S, until_us % TF_US_PER_S * 1000};
    uint64_t searches = entry->searches;

    while (entry->searches == searches && strcmp(entry->host, host) == 0)
        if (until_us <= 0 || pthread_cond_timedwait(&answered, &lock, &until) == ETIMEDOUT) return false;
    return strcmp(entry->host, host) == 0; /* else it was answered, and gave way, before we were woken */
}

static tf_code resolve_locked(const char *host, int64_t until_us, struct tf_addresses *ret_addresses)
{
    struct entry *entry = entry_of(host);
    int64_t now = tf_mono_us();
    struct tf_addresses known;

    if (!entry) return TF_OVERLOADED;
    entry->used_us = now;
    known = entry->addresses;
    if (!known.n || now - entry->answered_us > (int64_t)TF_RESOLVE_FRESH_S * TF_US_PER_S) {
        int64_t grace_us = known.n ? now + (int64_t)TF_RESOLVE_GRACE_MS * TF_US_PER_MS : INT64_MAX;
        bool in_time;

        if (!search_start(entry)) return TF_OVERLOADED;
        in_time = wait_answer(host, entry, TF_MIN(until_us, grace_us));
        if (!in_time && !known.n) return TF_DEADLINE;
        if (in_time && !entry->addresses.n) return entry->code;
        if (in_time) known = entry->addresses;
    }
    *ret_addresses = known;
    return TF_OK;
}

tf_code tf_resolve_wait(const char *host, int64_t until_us, struct tf_addresses *ret_addresses)
{
    tf_code code;

    if (!host[0] || strlen(host) > TF_RESOLVE_HOST_MAX) return TF_FIELD_INVALID;
    if (is_numeric(host)) {
        struct tf_addresses itself = {.n = 1};

        if (strlen(host) >= TF_RESOLVE_TEXT) return TF_FIELD_INVALID;
        memcpy(itself.text[0], host, strlen(host));
        *ret_addresses = itself;
        return TF_OK;
    }
    pthread_once(&once, answered_init);
    pthread_mutex_lock(&lock);
    code = resolve_locked(host, until_us, ret_addresses);
    pthread_mutex_unlock(&lock);
    return code;
}
