/* Commands in the form that travels (RESP arrays of bulk strings). For this room only. */
#pragma once

#include "common/redis/redis.h"

/* Bytes of the command; at least one argument. */
size_t tf_redis_wire_size(const tf_redis_cmd *cmd);
/* Writes exactly that many; returns the end. */
char *tf_redis_wire_write(const tf_redis_cmd *cmd, char *to);
