/* Opaque page tokens of lists: where the next page starts, as integers whose meaning is the list's. They grant nothing
 * (a list is always filtered by its caller), so they are checked for form, not signed: a reader checks the ranges of
 * the values that it gets. */
#pragma once

#include "common/base/ctx.h"

enum { TF_PAGE_TOKEN_VALUES_MAX = 6 };

/* kind: of the list, 1–255; a token of one list is refused by another. NULL past the arena's ceiling. */
char *tf_page_token_make(tf_arena *arena, int kind, const int64_t *values, int n);
/* TF_FIELD_INVALID "page_token" unless the token is of that kind and has n values. */
TF_MUSTCHECK tf_code tf_page_token_read(tf_ctx *ctx, const char *token, int kind, int64_t *ret_values, int n);
/* 0 gives fallback; TF_FIELD_INVALID "page_size" outside 1 … max. */
TF_MUSTCHECK tf_code tf_page_size_read(tf_ctx *ctx, int32_t asked, int fallback, int max, int *ret_size);
