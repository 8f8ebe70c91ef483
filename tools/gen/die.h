/* How the programs of this room give up. */
#pragma once

/* Writes "program: sentence" to standard error and exits with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
