/* Reading a show: shape, bounds, prices, times. */
#include "services/program/domain/money.h"
#include "services/program/domain/names.h"
#include "services/program/domain/show.h"
#include "services/program/domain/show_time.h"
#include "services/program/domain/texts.h"

#include "common/base/text.h"

#include <string.h>

/* A show without an end is over this long after its start. */
static const int64_t SHOW_LENGTH_US = INT64_C(6) * 3600 * TF_US_PER_S;

static const struct {
    const char *name;
    PriceKind kind;
} price_members[PRICE_LINES_MAX] = {
    {"face", PRICE_KIND_FACE},
    {"fee", PRICE_KIND_FEE},
    {"tax", PRICE_KIND_TAX},
    {"discount", PRICE_KIND_DISCOUNT},
};

/* ---- prices ----------------------------------------------------------------------------------------------------- */

static bool amount_read(struct reading *r, const struct path *at, const tf_json *value, int decimals,
                        int64_t *ret_minor)
{
    bool good;

    switch (tf_json_type(value)) {
    case TF_JSON_STRING:
        good = money_parse(tf_json_string(value, ""), decimals, ret_minor);
        break;
    case TF_JSON_INT: {
        const char *text = tf_arena_printf(r->arena, "%lld", (long long)tf_json_int(value, 0));

        good = text && money_parse(text, decimals, ret_minor);
        break;
    }
    case TF_JSON_REAL:
        good = money_of_real(tf_json_real(value, 0), decimals, ret_minor);
        break;
    default:
        return fault_add(r->faults, at, "must be an amount such as 580 or \"79.50\"");
    }
    return good ? true
                : fault_add(r->faults, at, "must be an amount of at most %d digits, %d of them decimals",
                            MONEY_MINOR_MAX_DIGITS, decimals);
}

static bool price_line_read(struct reading *r, const struct path *at, const tf_json *value, int decimals, size_t kind,
                            struct show_tier *tier)
{
    bool discount = price_members[kind].kind == PRICE_KIND_DISCOUNT;
    int64_t amount = 0;

    if (!value) return true;
    if (!amount_read(r, at, value, decimals, &amount)) return false;
    if (amount < 0 && !discount) return fault_add(r->faults, at, "must not be negative");
    if (amount > 0 && discount) return fault_add(r->faults, at, "must be negative: it is taken off");
    if (amount == 0) return true;
    tier->lines[tier->n_lines] = (PriceLine)PriceLine_init;
    tier->lines[tier->n_lines].kind = price_members[kind].kind;
    tier->lines[tier->n_lines].amount_minor = amount;
    tier->n_lines++;
    tier->price_minor += amount;
    return true;
}

/* {"face": 580, "fee": 20}, or 580 alone: the face. */
static bool price_read(struct reading *r, const struct path *at, const tf_json *tier_value, int decimals,
                       struct show_tier *tier)
{
    static const struct member members[] = {
        {"face", true}, {"fee", false}, {"tax", false}, {"discount", false}, {NULL, false}};
    const tf_json *value = tf_json_get(tier_value, "price");
    const struct path *here = PATH_MEMBER(at, "price");
    bool good = true;

    if (tf_json_type(value) != TF_JSON_OBJECT) {
        if (!price_line_read(r, here, value, decimals, 0, tier)) return false;
    } else {
        if (!read_object(r, here, value, members)) return false;
        for (size_t i = 0; i < PRICE_LINES_MAX; i++)
            if (!price_line_read(r, PATH_MEMBER(here, price_members[i].name), tf_json_get(value, price_members[i].name),
                                 decimals, i, tier))
                good = false;
    }
    if (!good) return false;
    if (tier->price_minor < 0) return fault_add(r->faults, here, "comes to a negative sum");
    if (tier->price_minor == 0) return fault_add(r->faults, here, "comes to nothing; free tickets are not sold");
    return true;
}

/* ---- tiers ------------------------------------------------------------------------------------------------------ */

static bool selectors_read(struct reading *r, const struct path *at, const tf_json *object, const char *name,
                           enum selector_use use, struct selectors *ret_selectors)
{
    const tf_json *array;
    bool good = true;

    if (!read_array(r, at, object, name, use == SELECTOR_PAINTS ? 1 : 0, SELECTORS_MAX, &array)) return false;
    ret_selectors->n = tf_json_size(array);
    ret_selectors->list = TF_NEW_ARRAY(r->arena, struct selector, ret_selectors->n);
    if (!ret_selectors->list) return fault_add(r->faults, at, "takes too much memory");
    for (size_t i = 0; i < ret_selectors->n; i++)
        if (!selector_read(r, PATH_INDEX(PATH_MEMBER(at, name), i), tf_json_at(array, i), use, &ret_selectors->list[i]))
            good = false;
    return good;
}

