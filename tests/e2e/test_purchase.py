"""Every buyer row of the screens, from the city home to the ticket, in both languages: each is drawn from the public interface alone.

What a row must show is asserted twice: no member of the answer is empty but those named here with a reason, and what is shown is right."""

import base64
import copy
import secrets
import types

import pytest

import ed25519
from api import Refused, blanks, moment, places, until
from conftest import await_inventory, catalogue, new_ref

HAN = range(0x4E00, 0x9FFF)


def speaks(text, language):
    """Texts of the tour are written in Chinese characters in zh-CN and without any in en."""
    return bool(text) and any(ord(c) in HAN for c in text) == (language == "zh-CN")


def assert_speaks(message, language, *names):
    for name in names:
        assert speaks(message[name], language), f"{name} in {language}: {message[name]!r}"


def assert_filled(message, *empty):
    """Nothing is empty except exactly the members named (paths as blanks() writes them)."""
    assert sorted(blanks(message)) == sorted(empty)


@pytest.fixture(scope="module", params=("zh-CN", "en"))
def language(request):
    return request.param


def tour_document(ref):
    """A tour of two cities: in the first a REAL_NAME show in two tiers, one that opens in two hours, one that is over (and still sells)."""
    document = catalogue(ref, rows=3, seats=10, price=28000, show={"ref": "real", "attendee_rule": "REAL_NAME", "account_limit": 20})
    plan, program = document["plans"][0], document["programs"][0]
    plan["sections"].append(
        {"section": "Balcony", "name": {"zh-CN": "楼座", "en": "Balcony"}, "entrance": {"zh-CN": "二号门", "en": "Door 2"}, "rows": "A-B", "seats_per_row": 4, "tier": "balcony", "quality": 1}
    )
    plan["notes"] = [
        {"section": "Stalls", "rows": "3", "seats": ["1", "2"], "attributes": ["ACCESSIBLE"]},
        {"section": "Balcony", "rows": "B", "seats": "4", "attributes": ["RESTRICTED_VIEW"]},
    ]
    real = program["shows"][0]
    real["tiers"] = [
        {"ref": "seat", "name": {"zh-CN": "池座票", "en": "Stalls seat"}, "price": {"face": 280, "fee": 20}, "color": "#c0392b"},
        {"ref": "balcony", "name": {"zh-CN": "楼座票", "en": "Balcony seat"}, "price": {"face": 120}, "color": "#2980b9"},
    ]
    plain = {**real, "attendee_rule": "NONE"}
    program["group"] = f"{ref}-tour"
    program["shows"] = [
        real,
        {**plain, "ref": "soon", "opens": "now+2h", "start": "today+40 19:30", "attendee_rule": "REAL_NAME"},
        {**plain, "ref": "named", "start": "today+41 19:30", "attendee_rule": "NAME"},
        {**plain, "ref": "over", "start": "now-10h", "opens": "now-12h", "closes": "now+1h", "end": "now+1h", "unlisted": True},
        {**plain, "ref": "quick", "start": "today+42 19:30", "hold_seconds": 2, "unlisted": True},
    ]
    venue = copy.deepcopy(document["venues"][0])
    venue.update(ref=f"{ref}-west", city={"zh-CN": "伦敦", "en": "London"}, time_zone="Europe/London")
    west_plan = {**copy.deepcopy(plan), "ref": f"{ref}-west-plan", "venue": venue["ref"]}
    west = copy.deepcopy(program)
    west.update(ref=f"{ref}-west-program", shows=[{**plain, "ref": "west", "plan": west_plan["ref"]}])
    document["venues"].append(venue)
    document["plans"].append(west_plan)
    document["programs"].append(west)
    return document


@pytest.fixture(scope="module")
def tour(operator, nobody):
    ref = new_ref()
    document = tour_document(ref)
    objects = operator.call("POST", "/v1/admin/imports", document)["objects"]
    ids = {(o["kind"], o["ref"]): o["id"] for o in objects}
    shows = types.SimpleNamespace(**{ref: i for (kind, ref), i in ids.items() if kind == "show"})
    for show_id in vars(shows).values():
        await_inventory(nobody, show_id)
    city = document["venues"][0]["city"]
    return types.SimpleNamespace(ref=ref, document=document, shows=shows, city=city, program=ids["program", f"{ref}-program"], west=ids["program", f"{ref}-west-program"])


