/* The bytes of an answer. For this room only. */
#pragma once

#include "common/http/server.h"

struct tf_http_reply {
    char *bytes; /* malloced; NULL: no memory, cut the connection */
    size_t size;
    bool close; /* the connection ends with it; the head says so */
};

struct tf_http_reply_kind {
    bool head;    /* answers HEAD: no body follows */
    bool minor_0; /* to HTTP/1.0, where keeping the connection must be said */
    bool keep;    /* the connection may live on */
};

struct tf_http_reply tf_http_reply_new(struct tf_http_reply_kind kind, int status, const struct tf_http_header *headers,
                                       size_t n_headers, const void *body, size_t size);
