"""Two things at one moment, again and again, each outcome often: payment against expiry, cancel against payment, cancel against expiry, release against
resale. Whoever is first, nobody loses a ticket or money, and a place never has two owners.

The moment of one of the two is moved until the other wins about as often (the machine decides where that is); what counts are the last RACES."""

import collections
import itertools
import random
import time

import pytest

from api import Refused, in_threads, moment
from stage import drawn
from world import FIGURES, LONG, SEED, until

RACES = 2000 if LONG else 100
ROUND = 50
SHARE = 0.2
ROUNDS_MAX = 4 * RACES // ROUND + 6
SPREAD_S = 0.030
HOLD_S = 2


class Aim:
    """Where the moment is put, relative to the release or to the other call; moved after each round towards the rarer outcome."""

    def __init__(self, rng, at_s=0.0):
        self.rng, self.at_s, self.step_s, self.side = rng, at_s, 0.08, 0

    def draw(self):
        return self.at_s + self.rng.uniform(-SPREAD_S, SPREAD_S)

    def learn(self, early_share):
        """early_share: how often the moved one was first. Steps shrink when the side changes."""
        if 0.35 <= early_share <= 0.65:
            return
        side = 1 if early_share > 0.5 else -1
        if self.side == -side:
            self.step_s = max(0.004, self.step_s / 2)
        self.side = side
        self.at_s += side * self.step_s


class Races:
    """race: a class with one method for each thing (below)."""

    def __init__(self, stage):
        self.stage, self.rng = stage, random.Random(SEED)
        self.buyers = in_threads(lambda _: stage.new_buyer(), range(ROUND), threads=4)
        self.sandbox = f"http://127.0.0.1:{stage.base_port + 90}"

    def fault(self, **what):
        response = self.stage.http.post(f"{self.sandbox}/faults", json=what)
        assert response.status_code == 200, response.text

    def run(self, race, name, at_s=0.0):
        aim, tally = Aim(self.rng, at_s), collections.deque(maxlen=RACES)
        show = self.stage.new_show(rows=100, seats=100, hold_seconds=HOLD_S)
        for _ in range(ROUNDS_MAX):
            outcomes = self.round(race, show, aim)
            tally.extend(outcomes)
            aim.learn(sum(o == race.FIRST for o in outcomes) / len(outcomes))
            if len(tally) == RACES and min(self.shares(race, tally).values()) >= SHARE:
                break
        shares = self.shares(race, tally)
        FIGURES.append(f"{name}: {len(tally)} races, " + ", ".join(f"{o} {s:.0%}" for o, s in shares.items()) + f", moved by {aim.at_s * 1000:.0f} ms")
        assert len(tally) == RACES and min(shares.values()) >= SHARE, shares

    @staticmethod
    def shares(race, tally):
        counted = collections.Counter(tally)
        assert set(counted) <= {race.FIRST, race.SECOND}, counted
        return {o: counted[o] / max(1, len(tally)) for o in (race.FIRST, race.SECOND)}

    def round(self, race, show, aim):
        return in_threads(lambda buyer: race(self, buyer, show, aim.draw()).outcome(), self.buyers, threads=ROUND)


def at(when):
    time.sleep(max(0, when - time.time()))


def ended(buyer, order_no, reached, timeout=40):
    """The order once reached(order); read patiently, because fifty threads ask."""
    return until(lambda: (o := buyer.get_order(order_no)) and reached(o) and o, timeout=timeout, pause=0.2, what=f"an end of order {order_no}")


def money_is_over(order):
    return order["money_state"] in ("MONEY_STATE_PAID", "MONEY_STATE_REFUNDED")


def ticket_or_refund(order):
    """Which of the two, and surely not both."""
    states = {t["state"] for t in order["tickets"]}
    if order["state"] == "ORDER_STATE_PAID":
        assert (states, order["refunds"]) == ({"TICKET_STATE_VALID"}, []), order
        return "ticket"
    assert (order["state"], states) == ("ORDER_STATE_CANCELLED", {"TICKET_STATE_VOID"}), order
    assert [(r["amount_minor"], r["state"]) for r in order["refunds"]] == [(order["total_minor"], "SUCCEEDED")], order
    return "refund"


