/* Many and large imports at once: few wait, the rest is refused, buyers' calls are answered, memory stays bounded. */
#include "tests/integration/program/running.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RUSH = 10,
    FILE_BYTES = 700 * 1024, /* two do not wait together, see start() */
    PEAK_KIB = 400 * 1024,
};

static struct running program;

static int start(void **state)
{
    (void)state;
    setenv("TF_IMPORT_WAITING_MIB", "1", 1);
    running_start(&program);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    running_stop(&program);
    unsetenv("TF_IMPORT_WAITING_MIB");
    return 0;
}

/* A file with 100,000 places, published, and blanks up to FILE_BYTES. */
static char *large_file(tf_arena *arena, int number)
{
    char *text = tf_arena_printf(
        arena,
        "{\"format\": \"ticketflow-catalogue/1\", \"organisers\": [{\"ref\": \"rush%d\", \"name\": \"Rush\"}], "
        "\"venues\": [{\"ref\": \"v\", \"name\": \"V\", \"city\": \"Rush\", \"address\": \"A\", \"time_zone\": "
        "\"UTC\"}], \"plans\": [{\"ref\": \"p\", \"venue\": \"v\", \"sections\": [{\"section\": \"S\", \"rows\": "
        "\"1-500\", \"seats_per_row\": 200, \"tier\": \"t\"}]}], \"programs\": [{\"ref\": \"g\", \"title\": \"Rush\", "
        "\"shows\": [{\"ref\": \"s\", \"plan\": \"p\", \"start\": \"today+9 20:00\", \"publish\": true, \"currency\": "
        "\"EUR\", \"tiers\": [{\"ref\": \"t\", \"price\": 10}]}]}]}",
        number);

    assert_non_null(text);
    return tf_arena_printf(arena, "%-*s", FILE_BYTES, text);
}

struct importer {
    pthread_t thread;
    int number, retry_after_ms;
    tf_code code;
};

static void *import_large(void *arg)
{
    struct importer *importer = arg;
    ImportCatalogueResponse *response;
    tf_ctx ctx;

    as_platform(&ctx);
    importer->code = import(&program, &ctx, large_file(ctx.arena, importer->number), &response);
    importer->retry_after_ms = ctx.error.retry_after_ms;
    tf_ctx_done(&ctx);
    return NULL;
}

/* The most memory that the process ever had. */
static int64_t peak_kib(void)
{
    char path[64], line[200];
    long long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", program.pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (!kib && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lld", &kib) != 1) kib = 0;
    fclose(f);
    return kib;
}

static void a_rush_of_large_files_is_bounded(void **state)
{
    struct importer all[RUSH] = {0};
    ListProgramsRequest request = ListProgramsRequest_init;
    ListProgramsResponse *list;
    int taken = 0, refused = 0;
    int64_t began;
    tf_ctx ctx;

    (void)state;
    for (int i = 0; i < RUSH; i++) {
        all[i].number = i;
        assert_int_equal(pthread_create(&all[i].thread, NULL, import_large, &all[i]), 0);
    }
    as_nobody(&ctx);
    for (int i = 0; i < 5; i++) {
        began = tf_mono_us();
        ASSERT_OK(&ctx, call_list_programs(&ctx, program.client, &request, &list));
        assert_true(tf_mono_us() - began < TF_US_PER_S);
    }
    for (int i = 0; i < RUSH; i++) {
        pthread_join(all[i].thread, NULL);
        taken += all[i].code == TF_OK;
        refused += all[i].code == TF_OVERLOADED && all[i].retry_after_ms > 0;
    }
    assert_int_equal(taken + refused, RUSH);
    assert_true(taken >= 2 && refused >= 1);                             /* one worked, one waited */
    assert_int_equal(sql(&program, "SELECT count(*) FROM show"), taken); /* a refused one left nothing */

    /* Who comes again is taken. */
    for (int i = 0; i < RUSH; i++) {
        import_large(&all[i]);
        assert_int_equal(all[i].code, TF_OK);
    }
    assert_int_equal(sql(&program, "SELECT count(*) FROM show WHERE version = 1"), RUSH);
#ifndef __SANITIZE_ADDRESS__ /* which keeps freed memory for a while */
    assert_in_range(peak_kib(), 1, PEAK_KIB);
#else
    (void)peak_kib;
#endif
    tf_ctx_done(&ctx);
}

/* A hundred bytes of memory a value and more: 4 MB of text must not become a GB. */
static void countless_values_are_refused_unread(void **state)
{
    static const char head[] = "{\"format\": \"ticketflow-catalogue/1\", \"plans\": [";
    enum { VALUES = 1600000 };
    char *text = malloc(sizeof(head) + (size_t)VALUES * 3 + 3), *end;
    ImportCatalogueResponse *response;
    tf_ctx ctx;

    (void)state;
    assert_non_null(text);
    end = stpcpy(text, head);
    for (int i = 0; i < VALUES; i++)
        end = stpcpy(end, i ? ",[]" : "[]");
    stpcpy(end, "]}");
    as_platform(&ctx);
    assert_int_equal(import(&program, &ctx, text, &response), TF_FIELD_INVALID);
    assert_string_equal(ctx.error.field, "");
    assert_non_null(strstr(ctx.error.detail, "values"));
    tf_ctx_done(&ctx);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rush_of_large_files_is_bounded),
        cmocka_unit_test(countless_values_are_refused_unread),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
