/* tf-load: what its files share. The HTTP client below (wire.h and what it stands on) knows nothing of this. */
#pragma once

#include "common/base/buf.h"
#include "tools/load/histogram.h"
#include "tools/load/retry.h"
#include "tools/load/target.h"

#include <stdint.h>

/* What buyers do. Each but the press, which is at the bank's page, is a call of the public interface. */
enum op { OP_ORDER, OP_PAY, OP_PRESS, OP_CANCEL, OP_GET };
enum { OPS = OP_GET + 1 };

/* "order", "pay", "press", "cancel", "get". */
const char *op_name(enum op op);

/* Ends the program with this sentence and status 1: without its accounts, its file or its memory a run means nothing.
 */
TF_NORETURN void load_die(const char *format, ...) TF_PRINTF(1, 2);

enum { GATEWAYS_MAX = 64, SHOWS_MAX = 256, CONNECTIONS_MAX = 20000, PLACES_MAX = 20, TRIES_MAX = 100 };

/* The command line of `run`; texts are the arguments' own. */
struct load_options {
    const char *accounts_path, *out_path, *json_path; /* json_path NULL: none */
    struct target gateways[GATEWAYS_MAX];
    const char *shows[SHOWS_MAX]; /* ids */
    int n_gateways, n_shows;
    int64_t connections, seconds, places, tier, tries, timeout_ms, rate_limit, seed; /* rate_limit 0: none */
    int64_t mix[OPS];                                                                /* shares; OP_PRESS has none */
    bool pay, split, until_signal;
};

/* ---- accounts.c ---- */
struct load_account {
    const char *user_id, *token;
};
/* All accounts of a file that `prepare` wrote; for the life of the program. Dies when one is malformed. */
struct load_account *accounts_read(const char *path, int64_t *ret_n);

/* ---- journal.c: the witness ---- */
struct journal {
    int fd;
    tf_buf line;
};
/* One attempt. */
struct journal_entry {
    int64_t t_us, began_us; /* CLOCK_REALTIME: when it ended, when it began */
    int64_t latency_us;     /* by the monotonic clock */
    enum op op;
    const char *key, *user_id, *gateway, *show_id;
    int attempt;
    enum outcome outcome;
    int status; /* 0: no answer */
    const char *reason, *state;
    int64_t order_no; /* 0: not known */
    const int32_t *places;
    size_t n_places;
};
/* A new file, for its owner alone. Dies when there is something in it already. */
void journal_open(struct journal *journal, const char *path);
/* One line, given to the kernel whole before this returns. Dies when the disk does not take it. */
void journal_write(struct journal *journal, const struct journal_entry *entry);
void journal_close(struct journal *journal);

/* ---- report.c: what is counted ---- */
enum { TALLIES_MAX = 128 };
struct report {
    struct {
        enum op op;
        enum outcome outcome;
        const char *reason; /* static */
        uint64_t calls;
    } tallies[TALLIES_MAX];
    int n_tallies;
    /* Operations: a key with all its attempts, by how it ended. */
    struct histogram ended[OPS][OUTCOMES];
    uint64_t retries, connects;
    uint64_t orders_in_time; /* acknowledged before the run was told to stop */
    int64_t measured_us, cpu_us;
};
/* One more attempt that ended so. */
void report_call(struct report *report, enum op op, enum outcome outcome, const char *reason);
/* On standard output, and as JSON when a path is given. False: the file could not be written. */
bool report_print(const struct report *report, const struct load_options *options, const char *json_path);

/* ---- the commands; exit statuses ---- */
int load_prepare(int argc, char **argv);
int load_run(const struct load_options *options);

/* ---- options.c ---- */
/* False after a sentence on standard error. */
TF_MUSTCHECK bool options_parse(int argc, char **argv, struct load_options *ret_options);
/* argv[*at] is `name` and has a value: *ret_value, and *at moves on. */
bool option_text(int argc, char **argv, int *at, const char *name, const char **ret_value);
/* The same for a number from min to max; *ret_bad becomes true when it is none. */
bool option_int(int argc, char **argv, int *at, const char *name, int64_t min, int64_t max, int64_t *ret_value,
                bool *ret_bad);
