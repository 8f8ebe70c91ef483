/* Identity documents; the checksum is that of GB 11643-1999: ISO 7064 MOD 11-2 over 17 digits. */
#include "services/user/domain/id_document.h"

#include <ctype.h>
#include <string.h>

enum { CN_LENGTH = 18, PASSPORT_MIN = 5, PASSPORT_MAX = 20 };

static bool date_valid(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 1850 || year > 2100 || month < 1 || month > 12 || day < 1) return false;
    return day <= days[month - 1] + (month == 2 && leap);
}

static bool cn_valid(const char *s)
{
    static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    static const char check[] = "10X98765432";
    int sum = 0, v[CN_LENGTH - 1];

    for (int i = 0; i < CN_LENGTH - 1; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        v[i] = s[i] - '0';
        sum += v[i] * weights[i];
    }
    if (s[0] == '0') return false; /* regions begin with 1 to 9 */
    if (!date_valid(v[6] * 1000 + v[7] * 100 + v[8] * 10 + v[9], v[10] * 10 + v[11], v[12] * 10 + v[13])) return false;
    return s[CN_LENGTH - 1] == check[sum % 11];
}

char *id_document_normal(tf_arena *arena, IdType type, const char *number)
{
    char out[CN_LENGTH + PASSPORT_MAX];
    size_t n = 0;

    for (const char *c = number; *c; c++) {
        if (*c == ' ') continue;
        if (n == sizeof out - 1 || !isalnum((unsigned char)*c)) return NULL;
        out[n++] = (char)toupper((unsigned char)*c);
    }
    out[n] = '\0';
    if (type == ID_TYPE_CN_RESIDENT) return n == CN_LENGTH && cn_valid(out) ? tf_arena_strdup(arena, out) : NULL;
    if (type == ID_TYPE_PASSPORT) return n >= PASSPORT_MIN && n <= PASSPORT_MAX ? tf_arena_strdup(arena, out) : NULL;
    return NULL;
}

bool id_document_verified(IdType type)
{
    return type == ID_TYPE_CN_RESIDENT;
}

char *id_document_mask(tf_arena *arena, IdType type, const char *normal)
{
    size_t n = strlen(normal), head = type == ID_TYPE_CN_RESIDENT ? 4 : 1, tail = type == ID_TYPE_CN_RESIDENT ? 4 : 2;
    char *out = tf_arena_strdup(arena, normal);

    for (size_t i = head; out && i + tail < n; i++)
        out[i] = '*';
    return out;
}
