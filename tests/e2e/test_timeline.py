"""An order's whole story for operators: the timeline, and finding the order by whatever the caller on the phone has."""

import json
import re
import secrets
import subprocess

import pytest

from api import Refused, moment, new_key, until
from conftest import HOME, log_in

ADMITTED = {"order.requested", "order.held", "order.committed", "event.sent", "payment.created", "payment.opened", "payment.notified", "payment.succeeded", "order.paid"}


@pytest.fixture(scope="module")
def show(new_show):
    return new_show(rows=10, seats=20, one_pending_order=False, account_limit=1000)


@pytest.fixture(scope="module")
def of_organiser(database, new_buyer, nobody):
    """of_organiser(organiser id) → one of its administrators."""

    def make(organiser_id):
        user = new_buyer()
        row = (int(organiser_id), int(user.user["user_id"]))
        database("user").execute("UPDATE account SET roles = 2, organiser_id = %s WHERE user_id = %s", row)
        return log_in(nobody, user.login, user.user)

    return make


def timeline(operator, order_no, **params):
    return operator.get(f"/v1/admin/orders/{order_no}/timeline", params=params)


def entries(operator, order_no):
    answer = timeline(operator, order_no, page_size=200)
    assert (answer["missing_parts"], answer["next_page_token"]) == ([], "")
    return [{**e, "facts": {f["name"]: f["value"] for f in e["facts"]}} for e in answer["entries"]]


def awaited(operator, order_no, *kinds):
    """The entries once these kinds are among them (they follow by events)."""
    return until(lambda: next((found for found in [entries(operator, order_no)] if set(kinds) <= {e["kind"] for e in found}), None), what=f"{kinds}")


def of_kind(found, kind):
    return [e for e in found if e["kind"] == kind]


def lookup(operator, **keys):
    return operator.get("/v1/admin/orders:lookup", params=keys)["orders"]


def numbers(operator, **keys):
    return [o["order_no"] for o in lookup(operator, **keys)]


def refusal(call, *arguments, **kw):
    with pytest.raises(Refused) as refused:
        call(*arguments, **kw)
    return refused.value.reason


def redeem(operator, show_id, code, door="Gate 4"):
    return operator.post("/v1/admin/tickets:redeem", {"code": code, "show_id": show_id, "door": door})


def test_bought_paid_scanned(buyer, show, new_show, operator):
    order = buyer.buy(show, count=2)
    tickets = [buyer.get(f"/v1/tickets/{t['ticket_id']}")["ticket"] for t in order["tickets"]]
    redeem(operator, show, tickets[0]["code"])
    assert refusal(redeem, operator, show, tickets[0]["code"]) == "TICKET_USED"
    assert refusal(redeem, operator, new_show(), tickets[1]["code"], "Gate 9") == "TICKET_OTHER_SHOW"

    found = awaited(operator, order["order_no"], *ADMITTED, "ticket.admitted", "ticket.refused")
    assert [e["kind"] for e in found][:3] == ["order.requested", "order.held", "order.committed"]
    times = [moment(e["time"]) for e in found]
    assert times == sorted(times)
    assert all(e["process"] in ("order", "pay") and e["request_id"] and e["text"] and e["time"] for e in found)
    held, committed = found[1], found[2]
    assert held["facts"]["place_nos"] == ",".join(str(t["place_no"]) for t in order["tickets"])
    assert (committed["facts"]["amount_minor"], committed["facts"]["currency"], committed["facts"]["tickets"]) == (order["total_minor"], "CNY", "2")
    assert found[0]["facts"]["user_id"] == buyer.user["user_id"] and found[0]["request_id"] == committed["request_id"]

    payment, = order["payments"]
    for kind in ("payment.created", "payment.opened", "payment.succeeded", "order.paid"):
        entry, = of_kind(found, kind)
        assert (entry["facts"]["payment_id"], entry["facts"]["amount_minor"]) == (payment["payment_id"], payment["amount_minor"])
    notice = of_kind(found, "payment.notified")[0]
    assert (notice["facts"]["outcome"], notice["facts"]["channel"]) == ("APPLIED", "sandbox")
    assert payment["payment_id"] in notice["facts"]["body"]
    assert notice["request_id"] == of_kind(found, "payment.succeeded")[0]["request_id"]
    assert {e["facts"]["event"] for e in of_kind(found, "event.sent")} >= {"order.created", "order.paid", "payment.succeeded"}

    scan, = of_kind(found, "ticket.admitted")
    assert (scan["facts"]["ticket_id"], scan["facts"]["door"]) == (tickets[0]["ticket_id"], "Gate 4") and int(scan["facts"]["by_user_id"]) > 0
    assert [(e["facts"]["ticket_id"], e["facts"]["reason"], e["facts"]["door"]) for e in of_kind(found, "ticket.refused")] == [
        (tickets[0]["ticket_id"], "TICKET_USED", "Gate 4"), (tickets[1]["ticket_id"], "TICKET_OTHER_SHOW", "Gate 9")]


