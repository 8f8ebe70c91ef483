/* Pictures of the catalogue: the files of one directory, read once at start and served from memory under /pictures/.
 *
 * Names are [a-z0-9-]+ with an ending that says the type (svg, png, jpg, webp); whatever else lies in the directory is
 * not served. Bounded in number, in bytes each and in all; what passes a bound is left out with a warning, because a
 * picture is no reason to sell no tickets. Read-only after the start. */
#pragma once

#include <stddef.h>

enum {
    PICTURES_MAX = 4096,
    PICTURE_BYTES_MAX = 2 * 1024 * 1024,
    PICTURES_BYTES_MAX = 64 * 1024 * 1024,
    PICTURE_NAME_MAX = 100,
    PICTURE_ETAG_BYTES = 40,
};

typedef struct pictures pictures;

/* The same picture in one encoding. */
struct picture_body {
    const void *data; /* NULL: this encoding would not be smaller */
    size_t size;
    char etag[PICTURE_ETAG_BYTES]; /* strong, with its quotes; each encoding has its own */
};

struct picture {
    const char *name; /* "swan-lake.svg" */
    const char *type; /* "image/svg+xml" */
    struct picture_body plain, gzip;
};

/* NULL when the directory cannot be read: a warning in the log, and nothing is served. */
pictures *pictures_load(const char *directory);
void pictures_free(pictures *pictures); /* accepts NULL */
size_t pictures_count(const pictures *pictures);
/* The picture of a name, or NULL. */
const struct picture *pictures_find(const pictures *pictures, const char *name);
/* The content type of a name that may be served; NULL: it may not. */
const char *picture_type(const char *name);
