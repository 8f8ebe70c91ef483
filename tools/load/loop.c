/* epoll and a binary heap of timers, each of which knows its place. */
#include "tools/load/loop.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

bool loop_open(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC), .scratch = malloc(LOOP_SCRATCH_BYTES)};
    if (loop->epoll >= 0 && loop->scratch) return true;
    loop_close(loop);
    return false;
}

void loop_close(struct loop *loop)
{
    if (loop->scratch && loop->epoll >= 0) close(loop->epoll);
    free(loop->scratch);
    free(loop->heap);
    *loop = (struct loop){.epoll = -1};
}

static void put(struct loop *loop, size_t place, struct timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

/* Moves the timer from an empty place towards the root, then towards the leaves, as far as it has to. */
static void settle_at(struct loop *loop, size_t place, struct timer *timer)
{
    for (; place > 1 && loop->heap[place / 2]->at_us > timer->at_us; place /= 2)
        put(loop, place, loop->heap[place / 2]);
    for (size_t child; (child = 2 * place) <= loop->n_timers; place = child) {
        if (child < loop->n_timers && loop->heap[child + 1]->at_us < loop->heap[child]->at_us) child++;
        if (loop->heap[child]->at_us >= timer->at_us) break;
        put(loop, place, loop->heap[child]);
    }
    put(loop, place, timer);
}

void loop_timer_set(struct loop *loop, struct timer *timer, int64_t at_us)
{
    timer->at_us = at_us;
    if (timer->place) {
        settle_at(loop, timer->place, timer);
        return;
    }
    if (loop->n_timers + 1 >= loop->room) {
        loop->room = loop->room ? 2 * loop->room : 256;
        loop->heap = realloc(loop->heap, loop->room * sizeof(struct timer *));
        TF_ASSERT(loop->heap);
    }
    loop->n_timers++;
    settle_at(loop, loop->n_timers, timer);
}

void loop_timer_clear(struct loop *loop, struct timer *timer)
{
    size_t place = timer->place;
    struct timer *last;

    if (!place) return;
    timer->place = 0;
    last = loop->heap[loop->n_timers--];
    if (last != timer) settle_at(loop, place, last);
}

static int wait_events(struct loop *loop, struct epoll_event *events, int64_t until_us)
{
    int64_t left_us = until_us - tf_mono_us();
    struct timespec left;

    if (loop->n_timers) left_us = TF_MIN(left_us, loop->heap[1]->at_us - tf_mono_us());
    left_us = TF_MAX(left_us, 0);
    left = (struct timespec){.tv_sec = left_us / TF_US_PER_S, .tv_nsec = left_us % TF_US_PER_S * 1000};
    return epoll_pwait2(loop->epoll, events, EVENTS_MAX, &left, NULL);
}

void loop_turn(struct loop *loop, int64_t until_us)
{
    struct epoll_event events[EVENTS_MAX];
    int n = wait_events(loop, events, until_us);
    int64_t now_us;

    TF_ASSERT(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        const struct loop_watch *watch = events[i].data.ptr;

        watch->ready(watch->arg, events[i].events);
    }
    now_us = tf_mono_us();
    while (loop->n_timers && loop->heap[1]->at_us <= now_us) {
        struct timer *due = loop->heap[1];

        loop_timer_clear(loop, due);
        due->fire(due->arg);
    }
}
