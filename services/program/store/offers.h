/* What order last said of a show. */
#pragma once

#include "common/pg/pg.h"
#include "ticketflow/order/v1/events.tf.h"

/* An older word than the stored one, and one of a show that is not here, change nothing. */
TF_MUSTCHECK tf_code offer_put(tf_pg_conn *conn, tf_ctx *ctx, const ShowOfferChanged *offer);
