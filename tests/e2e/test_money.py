"""Money ends in exactly one of a ticket or a refund, whatever the provider's notifications do; tickets admit once; refunds and cancels may be repeated."""

import base64
import collections
import json
import time

import httpx
import pytest

from api import Refused, new_key, until, volley
from conftest import GATEWAY, sandbox_signature

PENDING, PAID, CANCELLED = "ORDER_STATE_PENDING_PAYMENT", "ORDER_STATE_PAID", "ORDER_STATE_CANCELLED"


@pytest.fixture(scope="module")
def show(new_show):
    """Shared by this file's tests: any buyer may have many orders."""
    return new_show(rows=20, seats=50, one_pending_order=False, account_limit=1000)


@pytest.fixture
def buyer(buyers):
    return buyers(1)[0]


def refusal(call, *arguments, **kw):
    with pytest.raises(Refused) as refused:
        call(*arguments, **kw)
    return refused.value.reason


def assert_paid_once(buyer, order_no, payment, books):
    order = buyer.get_order(order_no)
    assert (order["state"], order["money_state"], order["refunds"]) == (PAID, "MONEY_STATE_PAID", [])
    assert [(p["payment_id"], p["amount_minor"]) for p in order["payments"] if p["state"] == "SUCCEEDED"] == [(payment["payment_id"], order["total_minor"])]
    assert {t["state"] for t in order["tickets"]} == {"TICKET_STATE_VALID"}
    charge = books()["charges"][payment["payment_id"]]
    assert (charge["state"], charge["refunded_minor"], charge["amount_minor"]) == ("SUCCEEDED", 0, int(order["total_minor"]))


def notes(database, payment):
    """(outcome, copies) of the verified notifications kept for a payment, in the order of their arrival."""
    rows = database("pay").execute("SELECT outcome, copies FROM notification WHERE payment_id = %s ORDER BY received_at, outcome", [int(payment["payment_id"])])
    return [tuple(r) for r in rows]


# ---- notifications that go astray ----

ASTRAY = {
    "delayed": ({"delay_ms": 600}, {"APPLIED": 1}),
    "five times": ({"copies": 4}, {"APPLIED": 5}),
    "the older one last": ({"copies": 3, "reorder": True}, {"APPLIED": 1, "REPEATED": 3}),
    "a forged one first": ({"forge": True}, {"APPLIED": 1}),
    "a wrong amount first": ({"wrong_amount": True}, {"MISMATCH": 1, "REPEATED": 1}),
    "late, twice, and with a forged one": ({"delay_ms": 300, "copies": 1, "forge": True}, None),
}


@pytest.mark.parametrize("name", ASTRAY)
def test_notifications(buyer, show, sandbox, books, database, name):
    fault, expected = ASTRAY[name]
    payment = buyer.pay(buyer.best(show, 2)["order_no"])
    sandbox(charge_id=payment["payment_id"], **fault)
    assert buyer.press(payment).status_code == 200
    if "delay_ms" in fault:
        assert buyer.get_order(payment["order_no"])["state"] == PENDING
    buyer.await_order(payment["order_no"], state=PAID)

    def arrived():
        seen = collections.Counter()
        for outcome, copies in notes(database, payment):
            seen[outcome] += copies
        return expected is None or seen == expected

    until(arrived, timeout=5, what=f"notifications {expected}, are {notes(database, payment)}")
    assert_paid_once(buyer, payment["order_no"], payment, books)


def test_a_lost_notification_is_found_when_the_buyer_asks(buyer, show, sandbox, books, database):
    payment = buyer.pay(buyer.best(show)["order_no"])
    sandbox(charge_id=payment["payment_id"], lose=True)
    buyer.press(payment)
    assert buyer.get_order(payment["order_no"])["state"] == PENDING
    assert buyer.check(payment)["state"] == "PAYMENT_STATE_SUCCEEDED"
    buyer.await_order(payment["order_no"], timeout=2, state=PAID)
    assert notes(database, payment) == []
    assert_paid_once(buyer, payment["order_no"], payment, books)


