/* The mapped file of the chaos build. */
#include "common/base/chaos.h"

#include "common/base/macros.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(sizeof(struct tf_chaos_row) == TF_CHAOS_NAME_SIZE + 12, "the layout that tests/chaos/points.py writes");

static const char *const point_names[] = {
#define TF_POINT(name, process, place) #name,
#include "common/base/kill_points.def"
#undef TF_POINT
};
static const char *const rule_names[] = {
#define TF_RULE(name, rule, caught_by) #name,
#include "common/base/broken.def"
#undef TF_RULE
};

static struct tf_chaos_row *points[TF_POINTS], *rules[TF_RULES]; /* NULL: not in the file */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

static struct tf_chaos_row *row_find(struct tf_chaos_row *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(rows[i].name, name, TF_CHAOS_NAME_SIZE) == 0) return &rows[i];
    return NULL;
}

/* A test that named a file means it: one that cannot be used ends the process. */
static void open_file(void)
{
    const char *path = getenv("TF_CHAOS_FILE");
    struct tf_chaos_row *rows;
    struct stat about;
    size_t n;
    int fd;

    if (!path || !*path) return;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) || about.st_size == 0 || (size_t)about.st_size % sizeof(*rows) != 0) {
        fprintf(stderr, "TF_CHAOS_FILE %s: %s\n", path, fd < 0 ? strerror(errno) : "not an array of rows");
        abort();
    }
    rows = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    TF_ASSERT(rows != MAP_FAILED);

    n = (size_t)about.st_size / sizeof(*rows);
    for (size_t i = 0; i < TF_POINTS; i++)
        points[i] = row_find(rows, n, point_names[i]);
    for (size_t i = 0; i < TF_RULES; i++)
        rules[i] = row_find(rows, n, rule_names[i]);
}

void tf_chaos_pass(enum tf_chaos_point point)
{
    struct tf_chaos_row *row;
    int32_t left;

    pthread_once(&opened, open_file);
    row = points[point];
    if (!row) return;

    __atomic_add_fetch(&row->passes, 1, __ATOMIC_RELAXED);
    left = __atomic_load_n(&row->countdown, __ATOMIC_RELAXED);
    while (left > 0 &&
           !__atomic_compare_exchange_n(&row->countdown, &left, left - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    if (left != 1) return;

    __atomic_add_fetch(&row->hits, 1, __ATOMIC_RELAXED);
    kill(getpid(), SIGKILL);
    for (;;)
        pause(); /* until the signal has taken this thread too: nothing more happens here */
}

bool tf_chaos_broken(enum tf_chaos_rule rule)
{
    struct tf_chaos_row *row;

    pthread_once(&opened, open_file);
    row = rules[rule];
    if (!row || __atomic_load_n(&row->countdown, __ATOMIC_RELAXED) == 0) return false;
    __atomic_add_fetch(&row->passes, 1, __ATOMIC_RELAXED);
    return true;
}