@pytest.fixture(scope="module")
def buyer(new_buyer, language, new_person):
    """A buyer who speaks the language and has two attendees."""
    buyer = new_buyer(language)
    people = [("王芳", "李伟"), ("Wang Fang", "Li Wei")][language == "en"]
    buyer.attendees = [buyer.post("/v1/attendees", new_person(name))["attendee"] for name in people]
    return buyer


def two(buyer):
    return [a["attendee_id"] for a in buyer.attendees]


def test_city_home(nobody, tour, language):
    home = nobody.speaking(language).get("/v1/programs", params={"city": tour.city[language]})
    row, = home["programs"]

    assert_filled(home, "next_page_token")
    assert_speaks(row, language, "title", "performers", "city", "venue_name", "category")
    assert row["program_id"] == tour.program
    assert row["cheapest_price"] == {"currency": "CNY", "amount_minor": "12000"}
    assert row["first_local_date"] < row["last_local_date"]
    assert row["state"] == "OFFER_STATE_ON_SALE"
    assert moment(home["server_time"]) > 0


def test_city_home_of_a_show_that_opens_soon(operator, nobody, language):
    document = catalogue(new_ref(), show={"opens": "now+90s"})
    operator.call("POST", "/v1/admin/imports", document)
    row, = nobody.speaking(language).get("/v1/programs", params={"city": document["venues"][0]["city"][language]})["programs"]

    assert_filled(row)
    assert row["state"] == "OFFER_STATE_SOON" and moment(row["opens_time"]) > 0


def test_city_home_goes_on_by_pages(nobody, new_show):
    for _ in range(3):
        new_show(wait=False)
    seen, token = [], ""
    for _ in range(1000):
        page = nobody.get("/v1/programs", params={"page_size": 2, "page_token": token})
        assert 1 <= len(page["programs"]) <= 2
        seen += [p["program_id"] for p in page["programs"]]
        token = page["next_page_token"]
        if not token or len(seen) > 40:
            break
    assert len(seen) == len(set(seen)) >= 4


def test_programme(nobody, tour, language):
    answer = nobody.speaking(language).get(f"/v1/programs/{tour.program}")
    program = answer["program"]

    assert_filled(answer)
    assert_speaks(program, language, "title", "performers", "category", "city", "organiser_name", "venue_name", "venue_address")
    assert_speaks(program["texts"], language, *program["texts"])
    assert len(program["texts"]) == 10
    assert [s["show_id"] for s in program["shows"]] == [tour.shows.real, tour.shows.soon, tour.shows.named]
    for show in program["shows"]:
        assert show["time_zone"] == "Asia/Shanghai"
        assert show["local_start"][11:] == "19:30:00+08:00"
        assert moment(show["local_start"]) == moment(show["start_time"])
    stop, = program["group_stops"]
    assert stop["program_id"] == tour.west and stop["city"] == {"zh-CN": "伦敦", "en": "London"}[language]


def test_show_before_opening(buyer, tour, language):
    answer = buyer.get(f"/v1/shows/{tour.shows.soon}")
    show = answer["show"]

    assert_filled(answer)
    assert_speaks(show, language, "title", "name", "venue_name", "venue_address", "city")
    assert_speaks(show["texts"], language, *show["texts"])
    assert show["state"] == "OFFER_STATE_SOON"
    assert 7000 < moment(show["opens_time"]) - moment(answer["server_time"]) <= 7200
    assert show["attendee_rule"] == "ATTENDEE_RULE_REAL_NAME"
    assert show["prepare"] == ["LOG_IN", "ATTENDEES"]

    allowance = buyer.get(f"/v1/shows/{tour.shows.soon}/allowance")
    assert_filled(allowance, "used", "pending_order_no")
    assert (allowance["account_limit"], allowance["left"], allowance["order_limit"]) == (20, 20, 6)

    with pytest.raises(Refused) as refused:
        buyer.order(tour.shows.soon, choices=[{"tier": 1, "count": 2}], attendee_ids=two(buyer))
    problem = refused.value.problem
    assert refused.value.reason == "SALE_NOT_OPEN" and refused.value.status == 409
    assert problem["opens_time"] == show["opens_time"]
    assert moment(problem["server_time"]) < moment(problem["opens_time"])
    assert int(refused.value.response.headers["Retry-After"]) > 0
    assert speaks(problem["title"], language)


