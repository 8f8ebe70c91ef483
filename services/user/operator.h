/* The platform operator of a new installation. */
#pragma once

#include "services/user/user.h"

/* Makes the account unless a platform operator exists or operator_password_file is not set; writes login and password
 * to that file, mode 600, once. */
TF_MUSTCHECK tf_code operator_ensure(tf_ctx *ctx);
