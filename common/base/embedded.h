/* Files linked into a program at build time (migrations, function libraries, pages); see tf_embed in cmake/. */
#pragma once

#include <stddef.h>

struct tf_embedded {
    const char *name;          /* base name; NULL ends the list */
    const unsigned char *data; /* size bytes, then a NUL that size does not count */
    size_t size;
};
