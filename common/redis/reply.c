/* Replies: made by the reader on the connection's thread, copied by the caller on its own: an arena has one owner. */
#include "common/redis/reply.h"

#include <string.h>

tf_redis_reply *tf_redis_reply_new(enum tf_redis_type type, int64_t integer)
{
    tf_redis_reply *reply = calloc(1, sizeof(*reply));

    if (!reply) return NULL;
    reply->type = type;
    reply->integer = integer;
    return reply;
}

tf_redis_reply *tf_redis_reply_text(enum tf_redis_type type, const char *text, size_t size)
{
    tf_redis_reply *reply = malloc(sizeof(*reply) + size + 1);
    char *copy;

    if (!reply) return NULL;
    copy = (char *)(reply + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    *reply = (tf_redis_reply){.type = type, .text = copy, .size = size};
    return reply;
}

tf_redis_reply *tf_redis_reply_array(size_t n_items)
{
    tf_redis_reply *reply;

    if (n_items > TF_REDIS_ITEMS_MAX) return NULL;
    reply = calloc(1, sizeof(*reply) + n_items * sizeof(reply->items[0]));
    if (!reply) return NULL;
    reply->type = TF_REDIS_ARRAY;
    reply->items = (tf_redis_reply **)(reply + 1);
    reply->n_items = n_items;
    return reply;
}

/* Recursion is bounded: hiredis reads at most nine levels. */
void tf_redis_reply_free(tf_redis_reply *reply)
{
    if (!reply) return;
    for (size_t i = 0; i < reply->n_items; i++)
        tf_redis_reply_free(reply->items[i]);
    free(reply);
}

tf_redis_reply *tf_redis_reply_copy(tf_arena *arena, const tf_redis_reply *reply)
{
    tf_redis_reply *copy = tf_arena_memdup(arena, reply, sizeof(*reply));

    if (!copy) return NULL;
    if (reply->text) {
        copy->text = tf_arena_strndup(arena, reply->text, reply->size);
        if (!copy->text) return NULL;
    }
    if (reply->type == TF_REDIS_ARRAY) {
        copy->items = TF_NEW_ARRAY(arena, tf_redis_reply *, reply->n_items);
        if (!copy->items) return NULL;
    }
    for (size_t i = 0; i < reply->n_items; i++) {
        copy->items[i] = tf_redis_reply_copy(arena, reply->items[i]);
        if (!copy->items[i]) return NULL;
    }
    return copy;
}
