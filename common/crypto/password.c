/* Passwords: argon2id through libsodium, with bounds on what a stored string may ask for. */
#include "common/crypto/crypto.h"

#include "common/base/text.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(TF_PASSWORD_TEXT == crypto_pwhash_argon2id_STRBYTES, "size");

static unsigned long long ops_of(int t)
{
    return (unsigned long long)TF_MIN(TF_MAX(t, (int)TF_PASSWORD_T_MIN), (int)TF_PASSWORD_T_MAX);
}

static size_t memory_of(int m_kib)
{
    return (size_t)TF_MIN(TF_MAX(m_kib, (int)TF_PASSWORD_M_KIB_MIN), (int)TF_PASSWORD_M_KIB_MAX) * 1024;
}

bool tf_password_hash(const char *password, int m_kib, int t, char out[static TF_PASSWORD_TEXT])
{
    size_t n = strnlen(password, TF_PASSWORD_BYTES_MAX + 1);

    if (n > TF_PASSWORD_BYTES_MAX) return false;
    return crypto_pwhash_argon2id_str(out, password, n, ops_of(t), memory_of(m_kib)) == 0;
}

/* Reads the decimal number that follows the prefix at *s and moves behind it. */
static bool read_parameter(const char **s, const char *prefix, int64_t *ret_value)
{
    size_t n = strlen(prefix), digits;
    char text[12];

    if (strncmp(*s, prefix, n) != 0) return false;
    *s += n;
    digits = strspn(*s, "0123456789");
    if (digits == 0 || digits >= sizeof(text)) return false;
    memcpy(text, *s, digits);
    text[digits] = '\0';
    *s += digits;
    return tf_parse_int64(text, ret_value);
}

/* libsodium obeys the parameters of the string: a damaged row must not make a process allocate gigabytes. */
static bool stored_bounded(const char *stored)
{
    int64_t m_kib, t, lanes;
    const char *s = stored;

    if (!stored || strnlen(stored, TF_PASSWORD_TEXT) == TF_PASSWORD_TEXT) return false;
    if (!read_parameter(&s, "$argon2id$v=19$m=", &m_kib) || m_kib > TF_PASSWORD_M_KIB_MAX) return false;
    if (!read_parameter(&s, ",t=", &t) || t > TF_PASSWORD_T_MAX) return false;
    return read_parameter(&s, ",p=", &lanes) && lanes == 1 && *s == '$';
}

bool tf_password_verify(const char *stored, const char *password)
{
    size_t n = strnlen(password, TF_PASSWORD_BYTES_MAX + 1);

    if (n > TF_PASSWORD_BYTES_MAX || !stored_bounded(stored)) return false;
    return crypto_pwhash_argon2id_str_verify(stored, password, n) == 0;
}

bool tf_password_needs_rehash(const char *stored, int m_kib, int t)
{
    if (!stored_bounded(stored)) return true;
    return crypto_pwhash_argon2id_str_needs_rehash(stored, ops_of(t), memory_of(m_kib)) != 0;
}
