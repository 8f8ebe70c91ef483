/* Local time by the system's zone files (TZif version 2 and later, RFC 8536), read once each and kept.
 *
 * Zone names come from files that organisers send, so a name is checked before it becomes part of a path, and the
 * number of zones kept is bounded (the database has about 600). A loaded zone is never changed or freed: readers use
 * it without the lock. */
#include "common/base/civil.h"
#include "common/base/zone_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NAME_MAX_BYTES = 63,
    FILE_MAX_BYTES = 128 * 1024, /* the largest of the database has 4 KiB */
    ZONES_MAX = 1024,
    SLOTS = 256,
    HEADER_BYTES = 44,
    RULE_MAX_BYTES = 127,
};

static const char directory[] = "/usr/share/zoneinfo/";

struct zone {
    struct zone *next;
    char name[NAME_MAX_BYTES + 1];
    size_t n_changes, n_types;
    int64_t *changes;      /* seconds since the epoch, ascending */
    uint8_t *change_types; /* type that begins there */
    int32_t *type_offsets;
    bool has_rule; /* for times from the last change on */
    struct tf_zone_rule rule;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER; /* protects slots and n_zones */
static struct zone *slots[SLOTS];
static size_t n_zones;

/* Segments of [A-Za-z0-9_+-] separated by single slashes. posix/ and right/ are copies of the database (right/ counts
 * leap seconds), not names of it. */
static bool name_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    size_t n = name ? strnlen(name, NAME_MAX_BYTES + 1) : 0;

    if (n == 0 || n > NAME_MAX_BYTES || strspn(name, allowed) != n) return false;
    if (name[0] == '/' || name[n - 1] == '/' || strstr(name, "//")) return false;
    return strncmp(name, "posix/", 6) != 0 && strncmp(name, "right/", 6) != 0;
}

static void zone_free(struct zone *zone)
{
    if (!zone) return;
    free(zone->changes);
    free(zone->change_types);
    free(zone->type_offsets);
    free(zone);
}

static void zone_freep(struct zone **zone)
{
    zone_free(*zone);
}

static void bytes_freep(unsigned char **bytes)
{
    free(*bytes);
}

static int64_t big_endian(const unsigned char *p, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

struct counts {
    size_t ut, std, leap, change, type, chars;
};

static bool read_header(const unsigned char *p, size_t n, struct counts *ret)
{
    size_t *fields[] = {&ret->ut, &ret->std, &ret->leap, &ret->change, &ret->type, &ret->chars};

    if (n < HEADER_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2') return false;
    for (size_t i = 0; i < TF_COUNT(fields); i++) {
        *fields[i] = (uint32_t)big_endian(p + 20 + 4 * i, 4);
        if (*fields[i] > FILE_MAX_BYTES) return false; /* no sum below can overflow */
    }
    return true;
}

/* Of a data block whose times have that many bytes. */
static size_t block_bytes(const struct counts *c, size_t time_bytes)
{
    return c->change * (time_bytes + 1) + c->type * 6 + c->chars + c->leap * (time_bytes + 4) + c->std + c->ut;
}

/* The footer: '\n', the rule (may be empty: unknown), '\n'. */
static bool read_footer(const unsigned char *p, size_t n, struct zone *zone)
{
    char text[RULE_MAX_BYTES + 1];
    const unsigned char *end;

    if (n < 2 || p[0] != '\n') return false;
    end = memchr(p + 1, '\n', n - 1);
    if (!end || end - (p + 1) > RULE_MAX_BYTES) return false;
    if (end == p + 1) return true;
    memcpy(text, p + 1, (size_t)(end - (p + 1)));
    text[end - (p + 1)] = '\0';
    zone->has_rule = tf_zone_rule_parse(text, &zone->rule);
    return zone->has_rule;
}

/* NULL: not a file that we understand, or no memory. */
static struct zone *zone_decode(const unsigned char *p, size_t n)
{
    tf_cleanup(zone_freep) struct zone *zone = calloc(1, sizeof(*zone));
    const unsigned char *types;
    struct counts c;
    size_t skip;

    /* The first block repeats the second in 32 bits. */
    if (!zone || !read_header(p, n, &c)) return NULL;
    skip = HEADER_BYTES + block_bytes(&c, 4);
    if (skip > n) return NULL;
    p += skip;
    n -= skip;

    if (!read_header(p, n, &c) || c.type == 0 || c.type > 256 || c.leap != 0) return NULL;
    p += HEADER_BYTES;
    n -= HEADER_BYTES;
    if (block_bytes(&c, 8) > n) return NULL;

    zone->n_changes = c.change;
    zone->n_types = c.type;
    zone->changes = calloc(c.change + 1, sizeof(*zone->changes));
    zone->change_types = calloc(c.change + 1, sizeof(*zone->change_types));
    zone->type_offsets = calloc(c.type, sizeof(*zone->type_offsets));
    if (!zone->changes || !zone->change_types || !zone->type_offsets) return NULL;

    for (size_t i = 0; i < c.change; i++) {
        zone->changes[i] = big_endian(p + 8 * i, 8);
        zone->change_types[i] = p[8 * c.change + i];
        if (zone->change_types[i] >= c.type) return NULL;
        if (i && zone->changes[i] <= zone->changes[i - 1]) return NULL;
    }
    types = p + 9 * c.change;
    for (size_t i = 0; i < c.type; i++) {
        int64_t offset = big_endian(types + 6 * i, 4);

        if (offset < -TF_SECONDS_PER_DAY * 2 || offset > TF_SECONDS_PER_DAY * 2) return NULL;
        zone->type_offsets[i] = (int32_t)offset;
    }
    if (!read_footer(p + block_bytes(&c, 8), n - block_bytes(&c, 8), zone)) return NULL;
    return TF_TAKE(zone);
}

/* The whole file, or NULL. */
static unsigned char *file_read(const char *path, size_t *ret_size)
{
    tf_cleanup(bytes_freep) unsigned char *bytes = NULL;
    struct stat st;
    size_t size = 0;
    bool whole = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= FILE_MAX_BYTES)
        bytes = malloc((size_t)st.st_size);
    while (bytes && size < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes + size, (size_t)st.st_size - size);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        size += (size_t)n;
    }
    whole = bytes && size == (size_t)st.st_size;
    close(fd);
    if (!whole) return NULL;
    *ret_size = size;
    return TF_TAKE(bytes);
}

