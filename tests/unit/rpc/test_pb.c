/* Decoding what others send: every malformed or hostile message is refused, and nothing passes the ceiling. */
#include "tests/unit/rpc/echo.h"

enum { CEILING = 256 * 1024 };

static void what_was_packed_unpacks(void **state)
{
    tf_arena *arena = tf_arena_new(CEILING);
    EchoRequest request = EchoRequest_init, *got;
    EchoPart part = EchoPart_init, *parts[] = {&part, &part};
    size_t size;
    void *data;

    (void)state;
    request.text = (char *)"座位 7";
    request.use_bytes = INT64_MAX;
    request.work_ms = -1;
    request.kind_case = TICKETFLOW__ECHO__V1__ECHO_REQUEST__KIND_WORD;
    request.word = (char *)"ё";
    part.text = (char *)"part";
    request.parts = parts;
    request.n_parts = 2;
    data = tf_pb_pack(arena, &request.base, &size);
    got = (EchoRequest *)tf_pb_unpack(arena, &EchoRequest_descriptor, data, size);
    assert_non_null(got);
    assert_string_equal(got->text, request.text);
    assert_true(got->use_bytes == INT64_MAX && got->work_ms == -1);
    assert_int_equal(got->kind_case, TICKETFLOW__ECHO__V1__ECHO_REQUEST__KIND_WORD);
    assert_string_equal(got->word, "ё");
    assert_int_equal(got->n_parts, 2);
    assert_string_equal(got->parts[1]->text, "part");
    tf_arena_free(arena);
}

#define BYTES(literal) (literal), sizeof(literal) - 1

static void hostile_bytes(void **state)
{
    static const struct {
        const char *name, *data;
        size_t size;
        bool good;
    } rows[] = {
        {"nothing at all", BYTES(""), true},
        {"unknown field", BYTES("\xa0\x06\x01"), true},
        {"field number 0",
         BYTES("\x02\x01"
               "a"),
         false},
        {"tag without a value", BYTES("\x0a"), false},
        {"length past the end",
         BYTES("\x0a\x05"
               "ab"),
         false},
        {"length of 4 GiB",
         BYTES("\x0a\xff\xff\xff\xff\x0f"
               "a"),
         false},
        {"length of 2^64 - 1",
         BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
               "a"),
         false},
        {"varint without end", BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false},
        {"varint of the wrong type", BYTES("\x08\x01"), false},
        {"group", BYTES("\x0b\x0c"), false},
        {"wire type 7", BYTES("\x0f\x01"), false},
        {"truncated part",
         BYTES("\x4a\x04\x0a\x05"
               "ab"),
         false},
        {"string that is not UTF-8", BYTES("\x0a\x02\xc3\x28"), false},
        {"surrogate in a string", BYTES("\x0a\x03\xed\xa0\x80"), false},
        {"not UTF-8 in a part", BYTES("\x4a\x03\x0a\x01\xff"), false},
        {"not UTF-8 in a map's key", BYTES("\x3a\x03\x0a\x01\xff"), false},
        {"not UTF-8 in a oneof", BYTES("\x52\x01\xff"), false},
        {"number in the same oneof", BYTES("\x58\xff\x01"), true},
        {"string twice, the last wins",
         BYTES("\x0a\x01\xff\x0a\x01"
               "a"),
         true},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_arena *arena = tf_arena_new(CEILING);
        unsigned char *exact = malloc(rows[i].size + !rows[i].size); /* so that reading past the end is seen */
        ProtobufCMessage *message;

        memcpy(exact, rows[i].data, rows[i].size);
        message = tf_pb_unpack(arena, &EchoRequest_descriptor, exact, rows[i].size);
        CHECK(rows[i].name, (message != NULL) == rows[i].good);
        CHECK(rows[i].name, !tf_arena_exhausted(arena) || !rows[i].good);
        free(exact);
        tf_arena_free(arena);
    }
}

/* Two bytes of message each make a part of some 40 bytes: what is small on the wire must not be large in memory. */
static void small_on_the_wire_large_in_memory(void **state)
{
    tf_arena *arena = tf_arena_new(CEILING);
    enum { PARTS = 50000 };
    unsigned char *data = malloc(2 * PARTS);

    (void)state;
    for (size_t i = 0; i < PARTS; i++) {
        data[2 * i] = 0x4a;
        data[2 * i + 1] = 0;
    }
    assert_null(tf_pb_unpack(arena, &EchoRequest_descriptor, data, 2 * PARTS));
    assert_true(tf_arena_exhausted(arena));
    assert_true(tf_arena_used(arena) <= CEILING);
    free(data);
    tf_arena_free(arena);
}

/* A valid message with every byte changed in every way, and cut everywhere: any answer will do, as long as there is
 * one. */
static void mutations_do_no_harm(void **state)
{
    tf_arena *arena = tf_arena_new(CEILING);
    EchoRequest request = EchoRequest_init;
    EchoPart part = EchoPart_init, *parts[] = {&part};
    unsigned char *bytes;
    size_t size;

    (void)state;
    request.text = (char *)"text";
    part.text = (char *)"part";
    request.parts = parts;
    request.n_parts = 1;
    request.use_bytes = 1 << 20;
    bytes = tf_pb_pack(arena, &request.base, &size);
    bytes = memcpy(malloc(size), bytes, size);
    for (size_t i = 0; i < size; i++) {
        unsigned char was = bytes[i];

        for (int value = 0; value < 256; value++) {
            tf_arena_reset(arena);
            bytes[i] = (unsigned char)value;
            tf_pb_unpack(arena, &EchoRequest_descriptor, bytes, size);
        }
        bytes[i] = was;
    }
    for (size_t n = 0; n < size; n++) {
        unsigned char *exact = memcpy(malloc(n + !n), bytes, n);

        tf_arena_reset(arena);
        tf_pb_unpack(arena, &EchoRequest_descriptor, exact, n);
        free(exact);
    }
    free(bytes);
    tf_arena_free(arena);
}

static void packing_past_the_ceiling_gives_null(void **state)
{
    tf_arena *arena = tf_arena_new(CEILING);
    EchoRequest request = EchoRequest_init;
    size_t size = 77;

    (void)state;
    request.text = malloc(CEILING + 1);
    memset(request.text, 'a', CEILING);
    request.text[CEILING] = '\0';
    assert_null(tf_pb_pack(arena, &request.base, &size));
    assert_int_equal(size, 77);
    free(request.text);
    tf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_unpacks),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(small_on_the_wire_large_in_memory),
        cmocka_unit_test(mutations_do_no_harm),
        cmocka_unit_test(packing_past_the_ceiling_gives_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
