/* tf-embed: what is linked in is what was in the file. */
#include "tests/unit/base/unit.h"

#include "common/base/embedded.h"

extern const struct tf_embedded embedded_files[];

static void bytes_survive(void **state)
{
    static const char odd[] = "a\0\"\\\n?\?=\377\r";

    (void)state;
    assert_string_equal(embedded_files[0].name, "odd-bytes.bin");
    assert_int_equal(embedded_files[0].size, sizeof(odd) - 1);
    assert_memory_equal(embedded_files[0].data, odd, sizeof(odd)); /* the NUL after it too */
    assert_string_equal(embedded_files[1].name, "empty.txt");
    assert_int_equal(embedded_files[1].size, 0);
    assert_int_equal(embedded_files[1].data[0], 0);
    assert_null(embedded_files[2].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_survive)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
