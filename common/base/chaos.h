/* Points between two steps where a test may kill the process, and rules that a test may take out.
 *
 * Both exist in the chaos build only (CMake preset chaos, which defines TF_CHAOS): everywhere else TF_KILL_POINT does
 * nothing, TF_BROKEN is false, and no name of theirs is in the program (tests/unit/chaos looks). Names are declared in
 * kill_points.def and broken.def; one that is not does not compile, in any build.
 *
 * A chaos process maps the file that TF_CHAOS_FILE names in its environment, if any: an array of struct tf_chaos_row
 * made by the test (tests/chaos/points.py) and shared by all processes of its installation. Names that it does not list
 * do nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TF_CHAOS_NAME_SIZE = 48 };

/* 60 bytes, numbers in the machine's order; changed atomically by processes and test alike. */
struct tf_chaos_row {
    char name[TF_CHAOS_NAME_SIZE]; /* ended by zeros */
    int32_t countdown; /* kill point: n > 0 kills on the n-th pass from now, 0 is unarmed; rule: not 0 takes it out */
    uint32_t hits;     /* processes that died here */
    uint32_t passes;   /* how often anybody came by; of a rule: how often it was left out */
};

enum tf_chaos_point {
#define TF_POINT(name, process, place) TF_POINT_##name,
#include "common/base/kill_points.def"
#undef TF_POINT
    TF_POINTS
};

enum tf_chaos_rule {
#define TF_RULE(name, rule, caught_by) TF_RULE_##name,
#include "common/base/broken.def"
#undef TF_RULE
    TF_RULES
};

#ifdef TF_CHAOS

/* Returns, or the process is gone by SIGKILL. Any thread. */
void tf_chaos_pass(enum tf_chaos_point point);
/* The test has taken this rule out. Any thread. */
bool tf_chaos_broken(enum tf_chaos_rule rule);

#define TF_KILL_POINT(name) tf_chaos_pass(TF_POINT_##name)
#define TF_BROKEN(name)     tf_chaos_broken(TF_RULE_##name)

#else

#define TF_KILL_POINT(name) ((void)TF_POINT_##name)
#define TF_BROKEN(name)     ((void)TF_RULE_##name, false)

#endif