def test_seat_map(nobody, tour, language):
    show = nobody.speaking(language).get(f"/v1/shows/{tour.shows.real}")["show"]
    response = nobody.request("GET", show["seat_plan_path"])
    plan = response.json()

    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    again = nobody.request("GET", show["seat_plan_path"], headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304 and not again.content
    plain = nobody.request("GET", show["seat_plan_path"], headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers and plain.json() == plan

    assert plan["show_id"] == tour.shows.real and plan["version"] == show["version"]
    assert [s["name"][language] for s in plan["sections"]] == {"zh-CN": ["池座", "楼座"], "en": ["Stalls", "Balcony"]}[language]
    assert all(s["entrance"][language] for s in plan["sections"])
    assert [(t["tier"], t["color"], t["price_minor"], t["capacity"]) for t in plan["tiers"]] == [(1, "#c0392b", "30000", 30), (2, "#2980b9", "12000", 8)]
    assert [(t["name"][language]) for t in plan["tiers"]] == [t["name"] for t in show["tiers"]]
    runs = [(run, row, s) for s in plan["sections"] for row in s["rows"] for run in row["runs"]]
    numbers = [run["place_no"] + i for run, _, _ in runs for i in range(run["count"])]
    assert len(numbers) == len(set(numbers)) == 38
    assert all({"x", "y"} <= set(run) or "xy" in run for run, _, _ in runs)
    assert len(plan["attributes"]["ACCESSIBLE"]) == 2 and len(plan["attributes"]["RESTRICTED_VIEW"]) == 1
    assert set(plan["attributes"]["ACCESSIBLE"]) < set(numbers)

    availability = nobody.get(f"/v1/shows/{tour.shows.real}/availability")
    assert int(availability["version"]) > 0
    for tier in availability["tiers"]:
        assert tier["free"] + tier["held"] + tier["sold"] + tier["blocked"] == tier["capacity"]
    known = {status: set(places(availability, status)) for status in (1, 2, 3)}
    assert known[1] | known[2] | known[3] == set(numbers)
    assert len(known[1]) == sum(t["free"] for t in availability["tiers"])


def test_choose_for_me(buyers, new_show):
    """Count, tier, together or split, and whether the answer is adjacent."""
    a, b, c = buyers(3)
    show = new_show(rows=2, seats=4)
    together = a.best(show, 3)
    assert together["adjacent"] is True
    row, = {t["row"] for t in together["tickets"]}

    whole = b.best(show, 3)
    assert whole["adjacent"] is True and {t["row"] for t in whole["tickets"]} == {"1", "2"} - {row}

    with pytest.raises(Refused) as refused:
        c.best(show, 2)
    assert refused.value.reason == "NO_ADJACENT" and refused.value.problem["free"] == "2"

    apart = c.best(show, 2, allow_split=True)
    assert apart["adjacent"] is False and len(apart["tickets"]) == 2


def test_confirm(buyer, tour, language):
    answer = buyer.post("/v1/orders", {"show_id": tour.shows.real, "choices": [{"tier": 1, "count": 2}], "attendee_ids": two(buyer)}, key=f"confirm-{language}-{tour.ref}")
    order = answer["order"]

    # Not yet: paid, cancelled, money that moved.
    assert_filled(answer, "order.cancel_reason", "order.payments", "order.refunds")
    assert_speaks(order, language, "title", "venue_name", "venue_address", "places_text")
    for ticket, attendee in zip(order["tickets"], buyer.attendees):
        assert_speaks(ticket, language, "tier_name", "section", "place_text", "entrance", "attendee_name")
        assert ticket["attendee_id"] == attendee["attendee_id"] and ticket["attendee_name"] == attendee["name"]
        assert ticket["attendee_id_masked"] == attendee["id_number_masked"]
        assert ticket["price_lines"] == [{"kind": "PRICE_KIND_FACE", "amount_minor": "28000"}, {"kind": "PRICE_KIND_FEE", "amount_minor": "2000"}]
        assert ticket["price_minor"] == "30000"
        assert ticket["place_text"] in order["places_text"]
    assert (order["total_minor"], order["currency"], order["ticket_count"]) == ("60000", "CNY", 2)
    assert order["state"] == "ORDER_STATE_PENDING_PAYMENT" and order["money_state"] == "MONEY_STATE_NONE"
    assert 0 < order["seconds_left"] <= 600
    assert abs(moment(order["pay_by_time"]) - moment(answer["server_time"]) - order["seconds_left"]) < 2

    assert buyer.get_order(order["order_no"])["tickets"] == order["tickets"]
    buyer.post(f"/v1/orders/{order['order_no']}:cancel")


def test_names_on_tickets(buyer, tour):
    order = buyer.order(tour.shows.named, choices=[{"tier": 2, "count": 2}], names=["张三", "Zoë Ω"])
    assert [t["attendee_name"] for t in order["tickets"]] == ["张三", "Zoë Ω"]
    buyer.post(f"/v1/orders/{order['order_no']}:cancel")


REFUSALS = {
    "PENDING_ORDER": lambda buyer, tour, order: buyer.order(tour.shows.real, choices=[{"tier": 2, "count": 1}], attendee_ids=two(buyer)[:1]),
    "FIELD_INVALID": lambda buyer, tour, order: buyer.order(tour.shows.real, choices=[{"tier": 1, "count": 2}], attendee_ids=two(buyer)[:1]),
    "NOT_FOUND": lambda buyer, tour, order: buyer.get_order(1),
    "PLACES_TAKEN": lambda buyer, tour, order: buyer.order(tour.shows.west, place_nos=[order["tickets"][0]["place_no"]]),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_refused_in_my_language(buyer, buyers, tour, language, reason):
    other = buyers(1)[0]
    held = buyer.order(tour.shows.real, choices=[{"tier": 1, "count": 1}], attendee_ids=two(buyer)[:1])
    taken = other.best(tour.shows.west, 1)
    try:
        with pytest.raises(Refused) as refused:
            REFUSALS[reason](buyer, tour, taken)
    finally:
        buyer.post(f"/v1/orders/{held['order_no']}:cancel")
        other.post(f"/v1/orders/{taken['order_no']}:cancel")
    problem = refused.value.problem

    assert refused.value.reason == reason
    assert refused.value.response.headers["Content-Type"] == "application/problem+json"
    assert refused.value.response.headers["Content-Language"] == language
    assert speaks(problem["title"], language), problem
    assert problem["status"] == refused.value.status and problem["request_id"] == refused.value.response.headers["X-Request-Id"]
    if reason == "PENDING_ORDER":
        assert problem["order_no"] == held["order_no"]
    if reason == "PLACES_TAKEN":
        assert problem["place_nos"] == str(taken["tickets"][0]["place_no"])


@pytest.fixture(scope="module")
def bought(buyer, tour):
    """A paid order of two REAL_NAME tickets; what the pay screen showed is checked on the way."""
    order = buyer.order(tour.shows.real, choices=[{"tier": 1, "count": 2}], attendee_ids=two(buyer))
    offered = buyer.get(f"/v1/orders/{order['order_no']}/payments")
    assert offered["payments"] == []
    assert_filled(offered["methods"])
    payment = buyer.pay(order["order_no"])

    assert_filled(payment, "failure")
    assert (payment["state"], payment["amount_minor"], payment["currency"]) == ("PAYMENT_STATE_PROCESSING", order["total_minor"], "CNY")
    page = buyer.client.get(payment["pay_url"])
    assert page.status_code == 200 and "600.00" in page.text
    assert buyer.check(payment)["state"] == "PAYMENT_STATE_PROCESSING"

    order = buyer.paid(order, payment)
    assert buyer.get_payment(payment)["state"] == "PAYMENT_STATE_SUCCEEDED"
    return order


def test_pay(bought, language):
    assert_filled(bought, "cancel_reason", "seconds_left", "refunds")
    paid, = bought["payments"]
    assert (paid["state"], paid["amount_minor"], bought["money_state"]) == ("SUCCEEDED", "60000", "MONEY_STATE_PAID")
    assert moment(bought["create_time"]) <= moment(bought["paid_time"]) < moment(bought["pay_by_time"])


def test_hold_ran_out(buyer, tour, language):
    order = buyer.order(tour.shows.quick, choices=[{"tier": 1, "count": 1}])
    order = buyer.await_order(order["order_no"], state="ORDER_STATE_CANCELLED")

    # Nobody paid, so there are no payments and no refunds; no attendees are asked for in this show.
    assert_filled(order, "seconds_left", "payments", "refunds", *(f"tickets[0].{n}" for n in ("attendee_id", "attendee_name", "attendee_id_masked")))
    assert order["cancel_reason"] == "CANCEL_REASON_EXPIRED" and order["money_state"] == "MONEY_STATE_NONE"
    assert moment(order["pay_by_time"]) <= moment(order["cancel_time"])
    assert order["tickets"][0]["state"] == "TICKET_STATE_VOID"
    again = until(lambda: _order_again(buyer, tour.shows.quick), what="buy again")
    buyer.post(f"/v1/orders/{again['order_no']}:cancel")


def _order_again(buyer, show):
    try:
        return buyer.best(show)
    except Refused:
        return None


def test_ticket(buyer, bought, tour, operator, language):
    keys = {k["key_id"]: k for k in buyer.get("/v1/ticket-keys")["keys"]}
    wanted = [t["ticket_id"] for t in bought["tickets"]]
    listed = {t["ticket_id"]: t for t in buyer.get("/v1/tickets")["tickets"]}
    assert set(wanted) <= set(listed)
    for place, attendee in zip(bought["tickets"], buyer.attendees):
        ticket = buyer.get(f"/v1/tickets/{place['ticket_id']}")["ticket"]
        assert ticket == listed[place["ticket_id"]]
        assert_filled(ticket)
        assert_speaks(ticket, language, "title", "venue_name", "venue_address", "entrance", "section", "place_text", "tier_name", "entry_rule", "attendee_name")
        assert (ticket["order_no"], ticket["show_id"], ticket["state"]) == (bought["order_no"], tour.shows.real, "TICKET_STATE_VALID")
        assert ticket["local_start"][11:] == "19:30:00+08:00" and ticket["time_zone"] == "Asia/Shanghai"
        assert (ticket["price_minor"], ticket["currency"]) == ("30000", "CNY")
        assert ticket["attendee_name"] == attendee["name"]
        assert ticket["attendee_id_masked"] == attendee["id_number_masked"] and "*" in ticket["attendee_id_masked"]

        key_id, ticket_id, show_id = read_code(ticket["code"], keys)
        assert (str(ticket_id), str(show_id)) == (ticket["ticket_id"], tour.shows.real) and key_id in keys

    admitted = operator.post("/v1/admin/tickets:redeem", {"code": ticket["code"], "show_id": tour.shows.real, "door": "North"}, headers={"Accept-Language": language})["ticket"]
    assert admitted["state"] == "TICKET_STATE_USED" and speaks(admitted["place_text"], language)
    used = buyer.get(f"/v1/tickets/{ticket['ticket_id']}")["ticket"]
    assert used["state"] == "TICKET_STATE_USED" and moment(used["used_time"]) > 0


def read_code(code, keys):
    """A scanner without a network, after docs/ticket-code.md: raises unless the code is genuine."""
    signed, _, signature = code.rpartition(".")
    prefix, _, claims = signed.partition(".")
    claims = unpack64(claims)
    assert prefix == "TF1" and len(claims) == 20 and claims[0] == 1
    key = keys[claims[1]]
    assert key["algorithm"] == "Ed25519"
    assert ed25519.verify(unpack64(key["public_key"]), signed.encode(), unpack64(signature))
    assert not ed25519.verify(unpack64(key["public_key"]), signed.encode() + b"x", unpack64(signature))
    return claims[1], int.from_bytes(claims[4:12], "big"), int.from_bytes(claims[12:20], "big")


def unpack64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_ticket_of_an_unpaid_order_has_no_code(buyers, new_show):
    buyer, other = buyers(2)
    order = buyer.best(new_show())
    ticket = buyer.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")["ticket"]
    assert ticket["state"] == "TICKET_STATE_HELD" and ticket["code"] == ""
    with pytest.raises(Refused) as refused:
        other.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")
    assert refused.value.reason == "NOT_FOUND"


@pytest.fixture(scope="module")
def my_orders(buyer, bought, tour, operator):
    """One order for every filter: name → order number."""
    pending = buyer.order(tour.shows.west, choices=[{"tier": 1, "count": 1}])
    past = buyer.buy(tour.shows.over)
    refunded = buyer.order(tour.shows.named, choices=[{"tier": 2, "count": 1}], names=["A B"])
    buyer.paid(refunded)
    operator.post(f"/v1/admin/orders/{refunded['order_no']}:refund", {"reason": "asked at the box office"})
    buyer.await_order(refunded["order_no"], money_state="MONEY_STATE_REFUNDED")
    cancelled = buyer.order(tour.shows.named, choices=[{"tier": 1, "count": 1}], names=["A B"])
    buyer.post(f"/v1/orders/{cancelled['order_no']}:cancel")
    return {
        "PENDING": pending["order_no"], "UPCOMING": bought["order_no"], "PAST": past["order_no"],
        "REFUNDED": refunded["order_no"], "CANCELLED": cancelled["order_no"],
    }  # fmt: skip


STATES = {
    "PENDING": ("ORDER_STATE_PENDING_PAYMENT", "MONEY_STATE_NONE"), "UPCOMING": ("ORDER_STATE_PAID", "MONEY_STATE_PAID"),
    "PAST": ("ORDER_STATE_PAID", "MONEY_STATE_PAID"), "REFUNDED": ("ORDER_STATE_REFUNDED", "MONEY_STATE_REFUNDED"),
    "CANCELLED": ("ORDER_STATE_CANCELLED", "MONEY_STATE_NONE"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_my_orders_by_filter(buyer, my_orders, language, name):
    answer = buyer.get("/v1/orders", params={"filter": f"ORDER_FILTER_{name}"})
    numbers = [o["order_no"] for o in answer["orders"]]
    assert my_orders[name] in numbers
    assert not set(numbers) & {no for other, no in my_orders.items() if other != name}
    row = next(o for o in answer["orders"] if o["order_no"] == my_orders[name])

    shown = ("order_no", "state", "title", "picture", "venue_name", "local_start", "time_zone", "places_text", "ticket_count", "total_minor", "currency", "money_state")
    assert_filled({member: row[member] for member in shown})
    assert_speaks(row, language, "title", "venue_name", "places_text")
    assert (row["state"], row["money_state"]) == STATES[name]
    assert (row["seconds_left"] > 0) == (name == "PENDING")
    assert (row["cancel_reason"] == "CANCEL_REASON_USER") == (name == "CANCELLED")
    assert row == buyer.get_order(row["order_no"]) | {"seconds_left": row["seconds_left"]}


def test_my_orders_page_by_page(buyer, my_orders):
    everything = buyer.get("/v1/orders", params={"page_size": 50})["orders"]
    seen, token = [], ""
    while True:
        page = buyer.get("/v1/orders", params={"page_size": 2, "page_token": token})
        seen += [o["order_no"] for o in page["orders"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == [o["order_no"] for o in everything] == sorted(seen, key=int, reverse=True)
    assert set(my_orders.values()) <= set(seen)


def test_refund(buyer, my_orders, language):
    order = buyer.get_order(my_orders["REFUNDED"])
    refund, = order["refunds"]

    assert_filled(refund)
    assert (refund["amount_minor"], refund["state"], refund["reason"], refund["note"]) == ("12000", "SUCCEEDED", "OPERATOR", "asked at the box office")
    assert moment(refund["request_time"]) <= moment(refund["success_time"]) < moment(refund["expected_by_time"])
    assert [t["state"] for t in order["tickets"]] == ["TICKET_STATE_VOID"]


def test_me(buyer, language):
    me = buyer.get("/v1/users/me")["user"]
    assert_filled(me, "mobile_masked", "city", "roles", "organiser_id")  # registered by e-mail; no operator
    assert me["email_masked"].endswith("@buyer.example") and "*" in me["email_masked"] and buyer.login["email"] not in str(me)
    assert me["language"] == language

    attendees = buyer.get("/v1/attendees")["attendees"]
    assert_filled(attendees)
    assert [a["name"] for a in attendees] == [a["name"] for a in buyer.attendees]
    assert all(a["verified"] and "**********" in a["id_number_masked"] for a in attendees)

    sessions = buyer.get("/v1/sessions")["sessions"]
    assert_filled(sessions)
    assert [s["device"] for s in sessions if s["current"]] == ["pytest"]


def test_me_by_mobile(nobody, language):
    """Registered by mobile, with a city."""
    mobile = f"139{secrets.randbelow(10**8):08d}"
    anybody = nobody.speaking(language)
    user = anybody.post("/v1/users", {"mobile": mobile, "password": "a good password", "name": "M", "city": "北京", "language": language})["user"]
    assert_filled(user, "email_masked", "roles", "organiser_id")
    assert user["mobile_masked"].endswith(mobile[-4:]) and mobile not in str(user)
    answer = anybody.post("/v1/sessions", {"login": mobile, "password": "a good password"})
    assert answer["user"]["user_id"] == user["user_id"] and answer["tokens"]["access_token"]
