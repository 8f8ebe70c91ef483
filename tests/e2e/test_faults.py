"""Parts die while orders run: they come back by themselves, nothing that was acknowledged is lost, nothing is sold twice, and the same key completes."""

import collections
import json
import os
import shutil
import signal
import threading
import time

import httpx
import pytest

from api import Background, new_key, until

AGAIN = {"STORE_DOWN", "REBUILDING", "UNKNOWN_OUTCOME", "PROVIDER_DOWN", "DEADLINE", "OVERLOADED", "ORDER_CHANGED"}
"""Reasons whose next move is: the same call with the same key."""


class Load:
    """Buyers who order and pay, one after the other, and keep a list of what they were told. A call that fails is sent again with its key."""

    def __init__(self, buyers, shows):
        self.shows, self.buyers, self.lock = shows, list(buyers), threading.Lock()
        self.sold, self.troubles, self.serial = [], collections.Counter(), 0

    def insist(self, call, deadline_s=30):
        """What the call answers in the end, whatever happens on the way."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                response = call()
                reason = None if response.status_code == 200 else response.json().get("reason", str(response.status_code))
            except httpx.TransportError as failure:
                response, reason = None, type(failure).__name__
            if reason is None:
                return response
            assert response is None or reason in AGAIN, response.text
            assert time.monotonic() < end, f"no answer within {deadline_s} s; last: {reason}"
            with self.lock:
                self.troubles[reason] += 1
            time.sleep(0.05)

    def step(self):
        with self.lock:
            buyer = self.buyers.pop(0)
            self.serial += 1
            show = self.shows[self.serial % len(self.shows)]
        try:
            body, key = {"show_id": show, "choices": [{"tier": 1, "count": 2, "allow_split": True}]}, new_key()
            order = self.insist(lambda: buyer.request("POST", "/v1/orders", body, key=key)).json()["order"]
            pay_key, path = new_key(), f"/v1/orders/{order['order_no']}/payments"
            payment = self.insist(lambda: buyer.request("POST", path, {"method": "sandbox"}, key=pay_key)).json()["payment"]
            self.insist(lambda: buyer.press(payment))
            with self.lock:
                self.sold.append((buyer, order, payment, body, key))
        finally:
            with self.lock:
                self.buyers.append(buyer)

    def await_sales(self, n, timeout=30):
        """n more orders from now."""
        wanted = len(self.sold) + n
        until(lambda: len(self.sold) >= wanted, timeout=timeout, what=f"{n} more orders; troubles: {dict(self.troubles)}")

    def assert_kept(self):
        """Everything the buyers were told still holds, their keys answer the same orders, and no place is in two of them."""
        taken = collections.Counter()
        for buyer, order, payment, body, key in self.sold:
            now = buyer.await_order(order["order_no"], timeout=40, state="ORDER_STATE_PAID")
            assert (now["money_state"], now["refunds"]) == ("MONEY_STATE_PAID", [])
            assert [t["place_no"] for t in now["tickets"]] == [t["place_no"] for t in order["tickets"]]
            assert [p["payment_id"] for p in now["payments"]] == [payment["payment_id"]]
            taken.update((order["show_id"], t["place_no"]) for t in order["tickets"])
            again = buyer.post("/v1/orders", body, key=key)["order"]
            assert again["order_no"] == order["order_no"]
        assert set(taken.values()) <= {1}
        return taken


@pytest.fixture
def load(buyers, new_show):
    show = new_show(rows=40, seats=50, one_pending_order=False, account_limit=1000)
    return Load(buyers(6), [show])


def kill(local, part, number=signal.SIGKILL):
    before = local.parts()[part]
    assert before["state"] == "running"
    os.kill(before["pid"], number)
    return before


def await_restart(local, part, before):
    def back():
        now = local.parts()[part]
        return now["state"] == "running" and now["pid"] != before["pid"] and now["restarts"] > before["restarts"] and now

    return until(back, timeout=30, what=f"the supervisor's restart of {part}")


def await_calm(nobody, show, sold):
    """Redis has been told of everything that PostgreSQL knows."""
    until(lambda: nobody.get(f"/v1/shows/{show}/availability")["tiers"][0]["sold"] == sold, what=f"{sold} places sold in availability")


SERVICES = ("user", "program", "order", "pay", "gateway", "sandbox", "etcd", "pg")


@pytest.mark.parametrize("part", SERVICES)
def test_a_part_is_killed_under_load(local, load, nobody, part):
    with Background(load.step, threads=3):
        load.await_sales(5)
        before = kill(local, part)
        await_restart(local, part, before)
        load.await_sales(10)
    taken = load.assert_kept()
    await_calm(nobody, load.shows[0], len(taken))
    print(f"{part}: {len(load.sold)} orders, on the way {dict(load.troubles)}")
    if part in ("etcd", "program", "user"):
        assert not load.troubles, "who sells does not need it"


def test_redis_loses_everything_while_orders_run(local, redis, buyers, new_show, nobody, database):
    """Two shows on sale, one of them with 50,000 places. Redis is killed and its files are deleted; the sale resumes after the rebuild."""
    big = new_show(rows=250, seats=200, one_pending_order=False, account_limit=1000)
    small = new_show(rows=40, seats=50, one_pending_order=False, account_limit=1000)
    load = Load(buyers(6), [big, small])
    holder = buyers(7)[6]
    held = holder.best(small, 6)
    redis.set("e2e:marker", "1")
    log = local.home / "log" / "order.log"
    with Background(load.step, threads=3):
        load.await_sales(10)
        written = log.stat().st_size
        for _ in range(2):
            before = kill(local, "redis", signal.SIGSTOP)
            shutil.rmtree(local.home / "redis" / "appendonlydir")
            os.kill(before["pid"], signal.SIGKILL)
            died = time.monotonic()
            await_restart(local, "redis", before)
            back = time.monotonic()
            load.await_sales(10)
            print(f"Redis back after {back - died:.2f} s, ten orders after {time.monotonic() - back:.2f} s more")
    assert not redis.exists("e2e:marker"), "its data was not deleted"

    taken = load.assert_kept()
    for show in (big, small):
        assert any(s == show for s, _ in taken)
        await_calm(nobody, show, sum(s == show for s, _ in taken))
    assert nobody.get(f"/v1/shows/{small}/availability")["tiers"][0]["held"] == 6
    assert holder.paid(held)["tickets"][0]["place_no"] == held["tickets"][0]["place_no"]

    with open(log) as lines:
        lines.seek(written)
        rebuilt = [line for line in map(json.loads, lines) if line["message"] == "inventory rebuilt" and line["show_id"] == big]
    assert len(rebuilt) >= 2 and all(int(line["ms"]) < 1000 for line in rebuilt), rebuilt
    live = database("order").execute("SELECT show_id, place_no FROM tickets WHERE live AND show_id = ANY(%s)", [[int(big), int(small)]]).fetchall()
    assert len(live) == len(set(live)) == len(taken) + 6


def test_the_books_agree_after_all_this(local):
    checked = local.check()
    violated = [rule for rule in json.loads(checked.stdout)["rules"] if rule["violations"]]
    assert (checked.returncode, violated) == (0, [])


def test_the_same_key_after_everything_died(local, buyers, new_show):
    """An order acknowledged, all services killed at once, and the same call again: the same order, which can be paid."""
    buyer, = buyers(1)
    show, key = new_show(), new_key()
    order = buyer.best(show, 3, key=key)
    parts = ("gateway", "order", "pay", "user", "program")
    before = {part: kill(local, part) for part in parts}
    for part in parts:
        await_restart(local, part, before[part])
    load = Load([buyer], [show])
    body = {"show_id": show, "choices": [{"tier": 1, "count": 3}]}
    again = load.insist(lambda: buyer.request("POST", "/v1/orders", body, key=key)).json()["order"]
    assert again["order_no"] == order["order_no"]
    assert [t["place_no"] for t in again["tickets"]] == [t["place_no"] for t in order["tickets"]]
    payment = load.insist(lambda: buyer.request("POST", f"/v1/orders/{order['order_no']}/payments", {"method": "sandbox"}, key=key)).json()["payment"]
    buyer.paid(order, payment)
