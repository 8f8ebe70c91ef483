/* The table of payment transitions. */
#include "services/pay/domain/settle.h"

#include "services/pay/providers/provider.h"

#include <string.h>

bool payment_fits(const struct payment_facts *stored, int64_t amount_minor, const char *currency)
{
    return amount_minor == stored->amount_minor && strcmp(currency, stored->currency) == 0;
}

enum payment_move payment_decide(const struct payment_facts *stored, enum word_source source, int outcome,
                                 int64_t amount_minor, const char *currency)
{
    bool open = stored->state == PAYMENT_STATE_CREATED || stored->state == PAYMENT_STATE_PROCESSING;
    /* Still here only because a notification spoke of other money, which the books deny. */
    enum payment_move denied = stored->parked && source == WORD_OF_BOOKS ? MOVE_CLEAR : MOVE_NONE;

    switch (outcome) {
    case CHARGE_PAID:
        if (stored->state == PAYMENT_STATE_SUCCEEDED) return MOVE_NONE;
        if (stored->decided_currency)
            return amount_minor == stored->decided_minor && strcmp(currency, stored->decided_currency) == 0
                       ? denied
                       : MOVE_MISMATCH;
        return payment_fits(stored, amount_minor, currency) ? MOVE_SUCCEED : MOVE_MISMATCH;
    case CHARGE_CLOSED:
        return open ? MOVE_CLOSE : denied;
    case CHARGE_UNKNOWN:
        /* The call that was to make it may still be under way while there is time; a charge made later than that is
         * past the end that every charge carries, and takes no money. */
        return open && stored->over ? MOVE_FAIL : denied;
    case CHARGE_OPEN:
        return stored->state == PAYMENT_STATE_CREATED ? MOVE_OPEN : denied;
    default:
        return MOVE_NONE;
    }
}
