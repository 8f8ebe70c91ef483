/* Envelopes: what goes in comes out; what is no envelope is refused. */
#include "tests/unit/base/unit.h"

#include "common/chassis/app_internal.h"
#include "common/chassis/event.h"

static const struct tf_service service = {.name = "order", .purpose = "is tested"};

static void ctx_make(tf_ctx *ctx, tf_app *app)
{
    *app = (tf_app){.service = &service, .clock = tf_clock_system()};
    tf_app_ctx(app, ctx, "request-1", 0);
    ctx->traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
}

static void test_round_trip(void **state)
{
    static const struct {
        const char *row;
        tf_time occurred;
        size_t size;
    } cases[] = {
        {"a moment", 1790000000123456, 5},   {"the epoch", 0, 5},        {"before the epoch", -1500000, 5},
        {"no payload", 1790000000000000, 0}, {"a large one", 1, 250000},
    };
    static unsigned char payload[250000];

    (void)state;
    memset(payload, 0xa5, sizeof(payload));
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        const struct tf_event event = {
            .event_id = INT64_MAX - 1,
            .bucket = 7,
            .topic = "order",
            .type = "order.paid",
            .version = 2,
            .aggregate_id = 9007199254740993,
            .organiser_id = 3,
            .payload = payload,
            .size = cases[i].size,
        };
        struct tf_received got;
        struct tf_pg_bytes envelope;
        const char *traceparent;
        tf_app app;
        tf_ctx ctx;

        ctx_make(&ctx, &app);
        CHECK(cases[i].row, tf_event_pack(&ctx, &event, cases[i].occurred, &envelope) == TF_OK);
        CHECK(cases[i].row, tf_event_unpack(&ctx, envelope.data, envelope.size, &got, &traceparent));
        CHECK(cases[i].row, got.event_id == event.event_id && got.aggregate_id == event.aggregate_id);
        CHECK(cases[i].row, got.organiser_id == 3 && got.version == 2 && got.occurred == cases[i].occurred);
        CHECK(cases[i].row,
              got.size == cases[i].size && memcmp(got.payload ? got.payload : "", payload, got.size) == 0);
        CHECK_TEXT(cases[i].row, got.type, "order.paid");
        CHECK_TEXT(cases[i].row, got.request_id, "request-1");
        CHECK_TEXT(cases[i].row, got.process, "order");
        CHECK_TEXT(cases[i].row, traceparent, ctx.traceparent);
        for (size_t cut = 1; cut < TF_MIN(envelope.size, (size_t)40);
             cut++) { /* never past the end, whatever it answers */
            void *part = tf_arena_memdup(ctx.arena, envelope.data, cut);

            (void)tf_event_unpack(&ctx, part, cut, &got, &traceparent);
        }
        tf_ctx_done(&ctx);
    }
}

static void test_too_large(void **state)
{
    static unsigned char payload[TF_ENVELOPE_BYTES_MAX];
    const struct tf_event event = {.event_id = 1,
                                   .topic = "order",
                                   .type = "order.paid",
                                   .version = 1,
                                   .payload = payload,
                                   .size = sizeof(payload)};
    struct tf_pg_bytes envelope;
    tf_app app;
    tf_ctx ctx;

    (void)state;
    ctx_make(&ctx, &app);
    assert_int_equal(tf_event_pack(&ctx, &event, 0, &envelope), TF_INTERNAL);
    assert_non_null(strstr(ctx.error.internal, "order.paid"));
    tf_ctx_done(&ctx);
}

static void test_not_an_envelope(void **state)
{
    static const struct {
        const char *row;
        const char *data;
        size_t size;
    } cases[] = {
        {"nothing", "", 0},
        {"text", "hello, world", 12},
        {"a message without id", "\x12\x01x\x32\x00", 5},
        {"a message without type", "\x08\x01\x32\x00", 4},
        {"a message without time", "\x08\x01\x12\x01x", 5},
        {"a negative id", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x01x\x32\x00", 16},
        {"a time beyond all calendars", "\x08\x01\x12\x01x\x32\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 17},
        {"a length beyond the end", "\x08\x01\x12\x7fx", 5},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        struct tf_received got;
        const char *traceparent;
        tf_app app;
        tf_ctx ctx;

        ctx_make(&ctx, &app);
        CHECK(cases[i].row, !tf_event_unpack(&ctx, cases[i].data, cases[i].size, &got, &traceparent));
        tf_ctx_done(&ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_not_an_envelope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
