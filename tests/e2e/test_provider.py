"""The provider stands still, dies and comes back at every moment of a payment: each payment ends in exactly one of a ticket or a refund."""

import json
import os
import signal
import time

import pytest

from api import Refused, new_key, until

PAID, CANCELLED = "ORDER_STATE_PAID", "ORDER_STATE_CANCELLED"


@pytest.fixture(scope="module")
def show(new_show):
    return new_show(rows=10, seats=20, one_pending_order=False, account_limit=1000)


@pytest.fixture
def buyer(buyers):
    return buyers(1)[0]


@pytest.fixture
def standing_still(local):
    """standing_still() → the provider takes connections and answers nothing until go_on(); goes on at the end in any case."""
    pid = local.parts()["sandbox"]["pid"]

    def stop():
        os.kill(pid, signal.SIGSTOP)

    def go_on():
        os.kill(pid, signal.SIGCONT)

    stop.go_on = go_on
    yield stop
    go_on()


def killed(local, part):
    before = local.parts()[part]
    os.kill(before["pid"], signal.SIGKILL)

    def back():
        now = local.parts()[part]
        return now["state"] == "running" and now["pid"] != before["pid"]

    until(back, timeout=30, what=f"the restart of {part}")


def assert_one_of_both(buyer, payment, books):
    """A ticket, or a refund of all of it."""
    order = until(lambda: next((o for o in [buyer.get_order(payment["order_no"])] if o["money_state"] in ("MONEY_STATE_PAID", "MONEY_STATE_REFUNDED")), None), timeout=30, what="a ticket or a refund")
    charge = books()["charges"][payment["payment_id"]]
    assert charge["state"] == "SUCCEEDED"
    if order["money_state"] == "MONEY_STATE_PAID":
        assert (order["state"], order["refunds"], charge["refunded_minor"]) == (PAID, [], 0)
    else:
        assert [r["state"] for r in order["refunds"]] == ["SUCCEEDED"] and charge["refunded_minor"] == charge["received_minor"]
    return order


def test_it_stands_still_while_an_attempt_is_made(buyer, show, books, standing_still):
    """Its answer never came: the same key makes the one attempt when it goes on."""
    order, key = buyer.best(show), new_key()
    standing_still()
    with pytest.raises(Refused) as refused:
        buyer.pay(order["order_no"], key=key)
    assert refused.value.reason == "PROVIDER_DOWN"
    standing_still.go_on()
    payment = buyer.pay(order["order_no"], key=key)
    buyer.press(payment)
    assert assert_one_of_both(buyer, payment, books)["state"] == PAID
    assert len(buyer.get(f"/v1/orders/{order['order_no']}/payments")["payments"]) == 1


def test_it_stands_still_after_the_money_came(buyer, show, sandbox, books, standing_still):
    """Nobody was told, and it answers no question for a while."""
    payment = buyer.pay(buyer.best(show)["order_no"])
    sandbox(charge_id=payment["payment_id"], lose=True)
    buyer.press(payment)
    standing_still()
    with pytest.raises(Refused) as refused:
        buyer.check(payment)
    assert refused.value.reason == "PROVIDER_DOWN"
    standing_still.go_on()
    assert assert_one_of_both(buyer, payment, books)["state"] == PAID


def test_it_stands_still_when_money_is_to_go_back(buyer, show, operator, books, standing_still):
    order = buyer.buy(show)
    payment, = buyer.get(f"/v1/orders/{order['order_no']}/payments")["payments"]
    standing_still()
    operator.post(f"/v1/admin/orders/{order['order_no']}:refund", {"reason": "the provider stands still"})
    time.sleep(4)  # one attempt has timed out, and may have been carried out unheard
    assert buyer.get_order(order["order_no"])["money_state"] == "MONEY_STATE_REFUNDING"
    standing_still.go_on()
    assert assert_one_of_both(buyer, payment, books)["state"] == "ORDER_STATE_REFUNDED"


@pytest.mark.parametrize("part", ("sandbox", "pay", "order", "gateway"))
def test_a_part_dies_between_the_money_and_its_notification(local, buyer, show, sandbox, books, part):
    """The sandbox forgets with its life what it had to tell; the others are told again or asked."""
    payments = []
    for delay_ms in (50, 100, 200, 400):
        payment = buyer.pay(buyer.best(show)["order_no"])
        sandbox(charge_id=payment["payment_id"], delay_ms=delay_ms, copies=1)
        payments.append(payment)
    late = buyer.pay(buyer.best(show)["order_no"])  # its order is cancelled before the money is heard of
    sandbox(charge_id=late["payment_id"], delay_ms=600)
    for payment in (*payments, late):
        buyer.press(payment)
    buyer.post(f"/v1/orders/{late['order_no']}:cancel")
    killed(local, part)
    for payment in payments:
        assert until(lambda p=payment: patient(assert_one_of_both, buyer, p, books), timeout=60, what="an end")["state"] == PAID
    assert until(lambda: patient(assert_one_of_both, buyer, late, books), timeout=60, what="an end")["state"] == CANCELLED


def patient(call, *arguments):
    """A part that is just back may not be found yet."""
    try:
        return call(*arguments)
    except Refused as refused:
        if refused.status != 503:
            raise


def test_the_books_agree_after_all_this(local):
    checked = local.check()
    violated = [rule for rule in json.loads(checked.stdout)["rules"] if rule["violations"]]
    assert (checked.returncode, violated) == (0, [])
