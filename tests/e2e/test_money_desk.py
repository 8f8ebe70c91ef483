"""Parked money: odd money and refused refunds wait for an operator, whose one decision ends them; the buyer's order and check say what is."""

import json

import pytest

from api import Refused, new_key, until

PENDING, PAID, CANCELLED = "ORDER_STATE_PENDING_PAYMENT", "ORDER_STATE_PAID", "ORDER_STATE_CANCELLED"
REFUND, RETRY, ELSEWHERE = "DECISION_KIND_REFUND", "DECISION_KIND_RETRY", "DECISION_KIND_SETTLED_ELSEWHERE"


@pytest.fixture(scope="module")
def show(new_show):
    return new_show(rows=10, seats=20, one_pending_order=False, account_limit=1000)


@pytest.fixture
def buyer(buyers):
    return buyers(1)[0]


def parked(operator, **members):
    """The one entry with these members, of all pages; None when there is none."""
    found, token = [], ""
    while True:
        page = operator.get("/v1/admin/parked-money", params={"page_size": 2, "page_token": token})
        found += [m for m in page["parked"] if all(m[name] == value for name, value in members.items())]
        token = page["next_page_token"]
        if not token:
            assert len(found) < 2
            return found[0] if found else None


def decide(operator, entry, kind, key=None, **members):
    what = f"refunds/{entry['refund_id']}" if entry["refund_id"] != "0" else f"payments/{entry['payment_id']}"
    body = {"kind": kind, "revision": entry["revision"], "reason": "a test", **members}
    return operator.post(f"/v1/admin/{what}:decide", body, key=key or new_key())["decision"]


def refusal(call, *arguments, **kw):
    with pytest.raises(Refused) as refused:
        call(*arguments, **kw)
    return refused.value.reason


def odd_payment(buyer, show, sandbox, operator, received):
    payment = buyer.pay(buyer.best(show)["order_no"])
    sandbox(charge_id=payment["payment_id"], received_minor=received)
    assert buyer.press(payment).status_code == 200
    order = buyer.await_order(payment["order_no"], money_state="MONEY_STATE_PARKED")
    assert (order["state"], [p["state"] for p in order["payments"]]) == (PENDING, ["PARKED"])
    entry = parked(operator, payment_id=payment["payment_id"])
    assert (entry["amount_minor"], entry["asked_minor"], entry["currency"], entry["confirmed"]) == (str(received), payment["amount_minor"], "CNY", True)
    assert entry["order_no"] == order["order_no"] and entry["cause"] and entry["decisions"] == [REFUND, ELSEWHERE]
    return payment, entry


def refused_refund(buyer, show, sandbox, operator):
    """A cancelled order's late money, which the provider refuses to give back."""
    payment = buyer.pay(buyer.best(show)["order_no"])
    sandbox(charge_id=payment["payment_id"], delay_ms=500)
    sandbox(charge_id=payment["payment_id"], refuse_refund=True)
    assert buyer.press(payment).status_code == 200
    buyer.post(f"/v1/orders/{payment['order_no']}:cancel")
    order = buyer.await_order(payment["order_no"], money_state="MONEY_STATE_PARKED")
    assert [r["state"] for r in order["refunds"]] == ["PARKED"]
    entry = parked(operator, refund_id=order["refunds"][0]["refund_id"])
    assert (entry["amount_minor"], entry["decisions"]) == (payment["amount_minor"], [RETRY, ELSEWHERE])
    return payment, entry


def notes(local):
    """Of a clean check: rule → notes."""
    done = local.check()
    rules = json.loads(done.stdout)["rules"]
    assert (done.returncode, [rule for rule in rules if rule["violations"]]) == (0, [])
    return {rule["rule"]: "\n".join(rule["notes"]) for rule in rules}


