"""./ticketflow check: every invariant is broken on purpose, behind the services' backs, and is named with its offender; then mended.

Runs last (hence its name): what the other tests left behind must be clean, too."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import types

import pytest

from api import until
from conftest import BASE_PORT, BIN, HOME


def violated(local):
    """Rule → offenders, of those that are violated; the exit status must agree."""
    done = local.check()
    rules = {rule["rule"]: rule["offenders"] for rule in json.loads(done.stdout)["rules"] if rule["violations"]}
    assert done.returncode == (1 if rules else 0), done
    return rules


@pytest.fixture(scope="module")
def stage(buyers, new_show, new_person, database, redis, operator):
    """Orders in every state, in shows of their own: what the tests break."""
    a, b = buyers(2)
    show = new_show(one_pending_order=False, account_limit=3)
    s = types.SimpleNamespace(show=show, order_db=database("order"), pay_db=database("pay"), database=database, redis=redis)
    s.paid, s.other = a.buy(show, 2), b.buy(show, 2)
    s.pending = b.best(show)
    s.cancelled = a.best(show)
    a.post(f"/v1/orders/{s.cancelled['order_no']}:cancel")
    s.refunded = a.buy(show)
    operator.post(f"/v1/admin/orders/{s.refunded['order_no']}:refund", {"reason": "for the check"})
    s.refunded = a.await_order(s.refunded["order_no"], money_state="MONEY_STATE_REFUNDED")
    s.refund = s.refunded["refunds"][0]
    s.payment = s.paid["payments"][0]["payment_id"]
    key = until(lambda: list(redis.scan_iter(f"tf:*:{show}:m", count=10000)), what="the inventory's key")[0].decode()
    s.map_key, s.due_key = key, key.split(f":{show}")[0] + ":due"
    return s


@pytest.fixture
def quiet(local):
    """The services that would mend or trip over what is broken stand still meanwhile."""
    pids = [local.parts()[part]["pid"] for part in ("order", "pay", "program")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def changed(db, table, key, **members):
    """One row's members are changed, and back."""
    names = list(members)
    where = " AND ".join(f"{name} = %({name})s" for name in key)
    before = db.execute(f"SELECT {', '.join(names)} FROM {table} WHERE {where}", key).fetchall()
    assert len(before) == 1, f"{len(before)} rows of {table} for {key}"

    def put(key, values):
        cursor = db.execute(f"UPDATE {table} SET {', '.join(f'{n} = %(new_{n})s' for n in names)} WHERE {where}", key | {f"new_{n}": v for n, v in values.items()})
        assert cursor.rowcount == 1

    members = {n: at(db, v) for n, v in members.items()}
    put(key, members)
    try:
        yield
    finally:
        put(key | {n: v for n, v in members.items() if n in key}, dict(zip(names, before[0])))


class Ago:
    """A moment so many seconds ago, by the database's clock."""

    def __init__(self, seconds):
        self.seconds = seconds


def at(db, value):
    return db.execute("SELECT clock_timestamp() - %s * interval '1 s'", [value.seconds]).fetchone()[0] if isinstance(value, Ago) else value


@contextlib.contextmanager
def inserted(db, table, row):
    row = {n: at(db, v) for n, v in row.items()}
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f'%({n})s' for n in row)})", row)
    try:
        yield
    finally:
        db.execute(f"DELETE FROM {table} WHERE {' AND '.join(f'{n} = %({n})s' for n in row)}", row)


@contextlib.contextmanager
def deleted(db, table, key):
    where = " AND ".join(f"{name} = %({name})s" for name in key)
    cursor = db.execute(f"DELETE FROM {table} WHERE {where} RETURNING *", key)
    names = [column.name for column in cursor.description]
    row, = cursor.fetchall()
    try:
        yield
    finally:
        db.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})", row)


@contextlib.contextmanager
def without_index(db, name):
    """A unique index is away, and is made again (which fails if what it forbids is still there)."""
    definition, = db.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [name]).fetchone()
    db.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        db.execute(definition)


@contextlib.contextmanager
def flipped(redis, key, *bits):
    for bit in bits:
        redis.setbit(key, bit, 1 - redis.getbit(key, bit))
    try:
        yield
    finally:
        for bit in bits:
            redis.setbit(key, bit, 1 - redis.getbit(key, bit))


@contextlib.contextmanager
def taken_away(redis, key):
    """A key is gone meanwhile: the functions answer CLOSED."""
    value = redis.dump(key)
    redis.delete(key)
    try:
        yield
    finally:
        redis.restore(key, 0, value)


def ticket_key(order, i=0):
    return {"order_no": int(order["order_no"]), "place_no": order["tickets"][i]["place_no"]}


def order_key(order):
    return {"order_no": int(order["order_no"])}


