/* The table of payment transitions. */
#include "services/pay/domain/settle.h"

#include "services/pay/providers/provider.h"

#include <string.h>

enum payment_move payment_decide(const struct payment_facts *stored, int outcome, int64_t amount_minor,
                                 const char *currency)
{
    bool open = stored->state == PAYMENT_STATE_CREATED || stored->state == PAYMENT_STATE_PROCESSING;

    switch (outcome) {
    case CHARGE_PAID:
        if (stored->state == PAYMENT_STATE_SUCCEEDED) return MOVE_NONE;
        return amount_minor == stored->amount_minor && strcmp(currency, stored->currency) == 0 ? MOVE_SUCCEED
                                                                                               : MOVE_MISMATCH;
    case CHARGE_CLOSED:
        return open ? MOVE_CLOSE : MOVE_NONE;
    case CHARGE_UNKNOWN:
        return open && stored->over ? MOVE_FAIL : MOVE_NONE;
    default:
        return MOVE_NONE;
    }
}
