/* Flights: lists, making and freeing, waiting. */
#include "common/redis/flight.h"

#include "common/redis/command.h"
#include "common/redis/reply.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void tf_redis_flights_init(struct tf_redis_flights *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

void tf_redis_flights_push(struct tf_redis_flights *list, struct tf_redis_flight *flight)
{
    flight->next = NULL;
    *list->tail = flight;
    list->tail = &flight->next;
}

struct tf_redis_flight *tf_redis_flights_pop(struct tf_redis_flights *list)
{
    struct tf_redis_flight *flight = list->head;

    if (!flight) return NULL;
    list->head = flight->next;
    if (!list->head) list->tail = &list->head;
    return flight;
}

void tf_redis_flights_move(struct tf_redis_flights *to, struct tf_redis_flights *from)
{
    if (!from->head) return;
    *to->tail = from->head;
    to->tail = from->tail;
    tf_redis_flights_init(from);
}

struct tf_redis_flight *tf_redis_flight_new(const tf_redis_cmd *cmds, size_t n, int owners)
{
    size_t per_command = sizeof(tf_redis_reply *) + sizeof(uint64_t);
    size_t size = 0;
    struct tf_redis_flight *flight;
    char *to;

    for (size_t i = 0; i < n; i++)
        size += tf_redis_wire_size(&cmds[i]);
    flight = malloc(sizeof(*flight) + n * per_command + size);
    if (!flight) return NULL;
    *flight = (struct tf_redis_flight){.state = TF_REDIS_QUEUED, .owners = owners, .n = n, .size = size};
    flight->starts = (uint64_t *)(flight + 1);
    flight->replies = (tf_redis_reply **)(flight->starts + n);
    flight->bytes = (char *)(flight->replies + n);
    to = flight->bytes;
    for (size_t i = 0; i < n; i++) {
        flight->replies[i] = NULL;
        flight->starts[i] = (uint64_t)(to - flight->bytes);
        to = tf_redis_wire_write(&cmds[i], to);
    }
    return flight;
}

void tf_redis_flight_unref(struct tf_redis_flight *flight)
{
    if (atomic_fetch_sub(&flight->owners, 1) > 1) return;
    for (size_t i = 0; i < flight->n; i++)
        tf_redis_reply_free(flight->replies[i]);
    free(flight);
}

void tf_redis_futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

bool tf_redis_futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t until_us)
{
    struct timespec until = {until_us / TF_US_PER_S, until_us % TF_US_PER_S * 1000};
    long n = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, until_us == INT64_MAX ? NULL : &until, NULL,
                     FUTEX_BITSET_MATCH_ANY);

    return n == 0 || errno != ETIMEDOUT;
}
