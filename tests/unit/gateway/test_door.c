/* Bearer credentials, and who may call what. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "gateway/door.h"

static void credentials(void **state)
{
    static const struct {
        const char *name, *header, *token;
    } rows[] = {
        {"plain", "Bearer abc", "abc"},
        {"another case", "bearer abc", "abc"},
        {"two blanks", "Bearer  abc", "abc"},
        {"another scheme", "Basic abc", NULL},
        {"no token", "Bearer ", NULL},
        {"no blank", "Bearer", NULL},
        {"a longer scheme", "BearerX abc", NULL},
        {"two tokens", "Bearer abc def", NULL},
        {"empty", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const char *token = door_bearer(rows[i].header);

        CHECK(rows[i].name, !token == !rows[i].token);
        if (token) CHECK_TEXT(rows[i].name, token, rows[i].token);
    }
}

static void access_declarations(void **state)
{
    static const struct {
        const char *name;
        uint32_t access, roles;
        int64_t user_id;
        uint32_t has_roles;
        tf_code code;
    } rows[] = {
        {"public, a stranger", TF_ACCESS_PUBLIC, 0, 0, 0, TF_OK},
        {"public, a user", TF_ACCESS_PUBLIC, 0, 7, 0, TF_OK},
        {"public and internal", TF_ACCESS_PUBLIC | TF_ACCESS_INTERNAL, 0, 0, 0, TF_OK},
        {"buyer, a stranger", TF_ACCESS_BUYER, 0, 0, 0, TF_UNAUTHENTICATED},
        {"buyer, a user", TF_ACCESS_BUYER, 0, 7, 0, TF_OK},
        {"buyer, an operator", TF_ACCESS_BUYER, 0, 7, TF_ROLE_SCANNER, TF_OK},
        {"operator, a stranger", TF_ACCESS_OPERATOR, TF_ROLE_SCANNER, 0, 0, TF_UNAUTHENTICATED},
        {"operator, a user", TF_ACCESS_OPERATOR, TF_ROLE_SCANNER, 7, 0, TF_FORBIDDEN},
        {"operator, another role", TF_ACCESS_OPERATOR, TF_ROLE_ORGANISER_ADMIN, 7, TF_ROLE_SCANNER, TF_FORBIDDEN},
        {"operator, the role", TF_ACCESS_OPERATOR, TF_ROLE_ORGANISER_ADMIN | TF_ROLE_SCANNER, 7, TF_ROLE_SCANNER,
         TF_OK},
        {"operator, a role without a user", TF_ACCESS_OPERATOR, TF_ROLE_SCANNER, 0, TF_ROLE_SCANNER,
         TF_UNAUTHENTICATED},
        {"internal, a user", TF_ACCESS_INTERNAL, 0, 7, TF_ROLE_PLATFORM_OPERATOR, TF_FORBIDDEN},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const struct tf_rpc_method method = {.name = "Test", .access = rows[i].access, .roles = rows[i].roles};
        tf_ctx ctx;

        tf_ctx_init(&ctx, "test", 0);
        ctx.identity =
            (struct tf_identity){.caller = "gateway", .user_id = rows[i].user_id, .roles = rows[i].has_roles};
        CHECK(rows[i].name, door_check(&ctx, &method) == rows[i].code);
        tf_ctx_done(&ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(credentials), cmocka_unit_test(access_declarations)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
