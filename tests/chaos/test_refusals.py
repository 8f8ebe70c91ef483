"""A refusal means that the attempt had no effect. It must stay true when a purchase is committed and only its answer cannot be read any more."""

import time

from api import Background, in_threads, new_key
from world import FIGURES

READERS = 40
"""More than both instances have connections in their pools, fewer than they have threads."""
LAST_S = 12


def test_who_is_told_overloaded_has_no_order(stage):
    show = stage.new_show(rows=20, seats=50, hold_seconds=60)
    buyers = in_threads(lambda _: stage.new_buyer(), range(8), threads=4)
    first = [buyer.best(show) for buyer in buyers]
    told = []

    def read(turn=iter(range(10**9))):
        buyer = next(turn) % len(buyers)
        buyers[buyer].request("GET", f"/v1/orders/{first[buyer]['order_no']}")  # waits for the table, with a connection of the pool

    def order(buyer):
        key = new_key()
        response = buyer.request("POST", "/v1/orders", {"show_id": show, "choices": [{"tier": 1, "count": 1}]}, key=key)
        told.append((key, response.status_code, response.json().get("reason")))

    with stage.connection("order") as locked:
        locked.execute("LOCK TABLE order_payment IN ACCESS EXCLUSIVE MODE")
        with Background(read, threads=READERS):
            time.sleep(1)
            end = time.monotonic() + LAST_S
            while time.monotonic() < end:
                in_threads(order, buyers, threads=8)
            locked.rollback()
    rows = stage.database("order").execute("SELECT request_id FROM orders WHERE show_id = %s AND state <> 9", [show]).fetchall()
    made = {key for (key,) in rows}
    refused = [key for key, status, reason in told if reason == "OVERLOADED"]
    FIGURES.append(f"reads that wait: {len(told)} orders, {len(refused)} OVERLOADED, {sum(reason == 'UNKNOWN_OUTCOME' for _, _, reason in told)} unknown")
    assert [key for key in refused if key in made] == []
    assert any(status != 200 for _, status, _ in told), "nobody had to wait: this test shows nothing"
