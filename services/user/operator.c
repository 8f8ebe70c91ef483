/* The first operator: made at first start with a random password, which is written to a file for its owner alone. */
#include "services/user/operator.h"

#include "services/user/domain/login.h"
#include "services/user/handlers/views.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct credentials {
    const char *login;
    char password[33];
};

/* Before the account is committed: a crash between leaves a file that the next start overwrites, never an account
 * without a password. */
static tf_code write_password(tf_ctx *ctx, void *arg)
{
    const struct credentials *credentials = arg;
    const char *path = user_config.operator_password_file;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok;

    if (fd < 0) return tf_fail(ctx, TF_INTERNAL, "cannot write %s: %m", path);
    ok = fchmod(fd, 0600) == 0 &&
         dprintf(fd, "login %s\npassword %s\n", credentials->login, credentials->password) > 0 && fsync(fd) == 0;
    close(fd);
    return ok ? TF_OK : tf_fail(ctx, TF_INTERNAL, "cannot write %s: %m", path);
}

static tf_code make_operator(tf_ctx *ctx, struct credentials *credentials)
{
    struct account a = {.name = "Operator",
                        .email = credentials->login,
                        .language = "en",
                        .city = "",
                        .roles = TF_ROLE_PLATFORM_OPERATOR,
                        .created_at = ctx->clock->wall_us(ctx->clock)};
    char *stored;
    tf_code code;

    code = password_make(ctx, credentials->password, &stored);
    if (code) return code;

    a.password = stored;
    code = tf_app_id(ctx, ctx->app, 0, &a.user_id);
    if (code) return code;

    code = account_first_operator(ctx, &a, write_password, credentials);
    if (code != TF_ALREADY_EXISTS) return code;
    tf_error_clear(ctx);
    return tf_fail(ctx, TF_ALREADY_EXISTS, "operator_login %s is taken by an account that is no operator",
                   credentials->login);
}

tf_code operator_ensure(tf_ctx *ctx)
{
    struct credentials credentials;
    bool exists;
    tf_code code;

    if (!*user_config.operator_password_file) return TF_OK;
    code = account_operator_exists(ctx, &exists);
    if (code || exists) return code;

    credentials.login = login_email(ctx->arena, user_config.operator_login);
    if (!credentials.login) return tf_fail(ctx, TF_INTERNAL, "operator_login is not an e-mail address");
    tf_random_hex(credentials.password, 16);
    code = make_operator(ctx, &credentials);
    tf_wipe(&credentials, sizeof credentials);
    return code;
}
