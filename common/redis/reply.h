/* Replies on the heap, as the connection reads them, and their copies in a request's arena. For this room only. */
#pragma once

#include "common/redis/redis.h"

enum { TF_REDIS_ITEMS_MAX = 4 * 1024 * 1024 }; /* of one array; the server is ours, its bytes still are not */

/* Each node is one allocation, its text or its (NULL) items included. NULL: no memory, or too many items. */
tf_redis_reply *tf_redis_reply_new(enum tf_redis_type type, int64_t integer);
tf_redis_reply *tf_redis_reply_text(enum tf_redis_type type, const char *text, size_t size);
tf_redis_reply *tf_redis_reply_array(size_t n_items);
/* Frees the items too; accepts NULL and arrays that are filled in part. */
void tf_redis_reply_free(tf_redis_reply *reply);
/* Deep copy; NULL when it does not fit. */
tf_redis_reply *tf_redis_reply_copy(tf_arena *arena, const tf_redis_reply *reply);
