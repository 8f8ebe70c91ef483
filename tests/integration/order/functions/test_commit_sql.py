"""commit_orders and settle_orders in a real PostgreSQL: every result, mixes in one batch, and the races that the protocol decides."""

import threading
import time
from itertools import count

import psycopg
import pytest

OK, DUP, KEY_REUSED, TOMB, EPOCH, TERMS, PAUSED, PERSON, CONFLICT = range(9)
BUCKET = 5
numbers = count(1000)

ORDER_TYPES = ("int2 int8 int2 int8 int8 int8 text text int8 int4 text int8 int2 bool int4 int4 text int8 bytea").split()
TICKET_TYPES = "int4 int4 int8 int2 int8 int8 text text text".split()


def order(show, **given):
    """One order with its tickets; what a case does not name is made up."""
    no = next(numbers)
    values = dict(no=no, kind=1, user=no, request=f"key-{no}", body="body", epoch=1, terms=1, places=[next(numbers)], persons=None,
                  hold_s=600, event=True)
    values.update(given)
    return dict(values, show=show)


def arguments(orders):
    orders = sorted(orders, key=lambda o: o["no"])
    rows = [(BUCKET, o["no"], o["kind"], o["show"], 11, o["user"], o["request"], o["body"], o["epoch"], o["terms"], "CNY",
             100 * len(o["places"]), len(o["places"]), False, o["hold_s"], 30, "trace", next(numbers) if o["event"] else 0, b"envelope")
            for o in orders]
    tickets = sorted(((i, place, next(numbers), 1, 100, 0, None, None, o["persons"][k] if o["persons"] else None)
                      for i, o in enumerate(orders, 1) for k, place in enumerate(o["places"])),
                     key=lambda t: (orders[t[0] - 1]["show"], t[1]))
    return orders, [list(c) for c in zip(*rows)] + [list(c) for c in zip(*tickets)]


CALL = "SELECT * FROM commit_orders(" + ", ".join(f"%s::{t}[]" for t in ORDER_TYPES + TICKET_TYPES) + ")"


def commit(connection, *orders):
    """{number: (result, number answered, release_ms)}"""
    asked, parameters = arguments(orders)
    row = connection.execute(CALL, parameters).fetchone()
    return {o["no"]: answer for o, answer in zip(asked, zip(*row[:3]))}


def results(connection, *orders):
    answers = commit(connection, *orders)
    return [answers[o["no"]][0] for o in orders]


def settle(connection, *orders, events=None):
    orders = sorted(orders, key=lambda o: o["no"])
    return connection.execute(
        "SELECT state, live, over, epoch FROM settle_orders(%s::int2[], %s::int8[], %s::int8[], %s::int8[], %s::bytea[])",
        [[BUCKET] * len(orders), [o["no"] for o in orders], [o["show"] for o in orders],
         events or [next(numbers) for _ in orders], [b"cancelled"] * len(orders)]).fetchall()


