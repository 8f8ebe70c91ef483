/* The private etcd of a test. */
#include "tests/integration/etcd/private.h"
#include "tests/integration/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 8000 };

static bool answers(const struct private_etcd *etcd)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), status;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)atoi(strchr(etcd->endpoint, ':') + 1));
    status = connect(fd, (struct sockaddr *)&at, sizeof at);
    close(fd);
    return status == 0;
}

void private_etcd_start(struct private_etcd *etcd, const char *token_ttl_s)
{
    etcd->pid = fork();
    if (etcd->pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 1);
        dup2(null, 2);
        execlp("etcd", "etcd", "--data-dir", etcd->data, "--listen-client-urls", etcd->client_url,
               "--advertise-client-urls", etcd->client_url, "--listen-peer-urls", etcd->peer_url,
               "--initial-advertise-peer-urls", etcd->peer_url, "--initial-cluster", etcd->cluster,
               "--heartbeat-interval", "50", "--election-timeout", "250", *token_ttl_s ? "--auth-token-ttl" : NULL,
               token_ttl_s, (char *)NULL);
        _exit(127);
    }
    for (int waited = 0; !answers(etcd); waited += 20) {
        if (waited > START_MS) fail_msg("etcd does not start");
        sleep_ms(20);
    }
}

void private_etcd_stop(struct private_etcd *etcd, int signal_number)
{
    if (!etcd->pid) return;
    kill(etcd->pid, signal_number);
    waitpid(etcd->pid, NULL, 0);
    etcd->pid = 0;
}

void private_etcd_wipe(struct private_etcd *etcd)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", etcd->data);
    assert_int_equal(system(command), 0);
}

int private_etcd_init(struct private_etcd *etcd)
{
    snprintf(etcd->home, sizeof etcd->home, "/tmp/tf-etcd-XXXXXX");
    if (!mkdtemp(etcd->home)) return -1;
    snprintf(etcd->data, sizeof etcd->data, "%s/data", etcd->home);
    snprintf(etcd->endpoint, sizeof etcd->endpoint, "127.0.0.1:%d", free_port());
    snprintf(etcd->client_url, sizeof etcd->client_url, "http://%s", etcd->endpoint);
    snprintf(etcd->peer_url, sizeof etcd->peer_url, "http://127.0.0.1:%d", free_port());
    snprintf(etcd->cluster, sizeof etcd->cluster, "default=%s", etcd->peer_url);
    return 0;
}

int private_etcd_done(struct private_etcd *etcd)
{
    private_etcd_stop(etcd, SIGKILL);
    private_etcd_wipe(etcd);
    return rmdir(etcd->home);
}
