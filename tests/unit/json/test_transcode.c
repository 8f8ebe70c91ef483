/* proto3 JSON ↔ messages by tables: accepted documents come back written as expected, refused ones name the field. */
#include "common/json/transcode.h"

#include "common/base/macros.h"
#include "common/json/json.h"
#include "every.pb-c.h"
#include "ticketflow/order/v1/order.tf.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const ProtobufCMessageDescriptor *const every = &ticketflow__test__v1__every__descriptor;
static const ProtobufCMessageDescriptor *const inner = &ticketflow__test__v1__inner__descriptor;
static const ProtobufCMessageDescriptor *const order = &CreateOrderRequest_descriptor;

static tf_ctx ctx;

static int set_up(void **state)
{
    (void)state;
    tf_ctx_init(&ctx, "test", 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tf_ctx_done(&ctx);
    return 0;
}

static const char *written(const ProtobufCMessage *message)
{
    tf_cleanup(tf_buf_done) tf_buf out;

    tf_buf_init(&out, 1 << 20);
    tf_message_to_json(&out, message);
    assert_false(out.broken);
    return tf_arena_strdup(ctx.arena, out.data);
}

/* ---- accepted documents ----------------------------------------------------------------------- */

static const struct {
    const char *name, *in, *out;
} inners[] = {
    {"nothing given", "{}", "{\"number\":0}"},
    {"number", "{\"number\":5}", "{\"number\":5}"},
    {"blanks", " {\n\"number\" : 5\t} ", "{\"number\":5}"},
    {"number as a string", "{\"number\":\"-5\"}", "{\"number\":-5}"},
    {"null is absent", "{\"number\":null,\"inner\":null}", "{\"number\":0}"},
    {"smallest", "{\"number\":-2147483648}", "{\"number\":-2147483648}"},
    {"nested", "{\"inner\":{\"text\":\"你\",\"texts\":[\"a\",\"\"]}}",
     "{\"number\":0,\"inner\":{\"text\":\"你\",\"texts\":[\"a\",\"\"]}}"},
    {"nested and empty", "{\"inner\":{}}", "{\"number\":0,\"inner\":{\"text\":\"\",\"texts\":[]}}"},
    {"escapes", "{\"inner\":{\"text\":\"\\u00e9\\ud83c\\udfab\\\"\\n\"}}",
     "{\"number\":0,\"inner\":{\"text\":\"é🎫\\\"\\n\",\"texts\":[]}}"},
};

static void test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(inners); i++) {
        ProtobufCMessage *message;

        if (tf_json_to_message(&ctx, inner, inners[i].in, strlen(inners[i].in), NULL, &message))
            fail_msg("%s: %s %s", inners[i].name, ctx.error.field, ctx.error.detail);
        if (strcmp(written(message), inners[i].out) != 0) fail_msg("%s: %s", inners[i].name, written(message));
    }
}

