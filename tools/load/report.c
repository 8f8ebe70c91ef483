/* Counting, and the summary at the end. */
#include "tools/load/load.h"

#include "common/base/clock.h"
#include "common/json/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { JSON_MAX = 1 << 20 };

static const double percents[] = {50, 90, 99};

void report_call(struct report *r, enum op op, enum outcome outcome, const char *reason)
{
    int i = 0;

    while (i < r->n_tallies &&
           (r->tallies[i].op != op || r->tallies[i].outcome != outcome || strcmp(r->tallies[i].reason, reason) != 0))
        i++;
    if (i == r->n_tallies) {
        TF_ASSERT(i < TALLIES_MAX);
        r->n_tallies++;
        r->tallies[i].op = op;
        r->tallies[i].outcome = outcome;
        r->tallies[i].reason = reason;
    }
    r->tallies[i].calls++;
}

static double orders_per_s(const struct report *r)
{
    return r->measured_us ? (double)r->orders_in_time * TF_US_PER_S / (double)r->measured_us : 0;
}

static void print_text(const struct report *r, const struct load_options *o)
{
    printf(
        "%lld connections, %.1f s: %llu orders, %.1f orders/s, %llu retries, %llu connections made, own CPU %.2f s\n",
        (long long)o->connections, (double)r->measured_us / TF_US_PER_S, (unsigned long long)r->orders_in_time,
        orders_per_s(r), (unsigned long long)r->retries, (unsigned long long)r->connects,
        (double)r->cpu_us / TF_US_PER_S);
    puts("operations (a key with all its attempts)   count     p50 ms     p90 ms     p99 ms     max ms");
    for (int op = 0; op < OPS; op++)
        for (int outcome = 0; outcome < OUTCOMES; outcome++) {
            const struct histogram *h = &r->ended[op][outcome];

            if (!h->count) continue;
            printf("  %-7s %-8s %30llu", op_name(op), outcome_name(outcome), (unsigned long long)h->count);
            for (size_t i = 0; i < TF_COUNT(percents); i++)
                printf(" %10.2f", (double)histogram_percentile(h, percents[i]) / TF_US_PER_MS);
            printf(" %10.2f\n", (double)h->max_us / TF_US_PER_MS);
        }
    puts("calls (attempts)");
    for (int i = 0; i < r->n_tallies; i++)
        printf("  %-7s %-8s %-20s %9llu\n", op_name(r->tallies[i].op), outcome_name(r->tallies[i].outcome),
               r->tallies[i].reason, (unsigned long long)r->tallies[i].calls);
}

static void put_int(tf_json_writer *w, const char *name, int64_t value)
{
    tf_json_key(w, name);
    tf_json_put_int(w, value);
}

static void put_real(tf_json_writer *w, const char *name, double value)
{
    tf_json_key(w, name);
    tf_json_put_real(w, value);
}

static void put_text(tf_json_writer *w, const char *name, const char *value)
{
    tf_json_key(w, name);
    tf_json_put_string(w, value);
}

static void put_operations(tf_json_writer *w, const struct report *r)
{
    char name[16];

    tf_json_key(w, "operations");
    tf_json_begin_array(w);
    for (int op = 0; op < OPS; op++)
        for (int outcome = 0; outcome < OUTCOMES; outcome++) {
            const struct histogram *h = &r->ended[op][outcome];

            if (!h->count) continue;
            tf_json_begin_object(w);
            put_text(w, "op", op_name(op));
            put_text(w, "outcome", outcome_name(outcome));
            put_int(w, "count", (int64_t)h->count);
            for (size_t i = 0; i < TF_COUNT(percents); i++) {
                snprintf(name, sizeof name, "p%.0f_ms", percents[i]);
                put_real(w, name, (double)histogram_percentile(h, percents[i]) / TF_US_PER_MS);
            }
            put_real(w, "max_ms", (double)h->max_us / TF_US_PER_MS);
            tf_json_end_object(w);
        }
    tf_json_end_array(w);
}

static void put_calls(tf_json_writer *w, const struct report *r)
{
    tf_json_key(w, "calls");
    tf_json_begin_array(w);
    for (int i = 0; i < r->n_tallies; i++) {
        tf_json_begin_object(w);
        put_text(w, "op", op_name(r->tallies[i].op));
        put_text(w, "outcome", outcome_name(r->tallies[i].outcome));
        put_text(w, "reason", r->tallies[i].reason);
        put_int(w, "count", (int64_t)r->tallies[i].calls);
        tf_json_end_object(w);
    }
    tf_json_end_array(w);
}

static bool write_json(const struct report *r, const struct load_options *o, const char *path)
{
    tf_buf out;
    tf_json_writer w = {.out = &out};
    FILE *f = fopen(path, "we");
    bool ok;

    if (!f) return false;
    tf_buf_init(&out, JSON_MAX);
    tf_json_begin_object(&w);
    put_int(&w, "connections", o->connections);
    put_int(&w, "seed", o->seed);
    put_real(&w, "seconds", (double)r->measured_us / TF_US_PER_S);
    put_int(&w, "orders", (int64_t)r->orders_in_time);
    put_real(&w, "orders_per_s", orders_per_s(r));
    put_int(&w, "retries", (int64_t)r->retries);
    put_int(&w, "connects", (int64_t)r->connects);
    put_real(&w, "own_cpu_s", (double)r->cpu_us / TF_US_PER_S);
    put_operations(&w, r);
    put_calls(&w, r);
    tf_json_end_object(&w);
    tf_buf_putc(&out, '\n');
    ok = !out.broken && fwrite(out.data, 1, out.size, f) == out.size;
    tf_buf_done(&out);
    return fclose(f) == 0 && ok;
}

bool report_print(const struct report *r, const struct load_options *o, const char *json_path)
{
    print_text(r, o);
    if (!json_path || write_json(r, o, json_path)) return true;
    fprintf(stderr, "tf-load: %s: %s\n", json_path, strerror(errno));
    return false;
}
