/* What a client says that it accepts: languages, encodings, versions it has, origins of its pages. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* "zh-CN" or "en": the one that Accept-Language wants most; the fallback when it is NULL, malformed or wants neither.
 */
const char *gateway_language(const char *accept_language, const char *fallback);
/* Whether Accept-Encoding names gzip (or all) with a weight above 0. NULL: no, a client that says nothing may be a
 * person who reads bytes. */
bool gateway_accepts_gzip(const char *accept_encoding);
/* Whether If-None-Match has the entity tag ("…" with quotes), compared weakly; "*" has every one. NULL: no. */
bool gateway_etag_matches(const char *if_none_match, const char *etag);
/* Whether the comma-separated list has the origin, compared exactly. */
bool gateway_origin_allowed(const char *list, const char *origin);
/* 8 to 64 characters of [A-Za-z0-9_-]: keys and request ids that clients make up. */
bool gateway_key_valid(const char *text);
/* W3C trace context: 00-<32 hex>-<16 hex>-<2 hex>, lower case, ids not zero. */
bool gateway_traceparent_valid(const char *text);