/* Of one member of Every: what is written for it. */
static const struct {
    const char *name, *in, *out;
} members[] = {
    {"int64 as a number", "\"int64_value\":9007199254740993", "\"int64_value\":\"9007199254740993\""},
    {"int64 as a string", "\"int64_value\":\"-9223372036854775808\"", "\"int64_value\":\"-9223372036854775808\""},
    {"int64 largest", "\"int64_value\":9223372036854775807", "\"int64_value\":\"9223372036854775807\""},
    {"lowerCamelCase", "\"int64Value\":1", "\"int64_value\":\"1\""},
    {"lowerCamelCase with a digit", "\"line1\":\"x\"", "\"line_1\":\"x\""},
    {"uint32 largest", "\"uint32_value\":4294967295", "\"uint32_value\":4294967295"},
    {"uint64 largest", "\"uint64_value\":\"18446744073709551615\"", "\"uint64_value\":\"18446744073709551615\""},
    {"fixed64", "\"fixed64_value\":7", "\"fixed64_value\":\"7\""},
    {"sint32", "\"sint32_value\":-7", "\"sint32_value\":-7"},
    {"sint64", "\"sint64_value\":-7", "\"sint64_value\":\"-7\""},
    {"fixed32", "\"fixed32_value\":7", "\"fixed32_value\":7"},
    {"sfixed32", "\"sfixed32_value\":-7", "\"sfixed32_value\":-7"},
    {"sfixed64", "\"sfixed64_value\":-7", "\"sfixed64_value\":\"-7\""},
    {"float", "\"float_value\":1.5", "\"float_value\":1.5"},
    {"double", "\"double_value\":1e-7", "\"double_value\":1e-07"},
    {"double from an integer", "\"double_value\":3", "\"double_value\":3"},
    {"bool", "\"bool_value\":true", "\"bool_value\":true"},
    {"bytes", "\"bytes_value\":\"AP8+Pw==\"", "\"bytes_value\":\"AP8+Pw==\""},
    {"bytes, no padding needed", "\"bytes_value\":\"YWJj\"", "\"bytes_value\":\"YWJj\""},
    {"bytes, empty", "\"bytes_value\":\"\"", "\"bytes_value\":\"\""},
    {"enum by name", "\"kind\":\"KIND_NEGATIVE\"", "\"kind\":\"KIND_NEGATIVE\""},
    {"enum by number", "\"kind\":1", "\"kind\":\"KIND_ONE\""},
    {"time", "\"time\":\"2026-11-22T19:43:00.25+01:00\"", "\"time\":\"2026-11-22T18:43:00.250Z\""},
    {"time before 1970", "\"time\":\"1969-12-31T23:59:59.999999Z\"", "\"time\":\"1969-12-31T23:59:59.999999Z\""},
    {"oneof, zero is present", "\"chosen_number\":0", "\"chosen_number\":\"0\""},
    {"oneof, text", "\"chosen_text\":\"\"", "\"chosen_text\":\"\""},
    {"oneof, message", "\"chosen_inner\":{}", "\"chosen_inner\":{\"number\":0}"},
    {"oneof, the other null", "\"chosen_number\":null,\"chosen_text\":\"t\"", "\"chosen_text\":\"t\""},
    {"repeated numbers", "\"numbers\":[1,\"2\",-3]", "\"numbers\":[1,2,-3]"},
    {"repeated, null", "\"numbers\":null", "\"numbers\":[]"},
    {"repeated strings", "\"strings\":[\"a\",\"b\"]", "\"strings\":[\"a\",\"b\"]"},
    {"repeated messages", "\"inners\":[{},{\"number\":2}]", "\"inners\":[{\"number\":0},{\"number\":2}]"},
    {"repeated enums", "\"kinds\":[\"KIND_ONE\",0]", "\"kinds\":[\"KIND_ONE\",\"KIND_UNSPECIFIED\"]"},
    {"repeated times", "\"times\":[\"2026-11-22T18:43:00Z\"]", "\"times\":[\"2026-11-22T18:43:00.000Z\"]"},
    {"repeated flags", "\"flags\":[true,false]", "\"flags\":[true,false]"},
    {"repeated reals", "\"reals\":[0.5,1]", "\"reals\":[0.5,1]"},
    {"repeated bytes", "\"blobs\":[\"YQ==\",\"\"]", "\"blobs\":[\"YQ==\",\"\"]"},
};

static void test_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(members); i++) {
        const char *text = tf_arena_printf(ctx.arena, "{%s}", members[i].in);
        ProtobufCMessage *message;

        if (tf_json_to_message(&ctx, every, text, strlen(text), NULL, &message))
            fail_msg("%s: %s %s", members[i].name, ctx.error.field, ctx.error.detail);
        if (!strstr(written(message), members[i].out)) fail_msg("%s: %s", members[i].name, written(message));
    }
}

static void test_defaults_written(void **state)
{
    ProtobufCMessage *message = tf_message_new(&ctx, every);

    (void)state;
    assert_string_equal(
        written(message),
        "{\"int32_value\":0,\"int64_value\":\"0\",\"uint32_value\":0,\"uint64_value\":\"0\",\"sint32_value\":0,"
        "\"sint64_value\":\"0\",\"fixed32_value\":0,\"fixed64_value\":\"0\",\"sfixed32_value\":0,"
        "\"sfixed64_value\":\"0\",\"float_value\":0,\"double_value\":0,\"bool_value\":false,\"string_value\":\"\","
        "\"bytes_value\":\"\",\"kind\":\"KIND_UNSPECIFIED\",\"numbers\":[],\"strings\":[],\"inners\":[],\"kinds\":[],"
        "\"times\":[],\"flags\":[],\"reals\":[],\"blobs\":[],\"line_1\":\"\"}");
}

