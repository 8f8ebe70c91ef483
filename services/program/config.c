/* The one instance of program's settings. */
#include "services/program/config.h"

struct program_config program_config;