def test_a_lost_notification_is_found_without_anybody_asking(buyer, show, sandbox, books):
    """Of three orders: one waits for its ticket, one was cancelled, one was paid by another attempt meanwhile."""
    waiting, given_up, twice = (buyer.best(show) for _ in range(3))
    payments = [buyer.pay(o["order_no"]) for o in (waiting, given_up, twice)]
    for payment in payments:
        sandbox(charge_id=payment["payment_id"], lose=True)
        buyer.press(payment)
    buyer.post(f"/v1/orders/{given_up['order_no']}:cancel")
    buyer.paid(twice)

    buyer.await_order(waiting["order_no"], state=PAID)
    assert_paid_once(buyer, waiting["order_no"], payments[0], books)
    assert_refunded(buyer, given_up["order_no"], CANCELLED, payments[1], "LATE_PAYMENT", books)
    assert_refunded(buyer, twice["order_no"], PAID, payments[2], "SECOND_PAYMENT", books)


def signed(key, body, **kw):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return text, {"Sandbox-Signature": sandbox_signature(key, text, **kw)}


def notify(text, headers, channel="sandbox"):
    return httpx.post(f"{GATEWAY}/v1/payments/notify/{channel}", content=text, headers={"Content-Type": "application/json", **headers})


def notice(payment, **change):
    return {
        "type": "charge.succeeded", "charge_id": payment["payment_id"], "provider_no": payment["provider_no"],
        "amount_minor": int(payment["amount_minor"]), "currency": payment["currency"], "paid_ms": int(time.time() * 1000), **change,
    }  # fmt: skip


OTHER_KEY = b"\x07" * 32
FORGERIES = {
    "no signature": lambda key, p: (json.dumps(notice(p)).encode(), {}),
    "an empty signature": lambda key, p: (json.dumps(notice(p)).encode(), {"Sandbox-Signature": ""}),
    "a signature by somebody else": lambda key, p: signed(OTHER_KEY, notice(p)),
    "a signature of another body": lambda key, p: (json.dumps(notice(p)).encode() + b" ", signed(key, notice(p))[1]),
    "a signature without a time": lambda key, p: (json.dumps(notice(p)).encode(), {"Sandbox-Signature": signed(key, notice(p))[1]["Sandbox-Signature"].partition(",")[2]}),
    "a signature an hour old": lambda key, p: signed(key, notice(p), seconds=time.time() - 3600),
    "a signature of tomorrow": lambda key, p: signed(key, notice(p), seconds=time.time() + 86400),
    "a merchant's signature of a call": lambda key, p: (json.dumps(notice(p)).encode(), {"Sandbox-Signature": sandbox_signature(key, b"POST /notify\n" + json.dumps(notice(p)).encode())}),
}
NONSENSE = {
    "not JSON": (b"charge.succeeded", 400, "FIELD_INVALID"),
    "another type": ({"type": "charge.created"}, 400, "FIELD_INVALID"),
    "no charge": ({"charge_id": ""}, 400, "FIELD_INVALID"),
    "a charge of nobody": ({"charge_id": "12345"}, 404, "NOT_FOUND"),
}