/* What only a service of ours could put there. */
static void test_odd_values_written(void **state)
{
    Ticketflow__Test__V1__Every *message = (Ticketflow__Test__V1__Every *)tf_message_new(&ctx, every);
    const char *text;
    uint8_t bytes[1000];

    (void)state;
    memset(bytes, 0xfb, sizeof bytes);
    message->kind = 77;
    message->double_value = (double)1 / 0.0;
    message->string_value = NULL;
    message->bytes_value = (ProtobufCBinaryData){sizeof bytes, bytes};
    text = written(&message->base);
    assert_non_null(strstr(text, "\"kind\":77"));
    assert_non_null(strstr(text, "\"double_value\":\"Infinity\""));
    assert_non_null(strstr(text, "\"string_value\":\"\""));
    text = strstr(text, "\"bytes_value\":\"") + strlen("\"bytes_value\":\"");
    for (size_t i = 0; i < sizeof bytes / 3; i++)
        assert_memory_equal(text + 4 * i, "+/v7", 4);
    assert_memory_equal(text + 4 * (sizeof bytes / 3), "+w==\"", 5);
}

/* Written and read again: the same bytes of protobuf. */
static void test_round_trip(void **state)
{
    tf_buf all;

    (void)state;
    tf_buf_init(&all, 65536);
    tf_buf_putc(&all, '{');
    for (size_t i = 0; i < TF_COUNT(members); i++) {
        bool first_of_name = true;

        if (strstr(members[i].name, "oneof")) continue;
        for (size_t k = 0; k < i; k++) {
            size_t n = strcspn(members[i].out, ":");

            first_of_name &= strncmp(members[i].out, members[k].out, n + 1) != 0;
        }
        if (first_of_name) tf_buf_printf(&all, "%s,", members[i].in);
    }
    tf_buf_puts(&all, "\"chosen_inner\":{\"inner\":{\"texts\":[\"x\"]}}}");

    ProtobufCMessage *first, *second;
    const char *text;
    uint8_t packed[2][8192];

    assert_int_equal(tf_json_to_message(&ctx, every, all.data, all.size, NULL, &first), TF_OK);
    text = written(first);
    assert_int_equal(tf_json_to_message(&ctx, every, text, strlen(text), NULL, &second), TF_OK);
    assert_in_range(protobuf_c_message_get_packed_size(first), 100, sizeof packed[0]);
    assert_int_equal(protobuf_c_message_pack(first, packed[0]), protobuf_c_message_pack(second, packed[1]));
    assert_memory_equal(packed[0], packed[1], protobuf_c_message_get_packed_size(first));
    tf_buf_done(&all);
}

/* ---- refused documents ------------------------------------------------------------------------ */

