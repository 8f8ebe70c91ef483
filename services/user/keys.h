/* The keys that user signs, seals and hashes with. */
#pragma once

#include "services/user/user.h"

/* Reads the key files that the settings name into *ret_state (its other members stay). The first fault is recorded,
 * naming the file. */
TF_MUSTCHECK tf_code user_keys_read(tf_ctx *ctx, const struct user_config *config, struct user_state *ret_state);
