/* Compiler attributes and small helpers used everywhere. */
#pragma once

#include <stdlib.h>

#define TF_MUSTCHECK       __attribute__((warn_unused_result))
#define TF_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define TF_NORETURN        __attribute__((noreturn))
#define TF_UNUSED          __attribute__((unused))

/* Runs fn(&variable) when the variable leaves its scope: tf_cleanup(buf_done) struct buf b = {0}; */
#define tf_cleanup(fn) __attribute__((cleanup(fn)))

#define TF_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TF_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define TF_MAX(a, b)    ((a) > (b) ? (a) : (b))

/* Moves a pointer out of its owner: struct x *mine = TF_TAKE(owner->x); leaves NULL behind. */
#define TF_TAKE(lvalue)                                                                                                \
    ({                                                                                                                 \
        __typeof__(lvalue) tf_taken_ = (lvalue);                                                                       \
        (lvalue) = NULL;                                                                                               \
        tf_taken_;                                                                                                     \
    })

/* The impossible happened: a bug of ours. Prints where and aborts, in release builds too. */
TF_NORETURN void tf_panic(const char *file, int line, const char *what);
#define TF_ASSERT(cond) ((cond) ? (void)0 : tf_panic(__FILE__, __LINE__, #cond))
