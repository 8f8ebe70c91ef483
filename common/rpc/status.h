/* Errors on the wire: google.rpc.Status with one ErrorInfo, in trailing metadata "grpc-status-details-bin". For this
 * room only. */
#pragma once

#include "common/rpc/rpc.h"

/* Packs the code's row and, when error->code is the same code, its field, detail, retry and parameters. What would make
 * the metadata too large is left out, longest first. Bytes in the arena; NULL when it has no room (the bare status
 * then has to do). */
void *tf_status_pack(tf_arena *arena, tf_code code, const struct tf_error *error, size_t *ret_size);

/* The other way; strings in the arena. False: not ours (no details, malformed, a reason that we do not know). */
bool tf_status_unpack(tf_arena *arena, const void *data, size_t size, struct tf_error *ret_error);