@pytest.fixture
def pg(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def show(pg):
    show = next(numbers)
    pg.execute("INSERT INTO inventory (bucket, show_id, organiser_id, epoch, terms, sale_state) VALUES (%s, %s, 11, 1, 1, 1)", [BUCKET, show])
    return show


def stored(pg, o):
    return pg.execute("SELECT count(*), (SELECT count(*) FROM tickets WHERE order_no = %(no)s AND live),"
                      " (SELECT count(*) FROM outbox WHERE aggregate_id = %(no)s) FROM orders WHERE order_no = %(no)s AND state <> 9", o).fetchone()


def raise_epoch(pg, show):
    pg.execute("UPDATE inventory SET epoch = epoch + 1 WHERE show_id = %s", [show])


# ---- one order against what is stored -----------------------------------------------------------------------------------

def test_fresh_order_stands_with_tickets_event_and_times(pg, show):
    o = order(show, places=[40, 41], hold_s=120)
    answer = commit(pg, o)[o["no"]]
    assert answer[:2] == (OK, o["no"])
    assert stored(pg, o) == (1, 2, 1)
    row = pg.execute("SELECT state, n_tickets, total_minor, extract(epoch FROM release_at - created_at)::int, "
                     "extract(epoch FROM release_at - pay_by_at)::int, ceil(extract(epoch FROM release_at) * 1000)::int8, "
                     "abs(extract(epoch FROM created_at - clock_timestamp())) < 5 FROM orders WHERE order_no = %s", [o["no"]]).fetchone()
    assert row == (1, 2, 200, 120, 30, answer[2], True)


CASES = [
    # name, what is done to the first order's twin, what it is, result, answers the first number
    ("the same number again", lambda pg, o: o, DUP, True),
    ("another number, same key", lambda pg, o: order(o["show"], user=o["user"], request=o["request"]), DUP, True),
    ("same key, other body", lambda pg, o: order(o["show"], user=o["user"], request=o["request"], body="other"), KEY_REUSED, False),
    ("same number, other body", lambda pg, o: dict(o, body="other"), KEY_REUSED, False),
    ("another user, same key", lambda pg, o: order(o["show"], request=o["request"]), OK, False),
    ("a taken place", lambda pg, o: order(o["show"], places=o["places"]), CONFLICT, False),
    ("one taken place of three", lambda pg, o: order(o["show"], places=[7001, o["places"][0], 7002]), CONFLICT, False),
    ("a person who has a ticket", lambda pg, o: order(o["show"], persons=["p1"]), PERSON, False),
    ("a taken place and a person", lambda pg, o: order(o["show"], places=o["places"], persons=["p1"]), CONFLICT, False),
    ("old epoch", lambda pg, o: order(o["show"], epoch=0), EPOCH, False),
    ("epoch not reached", lambda pg, o: order(o["show"], epoch=2), EPOCH, False),
    ("other terms", lambda pg, o: order(o["show"], terms=2), TERMS, False),
    ("unknown show", lambda pg, o: order(999999), EPOCH, False),
    ("a block on other terms", lambda pg, o: order(o["show"], kind=2, terms=2, event=False), OK, False),
    ("a block of a taken place", lambda pg, o: order(o["show"], kind=2, places=o["places"], event=False), CONFLICT, False),
    ("old epoch, but committed before", lambda pg, o: dict(o, epoch=0), DUP, True),
    ("other terms, but committed before", lambda pg, o: dict(o, terms=9), DUP, True),
]


@pytest.mark.parametrize("name, twin, result, same", CASES, ids=[c[0] for c in CASES])
def test_against_a_stored_order(pg, show, name, twin, result, same):
    first = order(show, persons=["p1"])
    assert results(pg, first) == [OK]
    second = twin(pg, first)
    before = stored(pg, second)
    answer = commit(pg, second)[second["no"]]
    assert answer[0] == result
    assert answer[1] == (first["no"] if same else second["no"])
    if result == OK:
        assert stored(pg, second)[:2] == (1, len(second["places"]))
    else:
        assert stored(pg, second) == before, "a refused order leaves nothing"
    assert stored(pg, first) == (1, 1, 1)


@pytest.mark.parametrize("state, result", [(1, OK), (2, PAUSED), (3, PAUSED)])
def test_sale_state(pg, show, state, result):
    pg.execute("UPDATE inventory SET sale_state = %s WHERE show_id = %s", [state, show])
    o = order(show)
    assert results(pg, o) == [result]
    assert stored(pg, o)[0] == (result == OK)
    block = order(show, kind=2, event=False)
    assert results(pg, block) == [OK], "blocks are made whatever the sale state is"


def test_tombstone_refuses_the_commit_for_ever(pg, show):
    o = order(show)
    assert [row[:2] for row in settle(pg, o)] == [(9, None)]
    assert results(pg, o) == [TOMB]
    assert stored(pg, o) == (0, 0, 0)
    assert results(pg, dict(o, no=next(numbers))) == [OK], "the key is free for another decision"


def test_a_released_place_is_sold_again(pg, show):
    first = order(show, places=[50], persons=["p"])
    results(pg, first)
    pg.execute("UPDATE tickets SET live = false WHERE order_no = %s", [first["no"]])
    assert results(pg, order(show, places=[50], persons=["p"])) == [OK]


# ---- mixes ----------------------------------------------------------------------------------------------------------------

def test_everything_in_one_batch(pg, show):
    other = next(numbers)
    pg.execute("INSERT INTO inventory (bucket, show_id, organiser_id, epoch, terms, sale_state) VALUES (%s, %s, 11, 3, 4, 2)", [BUCKET, other])
    old = order(show, places=[60], persons=["q"])
    results(pg, old)
    dead = order(show)
    settle(pg, dead)
    batch = [(order(show, places=[61, 62]), OK),
             (order(show, user=old["user"], request=old["request"]), DUP),
             (order(show, user=old["user"], request=old["request"], body="x"), KEY_REUSED),
             (dead, TOMB),
             (order(show, epoch=0), EPOCH),
             (order(show, terms=3), TERMS),
             (order(other, epoch=3, terms=4), PAUSED),
             (order(show, persons=["q"]), PERSON),
             (order(show, places=[63, 60]), CONFLICT),
             (order(show, places=[64]), OK)]
    assert results(pg, *[o for o, _ in batch]) == [r for _, r in batch]
    for o, result in batch:
        assert stored(pg, o) == ((1, len(o["places"]), 1) if result == OK else (0, 0, 0)), result
    again = results(pg, *[o for o, _ in batch])
    assert again == [DUP if r == OK else r for _, r in batch], "the same batch again: rows answer"


def test_twins_in_one_batch(pg, show):
    first = order(show, places=[70, 71])
    place = order(show, places=[72, 71])
    key = order(show, user=first["user"], request=first["request"], places=[73])
    heir = order(show, places=[72])
    assert results(pg, first, place, key, heir)[:3] == [OK, CONFLICT, DUP]
    assert stored(pg, first) == (1, 2, 1)
    live = pg.execute("SELECT place_no, count(*) FROM tickets WHERE show_id = %s AND live GROUP BY 1 HAVING count(*) > 1", [show]).fetchall()
    assert live == []
    for o in (place, key):
        assert stored(pg, o) == (0, 0, 0)
    assert stored(pg, heir) in ((0, 0, 0), (1, 1, 1)), "whole or nothing"


def test_the_same_place_twice_in_one_order(pg, show):
    o = order(show, places=[74, 74])
    assert results(pg, o) == [CONFLICT]
    assert stored(pg, o) == (0, 0, 0)


# ---- races ----------------------------------------------------------------------------------------------------------------

def in_thread(work):
    box = {}

    def run():
        try:
            box["result"] = work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            box["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    return thread, box


def waits(pg, text):
    """Until some backend waits for a lock in a statement like that."""
    for _ in range(200):
        if pg.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s AND pid <> pg_backend_pid()",
                      [f"%{text}%"]).fetchone()[0]:
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody waits in {text}")


def test_raise_waits_for_a_running_batch_and_refuses_the_next(pg, dsn, show):
    running, late = order(show), order(show)
    with psycopg.connect(dsn) as batch:           # a batch before its commit
        assert results(batch, running) == [OK]
        thread, _ = in_thread(lambda: raise_epoch(pg, show))
        with psycopg.connect(dsn, autocommit=True) as look:
            waits(look, "UPDATE inventory")
            assert look.execute("SELECT epoch FROM inventory WHERE show_id = %s", [show]).fetchone() == (1,)
        batch.commit()
        thread.join()
    assert pg.execute("SELECT epoch FROM inventory WHERE show_id = %s", [show]).fetchone() == (2,)
    assert results(pg, late) == [EPOCH]
    assert results(pg, running) == [DUP], "sent again after the raise"


def test_a_batch_that_meets_a_raise_under_way_is_refused(pg, dsn, show):
    o = order(show)
    with psycopg.connect(dsn) as raising:
        raise_epoch(raising, show)
        thread, box = in_thread(lambda: results(pg, o))
        with psycopg.connect(dsn, autocommit=True) as look:
            waits(look, "commit_orders")
        raising.commit()
        thread.join()
    assert box["result"] == [EPOCH]
    assert stored(pg, o) == (0, 0, 0)


def test_batches_share_the_fence(pg, dsn, show):
    with psycopg.connect(dsn) as one:
        assert results(one, order(show)) == [OK]
        assert results(pg, order(show)) == [OK], "no batch waits for another"
        one.rollback()


def test_a_twin_in_flight_is_waited_for(pg, dsn, show):
    o = order(show)
    for finish, result in (("rollback", OK), ("commit", DUP)):
        o = order(show)
        with psycopg.connect(dsn) as first:
            results(first, o)
            thread, box = in_thread(lambda o=o: results(pg, o))
            with psycopg.connect(dsn, autocommit=True) as look:
                waits(look, "commit_orders")
            getattr(first, finish)()
            thread.join()
        assert box["result"] == [result]
        assert stored(pg, o) == (1, 1, 1)


def test_a_tombstone_waits_for_a_commit_in_flight(pg, dsn, show):
    for finish, state in (("commit", 1), ("rollback", 9)):
        o = order(show)
        with psycopg.connect(dsn) as first:
            results(first, o)
            thread, box = in_thread(lambda o=o: settle(pg, o))
            with psycopg.connect(dsn, autocommit=True) as look:
                waits(look, "settle_orders")
            getattr(first, finish)()
            thread.join()
        assert box["result"][0][0] == state


def test_a_backend_that_is_ended_leaves_whole_orders_or_none(pg, dsn, show):
    o = order(show, places=[90, 91])
    with psycopg.connect(dsn) as blocker:         # holds place 91, so that the batch waits between orders and tickets
        blocker.execute("INSERT INTO tickets (bucket, order_no, place_no, ticket_id, show_id, tier, price_minor)"
                        " VALUES (%s, 1, 91, %s, %s, 1, 100)", [BUCKET, next(numbers), show])
        victim = psycopg.connect(dsn, autocommit=True)
        thread, box = in_thread(lambda: results(victim, o))
        waits(pg, "commit_orders")
        pid = victim.info.backend_pid
        pg.execute("SELECT pg_terminate_backend(%s)", [pid])
        thread.join()
        assert isinstance(box["error"], psycopg.OperationalError)
        blocker.rollback()
    assert stored(pg, o) == (0, 0, 0)
    assert results(pg, o) == [OK], "the same batch again"
    assert stored(pg, o) == (1, 2, 1)


def test_pause_is_final_when_it_returns(pg, dsn, show):
    stop = threading.Event()

    def sell():
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not stop.is_set():
                results(connection, order(show))

    threads = [threading.Thread(target=sell) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    pg.execute("UPDATE inventory SET sale_state = 2 WHERE show_id = %s", [show])
    sold = pg.execute("SELECT count(*) FROM orders WHERE show_id = %s", [show]).fetchone()
    time.sleep(0.3)
    after = pg.execute("SELECT count(*) FROM orders WHERE show_id = %s", [show]).fetchone()
    stop.set()
    for thread in threads:
        thread.join()
    assert 0 < sold[0] == after[0]


def test_many_committers_never_sell_a_place_twice(pg, dsn, show):
    """Orders of one generation that were decided wrongly on purpose: the unique keys are the last line."""
    outcomes = []

    def sell(seed):
        with psycopg.connect(dsn, autocommit=True) as connection:
            for i in range(30):
                batch = [order(show, places=sorted({(seed * 7 + i * k) % 40 + 200 for k in range(1, 4)})) for _ in range(3)]
                while True:
                    try:
                        outcomes.extend(results(connection, *batch))
                        break
                    except psycopg.errors.DeadlockDetected:
                        continue          # as the committer does: the same batch again

    threads = [threading.Thread(target=sell, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {OK, DUP, CONFLICT} and OK in outcomes and CONFLICT in outcomes
    assert pg.execute("SELECT count(*) - count(DISTINCT place_no) FROM tickets WHERE show_id = %s AND live", [show]).fetchone() == (0,)
    torn = pg.execute("SELECT o.order_no FROM orders o WHERE show_id = %s AND n_tickets <> "
                      "(SELECT count(*) FROM tickets t WHERE t.order_no = o.order_no)", [show]).fetchall()
    assert torn == []


# ---- settling -------------------------------------------------------------------------------------------------------------

def test_settle_ends_what_is_over_and_nothing_else(pg, show):
    over, young, paid, void = (order(show, places=[300 + 2 * i, 301 + 2 * i], hold_s=s) for i, s in enumerate((0, 60, 0, 60)))
    results(pg, over, young, paid, void)
    pg.execute("UPDATE orders SET state = 2 WHERE order_no = %s", [paid["no"]])
    pg.execute("UPDATE orders SET state = 5, cancel_reason = 1 WHERE order_no = %s", [void["no"]])
    pg.execute("UPDATE tickets SET live = false WHERE order_no = %s", [void["no"]])
    rows = settle(pg, over, young, paid, void)
    assert [r[:2] for r in rows] == [(5, None), (1, young["places"]), (2, paid["places"]), (5, None)]
    assert pg.execute("SELECT cancel_reason, cancelled_at IS NOT NULL FROM orders WHERE order_no = %s", [over["no"]]).fetchone() == (2, True)
    assert stored(pg, over) == (1, 0, 2), "created and cancelled"
    assert [stored(pg, o)[2] for o in (young, paid, void)] == [1, 1, 1], "nobody else's event"
    assert settle(pg, over)[0][:2] == (5, None)
    assert stored(pg, over)[2] == 2, "again: no second event"


def test_settle_without_an_event_leaves_the_order(pg, show):
    over = order(show, hold_s=0)
    results(pg, over)
    assert settle(pg, over, events=[0])[0][:3] == (1, over["places"], True)


def test_payment_against_expiry_one_wins(pg, dsn, show):
    for first in ("pay", "expire"):
        o = order(show, hold_s=0)
        results(pg, o)
        pay = "UPDATE orders SET state = 2 WHERE order_no = %s AND state = 1"
        with psycopg.connect(dsn) as early:
            if first == "pay":
                assert early.execute(pay, [o["no"]]).rowcount == 1
                thread, box = in_thread(lambda o=o: settle(pg, o))
            else:
                settle(early, o)
                thread, box = in_thread(lambda o=o: pg.execute(pay, [o["no"]]).rowcount)
            with psycopg.connect(dsn, autocommit=True) as look:
                waits(look, "settle_orders" if first == "pay" else "UPDATE orders")
            early.commit()
            thread.join()
        if first == "pay":
            assert box["result"][0][:2] == (2, o["places"])
        else:
            assert box["result"] == 0
            assert stored(pg, o)[1] == 0