static bool tier_read(struct reading *r, const struct path *at, const tf_json *value, const char *currency,
                      struct show_tier *tier)
{
    static const struct member members[] = {{"ref", true},    {"name", false},   {"price", true}, {"currency", false},
                                            {"color", false}, {"places", false}, {NULL, false}};
    const struct path *currency_at = PATH_MEMBER(at, "currency");
    const char *code = currency;
    int decimals;

    if (!read_object(r, at, value, members)) return false;
    if (!read_string(r, at, value, "ref", REF_MAX, &tier->ref)) return false;
    if (!read_texts(r, at, value, "name", TEXT_NAME_MAX, &tier->name)) return false;
    if (!tier->name) tier->name = texts_plain(r->arena, tier->ref);
    if (!tier->name) return fault_add(r->faults, at, "takes too much memory");
    if (!read_color(r, at, value, "color", &tier->color)) return false;
    if (!read_string(r, at, value, "currency", 3, &tier->currency)) return false;
    if (tier->currency) code = tier->currency;
    if (!code) return fault_add(r->faults, currency_at, "is missing, here or in the show");
    decimals = currency_decimals(code);
    if (decimals < 0) return fault_add(r->faults, currency_at, "is no currency of ISO 4217");
    if (!price_read(r, at, value, decimals, tier)) return false;
    return tf_json_get(value, "places") ? selectors_read(r, at, value, "places", SELECTOR_PAINTS, &tier->places) : true;
}

static bool tiers_read(struct reading *r, const struct path *at, const tf_json *value, struct show *show)
{
    const struct path *list = PATH_MEMBER(at, "tiers");
    const tf_json *tiers;
    struct names refs;
    bool good = true;

    if (!read_array(r, at, value, "tiers", 1, SHOW_TIERS_MAX, &tiers)) return false;
    names_init(&refs, r->arena);
    show->n_tiers = tf_json_size(tiers);
    for (size_t i = 0; i < show->n_tiers; i++) {
        const struct path *here = PATH_INDEX(list, i);
        struct show_tier *tier = &show->tiers[i];

        if (!tier_read(r, here, tf_json_at(tiers, i), show->currency, tier)) {
            good = false;
            continue;
        }
        if (names_add(&refs, tier->ref, (int)i) >= 0)
            good = fault_add(r->faults, PATH_MEMBER(here, "ref"), "\"%s\" is the ref of another tier", tier->ref);
        if (!tier->currency) continue;
        if (!show->currency)
            show->currency = tier->currency;
        else if (strcmp(show->currency, tier->currency) != 0)
            good = fault_add(r->faults, PATH_MEMBER(here, "currency"), "%s beside %s: a show has one currency",
                             tier->currency, show->currency);
    }
    return good;
}

/* ---- the show --------------------------------------------------------------------------------------------------- */

const struct member show_members[] = {{"ref", true},
                                      {"plan", true},
                                      {"start", true},
                                      {"tiers", true},
                                      {"name", false},
                                      {"end", false},
                                      {"opens", false},
                                      {"closes", false},
                                      {"currency", false},
                                      {"not_on_sale", false},
                                      {"blocked", false},
                                      {"account_limit", false},
                                      {"order_limit", false},
                                      {"hold_seconds", false},
                                      {"attendee_rule", false},
                                      {"choice_allowed", false},
                                      {"one_pending_order", false},
                                      {"unlisted", false},
                                      {"publish", false},
                                      {NULL, false}};

bool show_read(struct reading *r, const struct path *at, const tf_json *value, int64_t hold_floor_s,
               struct show *ret_show)
{
    static const char *const rules[] = {"NONE", "NAME", "REAL_NAME", NULL};
    struct show *s = ret_show;
    int rule = 0;
    bool good;

