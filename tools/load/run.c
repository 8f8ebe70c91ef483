/* The closed loop: all buyers on one thread, from the first call to the summary. */
#include "tools/load/run.h"

#include "common/base/clock.h"
#include "common/crypto/crypto.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

/* GRACE_US: how long calls under way may take, with their repetitions, once the run was told to stop. TURN_US: how late
 * a signal may be seen. */
enum {
    ANSWER_ARENA_BYTES = 64 << 20,
    GRACE_US = 30 * TF_US_PER_S,
    TURN_US = TF_US_PER_S / 10,
    DESCRIPTORS_BESIDES = 64
};

static volatile sig_atomic_t stops; /* how often a signal asked */

static void on_signal(int number)
{
    (void)number;
    stops++;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* Each buyer has a wire to a gateway and one to the bank. */
static void allow_descriptors(int64_t connections)
{
    rlim_t wanted = (rlim_t)(2 * connections + DESCRIPTORS_BESIDES);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted) return;
    if (limit.rlim_max < wanted)
        load_die("%lld connections need %llu file descriptors; the limit is %llu (ulimit -n)", (long long)connections,
                 (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit)) load_die("no %llu file descriptors", (unsigned long long)wanted);
}

static int64_t own_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * TF_US_PER_S + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void prepare(struct run *run, const struct load_options *options)
{
    *run = (struct run){.options = options, .arena = tf_arena_new(ANSWER_ARENA_BYTES)};
    allow_descriptors(options->connections);
    run->accounts = accounts_read(options->accounts_path, &run->n_accounts);
    if (run->n_accounts < options->connections)
        load_die("%s has %lld accounts; %lld connections need as many", options->accounts_path,
                 (long long)run->n_accounts, (long long)options->connections);
    if (!run->arena || !loop_open(&run->loop)) load_die("no memory, or no descriptors");
    tf_random_hex(run->id, 8);
    journal_open(&run->journal, options->out_path);
}

/* Until the time is over, or a signal comes. */
static void work(struct run *run, struct buyer *buyers)
{
    const struct load_options *o = run->options;
    int64_t begun_us = tf_mono_us(), cpu_us = own_cpu_us(),
            until_us = o->until_signal ? INT64_MAX : begun_us + o->seconds * TF_US_PER_S;

    run->next_start_us = begun_us;
    for (int i = 0; i < o->connections; i++)
        buyer_start(&buyers[i]);
    for (int64_t now_us; !stops && (now_us = tf_mono_us()) < until_us;)
        loop_turn(&run->loop, TF_MIN(until_us, now_us + TURN_US));
    run->stopping = true;
    run->report.measured_us = tf_mono_us() - begun_us;
    run->report.cpu_us = own_cpu_us() - cpu_us;
}

/* Calls under way end as they would; a second signal, or the end of the grace, ends them now. */
static void wind_down(struct run *run, struct buyer *buyers)
{
    int64_t until_us = tf_mono_us() + GRACE_US;
    int asked = stops;

    for (int i = 0; i < run->options->connections; i++)
        buyer_stop(&buyers[i]);
    for (int64_t now_us; run->working && stops <= TF_MAX(asked, 1) && (now_us = tf_mono_us()) < until_us;)
        loop_turn(&run->loop, TF_MIN(until_us, now_us + TURN_US));
    run->giving_up = true;
    for (int i = 0; i < run->options->connections; i++)
        buyer_give_up(&buyers[i]);
    TF_ASSERT(run->working == 0);
}

int load_run(const struct load_options *options)
{
    static struct run run;
    struct buyer *buyers = calloc((size_t)options->connections, sizeof *buyers);
    bool reported;

    if (!buyers) load_die("no memory");
    prepare(&run, options);
    catch_signals();
    for (int i = 0; i < options->connections; i++)
        buyer_init(&buyers[i], &run, i);
    work(&run, buyers);
    wind_down(&run, buyers);
    for (int i = 0; i < options->connections; i++)
        buyer_free(&buyers[i]);
    journal_close(&run.journal);
    reported = report_print(&run.report, options, options->json_path);
    loop_close(&run.loop);
    tf_arena_free(run.arena);
    free(buyers);
    return reported ? 0 : 1;
}