@pytest.mark.parametrize("received", (10007, 1), ids=("too much", "too little"))
def test_odd_money_goes_back(buyer, show, sandbox, operator, books, local, received):
    payment, entry = odd_payment(buyer, show, sandbox, operator, received)
    assert "money of another amount" in notes(local)["notifications_fit"]  # not a violation before five minutes
    key = new_key()
    decision = decide(operator, entry, REFUND, key=key)
    assert decide(operator, entry, REFUND, key=key) == decision
    assert refusal(decide, operator, entry, REFUND) == "STATE_WRONG"
    assert parked(operator, payment_id=payment["payment_id"]) is None

    order = buyer.await_order(payment["order_no"], money_state="MONEY_STATE_REFUNDED")
    refund, = order["refunds"]
    assert (refund["amount_minor"], refund["state"], refund["reason"], refund["note"]) == (str(received), "SUCCEEDED", "WRONG_AMOUNT", "a test")
    assert refund["refund_id"] == decision["refund_id"]
    assert [p["state"] for p in order["payments"]] == ["FAILED"]
    charge = books()["charges"][payment["payment_id"]]
    assert (charge["received_minor"], charge["refunded_minor"]) == (received, received)

    listed = operator.get("/v1/admin/money-decisions", params={"page_size": 1})
    assert listed["decisions"] == [decision] and decision["user_id"] != "0"
    assert "REFUND by user" in notes(local)["decisions_stand"]
    buyer.paid(order)  # there is time left: the order is paid after all
    assert buyer.get_order(order["order_no"])["money_state"] == "MONEY_STATE_PAID"


def test_a_refused_refund_is_tried_again(buyer, show, sandbox, operator, books):
    payment, entry = refused_refund(buyer, show, sandbox, operator)
    sandbox(charge_id=payment["payment_id"], refuse_refund=True)
    decide(operator, entry, RETRY)
    again = until(lambda: next((e for e in [parked(operator, refund_id=entry["refund_id"])] if e and e["revision"] > entry["revision"]), None), what="a second refusal")
    assert refusal(decide, operator, entry, RETRY) == "STATE_WRONG"  # what was seen is no longer so
    decide(operator, again, RETRY)
    order = buyer.await_order(payment["order_no"], money_state="MONEY_STATE_REFUNDED")
    assert [(r["refund_id"], r["state"]) for r in order["refunds"]] == [(entry["refund_id"], "SUCCEEDED")]
    assert books()["charges"][payment["payment_id"]]["refunded_minor"] == int(payment["amount_minor"])


def test_money_settled_elsewhere(buyer, show, sandbox, operator, books, local):
    payments = []
    for payment, entry in (odd_payment(buyer, show, sandbox, operator, 9999), refused_refund(buyer, show, sandbox, operator)):
        assert refusal(decide, operator, entry, ELSEWHERE) == "FIELD_INVALID"  # where?
        decision = decide(operator, entry, ELSEWHERE, reference="bank transfer 17")
        assert decision["reference"] == "bank transfer 17"
        order = buyer.await_order(payment["order_no"], money_state="MONEY_STATE_REFUNDED")
        assert [r["state"] for r in order["refunds"]] == ["SUCCEEDED"]
        payments.append(payment)
    for payment in payments:
        assert books()["charges"][payment["payment_id"]]["refunded_minor"] == 0
    assert "SETTLED_ELSEWHERE by user" in notes(local)["decisions_stand"]


def test_the_desk_is_for_operators(buyer, nobody, show, sandbox, operator):
    payment, entry = odd_payment(buyer, show, sandbox, operator, 10001)
    for path in ("/v1/admin/parked-money", "/v1/admin/money-decisions"):
        assert refusal(buyer.get, path) == "FORBIDDEN"
        assert refusal(nobody.get, path) == "UNAUTHENTICATED"
    assert refusal(decide, buyer, entry, REFUND) == "FORBIDDEN"
    assert refusal(decide, operator, entry | {"payment_id": "4711"}, REFUND) == "NOT_FOUND"
    assert refusal(decide, operator, entry, RETRY) == "FIELD_INVALID"
    assert refusal(operator.get, "/v1/admin/parked-money", params={"page_token": "x"}) == "FIELD_INVALID"
    assert refusal(operator.get, "/v1/admin/parked-money", params={"page_size": 201}) == "FIELD_INVALID"
    decide(operator, entry, REFUND)
    buyer.await_order(payment["order_no"], money_state="MONEY_STATE_REFUNDED")