static const struct {
    const char *name, *text, *field, *detail; /* part of it */
} refused[] =
    {
        {"nothing", "", "", "line 1"},
        {"array", "[]", "", "object"},
        {"string", "\"a\"", "", "object"},
        {"null", "null", "", "object"},
        {"number", "1", "", "object"},
        {"trailing bytes", "{}{}", "", "line 1"},
        {"trailing comma", "{\"show_id\":1,}", "", "line 1"},
        {"comment", "{/**/}", "", ""},
        {"NaN", "{\"show_id\":NaN}", "", ""},
        {"malformed in line 3", "{\n\n x}", "", "line 3, column 2"},
        {"invalid UTF-8 in a text", "{\"request_id\":\"\xff\"}", "", "UTF-8"},
        {"lone surrogate", "{\"request_id\":\"\\ud800\"}", "", ""},
        {"NUL by escape", "{\"request_id\":\"a\\u0000\"}", "", ""},
        {"duplicate member", "{\"show_id\":1,\"show_id\":1}", "", "duplicate"},
        {"too deep", "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "", "nested deeper than 16"},
        {"integer beyond 64 bits", "{\"show_id\":9223372036854775808}", "show_id", "64 bits"},
        {"the second integer beyond 64 bits", "{\"show_id\":7,\"attendee_ids\":[1,-9223372036854775809]}",
         "attendee_ids[1]", "64 bits"},
        {"integer beyond 64 bits inside", "{\"choices\":[{\"tier\":92233720368547758080}]}", "choices[0].tier",
         "64 bits"},
        {"integer beyond 64 bits where a string belongs", "{\"names\":[9223372036854775808]}", "names[0]", "must be"},

        {"unknown member", "{\"price\":1}", "price", "not known"},
        {"unknown member, null", "{\"price\":null}", "price", "not known"},
        {"unknown member inside", "{\"choices\":[{\"tier\":1},{\"price_minor\":5}]}", "choices[1].price_minor",
         "not known"},
        {"member with an empty name", "{\"\":1}", "", "not known"},
        {"upper-case name", "{\"SHOW_ID\":1}", "SHOW_ID", "not known"},
        {"UpperCamelCase", "{\"ShowId\":1}", "ShowId", "not known"},
        {"underscore at the end", "{\"show_id_\":1}", "show_id_", "not known"},
        {"half camel", "{\"request_Id\":1}", "request_Id", "not known"},
        {"both spellings", "{\"show_id\":1,\"showId\":1}", "showId", "twice"},
        {"both spellings, one null", "{\"show_id\":null,\"showId\":1}", "showId", "twice"},

        {"integer: true", "{\"show_id\":true}", "show_id", "integer"},
        {"integer: object", "{\"show_id\":{}}", "show_id", "integer"},
        {"integer: array", "{\"show_id\":[1]}", "show_id", "integer"},
        {"integer: 1.0", "{\"show_id\":1.0}", "show_id", "integer"},
        {"integer: 1e2", "{\"show_id\":1e2}", "show_id", "integer"},
        {"integer: empty string", "{\"show_id\":\"\"}", "show_id", "decimal"},
        {"integer: 2^63 as a string", "{\"show_id\":\"9223372036854775808\"}", "show_id", "64 bits"},
        {"integer: word", "{\"show_id\":\"abc\"}", "show_id", "decimal"},
        {"integer: blank first", "{\"show_id\":\" 1\"}", "show_id", "decimal"},
        {"integer: blank last", "{\"show_id\":\"1 \"}", "show_id", "decimal"},
        {"integer: plus", "{\"show_id\":\"+1\"}", "show_id", "decimal"},
        {"integer: hexadecimal", "{\"show_id\":\"0x1\"}", "show_id", "decimal"},
        {"integer: 1.0 as a string", "{\"show_id\":\"1.0\"}", "show_id", "decimal"},
        {"integer: full-width digits", "{\"show_id\":\"１\"}", "show_id", "decimal"},
        {"32 bits: too large", "{\"place_nos\":[1,2147483648]}", "place_nos[1]", "32 bits"},
        {"32 bits: too small", "{\"choices\":[{\"count\":-2147483649}]}", "choices[0].count", "32 bits"},
        {"32 bits: too large as a string", "{\"place_nos\":[\"2147483648\"]}", "place_nos[0]", "32 bits"},
        {"string: number", "{\"request_id\":1}", "request_id", "string"},
        {"string: false", "{\"request_id\":false}", "request_id", "string"},
        {"string: array", "{\"requestId\":[\"a\"]}", "requestId", "string"},
        {"bool: string", "{\"choices\":[{\"allow_split\":\"true\"}]}", "choices[0].allow_split", "true or false"},
        {"bool: number", "{\"choices\":[{\"allowSplit\":1}]}", "choices[0].allowSplit", "true or false"},
        {"repeated: single value", "{\"place_nos\":7}", "place_nos", "array"},
        {"repeated: object", "{\"place_nos\":{}}", "place_nos", "array"},
        {"repeated: null inside", "{\"place_nos\":[1,null]}", "place_nos[1]", "integer"},
        {"repeated: array inside", "{\"place_nos\":[[1]]}", "place_nos[0]", "integer"},
        {"repeated: strings, number inside", "{\"names\":[\"a\",2]}", "names[1]", "string"},
        {"message: string", "{\"choices\":[\"a\"]}", "choices[0]", "object"},
        {"message: null", "{\"choices\":[{},null]}", "choices[1]", "object"},
        {"message: array", "{\"choices\":[[]]}", "choices[0]", "object"},
},
  refused_every[] = {
      {"uint32: negative", "{\"uint32_value\":-1}", "uint32_value", "0 to"},
      {"uint32: too large", "{\"fixed32_value\":4294967296}", "fixed32_value", "0 to"},
      {"uint64: negative", "{\"uint64_value\":-1}", "uint64_value", "negative"},
      {"uint64: negative as a string", "{\"fixed64_value\":\"-1\"}", "fixed64_value", "negative"},
      {"uint64: 2^64", "{\"uint64_value\":\"18446744073709551616\"}", "uint64_value", "64 bits"},
      {"double: string", "{\"double_value\":\"1.5\"}", "double_value", "number"},
      {"double: NaN", "{\"double_value\":\"NaN\"}", "double_value", "number"},
      {"float: too large", "{\"float_value\":1e39}", "float_value", "too large"},
      {"enum: unknown name", "{\"kind\":\"KIND_TWO\"}", "kind", "names"},
      {"enum: lower case", "{\"kind\":\"kind_one\"}", "kind", "names"},
      {"enum: unknown number", "{\"kind\":2}", "kind", "numbers"},
      {"enum: number beyond 32 bits", "{\"kind\":4294967297}", "kind", "numbers"},
      {"enum: number as a string", "{\"kind\":\"1\"}", "kind", "names"},
      {"enum: real", "{\"kind\":1.0}", "kind", "names"},
      {"enum: true", "{\"kinds\":[0,true]}", "kinds[1]", "names"},
      {"bytes: not base64", "{\"bytes_value\":\"a*==\"}", "bytes_value", "base64"},
      {"bytes: no padding", "{\"bytes_value\":\"YQ\"}", "bytes_value", "base64"},
      {"bytes: URL alphabet", "{\"bytes_value\":\"-_-_\"}", "bytes_value", "base64"},
      {"bytes: stray bits", "{\"bytes_value\":\"YR==\"}", "bytes_value", "base64"},
      {"bytes: number", "{\"blobs\":[1]}", "blobs[0]", "base64"},
      {"time: date only", "{\"time\":\"2026-11-22\"}", "time", "time such as"},
      {"time: no zone", "{\"time\":\"2026-11-22T18:43:00\"}", "time", "time such as"},
      {"time: month 13", "{\"time\":\"2026-13-22T18:43:00Z\"}", "time", "time such as"},
      {"time: 30 February", "{\"times\":[\"2026-02-30T18:43:00Z\"]}", "times[0]", "time such as"},
      {"time: number", "{\"time\":1700000000}", "time", "string such as"},
      {"time: object", "{\"time\":{\"seconds\":1}}", "time", "string such as"},
      {"oneof: two", "{\"chosen_number\":1,\"chosen_text\":\"a\"}", "chosen_text", "excludes"},
      {"oneof: two, zero first", "{\"chosen_number\":0,\"chosenInner\":{}}", "chosenInner", "excludes"},
      {"deep inside", "{\"inners\":[{},{\"inner\":{\"texts\":[\"a\",\"b\",3]}}]}", "inners[1].inner.texts[2]",
       "string"},
};

static void check_refused(const ProtobufCMessageDescriptor *descriptor, const char *name, const char *text,
                          const char *field, const char *detail)
{
    ProtobufCMessage *message = NULL;

    tf_ctx_reset(&ctx, 0);
    if (tf_json_to_message(&ctx, descriptor, text, strlen(text), NULL, &message) != TF_FIELD_INVALID)
        fail_msg("%s: accepted", name);
    assert_null(message);
    if (strcmp(ctx.error.field, field) != 0) fail_msg("%s: field \"%s\"", name, ctx.error.field);
    if (!strstr(ctx.error.detail, detail)) fail_msg("%s: %s", name, ctx.error.detail);
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(refused); i++)
        check_refused(order, refused[i].name, refused[i].text, refused[i].field, refused[i].detail);
    for (size_t i = 0; i < TF_COUNT(refused_every); i++)
        check_refused(every, refused_every[i].name, refused_every[i].text, refused_every[i].field,
                      refused_every[i].detail);
}

