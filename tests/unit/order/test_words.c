/* Places in words, in both languages. */
#include "tests/unit/order/fixture.h"

static void test_places(void **state)
{
    static const struct {
        const char *name, *language;
        int32_t place_no;
        const char *text, *entrance;
    } rows[] = {
        {"seated, numbered by step", "en", 34, "Stalls, row A, seat 5", "East gate"},
        {"seated, in Chinese", "zh-CN", 34, "池座 A排5座", "East gate"},
        {"own words for the row", "zh-CN", 82, "楼座 12排3座", ""},
        {"own words stay in English", "en", 82, "Balcony, 12排, seat 3", ""},
        {"own words for the seat", "en", 91, "Balcony, 12排, Box 12", ""},
        {"standing has no row", "en", 97, "Floor, no. 3", "West gate"},
        {"standing, in Chinese", "zh-CN", 97, "内场 3号", "West gate"},
        {"an unknown language gets the first", "fr", 34, "池座, row A, seat 5", "East gate"},
        {"a region of a known language", "en-GB", 34, "Stalls, row A, seat 5", "East gate"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct place_words words;

        fixture_reset(f);
        f->ctx.language = rows[i].language;
        CHECK(rows[i].name, sale_place_words(&f->ctx, f->sale, rows[i].place_no, &words) == TF_OK);
        CHECK_TEXT(rows[i].name, words.text, rows[i].text);
        CHECK_TEXT(rows[i].name, words.entrance, rows[i].entrance);
    }
}

static void test_no_place(void **state)
{
    static const int32_t rows[] = {-1, 0, 31, 42, 47, 92, 196, INT32_MAX};
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct place_words words;

        fixture_reset(f);
        assert_int_equal(sale_place_words(&f->ctx, f->sale, rows[i], &words), TF_INTERNAL);
    }
}

static void test_found_by_words(void **state)
{
    static const struct {
        const char *name, *text;
        int32_t place_no;
    } rows[] = {
        {"seated", "Stalls, row A, seat 5", 34},
        {"in Chinese", "池座 A排5座", 34},
        {"the venue's words", "楼座 12排3座", 82},
        {"standing", "Floor, no. 3", 97},
        {"a seat too far", "Stalls, row A, seat 55", 0},
        {"a row that is not there", "Stalls, row Z, seat 5", 0},
        {"no such section", "Gallery, row A, seat 5", 0},
        {"the section alone", "Stalls", 0},
        {"nothing", "", 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int32_t place_no = -1;

        CHECK(rows[i].name, sale_place_find(&f->ctx, f->sale, rows[i].text, &place_no) == TF_OK);
        CHECK(rows[i].name, place_no == rows[i].place_no);
    }
}

static void test_no_text(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(sale_text(&f->ctx, NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_place, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_found_by_words, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_text, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