class PaymentAgainstExpiry:
    """The bank's success is made to happen around the release."""

    FIRST, SECOND = "ticket", "refund"

    def __init__(self, races, buyer, show, offset_s):
        self.buyer, self.order = buyer, buyer.best(show)
        payment = buyer.pay(self.order["order_no"])
        races.fault(charge_id=payment["payment_id"], settle_at_ms=round((moment(self.order["pay_by_time"]) + offset_s) * 1000))
        assert buyer.press(payment).status_code == 200

    def outcome(self):
        over = ended(self.buyer, self.order["order_no"], lambda o: money_is_over(o) or (o["money_state"] == "MONEY_STATE_NONE" and o["payments"]))
        if over["money_state"] == "MONEY_STATE_NONE":  # closed at the bank before the money came: no ticket, and nothing to give back
            assert over["state"] == "ORDER_STATE_CANCELLED" and over["refunds"] == []
            return "refund"
        return ticket_or_refund(over)


class CancelAgainstPayment:
    """The buyer cancels in the moment in which the bank's success is on its way. Moved: the money."""

    FIRST, SECOND = "ticket", "refund"

    def __init__(self, races, buyer, show, offset_s):
        self.buyer, self.order = buyer, buyer.best(show)
        payment = buyer.pay(self.order["order_no"])
        cancel_at = time.time() + 0.5
        races.fault(charge_id=payment["payment_id"], settle_at_ms=round((cancel_at + offset_s) * 1000))
        assert buyer.press(payment).status_code == 200
        at(cancel_at)
        try:
            buyer.post(f"/v1/orders/{self.order['order_no']}:cancel")
            self.cancelled = True
        except Refused as refused:
            assert refused.reason in ("STATE_WRONG", "ORDER_CHANGED"), refused
            self.cancelled = False

    def outcome(self):
        over = ended(self.buyer, self.order["order_no"], lambda o: money_is_over(o) or (o["money_state"] == "MONEY_STATE_NONE" and o["payments"]))
        if over["money_state"] == "MONEY_STATE_NONE":
            assert self.cancelled and over["refunds"] == []
            return "refund"
        found = ticket_or_refund(over)
        assert self.cancelled == (found == "refund"), "the buyer was told otherwise"
        return found


class CancelAgainstExpiry:
    FIRST, SECOND = "cancelled", "expired"

    def __init__(self, races, buyer, show, offset_s):
        self.buyer, self.order = buyer, buyer.best(show)
        at(moment(self.order["pay_by_time"]) + offset_s)
        self.buyer.post(f"/v1/orders/{self.order['order_no']}:cancel")  # of what is over already, too, the answer is its end

    def outcome(self):
        over = ended(self.buyer, self.order["order_no"], lambda o: o["state"] == "ORDER_STATE_CANCELLED")
        assert {t["state"] for t in over["tickets"]} == {"TICKET_STATE_VOID"} and over["payments"] == over["refunds"] == []
        return {"CANCEL_REASON_USER": "cancelled", "CANCEL_REASON_EXPIRED": "expired"}[over["cancel_reason"]]


class ReleaseAgainstResale:
    """Somebody wants the very place in the moment in which it becomes free."""

    FIRST, SECOND = "refused", "sold again"
    turns = itertools.count()

    def __init__(self, races, buyer, show, offset_s):
        self.holder, self.order = buyer, buyer.best(show)
        place, release = self.order["tickets"][0]["place_no"], moment(self.order["pay_by_time"])
        self.next = races.buyers[(next(self.turns) + ROUND // 2) % ROUND]
        at(release + offset_s)
        try:
            self.again = self.next.order(show, place_nos=[place])
            assert moment(self.again["create_time"]) >= release, "sold again before its release"
        except Refused as refused:
            assert refused.reason == "PLACES_TAKEN", refused
            self.again = None

    def outcome(self):
        over = ended(self.holder, self.order["order_no"], lambda o: o["state"] == "ORDER_STATE_CANCELLED")
        assert over["cancel_reason"] == "CANCEL_REASON_EXPIRED"
        if self.again is None:
            return "refused"
        assert moment(self.again["create_time"]) >= moment(over["cancel_time"]), "two holders at one time"
        return "sold again"


@pytest.fixture(scope="module")
def races(stage):
    return Races(stage)


RACED = {
    "payment against expiry": (PaymentAgainstExpiry, 0.0),
    "cancel against payment": (CancelAgainstPayment, 0.0),
    "cancel against expiry": (CancelAgainstExpiry, 0.05),
    "release against resale": (ReleaseAgainstResale, 0.1),
}
"""With the first guess of where the moment is at which either may win."""


@pytest.mark.parametrize("name", drawn(RACED, 2))
def test_races(stage, races, name):
    race, at_s = RACED[name]
    races.run(race, name, at_s)
    assert stage.audit() == []
