/* Tokens that were verified before. */
#include "tests/unit/base/unit.h"

#include "gateway/token_cache.h"

#include <stdio.h>

static struct tf_access_claims claims_of(int64_t user_id, tf_time expires)
{
    return (struct tf_access_claims){
        .user_id = user_id, .session_id = user_id + 1, .roles = TF_ROLE_SCANNER, .expires = expires};
}

static void remembers_until_the_end(void **state)
{
    token_cache *cache = token_cache_new();
    struct tf_access_claims claims = claims_of(7, 100), got;

    (void)state;
    assert_false(token_cache_find(cache, "token", 5, 1, &got));
    token_cache_add(cache, "token", 5, &claims, token_cache_generation(cache));
    assert_true(token_cache_find(cache, "token", 5, 99, &got));
    assert_int_equal(got.user_id, 7);
    assert_int_equal(got.session_id, 8);
    assert_int_equal(got.roles, TF_ROLE_SCANNER);
    assert_false(token_cache_find(cache, "tokem", 5, 99, &got));
    assert_false(token_cache_find(cache, "token", 4, 99, &got));
    assert_false(token_cache_find(cache, "token", 5, 100, &got));
    token_cache_free(cache);
}

static void forgets_when_keys_change(void **state)
{
    token_cache *cache = token_cache_new();
    struct tf_access_claims claims = claims_of(7, 100), got;
    unsigned before = token_cache_generation(cache);

    (void)state;
    token_cache_add(cache, "token", 5, &claims, before);
    token_cache_clear(cache);
    assert_false(token_cache_find(cache, "token", 5, 1, &got));
    token_cache_add(cache, "token", 5, &claims, before); /* verified with the old keys */
    assert_false(token_cache_find(cache, "token", 5, 1, &got));
    token_cache_add(cache, "token", 5, &claims, token_cache_generation(cache));
    assert_true(token_cache_find(cache, "token", 5, 1, &got));
    token_cache_free(cache);
}

/* However many come, memory is bounded and what is found is right. */
static void is_bounded(void **state)
{
    enum { TOKENS = 50000 };
    token_cache *cache = token_cache_new();
    int found = 0;

    (void)state;
    for (int64_t i = 1; i <= TOKENS; i++) {
        struct tf_access_claims claims = claims_of(i, i);
        char token[24];
        int n = snprintf(token, sizeof token, "token %lld", (long long)i);

        token_cache_add(cache, token, (size_t)n, &claims, token_cache_generation(cache));
    }
    for (int64_t i = 1; i <= TOKENS; i++) {
        struct tf_access_claims got;
        char token[24];
        int n = snprintf(token, sizeof token, "token %lld", (long long)i);

        if (!token_cache_find(cache, token, (size_t)n, 0, &got)) continue;
        assert_int_equal(got.user_id, i);
        found++;
    }
    assert_in_range(found, 4096, 8192);
    token_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(remembers_until_the_end),
                                       cmocka_unit_test(forgets_when_keys_change), cmocka_unit_test(is_bounded)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
