/* One HTTP connection of the client: a call at a time, kept alive between calls, made anew when it has to be. Calls of
 * one loop run side by side on as many wires as there are descriptors. Not thread-safe. */
#pragma once

#include "common/base/buf.h"
#include "tools/load/answer.h"
#include "tools/load/loop.h"
#include "tools/load/retry.h"
#include "tools/load/target.h"

/* How a call ended. The bytes are the wire's, until it is told to send or to close. */
struct wire_end {
    enum call_end end;
    const struct answer *answer; /* CALL_ANSWERED; else NULL */
    const char *body;            /* of it, not NUL-terminated */
    int64_t sent_us, ended_us;   /* monotonic: when the call was given to the wire, when it ended */
};

/* Called once for each wire_send, never from within it; it may send the next call. */
typedef void (*wire_done)(void *arg, const struct wire_end *end);

struct wire {
    struct loop *loop;
    wire_done done;
    void *arg;
    const struct target *at; /* where it is connected to; NULL: nowhere */
    int fd;
    enum { WIRE_IDLE, WIRE_CONNECTING, WIRE_CALLING } state;
    enum call_end failure; /* of a call that could not begin; told by the timer */
    struct loop_watch watch;
    struct timer deadline;
    tf_buf out, in;
    size_t sent;
    struct answer answer;
    int64_t sent_us;
    uint64_t connects;
    bool wants_out; /* epoll is told to wait for room */
};

void wire_init(struct wire *wire, struct loop *loop, wire_done done, void *arg);
/* Closes and releases; a call in flight ends untold. Accepts zeroed memory. */
void wire_free(struct wire *wire);
bool wire_busy(const struct wire *wire);
/* Sends a whole request, which is copied, to a target, which stays; the answer's deadline is timeout_us from now. The
 * wire must not be busy. */
void wire_send(struct wire *wire, const struct target *to, const void *request, size_t size, int64_t timeout_us);
/* Ends the call in flight now, as late. */
void wire_give_up(struct wire *wire);
