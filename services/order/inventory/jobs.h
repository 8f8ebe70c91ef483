/* The rebuilds of this process: at most one per show at a time, by two threads. For the order process's alarms too. */
#pragma once

#include <stdint.h>

/* PostgreSQL refused what the inventory had decided (a conflict), or it contradicts itself: rebuilds the show whatever
 * it says, at most once in 10 s. */
void inventory_alarm(int64_t show_id);
