/* The bytes of an answer. For this room only. */
#pragma once

#include "common/http/budget.h"

struct tf_http_reply {
    char *bytes; /* malloced; NULL: no memory, cut the connection */
    size_t size;
    size_t share; /* of the budget */
    bool close;   /* the connection ends with it; the head says so */
};

struct tf_http_reply_kind {
    bool head;    /* answers HEAD: no body follows */
    bool minor_0; /* to HTTP/1.0, where keeping the connection must be said */
    bool keep;    /* the connection may live on */
};

struct tf_http_reply tf_http_reply_new(struct tf_http_reply_kind kind, int status, const struct tf_http_header *headers,
                                       size_t n_headers, const void *body, size_t size);
/* What the layer says by itself, the last on its connection: no body; 503 says when to come again. */
struct tf_http_reply tf_http_reply_bare(int status);
void tf_http_reply_free(struct tf_http_budget *budget, struct tf_http_reply *reply);
