/* tf-load: buyers by the hundred over the public HTTP interface, and what became of each of their calls.
 *
 *   tf-load prepare …   accounts and tokens, straight into the database of an installation whose secrets one may read
 *   tf-load run …       closed loop: each connection asks again as soon as it was answered
 *
 * README.md has the arguments. Exit status 0: it ran (whatever the answers were); 1: it could not; 64: the command line
 * is at fault. */
#include "tools/load/load.h"

#include "common/crypto/crypto.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: tf-load prepare --home DIR [--base-port N] --accounts N --out FILE [--token-life-s S]\n"
    "       tf-load run --accounts FILE --gateways http://HOST:PORT,… --show ID,… --out FILE\n"
    "           [--connections 128] [--seconds 10 | --until-signal] [--pay | --mix order=70,pay=15,cancel=10,get=5]\n"
    "           [--places 2] [--tier 1] [--split] [--tries 10] [--timeout-ms 10000] [--rate-limit N] [--seed N]\n"
    "           [--json FILE]\n";

void load_die(const char *format, ...)
{
    va_list args;

    fputs("tf-load: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

const char *op_name(enum op op)
{
    static const char *const names[OPS] = {"order", "pay", "press", "cancel", "get"};

    return names[op];
}

int main(int argc, char **argv)
{
    static struct load_options options;
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!tf_crypto_init()) load_die("the system has no randomness");
    if (strcmp(command, "prepare") == 0) return load_prepare(argc - 2, argv + 2);
    if (strcmp(command, "run") == 0) return options_parse(argc - 2, argv + 2, &options) ? load_run(&options) : 64;
    fputs(usage, stderr);
    return 64;
}
