"""Events that cannot be handled: tried again with backoff, parked with their cause, listed, replayed, discarded by ./ticketflow events; and the story
of an order by ./ticketflow order."""

import json
import os
import subprocess

import pytest

from api import Refused, moment, until
from conftest import HOME, ROOT

POISON = "a test refuses this payment"


def ticketflow(*arguments):
    """(exit status, standard output, standard error)"""
    environment = {**os.environ, "TF_HOME": str(HOME)}
    done = subprocess.run([ROOT / "ticketflow", *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env=environment)
    return done.returncode, done.stdout, done.stderr


def dead(*arguments):
    code, text, fault = ticketflow("events", "dead", "--json", *arguments)
    assert code == 0, fault
    return json.loads(text)


@pytest.fixture(scope="module")
def show(new_show):
    return new_show(rows=10, seats=20, one_pending_order=False, account_limit=1000)


@pytest.fixture
def poison(database):
    """While it lasts order cannot note the payments named in table poison."""
    order = database("order")
    order.execute("CREATE TABLE poison (payment_id int8)")
    order.execute(
        f"""CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$ BEGIN
            IF EXISTS (SELECT FROM poison p WHERE p.payment_id = NEW.payment_id) THEN RAISE EXCEPTION '{POISON}'; END IF; RETURN NEW; END $$"""
    )
    order.execute("CREATE TRIGGER poison BEFORE INSERT OR UPDATE ON order_payment FOR EACH ROW EXECUTE FUNCTION poison()")
    yield lambda payment: order.execute("INSERT INTO poison VALUES (%s)", (int(payment["payment_id"]),))
    order.execute("DROP TRIGGER IF EXISTS poison ON order_payment")
    order.execute("DROP FUNCTION poison")
    order.execute("DROP TABLE poison")


def parked_payment(buyer, show, poison, database):
    """A paid attempt whose event order has given up on; the dead letter."""
    payment = buyer.pay(buyer.best(show)["order_no"])
    poison(payment)
    assert buyer.press(payment).status_code == 200
    query = "SELECT attempts FROM event_attempt WHERE topic = 'payment'"
    until(lambda: any(n >= 2 for n, in database("order").execute(query).fetchall()), what="a second attempt")  # first tried again, then parked
    before = {d["event_id"] for d in dead()}
    database("order").execute("UPDATE event_attempt SET attempts = 99 WHERE topic = 'payment'")  # the backoff's minutes are not waited for
    letter, = until(lambda: [d for d in dead() if d["event_id"] not in before], timeout=60, pause=0.5, what="a dead letter")
    assert (letter["service"], letter["topic"], letter["type"]) == ("order", "payment", "payment.succeeded")
    assert POISON in letter["cause"] and letter["attempts"] >= 3 and letter["age_seconds"] < 120 and not letter["replay_asked"]
    return payment, letter


def test_parked_listed_replayed(buyer, show, poison, database):
    payment, letter = parked_payment(buyer, show, poison, database)
    code, text, _ = ticketflow("events", "dead")
    assert code == 0 and f"payment/{letter['event_id']}  payment.succeeded  parked" in text and POISON in text
    assert dead("--service", "pay") == []

    code, _, fault = ticketflow("events", "replay", letter["event_id"])
    assert code == 1 and POISON in fault, fault  # the cause is still there: the letter stays open
    assert letter["event_id"] in {d["event_id"] for d in dead()}

    database("order").execute("DELETE FROM poison")
    code, text, fault = ticketflow("events", "replay", "--all")
    assert code == 0 and "replayed" in text, fault
    assert letter["event_id"] not in {d["event_id"] for d in dead()}
    buyer.await_order(payment["order_no"], state="ORDER_STATE_PAID")
    assert ticketflow("events", "replay", letter["event_id"])[0] == 1
    database("order").execute("DELETE FROM dead_letter WHERE event_id = %s", (int(letter["event_id"]),))


def test_discarded_with_a_reason(buyer, show, poison, database, operator):
    payment, letter = parked_payment(buyer, show, poison, database)
    code, text, fault = ticketflow("events", "discard", f"payment/{letter['event_id']}", "--reason", "a test's")
    assert code == 0 and "discarded" in text, fault
    assert letter["event_id"] not in {d["event_id"] for d in dead()}
    row = database("order").execute("SELECT resolution FROM dead_letter WHERE event_id = %s", (int(letter["event_id"]),)).fetchone()
    assert row == ("discarded: a test's",)
    # What was discarded must not stay undone: the money of this test is given its order after all.
    database("order").execute("DELETE FROM poison")
    database("order").execute("UPDATE dead_letter SET resolved_at = NULL, resolution = NULL WHERE event_id = %s", (int(letter["event_id"]),))
    assert ticketflow("events", "replay", letter["event_id"])[0] == 0
    buyer.await_order(payment["order_no"], state="ORDER_STATE_PAID")


@pytest.mark.parametrize(
    "arguments",
    (["events"], ["events", "burn"], ["events", "replay"], ["events", "replay", "1", "--all"], ["events", "discard", "1"], ["events", "dead", "1"],
     ["events", "dead", "--service", "user"], ["order"], ["order", "1", "2"], ["order", "--show"]),
    ids=" ".join,
)
def test_misuse_is_named(arguments):
    code, text, fault = ticketflow(*arguments)
    assert (code, text) == (64, "") and fault.startswith(f"ticketflow: {arguments[0]}: ")


def test_no_such_event():
    for command in (["replay", "4711"], ["discard", "4711", "--reason", "why"]):
        code, _, fault = ticketflow("events", *command)
        assert code == 1 and "no dead letter '4711' is open" in fault


def test_the_story_of_an_order(buyer, show):
    order = buyer.buy(show)
    ticket = order["tickets"][0]
    for key in ([order["order_no"]], [ticket["ticket_id"]], [buyer.login["email"]], ["--show", show, str(ticket["place_no"])], ["--show", show, ticket["place_text"]]):
        code, text, fault = ticketflow("order", *key)
        assert code == 0, fault
        lines = text.splitlines()
        assert lines[0].startswith(order["order_no"]) and lines[1] == ""
        assert [words in text for words in ("The buyer asked for places", "The order was stored", "The money came", "The order was paid")] == [True] * 4
        times = [moment(line.split()[0]) for line in lines[2:]]
        assert times == sorted(times)
    story = json.loads(ticketflow("order", "--json", order["order_no"])[1])
    assert story["order"]["order_no"] == order["order_no"] and story["whole"] is True
    assert {"order.requested", "order.paid", "payment.notified"} <= {e["kind"] for e in story["entries"]}

    second = buyer.best(show)
    code, text, _ = ticketflow("order", buyer.login["email"])
    assert code == 0 and [line.split()[0] for line in text.splitlines()] == [second["order_no"], order["order_no"]]
    code, text, fault = ticketflow("order", "nobody@buyer.example")
    assert (code, text) == (1, "") and "no order is found" in fault


def test_killed_between_effect_and_acknowledgement(buyer, show, local, redis, database, operator):
    """order dies after its effects are stored and before the engine knows: all is delivered again, and nothing happens twice."""
    orders = [buyer.buy(show) for _ in range(3)]
    number = [int(o["order_no"]) for o in orders]

    def effects():
        count = "SELECT count(*) FROM order_history WHERE order_no = ANY (%s) AND kind = 'order.paid'"
        told = "SELECT count(*) FROM outbox WHERE aggregate_id = ANY (%s)"
        owed = "SELECT count(*) FROM refund_due WHERE order_no = ANY (%s)"
        return [database("order").execute(query, (number,)).fetchone()[0] for query in (count, told, owed)]

    before = effects()
    assert before[0] == 3 and before[2] == 0
    pid = local.parts()["order"]["pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    redis.xgroup_setid("tf:bus:payment", "order", "0")  # as if none had been acknowledged
    until(lambda: (part := local.parts()["order"])["pid"] not in (pid, 0) and part["state"] == "running", timeout=30, what="order's return")
    last = redis.xinfo_stream("tf:bus:payment")["last-generated-id"]

    def read_again():
        group = next(g for g in redis.xinfo_groups("tf:bus:payment") if g["name"] in (b"order", "order"))
        return group["last-delivered-id"] == last and group["pending"] == 0

    until(read_again, timeout=30, what="every event to be delivered again")
    assert effects() == before

    def patient(call):
        """What it answers once the callers of order, gateway and pay, have their way back to it."""

        def attempt():
            try:
                return call()
            except Refused as refused:
                assert refused.reason == "STORE_DOWN"

        return until(attempt, timeout=10, what="the way back to order")

    for o in orders:
        assert patient(lambda: buyer.get_order(o["order_no"]))["state"] == "ORDER_STATE_PAID"
    fresh = patient(lambda: buyer.best(show))  # and the new process goes on
    payment = patient(lambda: buyer.pay(fresh["order_no"]))
    assert buyer.paid(fresh, payment)["state"] == "ORDER_STATE_PAID"
