/* The first operator: made at first start with a random password, which is written to a file for its owner alone. */
#include "services/user/operator.h"

#include "services/user/domain/login.h"
#include "services/user/handlers/views.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The file comes before the account: a crash between them leaves a file that the next start overwrites, never an
 * account without a password. */
static tf_code write_password(tf_ctx *ctx, const char *login, const char *password)
{
    const char *path = user_config.operator_password_file;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok;

    if (fd < 0) return tf_fail(ctx, TF_INTERNAL, "cannot write %s: %m", path);
    ok = dprintf(fd, "login %s\npassword %s\n", login, password) > 0 && fsync(fd) == 0;
    close(fd);
    return ok ? TF_OK : tf_fail(ctx, TF_INTERNAL, "cannot write %s: %m", path);
}

tf_code operator_ensure(tf_ctx *ctx)
{
    struct account a = {.name = "Operator",
                        .language = "en",
                        .city = "",
                        .roles = TF_ROLE_PLATFORM_OPERATOR,
                        .created_at = ctx->clock->wall_us(ctx->clock),
                        .locked_until = INT64_MIN};
    char password[33], *stored;
    bool exists;
    tf_code code;

    if (!*user_config.operator_password_file) return TF_OK;
    code = account_operator_exists(ctx, &exists);
    if (code || exists) return code;

    a.email = login_email(ctx->arena, user_config.operator_login);
    if (!a.email) return tf_fail(ctx, TF_INTERNAL, "operator_login is not an e-mail address");
    tf_random_hex(password, 16);
    code = password_make(ctx, password, &stored);
    if (code) return code;

    a.password = stored;
    code = tf_app_id(ctx, ctx->app, 0, &a.user_id);
    if (code) return code;

    code = write_password(ctx, a.email, password);
    if (code) return code;

    return account_insert(ctx, &a);
}
