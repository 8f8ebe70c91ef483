/* Programs that a test starts, and that end with it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Starts a program, found by its path or in PATH; argv is ended by NULL. What it says is appended to the file `log`;
 * NULL: it goes where the test's own output goes. It is killed when the test dies. */
pid_t child_spawn(const char *log, const char *const argv[]);
/* Sends the signal (0: none) and waits for the end; *pid becomes 0. The status as waitpid tells it. Accepts *pid 0. */
int child_stop(pid_t *pid, int signal);
/* Whether somebody listens on the address ("host:port" on the loopback); the argument of wait_until. */
bool listens(void *address);
