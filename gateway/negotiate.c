/* Accept-Language, Accept-Encoding, If-None-Match, Origin, and the forms of ids that clients make up. */
#include "gateway/negotiate.h"

#include "common/base/macros.h"

#include <string.h>
#include <strings.h>

/* One element of "text;q=0.8, …". */
struct element {
    const char *text;
    size_t size;
    int weight; /* thousandths */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "0.8" → 800; what is no weight counts as 0: nobody asked for it properly. */
static int weight_of(const char *text, size_t size)
{
    int weight, unit = 100;

    if (size == 0 || (text[0] != '0' && text[0] != '1') || size > 5) return 0;
    weight = (text[0] - '0') * 1000;
    if (size > 1 && text[1] != '.') return 0;
    for (size_t i = 2; i < size; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9') return 0;
        weight += (text[i] - '0') * unit;
    }
    return TF_MIN(weight, 1000);
}

static void trim(const char **text, size_t *size)
{
    while (*size && is_blank(**text)) {
        ++*text;
        --*size;
    }
    while (*size && is_blank((*text)[*size - 1]))
        --*size;
}

/* Takes the next element off the list; false at its end. */
static bool next_element(const char **list, struct element *ret_element)
{
    size_t size, name;
    const char *q;

    while (**list == ',' || is_blank(**list))
        ++*list;
    size = strcspn(*list, ",");
    if (size == 0) return false;
    name = strcspn(*list, ",;");
    *ret_element = (struct element){*list, name, 1000};
    if (name < size) {
        q = *list + name + 1;
        size -= name + 1;
        trim(&q, &size);
        ret_element->weight = size > 2 && strncasecmp(q, "q=", 2) == 0 ? weight_of(q + 2, size - 2) : 0;
        *list = *list + name + strcspn(*list + name, ",");
    } else {
        *list += size;
    }
    trim(&ret_element->text, &ret_element->size);
    return true;
}

static bool element_is(const struct element *element, const char *name)
{
    return element->size == strlen(name) && strncasecmp(element->text, name, element->size) == 0;
}

/* "zh", "zh-Hans-CN" for "zh". */
static bool is_of_language(const struct element *element, const char *language)
{
    size_t n = strlen(language);

    return element->size >= n && strncasecmp(element->text, language, n) == 0 &&
           (element->size == n || element->text[n] == '-');
}

const char *gateway_language(const char *accept_language, const char *fallback)
{
    const char *best = fallback;
    struct element element;
    int weight = 0;

    while (accept_language && next_element(&accept_language, &element)) {
        const char *meant = is_of_language(&element, "zh")   ? "zh-CN"
                            : is_of_language(&element, "en") ? "en"
                            : element_is(&element, "*")      ? fallback
                                                             : NULL;

        if (!meant || element.weight <= weight) continue;
        best = meant;
        weight = element.weight;
    }
    return best;
}

bool gateway_accepts_gzip(const char *accept_encoding)
{
    int gzip = -1, all = 0;
    struct element element;

    while (accept_encoding && next_element(&accept_encoding, &element)) {
        if (element_is(&element, "gzip") || element_is(&element, "x-gzip"))
            gzip = element.weight;
        else if (element_is(&element, "*"))
            all = element.weight;
    }
    return gzip >= 0 ? gzip > 0 : all > 0;
}

bool gateway_etag_matches(const char *if_none_match, const char *etag)
{
    const char *p = if_none_match;
    size_t n;

    if (!p || !etag || !*etag) return false;
    if (strncmp(etag, "W/", 2) == 0) etag += 2;
    n = strlen(etag);
    while (*p) {
        const char *end;

        while (*p == ',' || is_blank(*p))
            p++;
        if (*p == '*') return true;
        if (strncmp(p, "W/", 2) == 0) p += 2;
        end = *p == '"' ? strchr(p + 1, '"') : NULL;
        if (!end) return false; /* a tag without quotes is none */
        if ((size_t)(end + 1 - p) == n && memcmp(p, etag, n) == 0) return true;
        p = end + 1;
    }
    return false;
}

bool gateway_origin_allowed(const char *list, const char *origin)
{
    size_t n = strlen(origin);

    while (n && *list) {
        const char *text = list;
        size_t size = strcspn(list, ","), all = size;

        trim(&text, &size);
        if (size == n && memcmp(text, origin, n) == 0) return true;
        list += all + (list[all] == ',');
    }
    return false;
}

bool gateway_key_valid(const char *text)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return text[n] == '\0' && n >= 8 && n <= 64;
}

bool gateway_traceparent_valid(const char *text)
{
    static const char form[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";

    if (strlen(text) != sizeof form - 1) return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'h' ? !strchr("0123456789abcdef", text[i]) : text[i] != form[i]) return false;
    return strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}
