/* What the supervisor told a service: the record of its settings that deploy/local keeps in the installation's home. */
#pragma once

#include "common/base/arena.h"

/* The value of a setting ("pg_dsn") of a service, in the arena; NULL: no record, or it was not told. */
char *told_setting(tf_arena *arena, const char *home, const char *service, const char *setting);