/* A client's endless name is cut in the answer, between characters. */
static void test_long_names(void **state)
{
    tf_buf text;
    size_t n;

    (void)state;
    tf_buf_init(&text, 1 << 20);
    tf_buf_puts(&text, "{\"");
    for (int i = 0; i < 1000; i++)
        tf_buf_puts(&text, "你");
    tf_buf_puts(&text, "\":1}");
    ProtobufCMessage *message;

    assert_int_equal(tf_json_to_message(&ctx, order, text.data, text.size, NULL, &message), TF_FIELD_INVALID);
    n = strlen(ctx.error.field);
    assert_in_range(n, 60, 64);
    assert_int_equal(n % 3, 0);
    tf_buf_done(&text);
}

static void test_limits(void **state)
{
    static const struct tf_transcode_limits limits = {.depth_max = 3, .elements_max = 2, .string_max = 4};
    static const struct {
        const char *name, *text, *field;
        bool accepted;
    } rows[] = {
        {"elements at the bound", "{\"numbers\":[1,2]}", NULL, true},
        {"elements beyond", "{\"numbers\":[1,2,3]}", "numbers", false},
        {"text at the bound", "{\"string_value\":\"abcd\"}", NULL, true},
        {"text beyond", "{\"string_value\":\"abcde\"}", "string_value", false},
        {"text is counted in bytes", "{\"strings\":[\"a\",\"你你\"]}", "strings[1]", false},
        {"bytes beyond", "{\"bytes_value\":\"YWJjZA==\"}", "bytes_value", false},
        {"depth at the bound", "{\"inners\":[{}]}", NULL, true},
        {"depth beyond", "{\"inners\":[{\"inner\":{}}]}", "", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        ProtobufCMessage *message;
        tf_code code;

        tf_ctx_reset(&ctx, 0);
        code = tf_json_to_message(&ctx, every, rows[i].text, strlen(rows[i].text), &limits, &message);
        if ((code == TF_OK) != rows[i].accepted) fail_msg("%s: %d", rows[i].name, (int)code);
        if (code && strcmp(ctx.error.field, rows[i].field) != 0) fail_msg("%s: %s", rows[i].name, ctx.error.field);
    }
}

/* Every allocation of the arena fails once: an error, never a half-built message. */
static void test_no_room(void **state)
{
    static const char text[] =
        "{\"inner\":{\"inner\":{\"text\":\"0123456789\",\"texts\":[\"a\",\"b\",\"c\"]}},\"time\":"
        "\"2026-11-22T18:43:00Z\",\"bytes_value\":\"YWJj\",\"numbers\":[1,2,3],\"strings\":[\"x\"]}";
    int refusals = 0;

    (void)state;
    for (size_t ceiling = 16;; ceiling += 16) {
        tf_ctx small = ctx;
        ProtobufCMessage *message = NULL;
        tf_code code;

        small.arena = tf_arena_new(ceiling);
        code = tf_json_to_message(&small, every, text, sizeof text - 1, NULL, &message);
        tf_arena_free(small.arena);
        if (!code) break;
        assert_int_equal(code, TF_TOO_LARGE);
        assert_null(message);
        refusals++;
    }
    assert_in_range(refusals, 20, 1000);
}

/* ---- one field from a URL --------------------------------------------------------------------- */

static const struct {
    const char *name, *path, *text;
    const char *out;    /* part of the message as written; NULL: refused */
    const char *detail; /* of the refusal */
} texts[] = {
    {"number", "int32_value", "-5", "\"int32_value\":-5", NULL},
    {"64 bits", "int64_value", "9223372036854775807", "\"int64_value\":\"9223372036854775807\"", NULL},
    {"lowerCamelCase", "int64Value", "1", "\"int64_value\":\"1\"", NULL},
    {"unsigned", "uint64_value", "18446744073709551615", "\"uint64_value\":\"18446744073709551615\"", NULL},
    {"real", "double_value", "1.5", "\"double_value\":1.5", NULL},
    {"true", "bool_value", "true", "\"bool_value\":true", NULL},
    {"text", "string_value", "a b", "\"string_value\":\"a b\"", NULL},
    {"empty text", "string_value", "", "\"string_value\":\"\"", NULL},
    {"bytes", "bytes_value", "-_8", "\"bytes_value\":\"+/8=\"", NULL},
    {"enum by name", "kind", "KIND_ONE", "\"kind\":\"KIND_ONE\"", NULL},
    {"enum by number", "kind", "-2", "\"kind\":\"KIND_NEGATIVE\"", NULL},
    {"time", "time", "2026-11-22T18:43:00Z", "\"time\":\"2026-11-22T18:43:00.000Z\"", NULL},
    {"nested", "inner.inner.text", "x", "\"inner\":{\"number\":0,\"inner\":{\"text\":\"x\",\"texts\":[]}}", NULL},
    {"oneof", "chosen_text", "t", "\"chosen_text\":\"t\"", NULL},
    {"through a oneof", "chosen_inner.number", "3", "\"chosen_inner\":{\"number\":3}", NULL},
    {"repeated", "numbers", "3", "\"numbers\":[3]", NULL},
    {"unknown", "price", "1", NULL, "not known"},
    {"unknown inside", "inner.price", "1", NULL, "not known"},
    {"empty path", "", "1", NULL, "not known"},
    {"path ends in a dot", "inner.", "1", NULL, "not known"},
    {"path begins with a dot", ".inner", "1", NULL, "not known"},
    {"path through a number", "int32_value.x", "1", NULL, "not known"},
    {"path through a list", "inners.number", "1", NULL, "not known"},
    {"path through a time", "time.seconds", "1", NULL, "not known"},
    {"message", "inner", "{}", NULL, "members"},
    {"number: empty", "int32_value", "", NULL, "decimal"},
    {"number: word", "int32_value", "x", NULL, "decimal"},
    {"number: too large", "int32_value", "2147483648", NULL, "32 bits"},
    {"number: 2^63", "int64_value", "9223372036854775808", NULL, "64 bits"},
    {"unsigned: negative", "uint32_value", "-1", NULL, "0 to"},
    {"real: NaN", "double_value", "NaN", NULL, "number"},
    {"real: array", "double_value", "[1]", NULL, "number"},
    {"real: two", "double_value", "1 2", NULL, "number"},
    {"bool: 1", "bool_value", "1", NULL, "true or false"},
    {"bool: TRUE", "bool_value", "TRUE", NULL, "true or false"},
    {"text: invalid UTF-8", "string_value", "\xff", NULL, "UTF-8"},
    {"bytes: padded", "bytes_value", "YQ==", NULL, "base64url"},
    {"enum: unknown", "kind", "X", NULL, "names"},
    {"enum: unknown number", "kind", "3", NULL, "numbers"},
    {"time: malformed", "time", "yesterday", NULL, "time such as"},
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(texts); i++) {
        ProtobufCMessage *message;
        tf_code code;

        tf_ctx_reset(&ctx, 0);
        message = tf_message_new(&ctx, every);
        code = tf_message_set_text(&ctx, message, texts[i].path, texts[i].text);
        if (texts[i].out) {
            if (code || !strstr(written(message), texts[i].out)) fail_msg("%s: %s", texts[i].name, written(message));
            continue;
        }
        if (code != TF_FIELD_INVALID) fail_msg("%s: accepted", texts[i].name);
        assert_string_equal(ctx.error.field, texts[i].path);
        if (!strstr(ctx.error.detail, texts[i].detail)) fail_msg("%s: %s", texts[i].name, ctx.error.detail);
    }
}

