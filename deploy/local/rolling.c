/* Changes of the running installation: instances come, go, or are replaced, one after the other, so that the others
 * serve meanwhile. The supervisor looks in with every round; nothing here waits, and parts that crash in between are
 * started again as ever. */
#include "deploy/local/local.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERVES_MS = 60000, /* an instance that takes longer fails the change */
    SPREAD_MS = 300,   /* for callers to learn from etcd of an instance that serves, before the next one goes */
};

enum step_kind { STEP_START, STEP_STOP, STEP_RESTART };

/* Where the step at hand is. */
enum phase { PHASE_BEGIN, PHASE_DRAINS, PHASE_RISES, PHASE_SPREADS };

static struct {
    struct step {
        struct part *part;
        enum step_kind kind;
    } steps[ROWS_MAX];
    int n, at;
    enum phase phase;
    int64_t begun_ms;  /* of the phase */
    int drained_ms;    /* what the end took */
    bool leave_others; /* whoever asked may go: then the rest is left as it is */
    FILE *client;      /* NULL: nothing is being changed */
} rolling;

bool rolling_busy(void)
{
    return rolling.client != NULL;
}

static void add(struct part *p, enum step_kind kind)
{
    for (int i = 0; i < rolling.n; i++)
        if (rolling.steps[i].part == p) return; /* named twice */
    rolling.steps[rolling.n++] = (struct step){p, kind};
}

static void finish(struct local *l, const char *last_line)
{
    l->progress = NULL;
    rolling.n = 0;
    fprintf(rolling.client, "%s\n", last_line);
    fclose(TF_TAKE(rolling.client));
}

static void enter(enum phase phase)
{
    rolling.phase = phase;
    rolling.begun_ms = mono_ms();
}

/* ---- what is to be done ------------------------------------------------------------------------------------------ */

/* Those that come first, callees before callers; then those that go, the last ones first. */
static bool plan_scale(struct local *l, const char *words, char *error, size_t size)
{
    int before[PARTS];
    bool room = true;

    if (l->stores_only) {
        snprintf(error, size, "only the stores run here");
        return false;
    }
    memcpy(before, l->counts, sizeof before);
    if (!scale_parse(l, words, l->counts, error, size)) return false;
    for (int which = 0; which < PARTS; which++)
        for (int i = before[which]; i < l->counts[which]; i++) {
            struct part *p = part_first(l, which) + i;

            add(p, STEP_START);
            room &= ports_free(l, p);
        }
    for (int which = PARTS - 1; which >= 0; which--)
        for (int i = before[which]; i > l->counts[which]; i--)
            add(part_first(l, which) + i - 1, STEP_STOP);
    if (room && scale_keep(l)) return true;
    snprintf(error, size, "nothing was changed: %s", room ? strerror(errno) : "a port is in use");
    memcpy(l->counts, before, sizeof before);
    return false;
}

/* "order": all its instances; "order-2", "order-1": that one; "all": every service and gateway of ours. */
static bool plan_restart_word(struct local *l, const char *word, char *error, size_t size)
{
    bool found = false;

    for (struct part *p = NULL; (p = part_next(l, p));) {
        size_t n = strlen(p->service);

        if (p->state == PART_EXTERNAL) continue;
        if ((strcmp(word, "all") == 0 && part_scales(p->which)) || strcmp(word, p->service) == 0 ||
            strcmp(word, p->name) == 0 ||
            (p->instance == 1 && strncmp(word, p->service, n) == 0 && strcmp(word + n, "-1") == 0)) {
            add(p, STEP_RESTART);
            found = true;
        }
    }
    if (found) return true;
    snprintf(error, size, "there is no part \"%.40s\" here; ./ticketflow status lists them", word);
    return false;
}

