/* gzip by zlib. */
#include "common/zip/zip.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* zlib's window bits: the largest window, plus 16 for the gzip wrapper. */
enum { GZIP_WINDOW_BITS = 15 + 16, FAST_MEMORY_LEVEL = 8, BEST_MEMORY_LEVEL = 9 };

/* ---- compression ------------------------------------------------------------------------------------------------ */

/* The fast level's stream, one a thread: making one costs more than compressing 20 KB with it. */
static pthread_key_t fast_key;
static pthread_once_t fast_once = PTHREAD_ONCE_INIT;

static void fast_free(void *stream)
{
    deflateEnd(stream);
    free(stream);
}

static void fast_key_make(void)
{
    TF_ASSERT(pthread_key_create(&fast_key, fast_free) == 0);
}

static z_stream *fast_stream(void)
{
    z_stream *stream;

    pthread_once(&fast_once, fast_key_make);
    stream = pthread_getspecific(fast_key);
    if (stream) return deflateReset(stream) == Z_OK ? stream : NULL;
    stream = calloc(1, sizeof *stream);
    if (!stream) return NULL;
    if (deflateInit2(stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, FAST_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(stream);
        return NULL;
    }
    if (pthread_setspecific(fast_key, stream)) {
        fast_free(stream);
        return NULL;
    }
    return stream;
}

static void *deflate_whole(tf_arena *arena, z_stream *stream, const void *data, size_t size, size_t *ret_size)
{
    size_t bound = deflateBound(stream, size);
    void *out = tf_arena_alloc(arena, bound);
    int status;

    if (!out) return NULL;
    stream->next_in = (unsigned char *)(uintptr_t)data; /* zlib reads it only */
    stream->avail_in = (unsigned)size;
    stream->next_out = out;
    stream->avail_out = (unsigned)bound;
    status = deflate(stream, Z_FINISH);
    TF_ASSERT(status == Z_STREAM_END); /* deflateBound says that it fits */
    *ret_size = stream->total_out;
    return out;
}

void *tf_gzip(tf_arena *arena, const void *data, size_t size, enum tf_gzip_level level, size_t *ret_size)
{
    z_stream best = {0}, *fast;
    void *out;

    if (size > UINT_MAX / 2) return NULL;
    if (level == TF_GZIP_FAST) {
        fast = fast_stream();
        return fast ? deflate_whole(arena, fast, data, size, ret_size) : NULL;
    }
    if (deflateInit2(&best, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, BEST_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return NULL;
    out = deflate_whole(arena, &best, data, size, ret_size);
    deflateEnd(&best);
    return out;
}

/* ---- decompression ---------------------------------------------------------------------------------------------- */

/* Inflates into out; the size of the content, or SIZE_MAX when the data is not one whole member that fits. */
static size_t inflate_whole(const void *data, size_t size, void *out, size_t capacity)
{
    z_stream stream = {0};
    int status;

    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) return SIZE_MAX;
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = (unsigned)size;
    stream.next_out = out;
    stream.avail_out = (unsigned)capacity;
    status = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (status != Z_STREAM_END || stream.avail_in != 0) return SIZE_MAX;
    return stream.total_out;
}

void *tf_gunzip(tf_arena *arena, const void *data, size_t size, size_t size_max, size_t *ret_size)
{
    unsigned char trailer[4];
    size_t said, got;
    void *out;

    if (size < 18 || size > UINT_MAX || size_max > UINT_MAX / 2) return NULL;
    /* The last four bytes say how large the content is; believed within the bound, then checked. */
    memcpy(trailer, (const unsigned char *)data + size - sizeof(trailer), sizeof(trailer));
    said = (size_t)trailer[0] | (size_t)trailer[1] << 8 | (size_t)trailer[2] << 16 | (size_t)trailer[3] << 24;
    if (said > size_max) return NULL;
    out = tf_arena_alloc(arena, said + 1); /* zlib wants room for at least one byte */
    if (!out) return NULL;
    got = inflate_whole(data, size, out, said + 1);
    if (got != said) return NULL;
    *ret_size = got;
    return out;
}