static void test_texts_together(void **state)
{
    ProtobufCMessage *message = tf_message_new(&ctx, every);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(tf_message_set_text(&ctx, message, "strings", i % 2 ? "odd" : "even"), TF_OK);
    assert_int_equal(tf_message_set_text(&ctx, message, "strings", "more"), TF_FIELD_INVALID);
    tf_error_clear(&ctx);
    assert_non_null(strstr(written(message), "\"even\",\"odd\"]"));
    /* A second member of a oneof is refused, the same one again replaces. */
    assert_int_equal(tf_message_set_text(&ctx, message, "chosen_number", "1"), TF_OK);
    assert_int_equal(tf_message_set_text(&ctx, message, "chosen_number", "2"), TF_OK);
    assert_int_equal(tf_message_set_text(&ctx, message, "chosen_text", "x"), TF_FIELD_INVALID);
    tf_error_clear(&ctx);
    assert_int_equal(tf_message_set_text(&ctx, message, "chosen_inner.number", "1"), TF_FIELD_INVALID);
    tf_error_clear(&ctx);
    assert_non_null(strstr(written(message), "\"chosen_number\":\"2\""));
    /* A message that is there already is entered, not replaced. */
    assert_int_equal(tf_message_set_text(&ctx, message, "inner.number", "4"), TF_OK);
    assert_int_equal(tf_message_set_text(&ctx, message, "inner.inner.text", "t"), TF_OK);
    assert_non_null(strstr(written(message), "\"inner\":{\"number\":4,\"inner\":{\"text\":\"t\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_defaults_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_values_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts_together, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
