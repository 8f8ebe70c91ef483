/* Reading the list of embedded migrations. */
#include "common/pg/migration.h"

#include <string.h>

static const char no_transaction[] = "-- no-transaction";

enum { VERSION_DIGITS_MAX = 8 };

/* "0001_orders.sql" → 1; 0 when the name is of another form. */
static int version_of(const char *name)
{
    size_t length = strlen(name), digits = strspn(name, "0123456789");
    int version = 0;

    if (digits == 0 || digits > VERSION_DIGITS_MAX || name[digits] != '_') return 0;
    if (length < digits + sizeof("_x.sql") - 1 || strcmp(name + length - 4, ".sql") != 0) return 0;
    for (size_t i = 0; i < digits; i++)
        version = version * 10 + (name[i] - '0');
    return version;
}

static bool runs_alone(const char *sql)
{
    size_t n = sizeof(no_transaction) - 1;

    return strncmp(sql, no_transaction, n) == 0 && (sql[n] == '\n' || sql[n] == '\r' || sql[n] == '\0');
}

tf_code tf_pg_migrations(tf_ctx *ctx, const struct tf_embedded *files, struct tf_pg_migration **ret_list, size_t *ret_n)
{
    struct tf_pg_migration *list;
    size_t n = 0;

    while (files[n].name)
        n++;
    list = TF_NEW_ARRAY(ctx->arena, struct tf_pg_migration, n);
    if (!list) return tf_fail(ctx, TF_INTERNAL, "%zu migrations do not fit into memory", n);

    for (size_t i = 0; i < n; i++) {
        struct tf_pg_migration migration = {
            .version = version_of(files[i].name), .name = files[i].name, .sql = (const char *)files[i].data};
        size_t at = i;

        if (!migration.version)
            return tf_fail(ctx, TF_INTERNAL, "migration %s: its name must be <number>_<what>.sql", migration.name);
        if (memchr(files[i].data, '\0', files[i].size))
            return tf_fail(ctx, TF_INTERNAL, "migration %s: it contains a NUL byte", migration.name);
        migration.alone = runs_alone(migration.sql);
        tf_sha256(files[i].data, files[i].size, migration.checksum);

        for (; at > 0 && list[at - 1].version > migration.version; at--) /* insertion: the list comes almost sorted */
            list[at] = list[at - 1];
        if (at > 0 && list[at - 1].version == migration.version)
            return tf_fail(ctx, TF_INTERNAL, "migrations %s and %s have the same number", list[at - 1].name,
                           migration.name);
        list[at] = migration;
    }
    *ret_list = list;
    *ret_n = n;
    return TF_OK;
}
