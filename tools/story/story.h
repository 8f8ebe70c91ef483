/* What the files of tf-story share: a client of the public HTTP interface that can print what it says and hears. */
#pragma once

#include "common/base/ctx.h"
#include "common/http/client.h"
#include "common/json/json.h"

#include <stdbool.h>

struct story {
    tf_ctx ctx;
    tf_http_client *http;
    const char *gateway; /* "http://127.0.0.1:17080" */
    const char *secrets; /* directory */
    bool print;          /* each request and answer */
    bool patient;        /* a refusal is expected for a while: not told */
    const char *token;   /* of the buyer, once logged in */
    const char *operator_token;
};

/* One call; body may be NULL, key may be NULL (Idempotency-Key). *ret_document (may be NULL) is freed by the caller.
 * False and a sentence on standard error unless the status is 200. */
bool story_call(struct story *s, const char *method, const char *path, const char *token, const char *key,
                const char *body, size_t size, tf_json **ret_document);
/* Presses "Pay" on the provider's page. */
bool story_press(struct story *s, const char *url);
/* A token of the platform's operator, signed with the installation's own key: for whoever may read the secrets of this
 * machine. */
bool story_operator(struct story *s);
/* POST /v1/admin/imports. Prints what became of each object unless quiet; *ret_show is the first show's id, in the
 * arena (may be NULL). */
bool story_import(struct story *s, const char *file, bool quiet, const char **ret_show);
/* Finds the orders that the key names (with show: a place of it); prints the story of the only one, or their list.
 * False when none is found, a call fails, or a part of the story is missing. */
bool story_order(struct story *s, const char *key, const char *show, bool as_json);
/* A fresh buyer buys one place of the show, pays, holds a ticket, is refunded. Prints what was bought. */
bool story_purchase(struct story *s, const char *show_id);
