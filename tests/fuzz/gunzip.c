/* Decompression: what is no gzip is refused, what is taken is within its bound and comes back from a round trip. */
#include "tests/fuzz/fuzz.h"

#include "common/base/macros.h"
#include "common/zip/zip.h"

#include <string.h>

/* An empty member up to its first NUL byte; the words give the rest. */
const char *const fuzz_seeds[] = {"\037\213\010", "hello hello hello hello", NULL};
const char *const fuzz_words[] = {"\037\213\010", "\003", "\377\377\377\377", "\001", NULL};

enum { BOUND = 4096, ROOM = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ROOM);
    size_t zipped = 0, got = 0;
    unsigned char *zip, *back;

    TF_ASSERT(arena);
    if (tf_gunzip(arena, data, size, BOUND, &got)) TF_ASSERT(got <= BOUND);

    if (size > BOUND) return 0;
    zip = tf_gzip(arena, data, size, TF_GZIP_FAST, &zipped);
    TF_ASSERT(zip);
    back = tf_gunzip(arena, zip, zipped, BOUND, &got);
    TF_ASSERT(back && got == size && memcmp(back, data, size) == 0);
    TF_ASSERT(size == 0 || !tf_gunzip(arena, zip, zipped, size - 1, &got)); /* the bound is one */
    if (size == 0) return 0;
    /* One byte of it changed: refused, or (a field that nobody checks) the same content. */
    zip[data[0] * zipped / 256] ^= (unsigned char)(data[size - 1] | 1);
    back = tf_gunzip(arena, zip, zipped, BOUND, &got);
    TF_ASSERT(!back || (got == size && memcmp(back, data, size) == 0));
    return 0;
}
