/* tf-bench NAME --home DIR --base-port N [--json FILE]: one measurement against a private installation that holds the
 * bench's shows and nothing else. */
#include "tests/bench/bench.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_die(const char *format, ...)
{
    va_list args;

    fputs("tf-bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void bench_check(tf_ctx *ctx, tf_code code, const char *what)
{
    if (code) bench_die("%s: %s %s", what, tf_code_info(code)->reason, ctx->error.internal ? ctx->error.internal : "");
}

static const struct {
    const char *name;
    void (*run)(struct bench *b);
} benches[] = {
    {"hold", bench_hold}, {"inventory", bench_inventory}, {"commit", bench_commit}, {"purchase", bench_purchase}};

int main(int argc, char **argv)
{
    struct bench b = {0};
    void (*measure)(struct bench * b) = NULL;

    for (size_t i = 0; argc > 1 && i < TF_COUNT(benches); i++)
        if (strcmp(argv[1], benches[i].name) == 0) measure = benches[i].run;
    for (int i = 2; i + 1 < argc; i += 2) {
        int64_t port;

        if (strcmp(argv[i], "--home") == 0)
            b.home = argv[i + 1];
        else if (strcmp(argv[i], "--json") == 0)
            b.json_path = argv[i + 1];
        else if (strcmp(argv[i], "--base-port") == 0 && tf_parse_int64(argv[i + 1], &port))
            b.base_port = (int)port;
        else
            measure = NULL;
    }
    if (!measure || !b.home || !b.base_port || !tf_crypto_init()) {
        fputs("usage: tf-bench hold|inventory|commit|purchase --home DIR --base-port N [--json FILE]\n", stderr);
        return 64;
    }
    tf_log_start("bench", "warn");
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    measure(&b);
    report_end(&b);
    return 0;
}
