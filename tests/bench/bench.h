/* tf-bench: what its files share. */
#pragma once

#include "common/base/ctx.h"
#include "common/chassis/service.h"
#include "services/order/inventory/inventory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct bench {
    const char *home, *json_path; /* json_path NULL: none */
    int base_port;
    tf_app *app; /* order's stores, as its own process sees them; after world_open */
};

/* Ends the program with this sentence: a measurement that cannot be made has no figure. */
TF_NORETURN void bench_die(const char *format, ...) TF_PRINTF(1, 2);
/* Dies with the context's own words unless code is TF_OK. */
void bench_check(tf_ctx *ctx, tf_code code, const char *what);

/* ---- the measurements; each reports its figures ---- */
void bench_hold(struct bench *b);
void bench_inventory(struct bench *b);
void bench_commit(struct bench *b);
void bench_purchase(struct bench *b);

/* ---- volley.c ---- */
enum { SHOT_PLACES_MAX = 6 };
/* One purchase: chosen places, or the best `count` of tier 1. */
struct shot {
    int count;
    int32_t places[SHOT_PLACES_MAX];
    int n_places; /* 0: best available */
};
struct volley {
    struct bench *b;
    struct sale *sale;
    const struct shot *shots;
    int n;
    int64_t *orders; /* n; of each shot; 0: refused */
    atomic_int next;
    _Atomic int64_t epoch; /* of the decisions */
};
/* All shots; how many were granted. */
int volley_fire(struct volley *v);
/* Frees what the orders hold, by settling; how many there were. */
int volley_give_back(const struct volley *v);
/* Aims n shots at free places at random spots, each at `runs` runs of `length` neighbours; fewer than n when no more
 * were found. */
int volley_choose(struct bench *b, struct sale *sale, struct shot *shots, int n, int runs, int length);

/* ---- report.c ---- */
enum { BENCH_RUNS = 3 };
/* A figure of several runs: its median, and the least and the most beside it. */
void report_figure(const char *name, const char *unit, const double *runs, int n);
/* Writes the JSON file when one was asked for. */
void report_end(const struct bench *b);

/* ---- proc.c ---- */
/* Pid of a part of the installation; dies when it does not run. */
pid_t proc_part(const struct bench *b, const char *part);
/* CPU time of one thread that is a process's first, in nanoseconds: Redis's commands run on it, and all of a PostgreSQL
 * backend. */
int64_t proc_thread_ns(pid_t pid);
/* CPU time of a process and its children, in microseconds, at the kernel's 10 ms. */
int64_t proc_tree_us(pid_t pid);

/* ---- world.c ---- */
/* Order's database, Redis and rooms in this process. */
void world_open(struct bench *b);
void world_close(struct bench *b);
/* The nth show (from 0) that was imported, open for holds; a reference for the caller. */
struct sale *world_show(struct bench *b, int n);
/* A new id in the show's bucket. */
int64_t world_id(struct bench *b, tf_ctx *ctx, int bucket);
void world_ctx(struct bench *b, tf_ctx *ctx);

/* ---- buyers.c ---- */
/* Registers n accounts over the public API and logs them in; their access tokens in the arena. */
char **buyers_make(const struct bench *b, tf_ctx *ctx, int n);
/* Ids of the shows on offer, as the public API lists them; *ret_n of them in the arena. */
char **buyers_shows(const struct bench *b, tf_ctx *ctx, int *ret_n);
