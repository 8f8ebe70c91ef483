/* gzip by zlib. */
#include "common/zip/zip.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

/* zlib's window bits: the largest window, plus 16 for the gzip wrapper. */
enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 9 };

void *tf_gzip(tf_arena *arena, const void *data, size_t size, size_t *ret_size)
{
    z_stream stream = {0};
    size_t bound;
    void *out;
    int status;

    if (size > UINT_MAX / 2) return NULL;
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return NULL;
    bound = deflateBound(&stream, size);
    out = tf_arena_alloc(arena, bound);
    if (!out) {
        deflateEnd(&stream);
        return NULL;
    }
    stream.next_in = (unsigned char *)(uintptr_t)data; /* zlib reads it only */
    stream.avail_in = (unsigned)size;
    stream.next_out = out;
    stream.avail_out = (unsigned)bound;
    status = deflate(&stream, Z_FINISH);
    *ret_size = stream.total_out;
    deflateEnd(&stream);
    TF_ASSERT(status == Z_STREAM_END); /* deflateBound says that it fits */
    return out;
}

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
