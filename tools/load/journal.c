/* One JSON line for each attempt, by one write(2) each: what stands in the file was known to this process alone when it
 * was written, whatever dies afterwards. */
#include "tools/load/load.h"

#include "common/json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 16 << 10 };

void journal_open(struct journal *journal, const char *path)
{
    struct stat st;

    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0 || fstat(journal->fd, &st)) load_die("%s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && st.st_size > 0) load_die("%s is another run's: a witness is not overwritten", path);
    tf_buf_init(&journal->line, LINE_MAX_BYTES);
}

static void put_text(tf_json_writer *w, const char *name, const char *value)
{
    tf_json_key(w, name);
    tf_json_put_string(w, value);
}

static void put_int(tf_json_writer *w, const char *name, int64_t value)
{
    tf_json_key(w, name);
    tf_json_put_int(w, value);
}

static void compose(tf_buf *line, const struct journal_entry *e)
{
    tf_json_writer w = {.out = line};

    tf_buf_clear(line);
    tf_json_begin_object(&w);
    put_int(&w, "t_us", e->t_us);
    put_int(&w, "began_us", e->began_us);
    put_int(&w, "latency_us", e->latency_us);
    put_text(&w, "op", op_name(e->op));
    put_text(&w, "key", e->key);
    put_text(&w, "user_id", e->user_id);
    put_text(&w, "gateway", e->gateway);
    put_int(&w, "attempt", e->attempt);
    put_text(&w, "outcome", outcome_name(e->outcome));
    put_int(&w, "status", e->status);
    put_text(&w, "reason", e->reason);
    put_text(&w, "show_id", e->show_id);
    tf_json_key(&w, "order_no");
    if (e->order_no)
        tf_json_put_int_string(&w, e->order_no);
    else
        tf_json_put_null(&w);
    put_text(&w, "state", e->state);
    tf_json_key(&w, "places");
    tf_json_begin_array(&w);
    for (size_t i = 0; i < e->n_places; i++)
        tf_json_put_int(&w, e->places[i]);
    tf_json_end_array(&w);
    tf_json_end_object(&w);
    tf_buf_putc(line, '\n');
}

void journal_write(struct journal *journal, const struct journal_entry *entry)
{
    compose(&journal->line, entry);
    TF_ASSERT(!journal->line.broken);
    for (size_t at = 0; at < journal->line.size;) {
        ssize_t n = write(journal->fd, journal->line.data + at, journal->line.size - at);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) load_die("the witness cannot write: %s", strerror(errno));
        at += (size_t)n;
    }
}

void journal_close(struct journal *journal)
{
    if (fsync(journal->fd) && errno != EINVAL && errno != EROFS) load_die("the witness: %s", strerror(errno));
    close(journal->fd);
    tf_buf_done(&journal->line);
}
