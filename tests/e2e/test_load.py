"""tools/load: the accounts that it prepares are accounts, and what it writes down while parts are killed is the truth."""

import collections
import json
import os
import signal
import subprocess
import time

import pytest

from api import Api, until
from conftest import BIN, GATEWAY, HOME

CONNECTIONS = 24
PAID, PENDING = 2, 1
"""OrderState, as order's table has it."""


def tf_load(*arguments):
    return subprocess.run([str(BIN / "tf-load"), *map(str, arguments)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def accounts(local, tmp_path_factory):
    path = tmp_path_factory.mktemp("load") / "accounts.jsonl"
    done = tf_load("prepare", "--home", HOME, "--base-port", local.base_port, "--accounts", 2 * CONNECTIONS, "--out", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def load(accounts, tmp_path):
    """load(show, …) → the running client; its journal is load.journal()."""
    out = tmp_path / "journal.jsonl"
    started = []

    def start(show, *arguments):
        command = [BIN / "tf-load", "run", "--accounts", accounts, "--gateways", GATEWAY, "--show", show, "--out", out, "--connections", CONNECTIONS, *arguments]
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    start.journal = lambda: [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    yield start
    for process in started:
        process.kill()
        process.communicate()


def kill(local, part):
    """kill -9, and until the supervisor has brought it back."""
    before = local.parts()[part]
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: (now := local.parts()[part])["state"] == "running" and now["pid"] != before["pid"], timeout=30, what=f"the restart of {part}")


def acknowledged(journal, op):
    return [line for line in journal if (line["op"], line["outcome"]) == (op, "ok")]


def test_prepared_accounts_are_as_user_writes_them(accounts, http):
    lines = [json.loads(line) for line in accounts.read_text().splitlines()]
    assert accounts.stat().st_mode & 0o777 == 0o600
    assert len({line["user_id"] for line in lines}) == 2 * CONNECTIONS
    for line in (lines[0], lines[-1]):
        user = Api(GATEWAY, line["token"], client=http).get("/v1/users/me")["user"]  # opens what is sealed
        assert (user["user_id"], user["email_masked"]) == (line["user_id"], "l***@buyer.example")


def test_what_was_acknowledged_while_parts_died_is_there(local, load, new_show, database):
    show = new_show(rows=100, seats=100, account_limit=1000, one_pending_order=False)
    process = load(show, "--until-signal", "--mix", "order=60,pay=35,get=5", "--split", "--rate-limit", 400, "--tries", 30)
    for part in ("gateway", "order"):
        reached = len(load.journal()) + 300
        until(lambda: len(load.journal()) > reached, timeout=60, what=f"calls before {part} is killed")
        kill(local, part)
    reached = len(acknowledged(load.journal(), "order")) + 100
    until(lambda: len(acknowledged(load.journal(), "order")) > reached, timeout=60, what="orders after the kills")
    process.send_signal(signal.SIGTERM)
    summary, fault = process.communicate(timeout=60)
    assert process.returncode == 0, fault
    journal = load.journal()
    print(summary)

    # The kills were felt, and each key went on where it had stopped.
    attempts = collections.defaultdict(list)
    for line in journal:
        attempts[line["op"], line["key"]].append(line)
    assert any(line["outcome"] == "unknown" for line in journal)
    for lines in attempts.values():
        assert [line["attempt"] for line in lines] == list(range(1, len(lines) + 1))
        assert not [line for line in lines[:-1] if line["outcome"] == "ok"], "asked again after it was answered"

    # Every acknowledged order is there, as it was acknowledged; nothing is there that nobody asked for.
    rows = database("order").execute(
        "SELECT o.order_no, o.request_id, o.user_id, o.state, array_agg(t.place_no) FROM orders o JOIN tickets t USING (bucket, order_no)"
        " WHERE o.show_id = %s GROUP BY o.bucket, o.order_no",
        [show],
    )
    stored = {str(row[0]): row for row in rows}
    orders = acknowledged(journal, "order")
    for line in orders:
        _, request_id, user_id, state, places = stored[line["order_no"]]
        assert (request_id, str(user_id), sorted(places)) == (line["key"], line["user_id"], sorted(line["places"]))
        assert state in (PENDING, PAID)
    asked = {key for op, key in attempts if op == "order"}
    assert {row[1] for row in stored.values()} <= asked
    assert len({line["order_no"] for line in orders}) == len(orders)
    sold = collections.Counter(place for line in orders for place in line["places"])
    assert set(sold.values()) == {1}, "a place was acknowledged twice"

    # Money that the bank acknowledged ends in paid orders.
    pressed = {line["order_no"] for line in acknowledged(journal, "press")}
    assert pressed

    def unpaid():
        rows = database("order").execute("SELECT order_no FROM orders WHERE show_id = %s AND state = %s", [show, PAID])
        return pressed - {str(row[0]) for row in rows}

    until(lambda: not unpaid(), timeout=40, what="every pressed payment")
    check = local.check()
    assert check.returncode == 0, check.stdout


def test_a_limited_run_ends_by_itself_and_says_what_it_did(load, new_show, tmp_path):
    show = new_show(rows=10, seats=10, account_limit=1000, one_pending_order=False)
    begun = time.monotonic()
    process = load(show, "--seconds", 2, "--rate-limit", 50, "--mix", "order=70,cancel=30", "--json", tmp_path / "summary.json")
    _, fault = process.communicate(timeout=60)
    assert process.returncode == 0, fault
    assert 2 <= time.monotonic() - begun < 10
    journal, summary = load.journal(), json.loads((tmp_path / "summary.json").read_text())
    assert 80 <= len(journal) <= 102
    told = collections.Counter((line["op"], line["outcome"], line["reason"]) for line in journal)
    assert told == {(c["op"], c["outcome"], c["reason"]): c["count"] for c in summary["calls"]}
    assert {line["state"] for line in acknowledged(journal, "cancel")} == {"ORDER_STATE_CANCELLED"}
    assert summary["orders"] <= len(acknowledged(journal, "order"))
    assert 0 < summary["orders_per_s"] <= 51
    assert all(op["p50_ms"] <= op["p90_ms"] <= op["p99_ms"] <= op["max_ms"] for op in summary["operations"])


def test_refusals_are_told_by_their_reason(load, new_show):
    show = new_show(rows=1, seats=4, account_limit=1000, one_pending_order=False)
    process = load(show, "--seconds", 1, "--rate-limit", 40)
    assert process.wait(timeout=60) == 0
    refused = [line for line in load.journal() if line["outcome"] == "refused"]
    assert len(acknowledged(load.journal(), "order")) == 2
    assert {(line["status"], line["reason"]) for line in refused} <= {(409, "SOLD_OUT"), (409, "NONE_FREE_NOW")} and refused


def test_a_gateway_that_is_not_there_costs_one_try(load, new_show):
    """Half of the buyers begin at a port where nobody listens: the same key on the next gateway succeeds."""
    show = new_show(rows=20, seats=20, account_limit=1000, one_pending_order=False)
    process = load(show, "--seconds", 1, "--rate-limit", 60, "--gateways", "http://127.0.0.1:1")
    assert process.wait(timeout=60) == 0
    by_key = collections.defaultdict(list)
    for line in load.journal():
        by_key[line["key"]].append((line["attempt"], line["outcome"], line["reason"]))
    assert [(1, "unknown", "UNCONNECTED"), (2, "ok", "")] in by_key.values()
    assert all(tries[-1][1] == "ok" and len(tries) <= 2 for tries in by_key.values()), by_key


def test_what_is_under_way_at_a_second_signal_is_open(local, load, new_show):
    """The gateway stands still: calls in flight are waited for until told otherwise, and written down as what they are."""
    show = new_show(rows=100, seats=100, account_limit=1000, one_pending_order=False)
    gateway = local.parts()["gateway"]["pid"]
    process = load(show, "--until-signal", "--tries", 3)
    until(lambda: len(load.journal()) > CONNECTIONS, what="calls")
    os.kill(gateway, signal.SIGSTOP)
    try:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        told = len(load.journal())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        os.kill(gateway, signal.SIGCONT)
    rest = load.journal()[told:]
    assert len(rest) == len({line["key"] for line in rest}) <= CONNECTIONS and rest
    assert {(line["outcome"], line["reason"]) for line in rest} == {("unknown", "LATE")}


@pytest.mark.parametrize(
    "arguments, fault",
    [
        (["run"], "run needs --accounts, --gateways, --show and --out"),
        (["run", "--connections", "0"], "--connections: a number from 1 to 20000"),
        (["run", "--mix", "pay=1"], "run needs"),
        (["run", "--gateways", "https://x"], "is not http://HOST:PORT"),
        (["run", "--show", "x"], "'x' is no show's id"),
        (["run", "--seconds"], "'--seconds' is not understood here, or has no value"),
        (["prepare", "--accounts", "5"], "prepare needs --home, --accounts and --out"),
        (["dance"], "usage:"),
    ],
)
def test_faults_of_the_command_line(arguments, fault):
    done = tf_load(*arguments)
    assert done.returncode == 64 and fault in done.stderr, done.stderr


def test_a_witness_is_not_overwritten(accounts, tmp_path):
    out = tmp_path / "journal"
    out.write_text("{}\n")
    done = tf_load("run", "--accounts", accounts, "--gateways", GATEWAY, "--show", 1, "--out", out, "--connections", 1)
    assert (done.returncode, out.read_text()) == (1, "{}\n") and "not overwritten" in done.stderr


def test_too_few_accounts(accounts, tmp_path):
    done = tf_load("run", "--accounts", accounts, "--gateways", GATEWAY, "--show", 1, "--out", tmp_path / "j")
    assert done.returncode == 1 and f"has {2 * CONNECTIONS} accounts; 128 connections need as many" in done.stderr
