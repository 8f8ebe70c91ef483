/* How long an account's log-ins wait after wrong passwords. Pure. */
#pragma once

/* Seconds to wait after `failures` wrong passwords in a row, of which `free_failures` cost nothing: 1, 2, 4 … up to
 * 300. */
static inline int login_wait_s(int failures, int free_failures)
{
    int over = failures - free_failures;

    if (over < 0) return 0;
    return over >= 9 ? 300 : (1 << over) < 300 ? 1 << over : 300;
}
