/* Figures: a line each as they come, and all of them as JSON members at the end. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIGURES_MAX = 64 };

static struct {
    char name[64];
    const char *unit;
    double median, least, most;
} figures[FIGURES_MAX];
static int n_figures;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void report_figure(const char *name, const char *unit, const double *runs, int n)
{
    double sorted[16];

    TF_ASSERT(n > 0 && n <= (int)TF_COUNT(sorted) && n_figures < FIGURES_MAX);
    memcpy(sorted, runs, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    if (n_figures == 0) printf("%-40s %12s %12s %12s\n", "FIGURE", "MEDIAN", "LEAST", "MOST");
    snprintf(figures[n_figures].name, sizeof figures[n_figures].name, "%s", name);
    figures[n_figures].unit = unit;
    figures[n_figures].median = sorted[n / 2];
    figures[n_figures].least = sorted[0];
    figures[n_figures].most = sorted[n - 1];
    printf("%-40s %12.1f %12.1f %12.1f  %s\n", name, sorted[n / 2], sorted[0], sorted[n - 1], unit);
    n_figures++;
}

void report_end(const struct bench *b)
{
    FILE *f;

    if (!b->json_path) return;
    f = fopen(b->json_path, "we");
    if (!f) bench_die("%s cannot be written", b->json_path);
    fputs("{\n", f);
    for (int i = 0; i < n_figures; i++)
        fprintf(f, "  \"%s\": {\"median\": %.3f, \"least\": %.3f, \"most\": %.3f, \"unit\": \"%s\"}%s\n",
                figures[i].name, figures[i].median, figures[i].least, figures[i].most, figures[i].unit,
                i + 1 < n_figures ? "," : "");
    fputs("}\n", f);
    if (fclose(f)) bench_die("%s cannot be written", b->json_path);
}
