"""Small traffic of every kind of business, by people who never give up: a call without an answer is sent again with its key.

What they were told is kept; verify() compares it with what the services say afterwards."""

import collections
import random
import threading
import time

import httpx

from api import Refused, new_key

AGAIN = {"STORE_DOWN", "REBUILDING", "UNKNOWN_OUTCOME", "PROVIDER_DOWN", "DEADLINE", "OVERLOADED", "ORDER_CHANGED", "SERVICE_DOWN", "HTTP 502", "HTTP 503"}
"""Reasons whose next move is: the same call with the same key."""

ATTEMPT_MAX = 1000
"""The greatest number that Idempotency-Attempt may say."""


class NoAnswer(AssertionError):
    """The services did not come back in time."""


class Traffic:
    """Journeys of buyers on a show with long holds and on one with short ones. kinds: which journeys are made, over and over."""

    patience_s = 60
    """How long a call is sent again; what kills without a pause has to raise it."""

    JOURNEYS = ("pay", "cancel", "refund", "expire")

    def __init__(self, world, seed, buyers=4):
        self.world, self.random, self.lock = world, random.Random(seed), threading.Lock()
        self.buyers = [world.new_buyer() for _ in range(buyers)]
        self.long_show, self.short_show = world.new_show(), world.new_show(hold_seconds=2)
        self.told, self.troubles = [], collections.Counter()
        self.threads, self.stopping, self.failures = [], threading.Event(), []

    # ---- one call, until it is answered ----

    def insist(self, call):
        """call(attempt) → a response; the answer in the end."""
        end, attempt = time.monotonic() + self.patience_s, 1
        while True:
            try:
                response = call(attempt)
                reason = None if response.status_code == 200 else self.reason_of(response)
            except httpx.TransportError as failure:
                response, reason = None, type(failure).__name__
            if reason is None:
                return response
            if response is not None and reason not in AGAIN:
                raise Refused(response)
            if time.monotonic() > end:
                raise NoAnswer(f"no answer within {self.patience_s} s; last: {reason}")
            with self.lock:
                self.troubles[reason] += 1
            attempt = min(attempt + 1, ATTEMPT_MAX)
            time.sleep(min(0.02 * attempt, 0.3))

    @staticmethod
    def reason_of(response):
        try:
            return response.json().get("reason") or f"HTTP {response.status_code}"
        except ValueError:
            return f"HTTP {response.status_code}"

    def post(self, person, path, body=None, key=None):
        def call(attempt):
            return person.request("POST", path, body or {}, key=key, headers={"Idempotency-Attempt": str(attempt)})

        return self.insist(call).json()

    # ---- journeys ----

    def journey(self, kind, buyer):
        show = self.short_show if kind == "expire" else self.long_show
        body, key = {"show_id": show, "choices": [{"tier": 1, "count": 2, "allow_split": True}]}, new_key()
        order = self.post(buyer, "/v1/orders", body, key)["order"]
        told = {"kind": kind, "buyer": buyer, "order": order, "body": body, "key": key, "ends": "ORDER_STATE_PENDING_PAYMENT"}
        with self.lock:
            self.told.append(told)
        path = f"/v1/orders/{order['order_no']}"
        if kind == "cancel":
            self.post(buyer, f"{path}:cancel")
            told["ends"] = "ORDER_STATE_CANCELLED"
            return
        if kind == "expire":
            told["ends"] = "ORDER_STATE_CANCELLED"
            try:
                self.post(buyer, f"{path}/payments", {"method": "sandbox"}, new_key())  # and never pressed
            except Refused as refused:
                assert refused.reason == "HOLD_OVER", refused
            return
        payment = self.post(buyer, f"{path}/payments", {"method": "sandbox"}, new_key())["payment"]
        self.insist(lambda _: buyer.press(payment))
        told["payment"], told["ends"] = payment, "ORDER_STATE_PAID"
        if kind == "refund":
            self.await_state(told)
            self.post(self.world.operator, f"/v1/admin/orders/{order['order_no']}:refund", {"reason": "chaos"})
            told["ends"] = "ORDER_STATE_REFUNDED"

    def state_of(self, told):
        return self.insist(lambda _: told["buyer"].request("GET", f"/v1/orders/{told['order']['order_no']}")).json()["order"]

    def await_state(self, told):
        """The order once it is where its journey ends."""
        end = time.monotonic() + self.patience_s
        while True:
            now = self.state_of(told)
            if now["state"] == told["ends"]:
                return now
            if time.monotonic() > end:
                raise AssertionError(f"order {told['order']['order_no']} ({told['kind']}) is {now['state']} instead of {told['ends']}")
            time.sleep(0.05)

    # ---- many, until stopped ----

    def start(self, kinds=JOURNEYS, every_s=0.05):
        self.stopping.clear()
        self.failures.clear()
        self.threads = [threading.Thread(target=self._run, args=(buyer, kinds, every_s)) for buyer in self.buyers]
        for thread in self.threads:
            thread.start()

    def _run(self, buyer, kinds, every_s):
        try:
            while not self.stopping.is_set():
                with self.lock:
                    kind = self.random.choice(kinds)
                self.journey(kind, buyer)
                self.stopping.wait(every_s)
        except Exception as failure:  # told to whoever stops the traffic
            with self.lock:
                self.failures.append(failure)

    def stop(self):
        """Journeys under way come to their end; the first failure is raised."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    # ---- what must hold ----

    def verify(self):
        """Every order that anybody was told of is there as its journey left it, keys answer the same orders, nobody has any other, no place is in two."""
        taken, orders = collections.Counter(), collections.defaultdict(set)
        for told in self.told:
            now = self.await_state(told)
            places = [t["place_no"] for t in told["order"]["tickets"]]
            assert [t["place_no"] for t in now["tickets"]] == places, now
            if now["state"] in ("ORDER_STATE_PAID", "ORDER_STATE_PENDING_PAYMENT"):
                taken.update((told["order"]["show_id"], place) for place in places)
            orders[told["buyer"]].add(told["order"]["order_no"])
        doubled = [place for place, n in taken.items() if n > 1]
        assert not doubled, f"places in two live orders: {doubled}"
        for told in self.told[-20:]:
            again = self.post(told["buyer"], "/v1/orders", told["body"], told["key"])["order"]
            assert again["order_no"] == told["order"]["order_no"]
        for buyer, numbers in orders.items():
            assert set(self.listed(buyer)) == numbers
        return len(self.told)

    def listed(self, buyer):
        """The numbers of all orders of a buyer."""
        numbers, token = [], ""
        while True:
            page = self.insist(lambda _: buyer.request("GET", "/v1/orders", params={"page_size": 50, **({"page_token": token} if token else {})})).json()
            numbers += [o["order_no"] for o in page.get("orders", [])]
            token = page.get("next_page_token")
            if not token:
                return numbers
