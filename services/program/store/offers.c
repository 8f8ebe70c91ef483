/* Offers in the show's row. */
#include "services/program/store/offers.h"

static const struct tf_pg_stmt put = {"offer_put",
                                      "UPDATE show SET offer_places = $2, offer_sale_state = $3, offer_sequence = $4 "
                                      "WHERE show_id = $1 AND offer_sequence < $4",
                                      true};

tf_code offer_put(tf_pg_conn *conn, tf_ctx *ctx, const ShowOfferChanged *offer)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, offer->show_id);
    tf_pg_int2(&p, (int16_t)offer->places);
    tf_pg_int2(&p, (int16_t)offer->sale_state);
    tf_pg_int8(&p, offer->sequence);
    return tf_pg_exec(conn, ctx, &put, &p, NULL);
}
