/* An etcd of the test's own, which may be stopped, frozen, emptied and given users. */
#pragma once

#include <sys/types.h>

struct private_etcd {
    pid_t pid;         /* 0: does not run */
    char endpoint[32]; /* host:port */
    char client_url[48], peer_url[48], cluster[64];
    char home[64], data[80];
};

/* Takes ports and a directory; starts nothing. */
int private_etcd_init(struct private_etcd *etcd);
/* Kills and removes. */
int private_etcd_done(struct private_etcd *etcd);
/* Returns when it answers. token_ttl_s: life of an unused authentication token; "" for etcd's default. */
void private_etcd_start(struct private_etcd *etcd, const char *token_ttl_s);
void private_etcd_stop(struct private_etcd *etcd, int signal_number);
/* Stopped: its data are gone. */
void private_etcd_wipe(struct private_etcd *etcd);