def test_refused_scans_are_bounded(buyer, show, operator):
    order = buyer.buy(show)
    code = buyer.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")["ticket"]["code"]
    redeem(operator, show, code)
    for _ in range(105):
        assert refusal(redeem, operator, show, code) == "TICKET_USED"
    assert len(of_kind(entries(operator, order["order_no"]), "ticket.refused")) == 100


def test_refund_by_an_operator(buyer, show, operator):
    order = buyer.buy(show)
    operator.post(f"/v1/admin/orders/{order['order_no']}:refund", {"reason": "the heating failed"})
    found = awaited(operator, order["order_no"], "order.refunded", "refund.requested", "refund.accepted", "refund.succeeded")
    asked, accepted, back = (of_kind(found, kind)[0]["facts"] for kind in ("refund.requested", "refund.accepted", "refund.succeeded"))
    assert (asked["reason"], asked["note"]) == ("OPERATOR", "the heating failed") and int(asked["by_user_id"]) > 0
    assert asked["refund_id"] == accepted["refund_id"] == back["refund_id"]
    assert back["amount_minor"] == order["total_minor"]
    # One story has one request: pay acts on order's word in the name of whoever asked.
    assert of_kind(found, "refund.accepted")[0]["request_id"] == of_kind(found, "refund.requested")[0]["request_id"]


def test_expired_with_late_money(buyer, new_show, sandbox, operator):
    payment = buyer.pay(buyer.best(new_show(hold_seconds=2))["order_no"])
    sandbox(charge_id=payment["payment_id"], delay_ms=4000)
    assert buyer.press(payment).status_code == 200
    buyer.await_order(payment["order_no"], money_state="MONEY_STATE_REFUNDED", timeout=30)
    found = awaited(operator, payment["order_no"], "order.cancelled", "payment.succeeded", "refund.requested", "refund.succeeded")
    gone = of_kind(found, "order.cancelled")[0]
    assert (gone["facts"]["reason"], gone["process"]) == ("EXPIRED", "order") and gone["request_id"]
    assert of_kind(found, "refund.requested")[0]["facts"]["reason"] == "LATE_PAYMENT"
    assert not of_kind(found, "order.paid")


def test_an_operators_decision(buyer, show, sandbox, operator):
    payment = buyer.pay(buyer.best(show)["order_no"])
    sandbox(charge_id=payment["payment_id"], received_minor=12345)
    assert buyer.press(payment).status_code == 200
    buyer.await_order(payment["order_no"], money_state="MONEY_STATE_PARKED")
    entry, = (e for e in operator.get("/v1/admin/parked-money", params={"page_size": 200})["parked"] if e["payment_id"] == payment["payment_id"])
    body = {"kind": "DECISION_KIND_REFUND", "revision": entry["revision"], "reason": "paid by mistake"}
    operator.post(f"/v1/admin/payments/{payment['payment_id']}:decide", body, key=new_key())
    found = awaited(operator, payment["order_no"], "payment.parked", "money.decided", "refund.started", "refund.succeeded")
    assert of_kind(found, "payment.parked")[0]["facts"]["received_minor"] == "12345"
    assert "MISMATCH" in {e["facts"]["outcome"] for e in of_kind(found, "payment.notified")}
    decided = of_kind(found, "money.decided")[0]["facts"]
    assert (decided["decision"], decided["reason"], decided["amount_minor"]) == ("REFUND", "paid by mistake", "12345")
    assert int(decided["by_user_id"]) > 0 and decided["cause"]


