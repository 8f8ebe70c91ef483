/* Runs a harness without libFuzzer: the given files, or mutations of its seeds from a fixed random seed, so that a
 * failure can be run again.
 *
 *   fuzz-url [--seconds N] [--seed S] [FILE…]
 *
 * Inputs run in a child process; when it dies, the input is kept in fuzz-<seed>.crash. The last line is "N passed, N
 * failed". */
#include "tests/fuzz/fuzz.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INPUT_MAX = 65536, MUTATIONS_MAX = 8, CHECK_TIME_EVERY = 64 };

/* Seen by both processes. */
struct shared {
    uint64_t n_done;
    size_t size;
    uint8_t input[INPUT_MAX];
};

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    return n ? tf_mix64(random_state) % n : 0;
}

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

/* ---- mutations -------------------------------------------------------------------------------- */

static void insert(struct shared *s, size_t at, const void *bytes, size_t n)
{
    n = TF_MIN(n, INPUT_MAX - s->size);
    memmove(s->input + at + n, s->input + at, s->size - at);
    memcpy(s->input + at, bytes, n);
    s->size += n;
}

static void mutate(struct shared *s)
{
    size_t at = random_below(s->size + 1), n;
    uint8_t byte = (uint8_t)random_below(256);
    const char *word;

    switch (random_below(7)) {
    case 0: /* another byte */
        if (at < s->size) s->input[at] = byte;
        break;
    case 1: /* a bit */
        if (at < s->size) s->input[at] ^= (uint8_t)(1 << random_below(8));
        break;
    case 2: /* one more */
        insert(s, at, &byte, 1);
        break;
    case 3: /* a word */
        word = count(fuzz_words) ? fuzz_words[random_below(count(fuzz_words))] : "";
        insert(s, at, word, strlen(word));
        break;
    case 4: /* some less */
        n = random_below(TF_MIN(s->size - at, (size_t)32) + 1);
        memmove(s->input + at, s->input + at + n, s->size - at - n);
        s->size -= n;
        break;
    case 5: { /* a piece again, elsewhere */
        uint8_t piece[256];
        size_t from = random_below(s->size + 1);

        n = random_below(TF_MIN(s->size - from, sizeof piece) + 1);
        memcpy(piece, s->input + from, n);
        insert(s, at, piece, n);
        break;
    }
    default: /* cut */
        if (random_below(4) == 0) s->size = at;
    }
}

static void make_input(struct shared *s)
{
    const char *seed = fuzz_seeds[random_below(count(fuzz_seeds))];

    s->size = 0;
    insert(s, 0, seed, strlen(seed));
    for (uint64_t i = random_below(MUTATIONS_MAX + 1); i > 0; i--)
        mutate(s);
}

/* ---- running ---------------------------------------------------------------------------------- */

static void run_input(struct shared *s)
{
    uint8_t *exact = malloc(s->size ? s->size : 1); /* exactly as large: overruns show under ASan */

    TF_ASSERT(exact);
    memcpy(exact, s->input, s->size);
    LLVMFuzzerTestOneInput(exact, s->size);
    free(exact);
    s->n_done++;
}

static void run_mutations(struct shared *s, int64_t seconds)
{
    int64_t until = tf_mono_us() + seconds * TF_US_PER_S;

    for (uint64_t i = 0; i % CHECK_TIME_EVERY || tf_mono_us() < until; i++) {
        make_input(s);
        run_input(s);
    }
}

static void run_file(struct shared *s, const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        _exit(1);
    }
    s->size = fread(s->input, 1, INPUT_MAX, file);
    fclose(file);
    run_input(s);
}

static void keep_crash(const struct shared *s, uint64_t seed)
{
    char name[64];
    FILE *file;

    snprintf(name, sizeof name, "fuzz-%" PRIu64 ".crash", seed);
    file = fopen(name, "wb");
    if (!file || fwrite(s->input, 1, s->size, file) != s->size) perror(name);
    if (file) fclose(file);
    fprintf(stderr, "failed at input %" PRIu64 " of seed %" PRIu64 "; kept in %s\n", s->n_done + 1, seed, name);
}

int main(int argc, char **argv)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = (uint64_t)tf_now_us();
    int64_t seconds = 10;
    int first_file = 1, status;
    pid_t child;

    TF_ASSERT(s != MAP_FAILED);
    for (; first_file + 1 < argc && strncmp(argv[first_file], "--", 2) == 0; first_file += 2) {
        bool known = (strcmp(argv[first_file], "--seconds") == 0 && tf_parse_int64(argv[first_file + 1], &seconds)) ||
                     (strcmp(argv[first_file], "--seed") == 0 && tf_parse_uint64(argv[first_file + 1], &seed));

        if (!known) {
            fprintf(stderr, "usage: %s [--seconds N] [--seed S] [FILE…]\n", argv[0]);
            return 2;
        }
    }
    random_state = seed;
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    child = fork();
    TF_ASSERT(child >= 0);
    if (child == 0) {
        for (int i = first_file; i < argc; i++)
            run_file(s, argv[i]);
        if (first_file == argc) run_mutations(s, seconds);
        exit(0); /* leaks are checked here */
    }
    waitpid(child, &status, 0);
    if (status) keep_crash(s, seed);
    printf("%" PRIu64 " passed, %d failed\n", s->n_done, status ? 1 : 0);
    return status ? 1 : 0;
}
