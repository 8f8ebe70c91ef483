"""Many at once: what two buyers want is sold to one, and what one buyer sends fifty times is done once."""

import collections
import copy
import random
import time

import pytest

from api import Refused, in_threads, moment, new_key, places, until, volley
from conftest import LONG, catalogue, new_ref

RACES = 200 if LONG else 20


def reasons(answers):
    return collections.Counter(a.reason for a in answers)


def assert_books(nobody, show, free, held=0, sold=0, tier=1):
    """The counts of a tier, once they have settled, and the map that goes with them."""
    wanted = {"free": free, "held": held, "sold": sold}

    def read():
        availability = nobody.get(f"/v1/shows/{show}/availability")
        counts = {name: availability["tiers"][tier - 1][name] for name in wanted}
        return (counts == wanted or time.monotonic() > end) and (availability, counts)

    end = time.monotonic() + 5
    availability, counts = until(read, what="counts")
    assert counts == wanted
    assert [len(places(availability, status)) for status in (1, 2, 3)] == [sum(t[n] for t in availability["tiers"]) for n in wanted]


def test_200_buyers_for_the_last_20_places(buyers, new_show, nobody):
    early, everybody = buyers(204)[:4], buyers(204)[4:]
    show = new_show(rows=4, seats=10)
    for buyer in early:  # half of the house is gone already
        buyer.buy(show, 5)
    assert_books(nobody, show, free=20, sold=20)

    answers = volley([b.prepared_order(show, choices=[{"tier": 1, "count": 1}]) for b in everybody])
    sold = [a.order for a in answers if a.status == 200]
    taken = [t["place_no"] for order in sold for t in order["tickets"]]
    assert len(sold) == 20 and len(set(taken)) == 20
    assert reasons(answers) == {None: 20, "NONE_FREE_NOW": 180}
    for refused in (a.body for a in answers if a.status != 200):  # says what is held, and until when
        assert refused["status"] == 409 and refused["tier"] == "1" and refused["free"] == "0"
        assert 0 < int(refused["held"]) <= 20 and refused["retryable"] is True and refused["retry_after_ms"] > 0
    assert_books(nobody, show, free=0, held=20, sold=20)
    with pytest.raises(Refused) as refused:
        early[0].best(show)
    release = moment(refused.value.problem["next_release_time"])
    assert release == pytest.approx(min(moment(order["pay_by_time"]) for order in sold), abs=0.002)

    winners = [b for b, a in zip(everybody, answers) if a.status == 200]
    in_threads(lambda won: won[0].paid(won[1]), zip(winners, sold))
    assert_books(nobody, show, free=0, sold=40)
    answers = volley([b.prepared_order(show, choices=[{"tier": 1, "count": 1}]) for b in everybody[:50]])
    assert reasons(answers) == {"SOLD_OUT": 50}


def test_200_buyers_for_the_same_places(buyers, new_show, nobody):
    everybody = buyers(200)
    show = new_show(rows=2, seats=10)
    wanted = places(nobody.get(f"/v1/shows/{show}/availability"))[4:6]
    answers = volley([b.prepared_order(show, place_nos=wanted) for b in everybody])
    assert reasons(answers) == {None: 1, "PLACES_TAKEN": 199}
    assert all(a.body["place_nos"] == f"{wanted[0]},{wanted[1]}" for a in answers if a.reason)
    assert_books(nobody, show, free=18, held=2)


def test_one_key_from_50_connections_is_one_order(buyers, new_show, nobody):
    buyer, = buyers(1)
    show = new_show(one_pending_order=False, account_limit=100)
    key = new_key()
    call = buyer.prepared_order(show, key=key, choices=[{"tier": 1, "count": 2}])
    answers = volley([call] * 50)
    assert reasons(answers) == {None: 50}
    assert len({a.order["order_no"] for a in answers}) == 1
    assert len({tuple(t["place_no"] for t in a.order["tickets"]) for a in answers}) == 1
    assert_books(nobody, show, free=38, held=2)

    order = answers[0].order
    assert buyer.best(show, 2, key=key)["order_no"] == order["order_no"]
    with pytest.raises(Refused) as refused:
        buyer.best(show, 1, key=key)
    assert (refused.value.status, refused.value.reason) == (422, "KEY_REUSED")
    buyer.paid(order)
    assert buyer.best(show, 2, key=key)["state"] == "ORDER_STATE_PAID"
    assert_books(nobody, show, free=38, sold=2)
    assert [o["order_no"] for o in buyer.get("/v1/orders")["orders"] if o["show_id"] == show] == [order["order_no"]]


