/* The file that `prepare` writes and `run` reads: a JSON line for each account. */
#include "tools/load/load.h"

#include "common/json/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { ACCOUNT_FILE_ARENA = 16 << 20, TOKEN_BYTES_MAX = 8192, ID_BYTES_MAX = 20 };

/* The texts stay allocated: they are the accounts'. */
static bool read_account(tf_arena *arena, const char *line, size_t size, struct load_account *account)
{
    const char *error;
    tf_cleanup(tf_json_freep) tf_json *document = tf_json_parse(arena, line, size, 2, &error);
    const char *user_id = tf_json_string(tf_json_get(document, "user_id"), ""),
               *token = tf_json_string(tf_json_get(document, "token"), "");

    tf_arena_reset(arena);
    if (!*user_id || !*token || strlen(user_id) > ID_BYTES_MAX || strlen(token) > TOKEN_BYTES_MAX) return false;
    if (strcspn(token, "\r\n \t") != strlen(token)) return false; /* it goes into a header */
    *account = (struct load_account){strdup(user_id), strdup(token)};
    return account->user_id && account->token;
}

struct load_account *accounts_read(const char *path, int64_t *ret_n)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ACCOUNT_FILE_ARENA);
    struct load_account *accounts = NULL;
    FILE *f = fopen(path, "re");
    size_t capacity = 0, n = 0, room = 0;
    char *line = NULL;

    if (!f || !arena) load_die("%s: %s", path, strerror(errno));
    for (ssize_t size; (size = getline(&line, &capacity, f)) > 0; n++) {
        if (n == room) {
            room = room ? 2 * room : 1024;
            accounts = realloc(accounts, room * sizeof *accounts);
            TF_ASSERT(accounts);
        }
        if (!read_account(arena, line, (size_t)size, &accounts[n]))
            load_die("%s: line %zu is no account of tf-load prepare", path, n + 1);
    }
    if (ferror(f)) load_die("%s: %s", path, strerror(errno));
    free(line);
    fclose(f);
    *ret_n = (int64_t)n;
    return accounts;
}
