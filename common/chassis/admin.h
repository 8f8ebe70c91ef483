/* The listener for people and machines that operate the process: /metrics (Prometheus) and /healthz (JSON; 200 while
 * serving, 503 with what is missing otherwise). */
#pragma once

#include "common/base/error.h"
#include "common/base/macros.h"

struct tf_app;
typedef struct tf_admin tf_admin;

/* Listens on config.admin_listen. On failure *ret_error has a sentence. */
TF_MUSTCHECK tf_code tf_admin_start(struct tf_app *app, tf_admin **ret_admin, const char **ret_error);
/* Accepts NULL. */
void tf_admin_stop(tf_admin *admin);