def test_the_same_key_of_two_buyers_is_two_orders(buyers, new_show):
    a, b = buyers(2)
    show, key = new_show(), new_key()
    assert a.best(show, key=key)["order_no"] != b.best(show, key=key)["order_no"]


def test_one_payment_key_from_50_connections_is_one_attempt(buyers, new_show):
    buyer, = buyers(1)
    order = buyer.best(new_show())
    call = buyer.prepared("POST", f"/v1/orders/{order['order_no']}/payments", {"method": "sandbox"}, key=new_key())
    answers = volley([call] * 50)
    assert reasons(answers) == {None: 50}
    assert len({a.body["payment"]["payment_id"] for a in answers}) == 1
    assert len(buyer.get(f"/v1/orders/{order['order_no']}/payments")["payments"]) == 1
    buyer.paid(order, answers[0].body["payment"])


def test_a_key_refused_before_the_opening_succeeds_after_it(buyers, new_show):
    first, *others = buyers(21)
    show = new_show(opens="now+3s")
    key = new_key()
    with pytest.raises(Refused) as refused:
        first.best(show, key=key)
    problem = refused.value.problem
    assert refused.value.reason == "SALE_NOT_OPEN"
    opens = moment(problem["opens_time"])
    assert opens > moment(problem["server_time"])

    orders = []
    while not orders:  # knocks until it is let in, and was never let in early
        sent = time.time()
        answer, = volley([first.prepared_order(show, key=key, choices=[{"tier": 1, "count": 1}])])
        if answer.status == 200:
            assert time.time() >= opens and moment(answer.order["create_time"]) >= opens
            orders.append(answer.order["order_no"])
        else:
            assert answer.reason == "SALE_NOT_OPEN" and sent < opens + 1
        time.sleep(0.02)
    assert first.best(show, key=key)["order_no"] == orders[0]
    assert reasons(volley([b.prepared_order(show, choices=[{"tier": 1, "count": 1}]) for b in others])) == {None: 20}


def test_opposite_orders_of_places_do_not_lock_each_other(buyers, new_show, nobody):
    """Everybody names the same places in an order of their own, and some overlap: somebody wins, nobody hangs, nobody sees a fault of ours."""
    everybody = buyers(40)
    dice = random.Random(3)
    show = new_show(rows=6, seats=20, one_pending_order=False, account_limit=100)
    free = places(nobody.get(f"/v1/shows/{show}/availability"))
    for group in range(0, len(free) - 8, 12):
        wanted = free[group : group + 8]
        calls = []
        for i, b in enumerate(everybody):
            mine = wanted[:4] if i % 4 < 2 else wanted[2:6]
            mine = sorted(mine, reverse=i % 2 == 1) if i % 3 else dice.sample(mine, 4)
            calls.append(b.prepared_order(show, place_nos=mine))
        started = time.monotonic()
        answers = volley(calls)
        assert time.monotonic() - started < 3, "somebody waited for somebody"
        assert reasons(answers) == {None: 1, "PLACES_TAKEN": 39}
        order = next(a.order for a in answers if a.status == 200)
        assert len({t["place_no"] for t in order["tickets"]} & set(wanted)) == 4


def two_tiers(**show):
    document = catalogue(new_ref(), rows=2, seats=10, show=show)
    document["plans"][0]["sections"].append({"section": "Balcony", "rows": "A-B", "seats_per_row": 10, "tier": "balcony"})
    document["programs"][0]["shows"][0]["tiers"].append({"ref": "balcony", "price": "55.55"})
    return document


def test_two_places_in_each_of_two_tiers_are_one_order(buyers, new_show, nobody):
    a, b = buyers(2)
    show = new_show(document=two_tiers())
    order = a.order(show, choices=[{"tier": 2, "count": 2}, {"tier": 1, "count": 2}])
    assert sorted(t["tier"] for t in order["tickets"]) == [1, 1, 2, 2]
    assert order["total_minor"] == str(2 * 10000 + 2 * 5555) and order["ticket_count"] == 4
    paid = a.paid(order)
    assert [t["state"] for t in paid["tickets"]] == ["TICKET_STATE_VALID"] * 4
    assert len({a.get(f"/v1/tickets/{t['ticket_id']}")["ticket"]["code"] for t in paid["tickets"]}) == 4
    assert_books(nobody, show, free=18, sold=2, tier=1)
    assert_books(nobody, show, free=18, sold=2, tier=2)

    free = places(nobody.get(f"/v1/shows/{show}/availability"))
    chosen = [free[0], free[-1], free[1], free[-2]]
    mixed = b.buy(show, place_nos=chosen)
    assert sorted(t["place_no"] for t in mixed["tickets"]) == sorted(chosen)
    assert mixed["total_minor"] == order["total_minor"]


