/* Reading the replies of XREADGROUP, XCLAIM and XPENDING. */
#include "common/redis/stream_batch.h"

#include <limits.h>
#include <string.h>

enum { REST_MAX_MS = 60 * 1000 };

int64_t tf_stream_rest_ms(int retry_after_ms, int deliveries)
{
    int64_t rest = retry_after_ms;

    for (int i = 1; i < deliveries && rest < REST_MAX_MS; i++)
        rest *= 2;
    return TF_MIN(rest, REST_MAX_MS);
}

static bool is_text(const tf_redis_reply *reply)
{
    return reply->type == TF_REDIS_STRING || reply->type == TF_REDIS_STATUS;
}

/* A value of an entry; NULL when it is not there. */
static const tf_redis_reply *field(const tf_redis_reply *map, const char *name)
{
    if (map->type != TF_REDIS_ARRAY) return NULL;
    for (size_t i = 0; i + 1 < map->n_items; i += 2)
        if (is_text(map->items[i]) && strcmp(map->items[i]->text, name) == 0) return map->items[i + 1];
    return NULL;
}

size_t tf_stream_entries(const tf_redis_reply *list, int deliveries, struct tf_stream_entry *out, size_t n, size_t max)
{
    if (list->type != TF_REDIS_ARRAY) return n;
    for (size_t i = 0; i < list->n_items && n < max; i++) {
        const tf_redis_reply *entry = list->items[i], *data;

        if (entry->type != TF_REDIS_ARRAY || entry->n_items != 2 || !is_text(entry->items[0])) continue;
        data = field(entry->items[1], "d");
        out[n++] = (struct tf_stream_entry){
            .id = entry->items[0]->text,
            .data = data && is_text(data) ? data->text : "", /* not of ours: the handler finds it empty */
            .size = data && is_text(data) ? data->size : 0,
            .deliveries = deliveries,
        };
    }
    return n;
}

const tf_redis_reply *tf_stream_read_list(const tf_redis_reply *reply)
{
    const tf_redis_reply *stream;

    if (reply->type != TF_REDIS_ARRAY || reply->n_items == 0) return NULL;
    stream = reply->items[0];
    return stream->type == TF_REDIS_ARRAY && stream->n_items == 2 ? stream->items[1] : NULL;
}

size_t tf_stream_pendings(const tf_redis_reply *reply, struct tf_stream_pending *out, size_t max)
{
    size_t n = 0;

    if (reply->type != TF_REDIS_ARRAY) return 0;
    for (size_t i = 0; i < reply->n_items && n < max; i++) {
        const tf_redis_reply *row = reply->items[i];

        if (row->type != TF_REDIS_ARRAY || row->n_items != 4) continue;
        if (!is_text(row->items[0]) || !is_text(row->items[1])) continue;
        out[n++] = (struct tf_stream_pending){
            .id = row->items[0]->text,
            .consumer = row->items[1]->text,
            .idle_ms = row->items[2]->integer,
            .deliveries = (int)TF_MAX(TF_MIN(row->items[3]->integer, INT_MAX - 1), 1),
        };
    }
    return n;
}