@pytest.fixture
def waiting(buyer, show, database):
    """A payment that waits; afterwards nothing may have changed, and the true payment still counts."""
    payment = buyer.pay(buyer.best(show)["order_no"])
    order = buyer.get_order(payment["order_no"])
    yield payment
    assert buyer.get_payment(payment) == payment
    assert buyer.get_order(payment["order_no"]) | {"seconds_left": 0} == order | {"seconds_left": 0}
    assert notes(database, payment) == []
    buyer.paid(order, payment)


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_notifications_change_nothing(waiting, sandbox_key, name):
    response = notify(*FORGERIES[name](sandbox_key, waiting))
    assert (response.status_code, response.json()["reason"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("name", NONSENSE)
def test_signed_nonsense_changes_nothing(waiting, sandbox_key, name):
    body, status, reason = NONSENSE[name]
    body = body if isinstance(body, bytes) else notice(waiting, **body)
    response = notify(*signed(sandbox_key, body))
    assert (response.status_code, response.json()["reason"]) == (status, reason)


def test_an_unknown_channel_is_not_found(waiting, sandbox_key):
    response = notify(*signed(sandbox_key, notice(waiting)), channel="nobody")
    assert (response.status_code, response.json()["reason"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("change", ({"amount_minor": 1}, {"amount_minor": 10**15}, {"amount_minor": -10000}, {"currency": "JPY"}), ids=str)
def test_money_of_another_amount_makes_no_ticket(buyer, show, sandbox_key, books, database, change):
    """Signed by the provider, but not what the order costs: kept for the record, not believed; the provider's books decide."""
    payment = buyer.pay(buyer.best(show)["order_no"])
    response = notify(*signed(sandbox_key, notice(payment, **change)))
    assert (response.status_code, response.json()) == (200, {"ok": True})
    assert notes(database, payment) == [("MISMATCH", 1)]
    assert buyer.check(payment)["state"] == "PAYMENT_STATE_PROCESSING"
    order = buyer.get_order(payment["order_no"])
    assert (order["state"], order["payments"], order["refunds"]) == (PENDING, [], [])
    buyer.paid(order, payment)
    assert_paid_once(buyer, order["order_no"], payment, books)
    assert database("pay").execute("SELECT parked FROM payment WHERE payment_id = %s", [int(payment["payment_id"])]).fetchone() == (False,)


# ---- attempts ----


def assert_refunded(buyer, order_no, state, payment, reason, books):
    """This payment came back, whole and once, and the order says so."""

    def back():
        order = buyer.get_order(order_no)
        return next((order for r in order["refunds"] if r["payment_id"] == payment["payment_id"] and r["state"] == "SUCCEEDED"), None)

    order = until(back, what=f"refund of payment {payment['payment_id']}")
    refund, = (r for r in order["refunds"] if r["payment_id"] == payment["payment_id"])
    assert (order["state"], refund["reason"], refund["amount_minor"]) == (state, reason, payment["amount_minor"])
    assert order["money_state"] == {PAID: "MONEY_STATE_PAID", CANCELLED: "MONEY_STATE_REFUNDED", "ORDER_STATE_REFUNDED": "MONEY_STATE_REFUNDED"}[state]
    assert (payment["payment_id"], "SUCCEEDED") in [(p["payment_id"], p["state"]) for p in order["payments"]]
    in_books = books()
    assert in_books["charges"][payment["payment_id"]]["refunded_minor"] == int(payment["amount_minor"])
    assert [r["refund_id"] for r in in_books["refunds"] if r["charge_id"] == payment["payment_id"]] == [refund["refund_id"]]
    return order


def test_two_payments_of_one_order(buyer, show, sandbox, books):
    order = buyer.best(show)
    first, second, third = (buyer.pay(order["order_no"]) for _ in range(3))
    assert len({p["payment_id"] for p in (first, second, third)}) == 3
    sandbox(charge_id=second["payment_id"], delay_ms=1000)
    assert buyer.press(second).status_code == 200  # pressed first, heard of last
    buyer.paid(order, first)
    until(lambda: buyer.get(f"/v1/orders/{order['order_no']}/payments/{third['payment_id']}")["payment"]["state"] == "PAYMENT_STATE_CLOSED", what="the end of the attempt that is left")
    assert buyer.press(third).status_code == 409
    order = assert_refunded(buyer, order["order_no"], PAID, second, "SECOND_PAYMENT", books)
    assert {t["state"] for t in order["tickets"]} == {"TICKET_STATE_VALID"}
    assert books()["charges"][first["payment_id"]]["refunded_minor"] == 0


def test_five_payments_of_one_order_at_one_moment(buyer, show, sandbox, books):
    order = buyer.best(show)
    payments = [buyer.pay(order["order_no"]) for _ in range(5)]
    at = round(time.time() * 1000) + 500
    for payment in payments:
        sandbox(charge_id=payment["payment_id"], notify_at_ms=at)
        buyer.press(payment)
    order = until(lambda: next((o for o in [buyer.get_order(order["order_no"])] if [r["state"] for r in o["refunds"]] == ["SUCCEEDED"] * 4), None), what="four refunds")
    assert (order["state"], order["money_state"]) == (PAID, "MONEY_STATE_PAID")
    kept = {p["payment_id"] for p in payments} - {r["payment_id"] for r in order["refunds"]}
    assert len(kept) == 1 and {r["reason"] for r in order["refunds"]} == {"SECOND_PAYMENT"}
    charges = books()["charges"]
    assert sum(charges[p["payment_id"]]["amount_minor"] - charges[p["payment_id"]]["refunded_minor"] for p in payments) == int(order["total_minor"])


def test_a_declined_attempt_does_not_block_the_next(buyer, show, sandbox, books):
    order = buyer.best(show)
    declined = buyer.pay(order["order_no"])
    sandbox(charge_id=declined["payment_id"], decline=True)
    assert buyer.press(declined).status_code == 402
    assert buyer.check(declined)["state"] == "PAYMENT_STATE_PROCESSING"
    assert buyer.get_order(order["order_no"])["state"] == PENDING

    other = buyer.pay(order["order_no"])
    buyer.paid(order, other)
    assert_paid_once(buyer, order["order_no"], other, books)
    attempts = lambda: [(p["payment_id"], p["state"]) for p in buyer.get(f"/v1/orders/{order['order_no']}/payments")["payments"]]
    until(lambda: attempts() == [(declined["payment_id"], "PAYMENT_STATE_CLOSED"), (other["payment_id"], "PAYMENT_STATE_SUCCEEDED")], what="the end of the attempt that is left")


def test_the_declined_attempt_may_be_tried_again_too(buyer, show, sandbox, books):
    order = buyer.best(show)
    payment = buyer.pay(order["order_no"])
    sandbox(charge_id=payment["payment_id"], decline=True)
    assert buyer.press(payment).status_code == 402
    buyer.paid(order, payment)
    assert_paid_once(buyer, order["order_no"], payment, books)


def test_money_after_a_cancel_comes_back(buyer, show, sandbox, books):
    order = buyer.best(show)
    payment = buyer.pay(order["order_no"])
    sandbox(charge_id=payment["payment_id"], settle_at_ms=round(time.time() * 1000) + 1000)
    buyer.press(payment)  # and while the money is on its way
    buyer.post(f"/v1/orders/{order['order_no']}:cancel")
    order = assert_refunded(buyer, order["order_no"], CANCELLED, payment, "LATE_PAYMENT", books)
    assert {t["state"] for t in order["tickets"]} == {"TICKET_STATE_VOID"}


def test_money_a_second_after_the_hold_comes_back(buyers, new_show, sandbox, books):
    buyer, next_buyer = buyers(2)
    show = new_show(rows=1, seats=1, hold_seconds=2)
    order = buyer.best(show)
    payment = buyer.pay(order["order_no"])
    sandbox(charge_id=payment["payment_id"], settle_at_ms=round(time.time() * 1000) + 3000)
    buyer.press(payment)
    buyer.await_order(order["order_no"], state=CANCELLED)
    sold = until(lambda: resale(next_buyer, show), what="the place's next buyer")
    order = assert_refunded(buyer, order["order_no"], CANCELLED, payment, "LATE_PAYMENT", books)
    assert order["cancel_reason"] == "CANCEL_REASON_EXPIRED"
    next_buyer.paid(sold)


def resale(buyer, show):
    try:
        return buyer.best(show)
    except Refused as refused:
        assert refused.reason == "NONE_FREE_NOW"


def test_payment_against_cancel(buyer, show, sandbox):
    """The notification and the buyer's cancel at one moment, thirty times: a ticket, or the money back."""
    outcomes = collections.Counter()
    for i in range(30):
        order = buyer.best(show)
        payment = buyer.pay(order["order_no"])
        at = time.time() + 0.05
        sandbox(charge_id=payment["payment_id"], notify_at_ms=round(at * 1000))
        buyer.press(payment)
        time.sleep(max(0, at + 0.001 * (i % 15) - time.time()))
        answer, = volley([buyer.prepared("POST", f"/v1/orders/{order['order_no']}:cancel", {})])
        if answer.status == 200:
            order = buyer.await_order(order["order_no"], money_state="MONEY_STATE_REFUNDED")
            assert (order["state"], [r["reason"] for r in order["refunds"]]) == (CANCELLED, ["LATE_PAYMENT"])
        else:
            assert (answer.reason, answer.body["state"]) == ("STATE_WRONG", "PAID")
            order = buyer.get_order(order["order_no"])
            assert (order["state"], order["refunds"]) == (PAID, [])
        outcomes[answer.reason] += 1
    print(dict(outcomes))


REFUSED_PAYMENTS = {
    "of a paid order": (lambda b, other, orders: b.pay(orders["paid"]), "STATE_WRONG"),
    "of a cancelled order": (lambda b, other, orders: b.pay(orders["cancelled"]), "HOLD_OVER"),
    "of somebody else's order": (lambda b, other, orders: other.pay(orders["pending"]), "NOT_FOUND"),
    "of no order": (lambda b, other, orders: b.pay(4711), "NOT_FOUND"),
    "by a method that is not on offer": (lambda b, other, orders: b.post(f"/v1/orders/{orders['pending']}/payments", {"method": "barter"}, key=new_key()), "FIELD_INVALID"),
    "without a key": (lambda b, other, orders: b.post(f"/v1/orders/{orders['pending']}/payments", {"method": "sandbox"}), "FIELD_INVALID"),
    "with an amount of one's own": (lambda b, other, orders: b.post(f"/v1/orders/{orders['pending']}/payments", {"amount_minor": "1"}, key=new_key()), "FIELD_INVALID"),
}


@pytest.fixture(scope="module")
def three_orders(buyers, show):
    buyer, = buyers(1)
    orders = {"paid": buyer.buy(show)["order_no"], "cancelled": buyer.best(show)["order_no"], "pending": buyer.best(show)["order_no"]}
    buyer.post(f"/v1/orders/{orders['cancelled']}:cancel")
    return orders


@pytest.mark.parametrize("name", REFUSED_PAYMENTS)
def test_payments_that_are_refused(buyers, three_orders, name):
    buyer, other = buyers(2)
    attempt, reason = REFUSED_PAYMENTS[name]
    assert refusal(attempt, buyer, other, three_orders) == reason
    assert buyer.get(f"/v1/orders/{three_orders['pending']}/payments")["payments"] == []


# ---- cancel, refund ----


def test_a_cancel_may_be_repeated(buyers, show):
    buyer, other = buyers(2)
    order = buyer.best(show, 3)
    path = f"/v1/orders/{order['order_no']}:cancel"
    assert refusal(other.post, path) == "NOT_FOUND"
    assert buyer.get_order(order["order_no"])["state"] == PENDING
    answers = volley([buyer.prepared("POST", path, {}) for _ in range(10)])
    assert [a.reason for a in answers] == [None] * 10
    orders = [a.order for a in answers] + [buyer.post(path)["order"]]
    assert {(o["state"], o["cancel_reason"], o["cancel_time"]) for o in orders} == {(CANCELLED, "CANCEL_REASON_USER", orders[0]["cancel_time"])}


def test_a_cancelled_order_gives_its_places_back(buyers, new_show):
    buyer, other = buyers(2)
    show = new_show(rows=1, seats=2)
    order = buyer.best(show, 2)
    buyer.post(f"/v1/orders/{order['order_no']}:cancel")
    again = other.best(show, 2)
    assert [t["place_no"] for t in again["tickets"]] == [t["place_no"] for t in order["tickets"]]


def test_who_cancelled_may_order_again_at_once(buyers, new_show):
    """A show with one place, one ticket an account and one unpaid order a buyer: the answer to the cancel frees all three."""
    buyer, = buyers(1)
    show = new_show(rows=1, seats=1, account_limit=1)
    for _ in range(25):
        buyer.post(f"/v1/orders/{buyer.best(show)['order_no']}:cancel")


def test_a_paid_order_cannot_be_cancelled(buyer, show):
    order = buyer.buy(show)
    with pytest.raises(Refused) as refused:
        buyer.post(f"/v1/orders/{order['order_no']}:cancel")
    assert (refused.value.status, refused.value.reason, refused.value.problem["state"]) == (409, "STATE_WRONG", "PAID")
    assert buyer.get_order(order["order_no"]) == order


def test_an_operators_refund_happens_once(buyers, new_show, operator, books):
    buyer, other = buyers(2)
    show = new_show(rows=1, seats=2)
    order = buyer.best(show, 2)
    payment = buyer.pay(order["order_no"])
    order = buyer.paid(order, payment)
    code = buyer.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")["ticket"]["code"]

    path = f"/v1/admin/orders/{order['order_no']}:refund"
    answers = volley([operator.prepared("POST", path, {"reason": "rain"}) for _ in range(20)])
    assert [a.reason for a in answers] == [None] * 20
    assert len({a.order["refunds"][0]["refund_id"] for a in answers}) == 1
    assert {a.order["state"] for a in answers} == {"ORDER_STATE_REFUNDED"}
    refunded = assert_refunded(buyer, order["order_no"], "ORDER_STATE_REFUNDED", payment, "OPERATOR", books)
    assert operator.post(path, {"reason": "another word"})["order"] == refunded
    assert refunded["refunds"][0]["note"] == "rain"

    assert {t["state"] for t in refunded["tickets"]} == {"TICKET_STATE_VOID"}
    ticket = buyer.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")["ticket"]
    assert (ticket["state"], ticket["code"]) == ("TICKET_STATE_VOID", "")
    assert refusal(operator.post, "/v1/admin/tickets:redeem", {"code": code, "show_id": show}) == "TICKET_VOID"
    sold = until(lambda: resale(other, show), timeout=3, what="the refunded place's next buyer")
    assert sold["tickets"][0]["place_no"] in [t["place_no"] for t in order["tickets"]]


REFUSED_REFUNDS = {
    "of an unpaid order": ("pending", {"reason": "x"}, 409, "STATE_WRONG"),
    "of a cancelled order": ("cancelled", {"reason": "x"}, 409, "STATE_WRONG"),
    "of no order": (None, {"reason": "x"}, 404, "NOT_FOUND"),
    "without a reason": ("paid", {}, 400, "FIELD_INVALID"),
    "with too long a reason": ("paid", {"reason": "x" * 201}, 400, "FIELD_INVALID"),
}


@pytest.mark.parametrize("name", REFUSED_REFUNDS)
def test_refunds_that_are_refused(buyer, operator, three_orders, name):
    which, body, status, reason = REFUSED_REFUNDS[name]
    before = {no: buyer.get_order(no)["state"] for no in three_orders.values()}
    with pytest.raises(Refused) as refused:
        operator.post(f"/v1/admin/orders/{three_orders.get(which, 4711)}:refund", body)
    assert (refused.value.status, refused.value.reason) == (status, reason)
    assert {no: buyer.get_order(no)["state"] for no in three_orders.values()} == before


def test_buyers_do_not_refund_or_redeem(buyer, show, three_orders):
    assert refusal(buyer.post, f"/v1/admin/orders/{three_orders['paid']}:refund", {"reason": "x"}) == "FORBIDDEN"
    assert refusal(buyer.post, "/v1/admin/tickets:redeem", {"code": "TF1.x.y", "show_id": show}) == "FORBIDDEN"


def test_a_refund_of_a_used_ticket_is_refused(buyer, show, operator):
    order = buyer.buy(show, 2)
    ticket = order["tickets"][1]["ticket_id"]
    redeem(operator, show, buyer.get(f"/v1/tickets/{ticket}")["ticket"]["code"])
    with pytest.raises(Refused) as refused:
        operator.post(f"/v1/admin/orders/{order['order_no']}:refund", {"reason": "x"})
    assert (refused.value.reason, refused.value.problem["used_ticket_ids"]) == ("STATE_WRONG", ticket)
    after = buyer.get_order(order["order_no"])
    assert (after["state"], after["refunds"], [t["state"] for t in after["tickets"]]) == (PAID, [], ["TICKET_STATE_VALID", "TICKET_STATE_USED"])


# ---- the door ----


def redeem(operator, show, code, door="Door 1"):
    return operator.post("/v1/admin/tickets:redeem", {"code": code, "show_id": show, "door": door})["ticket"]


def flip(code, part):
    """Another letter in the middle of one of the code's parts."""
    parts = code.split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    return ".".join(parts)


def with_claims(code, change):
    parts = code.split(".")
    claims = bytearray(base64.urlsafe_b64decode(parts[1] + "="))
    change(claims)
    return ".".join([parts[0], base64.urlsafe_b64encode(bytes(claims)).decode().rstrip("="), parts[2]])


FORGED = {
    "a letter of the claims": lambda code, other: flip(code, 1),
    "a letter of the signature": lambda code, other: flip(code, 2),
    "another prefix": lambda code, other: "TF2" + code[3:],
    "the signature of another ticket": lambda code, other: code.rpartition(".")[0] + "." + other.rpartition(".")[2],
    "the next ticket's number": lambda code, other: with_claims(code, lambda c: c.__setitem__(11, c[11] ^ 1)),
    "another show": lambda code, other: with_claims(code, lambda c: c.__setitem__(19, c[19] ^ 1)),
    "another key": lambda code, other: with_claims(code, lambda c: c.__setitem__(1, c[1] + 1)),
    "a later issue": lambda code, other: with_claims(code, lambda c: c.__setitem__(3, c[3] + 1)),
    "cut short": lambda code, other: code[:-1],
    "one letter more": lambda code, other: code + "A",
    "padding": lambda code, other: code + "=",
    "a blank before": lambda code, other: " " + code,
    "a word": lambda code, other: "admit me",
    "no signature": lambda code, other: code.rpartition(".")[0] + ".",
}


@pytest.fixture(scope="module")
def tickets(buyers, show):
    buyer, = buyers(1)
    return [buyer.get(f"/v1/tickets/{t['ticket_id']}")["ticket"] for t in buyer.buy(show, 2)["tickets"]]


@pytest.mark.parametrize("name", FORGED)
def test_forged_codes(buyer, operator, show, tickets, name):
    code, other = (t["code"] for t in tickets)
    reason = refusal(redeem, operator, show, FORGED[name](code, other))
    assert reason == "TICKET_FORGED" or (len(FORGED[name](code, other)) > len(code) and reason == "FIELD_INVALID"), reason
    assert buyer.get(f"/v1/tickets/{tickets[0]['ticket_id']}")["ticket"]["state"] == "TICKET_STATE_VALID"


def test_the_door_tells_its_refusals_apart(buyer, show, operator, new_show):
    valid, void = (buyer.get(f"/v1/tickets/{buyer.buy(show)['tickets'][0]['ticket_id']}")["ticket"] for _ in range(2))
    elsewhere = new_show()
    operator.post(f"/v1/admin/orders/{void['order_no']}:refund", {"reason": "x"})

    assert refusal(redeem, operator, show, "") == "FIELD_INVALID"
    assert refusal(redeem, operator, elsewhere, valid["code"]) == "TICKET_OTHER_SHOW"
    assert refusal(redeem, operator, 4711, valid["code"]) == "NOT_FOUND"
    assert refusal(redeem, operator, show, void["code"]) == "TICKET_VOID"

    admitted = redeem(operator, show, valid["code"], door="West gate")
    assert (admitted["ticket_id"], admitted["state"]) == (valid["ticket_id"], "TICKET_STATE_USED")
    assert admitted["code"] == "" and admitted["place_text"] == valid["place_text"]
    with pytest.raises(Refused) as refused:
        redeem(operator, show, valid["code"], door="East gate")
    assert refused.value.reason == "TICKET_USED"
    assert (refused.value.problem["door"], refused.value.problem["used_time"]) == ("West gate", admitted["used_time"])
    assert refusal(redeem, operator, elsewhere, valid["code"]) == "TICKET_OTHER_SHOW"