def free_bit(place):
    return 64 * 8 + place


def envelope(**members):
    return {"bucket": 1, "event_id": 4711, "topic": "order", "aggregate_id": 1, "envelope": b"x"} | members


@contextlib.contextmanager
def all_of(*breaks):
    with contextlib.ExitStack() as stack:
        for b in breaks:
            stack.enter_context(b)
        yield


@contextlib.contextmanager
def due_entry(s, order, seconds_ago):
    member = f"{s.show}:{order['order_no']}"
    before = s.redis.zscore(s.due_key, member)
    s.redis.zadd(s.due_key, {member: (time.time() - seconds_ago) * 1000})
    try:
        yield
    finally:
        s.redis.zadd(s.due_key, {member: before}) if before is not None else s.redis.zrem(s.due_key, member)


PERSON = "f" * 64
DEAD = {"topic": "order", "event_id": -4711, "type": "test.broken", "envelope": b"x", "cause": "broken on purpose", "attempts": 5}



def decision(s, **members):
    payment = int(s.refund["payment_id"])
    return {
        "bucket": payment & 1023, "decision_id": 4711, "of_refund": True, "payment_id": payment, "order_no": int(s.refunded["order_no"]), "organiser_id": 1,
        "currency": "CNY", "amount_minor": 10000, "cause": "refused", "parked_at": Ago(60), "reason": "a test", "reference": "", "user_id": 1, "request_id": "k", "decided_at": Ago(1),
    } | members  # fmt: skip