static bool plan_restart(struct local *l, char *words, char *error, size_t size)
{
    for (char *save, *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (!plan_restart_word(l, word, error, size)) return false;
    if (rolling.n > 0) return true;
    snprintf(error, size, "which part?");
    return false;
}

void rolling_begin(struct local *l, const char *command, FILE *out)
{
    char words[COMMAND_MAX], error[220] = "error ";
    size_t verb = strcspn(command, " ");
    bool planned = false;

    rolling.client = l->progress = out;
    rolling.n = rolling.at = 0;
    snprintf(words, sizeof words, "%s", command + verb + (command[verb] == ' '));
    rolling.leave_others = verb == 7 && memcmp(command, "restart", 7) == 0;
    if (rolling.leave_others)
        planned = plan_restart(l, words, error + 6, sizeof error - 6);
    else if (verb == 5 && memcmp(command, "scale", 5) == 0)
        planned = plan_scale(l, words, error + 6, sizeof error - 6);
    else
        snprintf(error + 6, sizeof error - 6, "there is no command \"%.40s\"", command);
    if (!planned) {
        finish(l, error);
        return;
    }
    progress_note("supervisor", "was told: %s", command);
    enter(PHASE_BEGIN);
    l->progress = NULL;
}

/* ---- doing it ---------------------------------------------------------------------------------------------------- */

static int instances_running(struct local *l, int which)
{
    int n = 0;

    for (const struct part *p = NULL; (p = part_next(l, p));)
        n += p->which == which && p->state == PART_RUNNING;
    return n;
}

static void begin_step(struct local *l, const struct step *step)
{
    struct part *p = step->part;

    rolling.drained_ms = -1;
    if (step->kind == STEP_START) {
        supervisor_raise(l, p);
        enter(PHASE_RISES);
        return;
    }
    if (step->kind == STEP_RESTART && p->state == PART_RUNNING && instances_running(l, p->which) == 1)
        progress_say(l, "  %-9s is the only one that runs: until it serves again, who needs it gets no answer",
                     p->name);
    supervisor_drain(l, p);
    enter(PHASE_DRAINS);
}

static void next_step(void)
{
    rolling.at++;
    enter(PHASE_BEGIN);
}

static void drained(struct local *l, const struct step *step)
{
    struct part *p = step->part;

    rolling.drained_ms = (int)(mono_ms() - rolling.begun_ms);
    if (!p->kill_at_ms) progress_say(l, "  %-9s did not end by itself and was killed", p->name);
    if (step->kind == STEP_RESTART) {
        supervisor_raise(l, p);
        enter(PHASE_RISES);
        return;
    }
    p->restarts = 0;
    supervisor_set_state(l, p, PART_ABSENT);
    progress_say(l, "  %-9s has ended  (%d ms)", p->name, rolling.drained_ms);
    next_step();
}

/* A gateway that has not found the services yet would refuse its clients. */
static bool serves(const struct part *p)
{
    return p->state == PART_RUNNING && (p->which != PART_gateway || probe_http(p->port, "/v1/programs", NULL));
}

static void risen(struct local *l, const struct part *p)
{
    int ms = (int)(mono_ms() - rolling.begun_ms);

    if (rolling.drained_ms < 0)
        progress_say(l, "  %-9s serves on 127.0.0.1:%d  (%d ms)", p->name, p->port, ms);
    else
        progress_say(l, "  %-9s ended after %d ms and serves again after %d ms", p->name, rolling.drained_ms, ms);
    enter(PHASE_SPREADS);
}

static void not_risen(struct local *l, const struct part *p)
{
    char error[120];

    progress_say_log(l, p->name);
    snprintf(error, sizeof error, "error %s does not serve after %d s; it is started again and again, the rest is left",
             p->name, SERVES_MS / 1000);
    finish(l, error);
}

static bool client_gone(void)
{
    struct pollfd client = {.fd = fileno(rolling.client)};

    return poll(&client, 1, 0) > 0 && client.revents & (POLLERR | POLLHUP);
}

void rolling_step(struct local *l)
{
    const struct step *step = &rolling.steps[rolling.at];

    if (!rolling.client) return;
    l->progress = rolling.client;
    switch (rolling.phase) {
    case PHASE_BEGIN:
        if (rolling.at == rolling.n)
            finish(l, "ok");
        else if (rolling.leave_others && client_gone())
            finish(l, "error interrupted");
        else
            begin_step(l, step);
        break;
    case PHASE_DRAINS:
        if (step->part->state == PART_STOPPED) drained(l, step);
        break;
    case PHASE_RISES:
        if (serves(step->part))
            risen(l, step->part);
        else if (mono_ms() - rolling.begun_ms > SERVES_MS)
            not_risen(l, step->part);
        break;
    case PHASE_SPREADS:
        if (mono_ms() - rolling.begun_ms > SPREAD_MS) next_step();
        break;
    }
    l->progress = NULL;
}

void rolling_abandon(struct local *l)
{
    if (rolling.client) finish(l, "error the installation is being stopped");
}
