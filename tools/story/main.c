/* tf-story: the purchase story against a running installation.
 *
 *   tf-story import FILE [--quiet]          an organiser's file into the catalogue
 *   tf-story selfcheck --catalogue FILE     imports it, then buys, pays and is refunded one place of its first show;
 *                                           prints what was bought
 *   tf-story demo --catalogue FILE          the same, each request and answer printed
 *   tf-story order KEY [--show ID] [--json] what happened to an order, found by KEY
 *
 * All with --gateway URL --secrets DIR. Exit status 0: it went as told; 1: it did not; 64: the command line is at
 * fault. */
#include "tools/story/story.h"

#include "common/crypto/crypto.h"

#include <stdio.h>
#include <string.h>

static int usage(void)
{
    fputs("usage: tf-story import FILE | selfcheck --catalogue FILE | demo --catalogue FILE | order KEY, with "
          "--gateway URL "
          "--secrets DIR [--quiet]\n",
          stderr);
    return 64;
}

int main(int argc, char **argv)
{
    struct story s = {.gateway = "http://127.0.0.1:17080"};
    const char *catalogue = NULL, *file = NULL, *show_id = NULL, *show = NULL, *command = argc > 1 ? argv[1] : "";
    bool quiet = false, as_json = false, ok = false;

    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--quiet") == 0) {
            quiet = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            as_json = true;
        } else if (argv[i][0] != '-' && !file) {
            file = argv[i];
        } else if (value && strcmp(argv[i], "--gateway") == 0) {
            s.gateway = argv[++i];
        } else if (value && strcmp(argv[i], "--secrets") == 0) {
            s.secrets = argv[++i];
        } else if (value && strcmp(argv[i], "--catalogue") == 0) {
            catalogue = argv[++i];
        } else if (value && strcmp(argv[i], "--show") == 0) {
            show = argv[++i];
        } else {
            return usage();
        }
    }
    if (!s.secrets || !tf_crypto_init()) return usage();
    tf_ctx_init(&s.ctx, "story", 0);
    s.http = tf_http_client_new();
    if (strcmp(command, "import") == 0 && file) {
        ok = story_import(&s, file, quiet, NULL);
    } else if (strcmp(command, "order") == 0 && file) {
        ok = story_order(&s, file, show, as_json);
    } else if ((strcmp(command, "selfcheck") == 0 || strcmp(command, "demo") == 0) && catalogue) {
        ok = story_import(&s, catalogue, true, &show_id) && show_id;
        s.print = strcmp(command, "demo") == 0;
        if (!s.print) puts("Self-check: a fresh buyer buys a place, pays, and is refunded");
        ok = ok && story_purchase(&s, show_id);
    } else {
        return usage();
    }
    tf_http_client_free(s.http);
    tf_ctx_done(&s.ctx);
    return ok ? 0 : 1;
}
