/* JSON to messages: what is accepted is written and read again as the same; what is refused has a reason. The first
 * byte chooses the message. */
#include "tests/fuzz/fuzz.h"

#include "common/base/macros.h"
#include "common/base/text.h"
#include "common/json/json.h"
#include "common/json/transcode.h"
#include "ticketflow/http/v1/body.tf.h"
#include "ticketflow/order/v1/order.tf.h"
#include "ticketflow/program/v1/sale.tf.h"

#include <string.h>

const char *const fuzz_seeds[] = {
    "0{\"show_id\":\"9007199254740993\",\"requestId\":\"abcdefgh\",\"place_nos\":[32,33],\"choices\":[],\"attendee_"
    "ids\":"
    "[\"1\",2],\"names\":[\"\\u4f60\\ud83c\\udfab\"]}",
    "0{\"show_id\":1,\"choices\":[{\"tier\":1,\"count\":2,\"allow_split\":true},{\"tier\":-2}]}",
    "1{\"show_id\":1,\"version\":3,\"title\":{\"texts\":[]},\"start_time\":\"2026-11-22T19:43:00.25+01:00\",\"tiers\":["
    "{"
    "\"kind\":1,\"price_lines\":[{}]}],\"sections\":[{}],\"segments\":[{\"labels\":[\"1\"],\"cell_quality\":[1,2]}],"
    "\"blocked_place_nos\":[40],\"notes\":[{\"attributes\":[\"COMPANION\"]}],\"choice_allowed\":false}",
    "2{\"content_type\":\"a/b\",\"data\":\"AP8+Pw==\",\"headers\":[{\"name\":\"a\",\"value\":\"b\"}]}",
    "2{\"content_type\":\"\\u\xdf\xb2\"}", /* an escape that a character cuts */
    "0{}",
    "1null",
    NULL,
};
const char *const fuzz_words[] = {
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "1e3",
    "-0",
    "1.0",
    "\\u0000",
    "\\ud800",
    "\xed\xa0\x80",
    "{\"\":",
    "[[[[[[",
    "9223372036854775808",
    "show_id",
    "showId",
    "tier",
    "start_time",
    "\"2026-02-30T00:00:00Z\"",
    NULL,
};

static const ProtobufCMessageDescriptor *descriptor_of(uint8_t choice)
{
    switch (choice % 3) {
    case 0:
        return &CreateOrderRequest_descriptor;
    case 1:
        return &SaleSnapshot_descriptor;
    default:
        return &RawBody_descriptor;
    }
}

static void check_document(tf_ctx *ctx, const char *text, size_t size)
{
    tf_cleanup(tf_json_freep) tf_json *json = NULL, *again = NULL;
    const char *error = NULL, *first, *second;
    size_t first_size, second_size;

    json = tf_json_parse(ctx->arena, text, size, 0, &error);
    if (!json) {
        TF_ASSERT(error && tf_utf8_valid(error, strlen(error)));
        return;
    }
    first = tf_json_canonical(ctx->arena, json, &first_size);
    if (!first) return; /* the arena is full */
    again = tf_json_parse(ctx->arena, first, first_size, 0, &error);
    TF_ASSERT(again);
    second = tf_json_canonical(ctx->arena, again, &second_size);
    TF_ASSERT(!second || (first_size == second_size && memcmp(first, second, first_size) == 0));
}

static void check_message(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor, const char *text, size_t size)
{
    tf_cleanup(tf_buf_done) tf_buf first, second;
    ProtobufCMessage *message = NULL;
    tf_code code;

    tf_buf_init(&first, 1 << 24);
    tf_buf_init(&second, 1 << 24);
    code = tf_json_to_message(ctx, descriptor, text, size, NULL, &message);
    if (code == TF_FIELD_INVALID) {
        TF_ASSERT(!message && tf_utf8_valid(ctx->error.field, strlen(ctx->error.field)));
        TF_ASSERT(tf_utf8_valid(ctx->error.detail, strlen(ctx->error.detail)));
    }
    if (code) return;

    tf_message_to_json(&first, message);
    code = tf_json_to_message(ctx, descriptor, first.data, first.size, NULL, &message);
    if (code == TF_TOO_LARGE) return;
    TF_ASSERT(!code);
    tf_message_to_json(&second, message);
    TF_ASSERT(!first.broken && first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
}

/* The whole input as text of a field, by a path out of it. */
static void check_text(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor, const char *text, size_t size)
{
    char *copy = tf_arena_strndup(ctx->arena, text, size), *value;
    ProtobufCMessage *message = tf_message_new(ctx, descriptor);

    if (!copy || !message) return;
    value = strchr(copy, ':');
    if (value) *value++ = '\0';
    if (tf_message_set_text(ctx, message, copy, value ? value : copy)) TF_ASSERT(ctx->error.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    tf_ctx ctx;

    if (size == 0) return 0;
    size--;
    tf_ctx_init(&ctx, "fuzz", 0);
    check_document(&ctx, text, size);
    check_message(&ctx, descriptor_of(data[0]), text, size);
    tf_error_clear(&ctx);
    check_text(&ctx, descriptor_of(data[0]), text, size);
    tf_ctx_done(&ctx);
    return 0;
}
