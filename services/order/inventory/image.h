/* The bytes of a show's inventory (keys m and g of inventory.lua), made from its sale snapshot and what PostgreSQL
 * says is taken. Pure.
 *
 * new: everything free but the blocked places; mark what is taken; finish: the index is made. */
#pragma once

#include "services/order/sale/sale.h"

struct image {
    const struct sale *sale;
    int kmax; /* longest block that is looked for: the order limit */
    unsigned char *m, *g;
    size_t m_size, g_size;
    size_t bitmap_bytes; /* of one area */
    int n_cells;
};

enum image_state { IMAGE_HELD, IMAGE_SOLD, IMAGE_BLOCKED };

/* In the arena. TF_INTERNAL when it does not fit. */
TF_MUSTCHECK tf_code image_new(tf_ctx *ctx, const struct sale *sale, struct image *ret_image);
/* A live ticket's place. False when the show has no such place. */
bool image_take(struct image *image, int32_t place_no, enum image_state state);
/* The index over what is free now, and the head. */
void image_finish(struct image *image, int64_t epoch, int sale_state);