def test_two_tiers_opposite_ways(buyers, new_show, nobody):
    """Whole tiers asked for in opposite order of tiers: all of it or nothing, and no dead-lock."""
    everybody = buyers(60)
    show = new_show(document=two_tiers())
    answers = volley([b.prepared_order(show, choices=[{"tier": t, "count": 3, "allow_split": True} for t in ((1, 2), (2, 1))[i % 2]]) for i, b in enumerate(everybody)])
    assert reasons(answers) == {None: 6, "NONE_FREE_NOW": 54}
    assert_books(nobody, show, free=2, held=18, tier=1)
    assert_books(nobody, show, free=2, held=18, tier=2)


def test_one_person_entered_by_50_accounts_buys_one_ticket(buyers, new_show, new_person, nobody):
    """Each race is a show of its own; in each fifty accounts want a ticket for one and the same person."""
    accounts = buyers(50)
    person = new_person()
    attendees = in_threads(lambda b: b.post("/v1/attendees", person)["attendee"], accounts)
    assert all(a["verified"] for a in attendees)
    assert len({a["attendee_id"] for a in attendees}) == 50

    document = catalogue(new_ref(), show={"attendee_rule": "REAL_NAME"})
    program = document["programs"][0]
    program["shows"] = [{**copy.deepcopy(program["shows"][0]), "ref": f"race-{i}"} for i in range(RACES)]
    for i, show in enumerate(new_show.many(document)):
        # A third chooses places that differ, so that nothing but the person stands between them.
        calls = [
            b.prepared_order(show, attendee_ids=[a["attendee_id"]], **({"place_nos": [32 + n // 3]} if n % 3 == 0 and n < 30 else {"choices": [{"tier": 1, "count": 1}]}))
            for n, (b, a) in enumerate(zip(accounts, attendees))
        ]
        dice = list(range(50))
        random.Random(i).shuffle(dice)
        nobody.get(f"/v1/shows/{show}/availability")  # somebody has opened the seat map: of hundreds of shows not all are in memory
        answers = dict(zip(dice, volley([calls[n] for n in dice])))
        outcome = reasons(answers.values())
        assert outcome[None] == 1, f"race {i}: {outcome}"
        assert outcome["LIMIT_EXCEEDED"] + outcome["PLACES_TAKEN"] == 49 and outcome["PLACES_TAKEN"] <= 1, f"race {i}: {outcome}"
        for refused in (a.body for a in answers.values() if a.reason == "LIMIT_EXCEEDED"):
            assert (refused["limit_of"], refused["limit"], refused["left"]) == ("PERSON", "1", "0")
            assert refused.get("field", "attendee_ids[0]") == "attendee_ids[0]"
        winner, = (n for n, a in answers.items() if a.status == 200)
        paid = accounts[winner].paid(answers[winner].order)
        assert paid["tickets"][0]["attendee_id"] == attendees[winner]["attendee_id"]
        late = accounts[(winner + 1) % 50]
        with pytest.raises(Refused) as refused:
            late.order(show, choices=[{"tier": 1, "count": 1}], attendee_ids=[attendees[(winner + 1) % 50]["attendee_id"]])
        assert refused.value.problem["limit_of"] == "PERSON"


def test_a_person_is_free_again_after_a_cancel(buyers, new_show, new_person):
    a, b = buyers(2)
    person = new_person()
    mine, theirs = (x.post("/v1/attendees", person)["attendee"]["attendee_id"] for x in (a, b))
    show = new_show(attendee_rule="REAL_NAME")
    order = a.order(show, choices=[{"tier": 1, "count": 1}], attendee_ids=[mine])
    a.post(f"/v1/orders/{order['order_no']}:cancel")
    b.order(show, choices=[{"tier": 1, "count": 1}], attendee_ids=[theirs])


@pytest.mark.parametrize("count", (1, 2))
def test_the_account_limit_holds_against_20_devices(new_buyer, nobody, new_show, count):
    buyer = new_buyer()
    words = {"login": buyer.login["email"], "password": buyer.login["password"]}
    sessions = in_threads(lambda i: nobody.post("/v1/sessions", {**words, "device": f"device {i}"})["tokens"]["access_token"], range(20), threads=4)
    assert len(buyer.get("/v1/sessions")["sessions"]) == 20  # the one of the registration has given way
    show = new_show(rows=8, one_pending_order=False, account_limit=7)

    calls = []
    for token in sessions:
        buyer.token = token
        calls.append(buyer.prepared_order(show, choices=[{"tier": 1, "count": count}]))
    answers = volley(calls)
    assert reasons(answers) == {None: 7 // count, "LIMIT_EXCEEDED": 20 - 7 // count}
    for refused in (a.body for a in answers if a.reason):
        assert (refused["limit_of"], refused["limit"]) == ("ACCOUNT", "7") and int(refused["left"]) < count
    allowance = buyer.get(f"/v1/shows/{show}/allowance")
    assert (allowance["used"], allowance["left"]) == (7 // count * count, 7 % count)
    assert_books(nobody, show, free=80 - 7 // count * count, held=7 // count * count)


def test_one_unpaid_order_per_buyer_and_show(buyers, new_show):
    buyer, = buyers(1)
    show = new_show()
    answers = volley([buyer.prepared_order(show, choices=[{"tier": 1, "count": 1}]) for _ in range(20)])
    assert reasons(answers) == {None: 1, "PENDING_ORDER": 19}
    order, = (a.order for a in answers if a.status == 200)
    assert {a.body["order_no"] for a in answers if a.reason} == {order["order_no"]}
    assert buyer.get(f"/v1/shows/{show}/allowance")["pending_order_no"] == order["order_no"]
    buyer.paid(order)
    assert until(lambda: buyer.get(f"/v1/shows/{show}/allowance")["pending_order_no"] == "0", what="no pending order")
    buyer.best(show)


def test_50_scanners_admit_one_ticket_once(buyers, new_show, operator):
    buyer, = buyers(1)
    show = new_show()
    ticket = buyer.get(f"/v1/tickets/{buyer.buy(show)['tickets'][0]['ticket_id']}")["ticket"]
    answers = volley([operator.prepared("POST", "/v1/admin/tickets:redeem", {"code": ticket["code"], "show_id": show, "door": f"door {i}"}) for i in range(50)])
    assert reasons(answers) == {None: 1, "TICKET_USED": 49}
    winner, = (i for i, a in enumerate(answers) if a.status == 200)
    assert answers[winner].body["ticket"]["ticket_id"] == ticket["ticket_id"]
    assert {a.body["door"] for a in answers if a.reason} == {f"door {winner}"}
    assert {a.body["used_time"] for a in answers if a.reason} == {answers[winner].body["ticket"]["used_time"]}


def test_refund_against_the_door(buyers, new_show, operator):
    """Twelve times a refund and a scan at one moment: a ticket is admitted or given back, never both."""
    buyer, = buyers(1)
    show = new_show(account_limit=100)
    outcomes = collections.Counter()
    for i in range(12):
        order = buyer.buy(show)
        code = buyer.get(f"/v1/tickets/{order['tickets'][0]['ticket_id']}")["ticket"]["code"]
        calls = [
            operator.prepared("POST", f"/v1/admin/orders/{order['order_no']}:refund", {"reason": "race"}),
            operator.prepared("POST", "/v1/admin/tickets:redeem", {"code": code, "show_id": show}),
        ]
        answers = volley(calls if i % 2 else calls[::-1])
        refunded, admitted = answers if i % 2 else answers[::-1]
        outcome = (refunded.reason, admitted.reason)
        assert outcome in ((None, "TICKET_VOID"), ("STATE_WRONG", None)), (refunded, admitted)
        outcomes[outcome] += 1
        order = buyer.get_order(order["order_no"])
        assert (order["tickets"][0]["state"], bool(order["refunds"])) == (("TICKET_STATE_VOID", True), ("TICKET_STATE_USED", False))[refunded.reason is not None]
        if refunded.reason:
            assert refunded.body["used_ticket_ids"] == order["tickets"][0]["ticket_id"]
    assert sum(outcomes.values()) == 12