    *s = (struct show){.account_limit = SHOW_LIMIT_DEFAULT,
                       .order_limit = -1,
                       .hold_seconds = TF_MAX(SHOW_HOLD_S_DEFAULT, hold_floor_s),
                       .choice_allowed = true,
                       .one_pending_order = true};
    if (!read_object(r, at, value, show_members)) return false;
    good = read_string(r, at, value, "ref", REF_MAX, &s->ref);
    good &= read_string(r, at, value, "plan", REF_MAX, &s->plan_ref);
    good &= read_texts(r, at, value, "name", TEXT_NAME_MAX, &s->name);
    good &= read_string(r, at, value, "start", TEXT_NAME_MAX, &s->start);
    good &= read_string(r, at, value, "end", TEXT_NAME_MAX, &s->end);
    good &= read_string(r, at, value, "opens", TEXT_NAME_MAX, &s->opens);
    good &= read_string(r, at, value, "closes", TEXT_NAME_MAX, &s->closes);
    good &= read_int(r, at, value, "account_limit", 1, SHOW_ACCOUNT_PLACES_MAX, &s->account_limit);
    good &= read_int(r, at, value, "order_limit", 1, SHOW_ORDER_PLACES_MAX, &s->order_limit);
    good &= read_int(r, at, value, "hold_seconds", hold_floor_s, SHOW_HOLD_S_MAX, &s->hold_seconds);
    good &= read_word(r, at, value, "attendee_rule", rules, &rule);
    good &= read_bool(r, at, value, "choice_allowed", &s->choice_allowed);
    good &= read_bool(r, at, value, "one_pending_order", &s->one_pending_order);
    good &= read_bool(r, at, value, "unlisted", &s->unlisted);
    good &= read_bool(r, at, value, "publish", &s->publish);
    s->attendee_rule = (AttendeeRule)(ATTENDEE_RULE_NONE + rule);
    if (s->order_limit < 0)
        s->order_limit = TF_MIN(SHOW_LIMIT_DEFAULT, s->account_limit);
    else if (s->order_limit > s->account_limit)
        good = fault_add(r->faults, PATH_MEMBER(at, "order_limit"), "is more than the account limit of %lld",
                         (long long)s->account_limit);

    if (read_string(r, at, value, "currency", 3, &s->currency)) {
        if (s->currency && currency_decimals(s->currency) < 0)
            good = fault_add(r->faults, PATH_MEMBER(at, "currency"), "is no currency of ISO 4217");
        else
            good &= tiers_read(r, at, value, s);
    } else {
        good = false;
    }
    good &= selectors_read(r, at, value, "not_on_sale", SELECTOR_BLOCKS, &s->not_on_sale);
    good &= selectors_read(r, at, value, "blocked", SELECTOR_BLOCKS, &s->blocked);
    for (size_t i = 0; good && i < s->not_on_sale.n; i++)
        if (s->not_on_sale.list[i].count > 0)
            good = fault_add(r->faults, PATH_MEMBER(PATH_INDEX(PATH_MEMBER(at, "not_on_sale"), i), "count"),
                             "belongs to blocked; an area is on sale or not");
    return good;
}

/* ---- times ------------------------------------------------------------------------------------------------------ */

static bool time_set(struct reading *r, const struct path *at, const char *name, const char *text, const char *zone,
                     tf_time now, const tf_time *before, tf_time *ret_time)
{
    if (before && show_time_is_relative(text)) {
        *ret_time = *before;
        return true;
    }
    if (show_time_parse(r->arena, text, zone, now, ret_time)) return true;
    return fault_add(r->faults, PATH_MEMBER(at, name),
                     "must be a time at the venue such as \"2026-12-24T19:30\", an instant with offset, \"today+14 "
                     "19:30\" or \"now+90s\" (and one that exists in %s)",
                     zone);
}

bool show_times_set(struct reading *r, const struct path *at, const struct show *show, const char *zone, tf_time now,
                    const struct show_times *before, struct show_times *ret_times)
{
    struct show_times t = {0};
    bool good = time_set(r, at, "start", show->start, zone, now, before ? &before->start : NULL, &t.start);

    if (!good) return false;
    t.end = t.start + SHOW_LENGTH_US;
    t.closes = t.start;
    /* Without a word the sale is open; a stored opening stays. */
    t.opens = before ? before->opens : now / TF_US_PER_S * TF_US_PER_S;
    if (show->end && !time_set(r, at, "end", show->end, zone, now, before ? &before->end : NULL, &t.end)) return false;
    if (show->opens && !time_set(r, at, "opens", show->opens, zone, now, before ? &before->opens : NULL, &t.opens))
        return false;
    if (show->closes && !time_set(r, at, "closes", show->closes, zone, now, before ? &before->closes : NULL, &t.closes))
        return false;

    if (t.end <= t.start) return fault_add(r->faults, PATH_MEMBER(at, "end"), "is not after the start");
    if (t.closes > t.end) return fault_add(r->faults, PATH_MEMBER(at, "closes"), "is after the end of the show");
    if (t.opens >= t.closes) {
        const char *name = show->opens ? "opens" : show->closes ? "closes" : "start";

        return fault_add(r->faults, PATH_MEMBER(at, name), "leaves no time to sell: the sale opens when it is closed");
    }
    t.local_date = local_date(r->arena, t.start, zone);
    if (!t.local_date) return fault_add(r->faults, PATH_MEMBER(at, "start"), "is not in the calendar");
    *ret_times = t;
    return true;
}
