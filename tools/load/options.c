/* The command line of `run`. */
#include "tools/load/load.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

bool option_text(int argc, char **argv, int *at, const char *name, const char **ret_value)
{
    if (strcmp(argv[*at], name) != 0 || *at + 1 >= argc) return false;
    *ret_value = argv[++*at];
    return true;
}

bool option_int(int argc, char **argv, int *at, const char *name, int64_t min, int64_t max, int64_t *ret_value,
                bool *ret_bad)
{
    const char *text;

    if (!option_text(argc, argv, at, name, &text)) return false;
    if (!tf_parse_int64(text, ret_value) || *ret_value < min || *ret_value > max) {
        fprintf(stderr, "tf-load: %s: a number from %lld to %lld\n", name, (long long)min, (long long)max);
        *ret_bad = true;
    }
    return true;
}

static bool flag(const char *argument, const char *name, bool *ret_set)
{
    if (strcmp(argument, name) != 0) return false;
    return *ret_set = true;
}

static bool add_gateways(struct load_options *o, char *list)
{
    for (char *url, *rest = list; (url = strtok_r(rest, ",", &rest));) {
        const char *path;

        if (o->n_gateways == GATEWAYS_MAX || !target_parse(url, &o->gateways[o->n_gateways], &path) || path[1]) {
            fprintf(stderr, "tf-load: --gateways: '%s' is not http://HOST:PORT\n", url);
            return false;
        }
        if (!target_resolve(&o->gateways[o->n_gateways++])) {
            fprintf(stderr, "tf-load: --gateways: '%s' has no address\n", url);
            return false;
        }
    }
    return true;
}

static bool add_shows(struct load_options *o, char *list)
{
    for (char *id, *rest = list; (id = strtok_r(rest, ",", &rest));) {
        int64_t value;

        if (o->n_shows == SHOWS_MAX || !tf_parse_int64(id, &value) || value <= 0) {
            fprintf(stderr, "tf-load: --show: '%s' is no show's id\n", id);
            return false;
        }
        o->shows[o->n_shows++] = id;
    }
    return true;
}

static bool parse_share(struct load_options *o, char *share)
{
    static const enum op choices[] = {OP_ORDER, OP_PAY, OP_CANCEL, OP_GET};
    char *value = strchr(share, '=');

    if (!value) return false;
    *value++ = '\0';
    for (size_t i = 0; i < TF_COUNT(choices); i++)
        if (strcmp(share, op_name(choices[i])) == 0)
            return tf_parse_int64(value, &o->mix[choices[i]]) && o->mix[choices[i]] >= 0 && o->mix[choices[i]] <= 1000;
    return false;
}

static bool parse_mix(struct load_options *o, char *list)
{
    memset(o->mix, 0, sizeof o->mix);
    for (char *share, *rest = list; (share = strtok_r(rest, ",", &rest));)
        if (!parse_share(o, share)) {
            fputs("tf-load: --mix: shares from 0 to 1000, as in order=70,pay=15,cancel=10,get=5\n", stderr);
            return false;
        }
    if (o->mix[OP_ORDER] > 0) return true;
    fputs("tf-load: --mix: without orders there is nothing to pay, cancel or read\n", stderr);
    return false;
}

/* One argument and its value. */
static bool parse_one(int argc, char **argv, int *at, struct load_options *o, const char **mix)
{
    const char *list;
    bool bad = false;

    if (option_text(argc, argv, at, "--accounts", &o->accounts_path) ||
        option_text(argc, argv, at, "--out", &o->out_path) || option_text(argc, argv, at, "--json", &o->json_path) ||
        option_text(argc, argv, at, "--mix", mix) || flag(argv[*at], "--pay", &o->pay) ||
        flag(argv[*at], "--split", &o->split) || flag(argv[*at], "--until-signal", &o->until_signal))
        return true;
    if (option_text(argc, argv, at, "--gateways", &list)) return add_gateways(o, (char *)list);
    if (option_text(argc, argv, at, "--show", &list)) return add_shows(o, (char *)list);
    if (option_int(argc, argv, at, "--connections", 1, CONNECTIONS_MAX, &o->connections, &bad) ||
        option_int(argc, argv, at, "--seconds", 1, 86400, &o->seconds, &bad) ||
        option_int(argc, argv, at, "--places", 1, PLACES_MAX, &o->places, &bad) ||
        option_int(argc, argv, at, "--tier", 1, 1000, &o->tier, &bad) ||
        option_int(argc, argv, at, "--tries", 1, TRIES_MAX, &o->tries, &bad) ||
        option_int(argc, argv, at, "--timeout-ms", 10, 120000, &o->timeout_ms, &bad) ||
        option_int(argc, argv, at, "--rate-limit", 0, 1000000, &o->rate_limit, &bad) ||
        option_int(argc, argv, at, "--seed", 0, INT64_MAX, &o->seed, &bad))
        return !bad;
    fprintf(stderr, "tf-load: '%s' is not understood here, or has no value\n", argv[*at]);
    return false;
}

static bool complete(const struct load_options *o, const char *mix)
{
    if (!o->accounts_path || !o->out_path || !o->n_gateways || !o->n_shows) {
        fputs("tf-load: run needs --accounts, --gateways, --show and --out\n", stderr);
        return false;
    }
    if (o->pay && mix) {
        fputs("tf-load: --pay pays every order; with --mix its share pay= says how many\n", stderr);
        return false;
    }
    return true;
}

bool options_parse(int argc, char **argv, struct load_options *o)
{
    const char *mix = NULL;

    *o = (struct load_options){.connections = 128,
                               .seconds = 10,
                               .places = 2,
                               .tier = 1,
                               .tries = 10,
                               .timeout_ms = 10000,
                               .seed = 1,
                               .mix = {[OP_ORDER] = 1}};
    for (int i = 0; i < argc; i++)
        if (!parse_one(argc, argv, &i, o, &mix)) return false;
    return complete(o, mix) && (!mix || parse_mix(o, (char *)mix));
}