def test_a_buyers_cancel_names_the_buyer(buyer, show, operator):
    order = buyer.best(show)
    buyer.post(f"/v1/orders/{order['order_no']}:cancel")
    gone = of_kind(entries(operator, order["order_no"]), "order.cancelled")[0]
    assert (gone["facts"]["reason"], gone["facts"]["by_user_id"]) == ("USER", buyer.user["user_id"])


def test_pages_give_the_same_story(buyer, show, operator):
    order = buyer.buy(show)
    whole = awaited(operator, order["order_no"], *ADMITTED)
    until(lambda: len(entries(operator, order["order_no"])) == len(whole), what="the last event to be sent")
    whole, paged, token = timeline(operator, order["order_no"], page_size=200)["entries"], [], ""
    while True:
        page = timeline(operator, order["order_no"], page_size=2, page_token=token)
        assert len(page["entries"]) <= 2
        paged += page["entries"]
        token = page["next_page_token"]
        if not token:
            break
    assert paged[: len(whole)] == whole
    for bad in ({"page_size": 201}, {"page_token": "nonsense"}):
        assert refusal(timeline, operator, order["order_no"], **bad) == "FIELD_INVALID"


def test_in_words(buyer, show, operator):
    order = buyer.best(show)
    texts = {language: timeline(operator.speaking(language) if language == "en" else chinese(operator), order["order_no"])["entries"][1]["text"] for language in ("en", "zh-CN")}
    assert texts == {"en": "Places were held", "zh-CN": "座位已锁定"}


def chinese(operator):
    operator.headers()  # a token that is not old
    return operator.speaking("zh-CN")


def test_not_for_strangers(buyer, show, new_show, operator, of_organiser):
    order = buyer.buy(show)
    own, other = of_organiser(order["organiser_id"]), of_organiser(buyer.buy(new_show())["organiser_id"])
    path = f"/v1/admin/orders/{order['order_no']}/timeline"
    assert refusal(buyer.get, path) == "FORBIDDEN"
    assert refusal(buyer.get, "/v1/admin/orders:lookup", params={"order_no": order["order_no"]}) == "FORBIDDEN"
    assert refusal(other.get, path) == refusal(operator.get, "/v1/admin/orders/4711/timeline") == "NOT_FOUND"
    assert of_kind(entries(own, order["order_no"]), "order.paid")
    ticket, place = order["tickets"][0]["ticket_id"], order["tickets"][0]["place_no"]
    keys = [{"order_no": order["order_no"]}, {"ticket_id": ticket}, {"show_id": show, "place_no": place}, {"email": buyer.login["email"]}]
    for key in keys:
        assert order["order_no"] in numbers(own, **key)
        assert order["order_no"] not in numbers(other, **key)
    nobodys = f"{secrets.token_hex(8)}@buyer.example"
    assert other.get("/v1/admin/orders:lookup", params=keys[0]).keys() == other.get("/v1/admin/orders:lookup", params={"email": nobodys}).keys()


