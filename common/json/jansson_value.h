/* For this room only: our opaque values are jansson's. */
#pragma once

#include "common/json/json.h"

#include <jansson.h>

/* jansson's readers take non-const values and change nothing but the reference count, which we leave alone. */
static inline json_t *tf_json_to_jansson(const tf_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static inline tf_json *tf_json_of_jansson(json_t *value)
{
    return (tf_json *)value;
}
