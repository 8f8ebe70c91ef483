/* Mobiles and e-mail addresses: strict forms, so that one person is one key. */
#include "services/user/domain/login.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return true;
}

char *login_mobile(tf_arena *arena, const char *text)
{
    char plain[24];
    size_t n = 0;

    for (const char *c = text; *c; c++) {
        bool between = c != text && c[1] != '\0';

        if (between && (*c == ' ' || *c == '-')) continue;
        if (n == sizeof plain - 1) return NULL;
        plain[n++] = *c;
    }
    plain[n] = '\0';
    if (n == 11 && plain[0] == '1' && plain[1] >= '3' && digits(plain, n))
        return tf_arena_printf(arena, "+86%s", plain);
    if (n < 8 || n > 16 || plain[0] != '+' || plain[1] < '1' || !digits(plain + 1, n - 1)) return NULL;
    if (strncmp(plain, "+86", 3) == 0 && (n != 14 || plain[3] != '1' || plain[4] < '3')) return NULL;
    return tf_arena_strdup(arena, plain);
}

/* Dot-separated labels of letters, digits and hyphens, two at least. */
static bool domain_valid(const char *s)
{
    size_t label = 0, labels = 0;

    for (;; s++) {
        if (*s == '.' || *s == '\0') {
            if (label == 0 || label > 63 || s[-1] == '-') return false;
            labels++;
            label = 0;
            if (*s == '\0') return labels >= 2;
        } else if (isalnum((unsigned char)*s) || (*s == '-' && label > 0)) {
            label++;
        } else {
            return false;
        }
    }
}

char *login_email(tf_arena *arena, const char *text)
{
    size_t n = strlen(text);
    const char *at = strrchr(text, '@');
    char *out;

    if (n > LOGIN_TEXT_MAX || !at || at == text || at - text > 64 || !domain_valid(at + 1)) return NULL;
    for (const char *c = text; c < at; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-/=?^_`{|}~.", *c)) return NULL;
        if (*c == '.' && (c == text || c + 1 == at || c[1] == '.')) return NULL;
    }
    out = tf_arena_strdup(arena, text);
    for (char *c = out; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return out;
}

enum login_kind login_parse(tf_arena *arena, const char *text, char **ret_normal)
{
    if (strchr(text, '@')) {
        *ret_normal = login_email(arena, text);
        return *ret_normal ? LOGIN_EMAIL : LOGIN_INVALID;
    }
    *ret_normal = login_mobile(arena, text);
    return *ret_normal ? LOGIN_MOBILE : LOGIN_INVALID;
}

char *login_mobile_mask(tf_arena *arena, const char *mobile)
{
    size_t n = strlen(mobile);
    char *out;

    if (strncmp(mobile, "+86", 3) == 0 && n == 14) return tf_arena_printf(arena, "%.3s****%s", mobile + 3, mobile + 10);
    out = tf_arena_strdup(arena, mobile);
    for (size_t i = 3; out && i + 3 < n; i++)
        out[i] = '*';
    return out;
}

char *login_email_mask(tf_arena *arena, const char *email)
{
    const char *at = strrchr(email, '@');

    return tf_arena_printf(arena, "%.1s***%s", email, at ? at : "");
}
