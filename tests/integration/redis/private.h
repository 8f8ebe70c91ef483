/* A redis-server of the test's own, which may ask for a password, be stopped and frozen. */
#pragma once

#include <sys/types.h>

struct private_redis {
    pid_t pid;
    char address[32]; /* host:port */
    char directory[64];
};

/* Returns when it listens; nothing is kept on disk. password "": none is asked for. */
void private_redis_start(struct private_redis *server, const char *password);
void private_redis_stop(struct private_redis *server);
