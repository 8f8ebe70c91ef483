/* The report: rules in the order in which they ran, as a table for people or as JSON. */
#include "tools/check/check.h"

#include "common/base/buf.h"
#include "common/json/json.h"

#include <stdarg.h>
#include <stdio.h>

enum { RULES_MAX = 64, OFFENDER_TEXT = 240 };

static struct rule {
    const char *name, *sentence;
    int64_t looked_at, violations;
    char shown[OFFENDERS_SHOWN_MAX][OFFENDER_TEXT];
    size_t n_notes;
    char notes[NOTES_MAX][OFFENDER_TEXT];
} rules[RULES_MAX];
static size_t n_rules;

void rule_begin(const char *name, const char *sentence)
{
    TF_ASSERT(n_rules < RULES_MAX);
    rules[n_rules++] = (struct rule){.name = name, .sentence = sentence};
}

void rule_looked_at(int64_t n)
{
    rules[n_rules - 1].looked_at += n;
}

void rule_offender(const char *format, ...)
{
    struct rule *r = &rules[n_rules - 1];
    va_list args;

    if (r->violations < OFFENDERS_SHOWN_MAX) {
        va_start(args, format);
        vsnprintf(r->shown[r->violations], OFFENDER_TEXT, format, args);
        va_end(args);
    }
    r->violations++;
}

void rule_note(const char *format, ...)
{
    struct rule *r = &rules[n_rules - 1];
    va_list args;

    if (r->n_notes == NOTES_MAX) return;
    va_start(args, format);
    vsnprintf(r->notes[r->n_notes++], OFFENDER_TEXT, format, args);
    va_end(args);
}

void rule_failed(const struct check *c, const char *what)
{
    rule_offender("could not be checked: %s: %s", what,
                  c->ctx.error.internal ? c->ctx.error.internal : tf_code_info(c->ctx.error.code)->reason);
}

static void print_table(void)
{
    for (size_t i = 0; i < n_rules; i++) {
        const struct rule *r = &rules[i];

        printf("%-9s %-26s %10lld looked at  %s\n", r->violations ? "VIOLATED" : "ok", r->name, (long long)r->looked_at,
               r->sentence);
        for (size_t k = 0; k < r->n_notes; k++)
            printf("            note: %s\n", r->notes[k]);
        for (int64_t k = 0; k < TF_MIN(r->violations, (int64_t)OFFENDERS_SHOWN_MAX); k++)
            printf("            %s\n", r->shown[k]);
        if (r->violations > OFFENDERS_SHOWN_MAX)
            printf("            and %lld more\n", (long long)r->violations - OFFENDERS_SHOWN_MAX);
    }
}

static void print_json(void)
{
    tf_buf out;
    tf_json_writer w = {.out = &out};

    tf_buf_init(&out, 8 << 20);
    tf_json_begin_object(&w);
    tf_json_key(&w, "rules");
    tf_json_begin_array(&w);
    for (size_t i = 0; i < n_rules; i++) {
        const struct rule *r = &rules[i];

        tf_json_begin_object(&w);
        tf_json_key(&w, "rule");
        tf_json_put_string(&w, r->name);
        tf_json_key(&w, "looked_at");
        tf_json_put_int(&w, r->looked_at);
        tf_json_key(&w, "violations");
        tf_json_put_int(&w, r->violations);
        tf_json_key(&w, "notes");
        tf_json_begin_array(&w);
        for (size_t k = 0; k < r->n_notes; k++)
            tf_json_put_string(&w, r->notes[k]);
        tf_json_end_array(&w);
        tf_json_key(&w, "offenders");
        tf_json_begin_array(&w);
        for (int64_t k = 0; k < TF_MIN(r->violations, (int64_t)OFFENDERS_SHOWN_MAX); k++)
            tf_json_put_string(&w, r->shown[k]);
        tf_json_end_array(&w);
        tf_json_end_object(&w);
    }
    tf_json_end_array(&w);
    tf_json_end_object(&w);
    printf("%s\n", out.broken ? "{}" : out.data);
    tf_buf_done(&out);
}

bool report_print(bool json)
{
    int64_t violations = 0;
    size_t violated = 0;

    for (size_t i = 0; i < n_rules; i++) {
        violations += rules[i].violations;
        violated += rules[i].violations > 0;
    }
    if (json) {
        print_json();
        return violations == 0;
    }
    print_table();
    printf("check: %zu rules, %zu violated, %lld offenders\n", n_rules, violated, (long long)violations);
    return violations == 0;
}