# Name → (what is done, rule → what its offender's line must say; no other rule may be violated).
BREAKS = {
    "a place in two live tickets": (
        lambda s: all_of(without_index(s.order_db, "tickets_live"), changed(s.order_db, "tickets", ticket_key(s.paid), place_no=s.other["tickets"][0]["place_no"])),
        lambda s: {
            "place_once": [s.show, s.other["tickets"][0]["place_no"], s.paid["order_no"], s.other["order_no"]],
            "places_equal": [s.show, s.paid["tickets"][0]["place_no"], "PostgreSQL says free, Redis says sold"],
            "capacity": [s.show, "tier 1", "PostgreSQL has 4 sold, 1 held, 0 blocked, 36 free; capacity 40"],
        },
    ),
    "a live ticket of a cancelled order": (
        lambda s: changed(s.order_db, "tickets", ticket_key(s.cancelled), live=True),
        lambda s: {
            "ticket_of_live_order": [s.cancelled["order_no"], s.cancelled["tickets"][0]["place_no"]],
            "places_equal": [s.show, s.cancelled["tickets"][0]["place_no"], "PostgreSQL says sold, Redis says free"],
        },
    ),
    "a paid order whose ticket died": (
        lambda s: changed(s.order_db, "tickets", ticket_key(s.paid), live=False),
        lambda s: {
            "ticket_of_live_order": [s.paid["order_no"], "live is f"],
            "order_has_its_tickets": [s.paid["order_no"], "1 live tickets of 2"],
            "places_equal": [s.show, s.paid["tickets"][0]["place_no"], "PostgreSQL says free, Redis says sold"],
        },
    ),
    "an order that misses a ticket": (
        lambda s: changed(s.order_db, "orders", order_key(s.pending), n_tickets=2),
        lambda s: {"order_has_its_tickets": [s.pending["order_no"], "1 live tickets of 2"]},
    ),
    "a total that is no sum": (
        lambda s: changed(s.order_db, "orders", order_key(s.pending), total_minor=1),
        lambda s: {"order_total": [s.pending["order_no"], "total 1"]},
    ),
    "a person with two tickets": (
        lambda s: all_of(
            without_index(s.order_db, "tickets_person"),
            changed(s.order_db, "tickets", ticket_key(s.paid), person=PERSON),
            changed(s.order_db, "tickets", ticket_key(s.other), person=PERSON),
        ),
        lambda s: {"person_limit": [s.show, "2 tickets"]},
    ),
    "an account over its limit": (
        lambda s: changed(s.order_db, "orders", order_key(s.other), user_id=owner(s, s.paid)),
        lambda s: {"account_limit": [s.show, owner(s, s.paid), "4 tickets, limit 3"]},
    ),
    "a hold past its end": (
        lambda s: changed(s.order_db, "orders", order_key(s.pending), release_at=Ago(6)),
        lambda s: {"hold_not_overdue": [s.pending["order_no"]]},
    ),
    "a change that never reached Redis": (
        lambda s: inserted(s.order_db, "settle_queue", {"bucket": 1, "order_no": int(s.paid["order_no"]), "show_id": int(s.show), "created_at": Ago(61)}),
        lambda s: {"settle_queue_moves": [s.paid["order_no"]]},
    ),
    "an event not sent, of order": (
        lambda s: inserted(s.order_db, "outbox", envelope(created_at=Ago(61))),
        lambda s: {"events_sent": ["4711", "topic order"]},
    ),
    "an event not sent, of pay": (
        lambda s: inserted(s.pay_db, "outbox", envelope(topic="payment", created_at=Ago(61))),
        lambda s: {"events_sent": ["4711", "topic payment"]},
    ),
    "an event not sent, of program": (
        lambda s: inserted(s.database("program"), "outbox", envelope(topic="show", created_at=Ago(61))),
        lambda s: {"events_sent": ["4711", "topic show"]},
    ),
    "a dead letter of order": (lambda s: inserted(s.order_db, "dead_letter", DEAD), lambda s: {"no_dead_letters": ["-4711", "broken on purpose"]}),
    "a dead letter of pay": (lambda s: inserted(s.pay_db, "dead_letter", DEAD), lambda s: {"no_dead_letters": ["-4711", "broken on purpose"]}),
    "a dead letter of program": (lambda s: inserted(s.database("program"), "dead_letter", DEAD), lambda s: {"no_dead_letters": ["-4711", "broken on purpose"]}),
    "a sold place that Redis thinks free": (
        lambda s: flipped(s.redis, s.map_key, free_bit(s.paid["tickets"][0]["place_no"])),
        lambda s: {"places_equal": [s.show, s.paid["tickets"][0]["place_no"], "PostgreSQL says sold, Redis says free"], "capacity": [s.show, "tier 1", "Redis has", "capacity 40"]},
    ),
    "a place that nobody has": (
        lambda s: flipped(s.redis, s.map_key, free_bit(s.cancelled["tickets"][0]["place_no"])),
        lambda s: {"places_equal": [s.show, s.cancelled["tickets"][0]["place_no"], "PostgreSQL says free, Redis says held"], "capacity": [s.show, "tier 1", "Redis has", "capacity 40"]},
    ),
    "a show on sale that nobody opens": (
        lambda s: taken_away(s.redis, s.map_key),
        lambda s: {"places_equal": [s.show, "on sale", "CLOSED"]},
    ),
    "a due entry that nobody settles": (
        lambda s: due_entry(s, s.pending, 61),
        lambda s: {"due_entries_move": [s.show, s.pending["order_no"]]},
    ),
    "money without ticket or refund": (
        lambda s: all_of(deleted(s.order_db, "refund_due", {"payment_id": int(s.refund["payment_id"])}), changed(s.pay_db, "payment", {"payment_id": int(s.refund["payment_id"])}, success_at=Ago(61))),
        lambda s: {"money_in_one_place": [s.refund["payment_id"], "neither ticket nor refund"]},
    ),
    "money with both ticket and refund": (
        lambda s: inserted(
            s.order_db,
            "refund_due",
            {"bucket": int(s.payment) & 1023, "payment_id": int(s.payment), "refund_id": 4711, "order_no": int(s.paid["order_no"]), "amount_minor": 20000, "reason": "OPERATOR", "requested_at": Ago(1)},
        ),
        lambda s: {"money_in_one_place": [s.payment, "both a ticket and a whole refund"]},
    ),
    "a ticket without money": (
        lambda s: all_of(changed(s.order_db, "orders", order_key(s.paid), payment_id=4711), changed(s.pay_db, "payment", {"payment_id": int(s.payment)}, success_at=Ago(0))),
        lambda s: {"no_ticket_without_money": [s.paid["order_no"], "4711"]},
    ),
    "a refund of another amount than in the books": (
        lambda s: changed(s.pay_db, "refund", {"refund_id": int(s.refund["refund_id"])}, amount_minor=9999),
        lambda s: {"books_of_the_provider": [s.refund["refund_id"], "10000 at the provider, 9999 here"]},
    ),
    "a refund in the books that we do not know": (
        lambda s: deleted(s.pay_db, "refund", {"refund_id": int(s.refund["refund_id"])}),
        lambda s: {"books_of_the_provider": ["1 refunds at the provider are unknown here"]},
    ),
    "a refund that the books do not know": (
        lambda s: changed(s.pay_db, "refund", {"refund_id": int(s.refund["refund_id"])}, refund_id=4711),
        lambda s: {"books_of_the_provider": ["4711", "unknown to the provider"]},
    ),
    "a payment of another amount than in the books": (
        lambda s: changed(s.pay_db, "payment", {"payment_id": int(s.refund["payment_id"])}, amount_minor=9999),
        lambda s: {"books_of_the_provider": [s.refund["payment_id"], "10000 at the provider, 9999 here"]},
    ),
    "a parked payment that nobody decides": (
        lambda s: changed(s.pay_db, "payment", {"payment_id": int(s.refund["payment_id"])}, parked=True, failure="odd money", created_at=Ago(301)),
        lambda s: {"notifications_fit": [s.refund["payment_id"], "odd money"]},
    ),
    "a refund settled elsewhere that nobody decided": (
        lambda s: changed(s.pay_db, "refund", {"refund_id": int(s.refund["refund_id"])}, state="SETTLED"),
        lambda s: {"decisions_stand": [s.refund["refund_id"], "nobody decided"], "books_of_the_provider": [s.refund["refund_id"], "the provider paid back too"]},
    ),
    "a decision without its refund": (
        lambda s: inserted(s.pay_db, "money_decision", decision(s, refund_id=4711, kind=1)),
        lambda s: {"decisions_stand": ["refund 4711 is not there"]},
    ),
    "a decision that something else became of": (
        lambda s: inserted(s.pay_db, "money_decision", decision(s, refund_id=int(s.refund["refund_id"]), kind=3)),
        lambda s: {"decisions_stand": [s.refund["refund_id"], "SETTLED_ELSEWHERE", "SUCCEEDED of 10000 CNY"]},
    ),
    "money decided about by nobody": (
        lambda s: changed(s.pay_db, "payment", {"payment_id": int(s.refund["payment_id"])}, decided_minor=10000, decided_currency="CNY"),
        lambda s: {"decisions_stand": [s.refund["payment_id"], "nobody did"]},
    ),
    "a parked refund that nobody decides": (
        lambda s: changed(s.pay_db, "refund", {"refund_id": int(s.refund["refund_id"])}, state="PARKED", cause="account closed", parked_at=Ago(301)),
        lambda s: {"refunds_decided": [s.refund["refund_id"], "account closed"]},
    ),
}


