/* JSON values over jansson, for documents that no contract describes (import files, etcd, provider messages, JWT
 * claims).
 *
 * A parsed document is owned by its context's arena life: tf_json_parse registers nothing; free it with tf_json_free
 * (or tf_cleanup(tf_json_freep)). Values inside are borrowed from the document. Parsing is strict: one value, UTF-8, no
 * duplicate members, depth ≤ 64 unless a lower bound is given, integers must fit 64 bits (a larger one is an error, not
 * a double), an object has at most TF_JSON_MEMBERS_MAX members (so that walking them stays cheap). */
#pragma once

#include "common/base/buf.h"
#include "common/base/ctx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_json tf_json;

enum { TF_JSON_DEPTH_MAX = 64, TF_JSON_MEMBERS_MAX = 4096 };

enum tf_json_type {
    TF_JSON_NULL,
    TF_JSON_BOOL,
    TF_JSON_INT,
    TF_JSON_REAL,
    TF_JSON_STRING,
    TF_JSON_ARRAY,
    TF_JSON_OBJECT
};

/* depth_max 0: TF_JSON_DEPTH_MAX. NULL when malformed; *ret_error (in the arena, or a literal) then says what and where
 * ("line 3, column 7: …"). */
tf_json *tf_json_parse(tf_arena *arena, const char *text, size_t size, int depth_max, const char **ret_error);
void tf_json_free(tf_json *document);
void tf_json_freep(tf_json **document);

enum tf_json_type tf_json_type(const tf_json *value); /* NULL value: TF_JSON_NULL */
/* Member or element; NULL when absent or value is of another type. */
const tf_json *tf_json_get(const tf_json *object, const char *name);
const tf_json *tf_json_at(const tf_json *array, size_t index);
size_t tf_json_size(const tf_json *array_or_object);
/* Iterates an object's members in the file's order: i from 0; NULL at the end. */
const char *tf_json_member(const tf_json *object, size_t i, const tf_json **ret_value);

/* Typed reads; the fallback when absent or of another type. */
const char *tf_json_string(const tf_json *value, const char *fallback);
int64_t tf_json_int(const tf_json *value, int64_t fallback);
double tf_json_real(const tf_json *value, double fallback); /* integers too */
bool tf_json_bool(const tf_json *value, bool fallback);
/* Compact text in canonical form (members sorted, no blanks), in the arena: for digests and storage. */
char *tf_json_canonical(tf_arena *arena, const tf_json *value, size_t *ret_size);

/* ---- writing: straight into a buffer, no tree ------------------------------------------------ */

/* tf_json_writer w = {.out = &buf}; tf_json_begin_object(&w); tf_json_key(&w, "name"); tf_json_put_string(&w, s);
 * tf_json_end_object(&w); Commas are put by the writer. Strings must be valid UTF-8 (invalid bytes are replaced by
 * U+FFFD). */
typedef struct tf_json_writer {
    tf_buf *out;
    int depth;
    uint64_t has_members; /* bit per depth */
    bool after_key;
} tf_json_writer;

void tf_json_begin_object(tf_json_writer *w);
void tf_json_end_object(tf_json_writer *w);
void tf_json_begin_array(tf_json_writer *w);
void tf_json_end_array(tf_json_writer *w);
void tf_json_key(tf_json_writer *w, const char *name);
void tf_json_put_string(tf_json_writer *w, const char *s); /* NULL: null */
void tf_json_put_int(tf_json_writer *w, int64_t value);
void tf_json_put_int_string(tf_json_writer *w, int64_t value); /* "123" */
void tf_json_put_real(tf_json_writer *w, double value);
void tf_json_put_bool(tf_json_writer *w, bool value);
void tf_json_put_null(tf_json_writer *w);
/* Ready JSON, not checked. */
void tf_json_put_raw(tf_json_writer *w, const char *json, size_t size);