static struct zone *zone_load(const char *name)
{
    tf_cleanup(bytes_freep) unsigned char *bytes = NULL;
    char path[sizeof(directory) + NAME_MAX_BYTES];
    struct zone *zone;
    size_t size = 0;

    snprintf(path, sizeof(path), "%s%s", directory, name);
    bytes = file_read(path, &size);
    if (!bytes) return NULL;
    zone = zone_decode(bytes, size);
    if (zone) memcpy(zone->name, name, strlen(name) + 1);
    return zone;
}

static struct zone **slot_of(const char *name)
{
    uint32_t h = 2166136261u;

    for (const char *s = name; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return &slots[h % SLOTS];
}

static const struct zone *slot_find(struct zone *const *slot, const char *name)
{
    for (const struct zone *zone = *slot; zone; zone = zone->next)
        if (strcmp(zone->name, name) == 0) return zone;
    return NULL;
}

/* NULL when there is no such zone. A failure is not remembered: the package may be installed later. */
static const struct zone *zone_find(const char *name)
{
    const struct zone *known;
    struct zone **slot, *loaded;

    if (!name_valid(name)) return NULL;
    slot = slot_of(name);
    pthread_rwlock_rdlock(&lock);
    known = slot_find(slot, name);
    pthread_rwlock_unlock(&lock);
    if (known) return known;

    loaded = zone_load(name);
    if (!loaded) return NULL;
    pthread_rwlock_wrlock(&lock);
    known = slot_find(slot, name); /* another thread may have been first */
    if (!known && n_zones < ZONES_MAX) {
        n_zones++;
        loaded->next = *slot;
        *slot = loaded;
        known = TF_TAKE(loaded);
    }
    pthread_rwlock_unlock(&lock);
    zone_free(loaded);
    return known;
}

static int32_t zone_offset(const struct zone *zone, int64_t seconds)
{
    size_t low = 0, high = zone->n_changes; /* the number of changes at or before the time lies in [low, high] */

    if (zone->has_rule && (high == 0 || seconds >= zone->changes[high - 1]))
        return tf_zone_rule_offset(&zone->rule, seconds);
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->changes[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return zone->type_offsets[low ? zone->change_types[low - 1] : 0];
}

bool tf_zone_known(const char *zone)
{
    return zone_find(zone) != NULL;
}

char *tf_time_format_local(tf_arena *arena, tf_time t, const char *zone_name)
{
    const struct zone *zone = zone_find(zone_name);
    int64_t seconds = tf_floor_div(t, TF_US_PER_S);
    char text[TF_CIVIL_TEXT];
    struct tf_civil civil;
    int32_t minutes;

    if (!zone) return NULL;
    minutes = zone_offset(zone, seconds) / 60;
    civil = tf_civil_of_seconds(seconds + minutes * 60);
    tf_civil_write(text, &civil);
    return tf_arena_printf(arena, "%s%c%02d:%02d", text, minutes < 0 ? '-' : '+', abs(minutes) / 60, abs(minutes) % 60);
}

/* Every offset that the zone ever has is tried: the instant that shows this local time under its own offset is an
 * answer, and the largest offset gives the earliest. None: the clock skipped this time. */
bool tf_time_parse_local(const char *text, const char *zone_name, tf_time *ret_time)
{
    const struct zone *zone = zone_find(zone_name);
    struct tf_civil civil;
    bool has_seconds, found = false;
    int64_t local, earliest = INT64_MAX;
    const char *end = tf_civil_read(text, &civil, &has_seconds);

    if (!zone || !end || *end) return false;
    local = tf_civil_seconds(&civil);
    for (size_t i = 0; i < zone->n_types + 2; i++) {
        int32_t offset;

        if (i < zone->n_types)
            offset = zone->type_offsets[i];
        else if (!zone->has_rule)
            break;
        else
            offset = i == zone->n_types ? zone->rule.std_offset_s : zone->rule.dst_offset_s;
        if (zone_offset(zone, local - offset) != offset || local - offset >= earliest) continue;
        earliest = local - offset;
        found = true;
    }
    if (!found) return false;
    *ret_time = earliest * TF_US_PER_S;
    return true;
}