def test_found_by_every_key(new_buyer, show, operator, nobody):
    mobile, password = f"139{secrets.randbelow(10**8):08d}", secrets.token_hex(8)
    email = f"{secrets.token_hex(8)}@buyer.example"
    user = nobody.post("/v1/users", {"mobile": mobile, "email": email, "password": password, "name": "Li"})["user"]
    buyer = log_in(nobody, {"email": email, "password": password}, user)
    first, order = buyer.best(show), buyer.buy(show)
    ticket = buyer.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")["ticket"]
    payment = buyer.get(f"/v1/orders/{order['order_no']}/payments")["payments"][0]
    only = [order["order_no"]]
    assert numbers(operator, order_no=order["order_no"]) == only
    assert numbers(operator, ticket_id=ticket["ticket_id"]) == only
    assert numbers(operator, ticket_code=ticket["code"]) == only
    assert numbers(operator, provider_no=payment["provider_no"]) == only
    assert numbers(operator, show_id=show, place_no=order["tickets"][0]["place_no"]) == only
    both = [order["order_no"], first["order_no"]]
    assert numbers(operator, mobile=mobile) == numbers(operator, mobile=f"+86{mobile}") == numbers(operator, email=email.upper()) == both

    found = lookup(operator, mobile=mobile)[0]
    assert (found["mobile_masked"], found["email_masked"]) == (f"{mobile[:3]}****{mobile[7:]}", f"{email[0]}***@buyer.example")
    assert (found["state"], found["total_minor"], found["places_text"], found["title"]) == (order["state"], order["total_minor"], order["places_text"], order["title"])
    assert mobile not in json.dumps(lookup(operator, mobile=mobile))

    page = operator.get("/v1/admin/orders:lookup", params={"email": email, "page_size": 1})
    rest = operator.get("/v1/admin/orders:lookup", params={"email": email, "page_size": 1, "page_token": page["next_page_token"]})
    assert [o["order_no"] for o in page["orders"] + rest["orders"]] == both and not rest["next_page_token"]


def test_a_place_in_words_and_who_had_it(buyers, show, operator):
    buyer, other = buyers(2)
    given_up = buyer.best(show)
    place, words = given_up["tickets"][0]["place_no"], given_up["tickets"][0]["place_text"]
    in_chinese = buyer.speaking("zh-CN").get_order(given_up["order_no"])["tickets"][0]["place_text"]
    buyer.post(f"/v1/orders/{given_up['order_no']}:cancel")
    taken = other.order(show, place_nos=[place])
    both = [taken["order_no"], given_up["order_no"]]
    assert in_chinese != words
    for key in ({"place_no": place}, {"place": words}, {"place": in_chinese}):
        assert numbers(operator, show_id=show, **key) == both
    assert numbers(operator, show_id=show, place=words + "0") == numbers(operator, show_id=4711, place_no=place) == []


@pytest.mark.parametrize(
    "keys",
    ({}, {"order_no": 1, "ticket_id": 2}, {"mobile": "12"}, {"email": "nobody"}, {"show_id": 1}, {"show_id": 1, "place_no": 2, "place": "x"}, {"ticket_code": "TF1.x.y"}, {"order_no": 1, "page_size": 51}),
    ids=str,
)
def test_bad_questions(operator, keys):
    assert refusal(lookup, operator, **keys) == "FIELD_INVALID"


def test_looks_are_logged_without_names(buyer, show, operator):
    order = buyer.best(show)
    assert numbers(operator, email=buyer.login["email"]) == [order["order_no"]]
    timeline(operator, order["order_no"])

    def lines():
        found = [json.loads(line) for line in (HOME / "log" / "order.log").read_text().splitlines() if "audit: " in line]
        looked = [x for x in found if x["message"] == "audit: orders were looked up" and x["key"] == "email"]
        read = [x for x in found if x["message"] == "audit: a timeline was read" and x["order_no"] == order["order_no"]]
        return (looked[-1], read[-1]) if looked and read else None

    looked, read = until(lines, what="the audit lines")
    assert re.fullmatch("[0-9a-f]{16}", looked["subject"]) and int(looked["operator"]) > 0 and looked["request_id"]
    assert int(read["operator"]) > 0 and read["request_id"]
    for log in (HOME / "log").glob("*.log"):
        assert buyer.login["email"] not in log.read_text(errors="replace")


def test_pay_away_is_said(buyer, show, operator, local):
    order = buyer.buy(show)
    subprocess.run(["kill", "-STOP", str(local.parts()["pay"]["pid"])], check=True)
    try:
        answer = timeline(operator, order["order_no"])
    finally:
        subprocess.run(["kill", "-CONT", str(local.parts()["pay"]["pid"])], check=True)
    assert answer["missing_parts"] == ["pay"]
    kinds = {e["kind"] for e in answer["entries"]}
    assert "order.paid" in kinds and "payment.created" not in kinds
    assert until(lambda: not timeline(operator, order["order_no"])["missing_parts"], timeout=30, what="pay's part")