def owner(s, order):
    return s.order_db.execute("SELECT user_id FROM orders WHERE order_no = %s", [int(order["order_no"])]).fetchone()[0]


def test_everything_before_left_the_books_clean(stage, local):
    """After the whole suite. What is on its way gets a minute."""
    end = time.monotonic() + 60
    while (rules := violated(local)) and time.monotonic() < end:
        time.sleep(2)
    assert rules == {}


@pytest.mark.parametrize("name", BREAKS)
def test_check_names_what_is_broken(stage, quiet, local, name):
    break_it, expected = BREAKS[name]
    wanted = expected(stage)
    with break_it(stage):
        rules = violated(local)
    assert set(rules) == set(wanted), rules
    for rule, words in wanted.items():
        assert any(all(str(word) in offender for word in words) for offender in rules[rule]), f"{rule}: {words} not in {rules[rule]}"


def test_every_rule_is_broken_by_some_test(stage, local):
    """A rule that is added to check needs a row above."""
    rules = {rule["rule"] for rule in json.loads(local.check().stdout)["rules"]}
    assert rules == {rule for _, expected in BREAKS.values() for rule in expected(stage)}


def test_a_difference_that_passes_is_none(stage, quiet, local):
    """Places that differ are read again after five seconds: what was only on its way does not count."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(flipped(stage.redis, stage.map_key, free_bit(stage.paid["tickets"][0]["place_no"])))
        mend = threading.Timer(2.0, stack.pop_all().close)
        mend.start()
        assert violated(local) == {}
        mend.join()
    assert time.monotonic() - began > 5, "it was not looked at twice"


def test_the_report_for_people(stage, quiet):
    command = [str(BIN / "tf-check"), "--home", str(HOME), "--base-port", str(BASE_PORT)]
    clean = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert clean.returncode == 0 and clean.stdout.splitlines()[-1].endswith("0 violated, 0 offenders")
    with changed(stage.order_db, "orders", order_key(stage.pending), total_minor=1):
        broken = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = broken.stdout.splitlines()
    at, = (i for i, line in enumerate(lines) if line.startswith("VIOLATED"))
    assert broken.returncode == 1 and "order_total" in lines[at] and stage.pending["order_no"] in lines[at + 1]
    assert lines[-1].endswith("1 violated, 1 offenders")


def test_a_store_that_is_away_is_no_clean_bill(tmp_path):
    """Nothing could be looked at: that is a violation, not a success."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "secrets").symlink_to(HOME / "secrets")
    done = subprocess.run([str(BIN / "tf-check"), "--home", str(home), "--base-port", "1024", "--json"], capture_output=True, text=True, timeout=300)
    rules = json.loads(done.stdout)["rules"]
    assert done.returncode == 1 and rules and all(rule["violations"] for rule in rules if rule["rule"] not in ("capacity", "account_limit", "places_equal")), rules


def test_mended(stage, local, buyers):
    """Everything is back as it was, and the services that stood still go on."""
    b = buyers(2)[1]
    until(lambda: all(part["state"] == "running" for part in local.parts().values()), what="all parts")
    assert violated(local) == {}
    b.paid(stage.pending)
    assert violated(local) == {}
