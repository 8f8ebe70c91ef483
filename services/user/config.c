/* The one instance of user's settings. */
#include "services/user/config.h"

struct user_config user_config;
