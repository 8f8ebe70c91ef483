/* The provider's books: charges and refunds, kept in memory, journaled to a file before they are answered.
 *
 * All functions are thread-safe and copy in and out. Amounts are minor units; times Unix milliseconds. */
#pragma once

#include "common/base/buf.h"
#include "common/base/ctx.h"

#include <stdbool.h>
#include <stdint.h>

enum { CHARGE_ID_MAX = 40, TEXT_MAX = 200, URL_MAX = 300, CHARGES_MAX = 2000000 };

/* WAITING → (IN_FLIGHT →) SUCCEEDED, or CLOSED. IN_FLIGHT: the payer has pressed, the money is under way (fault
 * settle_at). */
enum charge_state { CHARGE_WAITING, CHARGE_IN_FLIGHT, CHARGE_SUCCEEDED, CHARGE_CLOSED };

struct charge {
    char id[CHARGE_ID_MAX];
    char currency[4], subject[TEXT_MAX], notify_url[URL_MAX];
    int64_t amount_minor;   /* asked for */
    int64_t received_minor; /* 0 until paid; another than asked for by a fault only */
    int64_t refunded_minor;
    int64_t created_ms, expires_ms, paid_ms;
    int64_t provider_no;
    enum charge_state state;
};

/* Faults on demand, for one charge; taken when the payer presses, refuse_refund when a refund of it is asked for. */
struct fault {
    char charge_id[CHARGE_ID_MAX]; /* "*": the next charge that is paid */
    int64_t delay_ms;              /* notification later by this */
    int64_t notify_at_ms;          /* notification at this moment */
    int64_t settle_at_ms;          /* the money arrives at this moment, the notification with it */
    int copies;                    /* notifications sent besides the first */
    bool lose;                     /* no notification at all */
    bool forge;                    /* a forged one first */
    bool wrong_amount;             /* one with a wrong amount first */
    bool reorder;                  /* the repetition (copies) with an older time comes after the newer one */
    int64_t received_minor;        /* this much arrives instead, and the books say so */
    bool refuse_refund;            /* the refund is refused for good; nothing else of this fault counts */
    bool decline;                  /* the payer's bank says no: the charge stays WAITING */
};

enum books_result {
    BOOKS_OK,
    BOOKS_AGAIN,
    BOOKS_UNKNOWN,
    BOOKS_CONFLICT,
    BOOKS_STATE,
    BOOKS_FULL,
    BOOKS_DECLINED,
    BOOKS_REFUSED,
    BOOKS_DISK
};

/* Reads the journal. False with a sentence. */
bool books_open(const char *path, char *error, size_t size);
/* Closes the journal and forgets everything. */
void books_close(void);
/* Makes a charge; BOOKS_AGAIN: the same one exists; BOOKS_CONFLICT: another one with this id. */
enum books_result books_charge(const struct charge *charge, struct charge *ret_charge);
enum books_result books_find(const char *id, struct charge *ret_charge);
/* The payer presses. now ≥ expires_ms closes. *ret_fault: what was ordered for this charge. */
enum books_result books_pay(const char *id, int64_t now_ms, struct charge *ret_charge, struct fault *ret_fault);
/* Money that was in flight arrives. */
enum books_result books_settle(const char *id, int64_t now_ms, struct charge *ret_charge);
/* A charge whose money was in flight when the process ended; false when there is none. */
bool books_next_in_flight(struct charge *ret_charge);
/* BOOKS_STATE when it was paid or is in flight. */
enum books_result books_close_charge(const char *id, struct charge *ret_charge);
/* Pays back; BOOKS_AGAIN: this refund was made; BOOKS_STATE: not paid; BOOKS_CONFLICT: more than is left, or another
 * refund with this id; BOOKS_REFUSED: by a fault. */
enum books_result books_refund(const char *refund_id, const char *charge_id, int64_t amount_minor, int64_t now_ms);
/* 0 when there is no such refund. */
int64_t books_refunded(const char *refund_id);
/* Orders a fault; false when too many wait. */
bool books_fault(const struct fault *fault);
/* All charges and refunds as JSON: {"charges":[…],"refunds":[…]}. */
void books_render(tf_buf *out);
const char *charge_state_name(enum charge_state state);
/* What the charge is about: the money that came, or will; before, what is asked for. */
int64_t charge_money(const struct charge *charge);
