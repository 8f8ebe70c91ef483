"""Several instances of every service and gateway on one machine: they share the work, come and go under traffic, and buyers who repeat a call once, with
the same key at another gateway, see no failure. On an installation of its own."""

import collections
import contextlib
import itertools
import os
import pathlib
import re
import secrets
import signal
import subprocess
import threading
import time

import httpx
import psycopg
import pytest

from api import Api, Background, Refused, in_threads, new_key, places, until, volley
from conftest import BASE_PORT, BIN, ROOT, catalogue, new_ref
from test_local import listens, local, private_home, processes_of, seconds, status

PORT = BASE_PORT + 2200
SCALED = ("user", "program", "order", "pay", "gateway")


class Several:
    """The installation: two instances of each part that may have several."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.client = httpx.Client(timeout=30, limits=httpx.Limits(max_connections=200, max_keepalive_connections=200))
        words = dict(line.split(" ", 1) for line in (self.home / "secrets" / "operator.password").read_text().splitlines())
        self.operator = self.caller(1, self.log_in(words["login"], words["password"]))

    def gateway(self, instance):
        return f"http://127.0.0.1:{PORT + 80 + 200 * (instance - 1)}"

    def caller(self, instance, token=None):
        return Api(self.gateway(instance), token, client=self.client)

    def log_in(self, login, password):
        return self.caller(1).post("/v1/sessions", {"login": login, "password": password, "device": "pytest"})["tokens"]["access_token"]

    def buyer(self):
        """The token of a fresh account."""
        login, password = f"{secrets.token_hex(8)}@buyer.example", secrets.token_hex(8)
        self.caller(1).post("/v1/users", {"email": login, "password": password, "name": "Buyer", "language": "en"})
        return self.log_in(login, password)

    def show(self, rows=40, seats=50, document=None, **show):
        """The id of a show that all instances sell."""
        document = document or catalogue(new_ref(), rows, seats, 10000, {"one_pending_order": False, "account_limit": 1000, **show})
        objects = self.operator.call("POST", "/v1/admin/imports", document)["objects"]
        (show_id,) = [o["id"] for o in objects if o["kind"] == "show"]
        # An instance that was asked too early believes for a moment that there is no such show.
        until(lambda: all(self.sells(n, show_id) for n in range(16)), what="all instances know the show")
        return show_id

    def sells(self, n, show_id):
        return self.caller(n % 2 + 1).request("GET", f"/v1/shows/{show_id}/availability").status_code == 200

    def local(self, command, *arguments):
        code, text = local(command, self.home, *arguments)
        assert code == 0, text
        return text

    def check(self):
        command = [BIN / "tf-check", "--home", self.home, "--base-port", str(PORT)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def several():
    with private_home() as home:
        settings = [argument for s in ("order.hold_floor_s=2", "program.hold_floor_s=2") for argument in ("--set", s)]
        code, text = local("start", home, "--base-port", PORT, "--scale", ",".join(f"{part}=2" for part in SCALED), *settings)
        assert code == 0, text
        installation = Several(home)
        with contextlib.closing(installation.client):
            yield installation


@pytest.fixture(scope="module")
def tokens(several):
    return in_threads(lambda _: several.buyer(), range(6), threads=3)


class Traffic:
    """Buyers who order, read, pay or cancel. A call without a sound answer is repeated once, with the same key, at the other gateway; what fails then, or a
    second order under one key, is a failure."""

    def __init__(self, several, tokens, show_id):
        self.several, self.show_id, self.serial = several, show_id, itertools.count()
        self.tokens, self.lock = list(tokens), threading.Lock()
        self.orders, self.failures, self.repeated = [], [], collections.Counter()

    def call(self, token, method, path, body=None, key=None):
        """The answer's body; None when it failed twice."""
        first, said = next(self.serial) % 2 + 1, []
        for attempt, instance in enumerate((first, 3 - first)):
            headers = {"Idempotency-Attempt": str(attempt + 1)} if key else None
            try:
                response = self.several.caller(instance, token).request(method, path, body, key=key, headers=headers)
                if response.status_code == 200:
                    return response.json()
                said.append(f"{instance}: {response.status_code} {response.text[:300]}")
                reason = response.json().get("reason")
            except httpx.TransportError as failure:
                said.append(f"{instance}: {failure!r}")
                reason = type(failure).__name__
            self.repeated[f"{path.split('/')[2]} {reason}"] += 1
        self.failures.append((method, path, said))
        return None

    def step(self):
        with self.lock:
            token = self.tokens.pop()
        try:
            self.purchase(token, next(self.serial))
        finally:
            with self.lock:
                self.tokens.append(token)

    def purchase(self, token, n):
        body, key = {"show_id": self.show_id, "choices": [{"tier": 1, "count": 2, "allow_split": True}]}, new_key()
        made = self.call(token, "POST", "/v1/orders", body, key)
        order = made and made["order"]
        again = order and self.call(token, "POST", "/v1/orders", body, key)
        if not again:
            return
        if again["order"]["order_no"] != order["order_no"]:
            self.failures.append(("two orders under one key", order["order_no"], again["order"]["order_no"]))
        path, end = f"/v1/orders/{order['order_no']}", None
        self.call(token, "GET", path)
        if n % 3 == 0:
            if self.call(token, "POST", f"{path}:cancel", {}, new_key()):
                end = "ORDER_STATE_CANCELLED"
        else:
            payment = self.call(token, "POST", f"{path}/payments", {"method": "sandbox"}, new_key())
            if payment and self.several.client.post(payment["payment"]["pay_url"]).status_code < 400:
                end = "ORDER_STATE_PAID"
        self.orders.append((token, order, end))

    def await_orders(self, n):
        wanted = len(self.orders) + n
        until(lambda: len(self.orders) >= wanted or self.failures, timeout=seconds(30), what=f"{n} more orders")

    def assert_kept(self):
        assert self.failures == []
        taken = collections.Counter()
        for n, (token, order, end) in enumerate(self.orders):
            assert end, order
            self.several.caller(n % 2 + 1, token).await_order(order["order_no"], timeout=seconds(8), state=end)
            taken.update(t["place_no"] for t in order["tickets"] if end == "ORDER_STATE_PAID")
        assert set(taken.values()) == {1}
        for instance in (1, 2):
            caller = self.several.caller(instance)
            until(lambda: caller.get(f"/v1/shows/{self.show_id}/availability")["tiers"][0]["sold"] == len(taken), what="all sold places shown")


@pytest.fixture
def traffic(several, tokens):
    return Traffic(several, tokens, several.show())


def instances(several, state="running"):
    return {name for name, row in status(several.home).items() if row["state"] == state}


# ---- what one sees ----------------------------------------------------------------------------------------------------


def test_every_instance_is_listed_told_and_logged(several):
    parts = status(several.home)
    for part in SCALED:
        first, second = parts[part], parts[f"{part}-2"]
        assert first["pid"] != second["pid"] and first["state"] == second["state"] == "running"
        assert int(second["address"].split(":")[1]) == int(first["address"].split(":")[1]) + 200
        assert second["admin_port"] == first["admin_port"] + 200
        health = httpx.get(f"http://127.0.0.1:{second['admin_port']}/healthz").json()
        assert health["instance"] == f"{part}-2"
        told = (several.home / "run" / f"{part}-2" / "settings").read_text().splitlines()
        assert f"TF_INSTANCE={part}-2" in told and f"TF_LISTEN={second['address']}" in told
    table = several.local("status")
    assert all(re.search(rf"^{name} +running ", table, re.MULTILINE) for part in SCALED for name in (part, f"{part}-2")), table
    logs = subprocess.run([ROOT / "ticketflow", "logs", "order-2"], env={**os.environ, "TF_HOME": str(several.home)}, capture_output=True, text=True)
    assert logs.returncode == 0 and '"instance":"order-2"' in logs.stdout.replace(": ", ":")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["scale", "order=0"], "1 to 8"),
        (["scale", "order=9"], "1 to 8"),
        (["scale", "redis=2"], "redis"),
        (["scale", "sandbox=2"], "sandbox"),
        (["scale", "order=3", "nonsense=2"], "nonsense"),
        (["restart", "nonsense"], "nonsense"),
        (["restart", "order-3"], "order-3"),
    ],
)
def test_a_wrong_change_is_named_and_changes_nothing(several, arguments, word):
    before = {name: row["pid"] for name, row in status(several.home).items()}
    code, text = local(arguments[0], several.home, *arguments[1:])
    assert code == 1 and word in text, text
    assert {name: row["pid"] for name, row in status(several.home).items()} == before


# ---- crashing ---------------------------------------------------------------------------------------------------------


def crash(several, part):
    """Kills the instance; the pause before its next start, in ms."""
    log = several.home / "log" / "supervisor.log"
    at = log.stat().st_size
    pid = until(lambda: status(several.home)[part]["pid"], pause=0.02, what=f"{part} has a process")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    noted = until(lambda: re.search(rf"{part} \(pid {pid}\) ended .* again in (\d+) ms", log.read_bytes()[at:].decode()), what="the crash is noted")
    return int(noted[1])


@pytest.fixture(scope="module")
def crashed(several):
    """user-2 has crashed again and again: (the pauses, the moment from which it lives)."""
    pauses = [crash(several, "user-2") for _ in range(6)]
    until(lambda: "user-2" in instances(several), what="user-2 runs")
    return pauses, time.monotonic()


def test_pauses_between_crashes_grow_to_two_seconds(crashed):
    pauses, _ = crashed
    assert pauses[-5:] in ([200, 400, 800, 1600, 2000], [400, 800, 1600, 2000, 2000]), pauses


# ---- one thing seen by all --------------------------------------------------------------------------------------------


def test_one_key_at_two_gateways_at_once_is_one_order(several, tokens):
    show_id = several.show()
    for n in range(15):
        key, body = new_key(), {"choices": [{"tier": 1, "count": 2}]}
        calls = [several.caller(i % 2 + 1, tokens[n % 6]).prepared_order(show_id, key=key, **body) for i in range(6)]
        answers = volley(calls)
        assert {a.reason for a in answers} == {None}, answers
        assert len({a.order["order_no"] for a in answers}) == 1
    for instance in (1, 2):
        until(lambda: several.caller(instance).get(f"/v1/shows/{show_id}/availability")["tiers"][0]["held"] <= 30, what="30 held places at most")


def test_a_place_raced_for_over_both_gateways_is_sold_once(several, tokens):
    show_id = several.show(rows=2, seats=10)
    free = places(several.caller(1).get(f"/v1/shows/{show_id}/availability"))
    for place in free[:8]:
        answers = volley([several.caller(i % 2 + 1, token).prepared_order(show_id, place_nos=[place]) for i, token in enumerate(tokens)])
        assert sorted(a.reason or "" for a in answers) == [""] + ["PLACES_TAKEN"] * 5, answers


def test_a_pause_holds_at_all_instances_within_a_second(several, tokens):
    show_id = several.show()

    def said(n):
        try:
            several.caller(n % 2 + 1, tokens[n % 6]).best(show_id)
            return "sold"
        except Refused as refusal:
            return refusal.reason

    assert {said(n) for n in range(12)} == {"sold"}
    several.operator.post(f"/v1/admin/shows/{show_id}:pause", key=new_key())
    time.sleep(1)
    assert {said(n) for n in range(40)} == {"SALE_PAUSED"}
    several.operator.post(f"/v1/admin/shows/{show_id}:resume", key=new_key())
    time.sleep(1)
    assert {said(n) for n in range(40)} == {"sold"}


def test_a_hold_and_its_cancel_are_seen_at_all_instances(several, tokens):
    show_id = several.show(hold_seconds=600)

    def shown():
        """Free places, by each answer of a few at both gateways: whichever instances answer, they agree within a second."""
        return {several.caller(n % 2 + 1).get(f"/v1/shows/{show_id}/availability")["tiers"][0]["free"] for n in range(12)}

    (whole,) = shown()
    order = several.caller(1, tokens[0]).best(show_id, 4)
    until(lambda: shown() == {whole - 4}, timeout=seconds(2), what="the hold shown by all")
    several.caller(2, tokens[0]).post(f"/v1/orders/{order['order_no']}:cancel", key=new_key())
    until(lambda: shown() == {whole}, timeout=seconds(2), what="the cancel shown by all")
    assert several.caller(1, tokens[0]).get_order(order["order_no"])["state"] == "ORDER_STATE_CANCELLED"


def test_what_a_cancel_freed_is_sold_by_every_instance(several, tokens):
    show_id = several.show(rows=2, seats=10, order_limit=20, hold_seconds=600)
    last = [several.caller(n % 2 + 1, tokens[0]).best(show_id, 4, allow_split=True) for n in range(5)][-1]

    def said(n):
        try:
            several.caller(n % 2 + 1, tokens[n % 6]).best(show_id)
            return "sold"
        except Refused as refusal:
            return refusal.reason

    assert {said(n) for n in range(16)} == {"NONE_FREE_NOW"}, "every instance has learnt it"
    several.caller(2, tokens[0]).post(f"/v1/orders/{last['order_no']}:cancel", key=new_key())
    time.sleep(1)
    assert [said(n) for n in range(5)] == ["sold"] * 4 + ["NONE_FREE_NOW"]


def test_after_ten_seconds_of_life_the_pauses_begin_anew(several, crashed):
    time.sleep(max(0, crashed[1] + 10.5 - time.monotonic()))
    assert crash(several, "user-2") == 100
    until(lambda: "user-2" in instances(several), what="user-2 runs")


def test_a_new_price_is_every_instances_price(several, tokens):
    ref = new_ref()
    show = {"one_pending_order": False, "account_limit": 1000}
    show_id = several.show(document=catalogue(ref, 40, 50, 10000, show))
    assert {several.caller(n % 2 + 1, tokens[n % 6]).best(show_id)["total_minor"] for n in range(12)} == {"10000"}
    several.operator.call("POST", "/v1/admin/imports", catalogue(ref, 40, 50, 12000, show))
    paid = []
    until(lambda: paid.append(several.caller(len(paid) % 2 + 1, tokens[0]).best(show_id)["total_minor"]) or paid[-1] == "12000", what="the new price")
    paid = [several.caller(n % 2 + 1, tokens[n % 6]).best(show_id)["total_minor"] for n in range(16)]
    assert set(paid) == {"12000"}, "an instance sold at the old price after another had sold at the new one"


# ---- coming and going -------------------------------------------------------------------------------------------------


def test_a_rolling_restart_under_traffic_fails_nobody(several, traffic):
    before = status(several.home)
    with Background(traffic.step, threads=4):
        traffic.await_orders(10)
        text = several.local("restart", "all")
        traffic.await_orders(10)
    print(f"{len(traffic.orders)} orders, repeated: {dict(traffic.repeated)}")
    traffic.assert_kept()
    after = status(several.home)
    restarted = {name for name in after if after[name]["pid"] != before[name]["pid"]}
    assert restarted == {name for part in SCALED for name in (part, f"{part}-2")}
    assert [line.split()[0] for line in text.splitlines()] == [name for part in SCALED for name in (part, f"{part}-2")], "one after the other"
    assert {name: row["restarts"] for name, row in after.items()} == {name: row["restarts"] for name, row in before.items()}, "a wanted restart is no crash"


def test_instances_come_and_go_under_traffic(several, traffic):
    third = ("order", "pay", "gateway")
    with Background(traffic.step, threads=4):
        traffic.await_orders(5)
        several.local("scale", *(f"{part}=3" for part in third))
        assert {f"{part}-3" for part in third} <= instances(several)
        traffic.await_orders(10)
        gone = {name: row["pid"] for name, row in status(several.home).items() if name.endswith("-3")}
        text = several.local("scale", *(f"{part}=2" for part in third))
        traffic.await_orders(5)
    print(f"{len(traffic.orders)} orders, repeated: {dict(traffic.repeated)}")
    traffic.assert_kept()
    assert [line.split()[0] for line in text.splitlines()] == [f"{part}-3" for part in reversed(third)], "callers go before callees"
    assert not set(gone.values()) & set(processes_of(str(several.home)))
    assert not any(name.endswith("-3") for name in status(several.home))
    assert not listens(PORT + 13 + 400)


@pytest.mark.parametrize("part", ["order", "pay-2"])
def test_a_killed_instance_is_missed_by_nobody_who_repeats(several, traffic, part):
    with Background(traffic.step, threads=4):
        traffic.await_orders(5)
        before = status(several.home)[part]
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: (row := status(several.home)[part])["state"] == "running" and row["pid"] != before["pid"], what=f"{part} again")
        traffic.await_orders(5)
    print(f"{len(traffic.orders)} orders, repeated: {dict(traffic.repeated)}")
    traffic.assert_kept()


def test_of_a_part_with_one_instance_the_gap_is_told(several):
    several.local("scale", "program=1")
    text = several.local("restart", "program")
    assert "only one" in text and "serves again" in text, text
    assert "program-2 serves on" in several.local("scale", "program=2")


def test_of_changes_at_once_one_is_made(several):
    command = [BIN / "tf-local", "restart", "--home", several.home, "pay"]
    begun = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
    said = [(process.communicate(timeout=60)[0], process.returncode) for process in begun]
    assert sorted(code for _, code in said) == [0, 1, 1], said
    assert all("another change is being made" in text for text, code in said if code == 1), said


def test_the_books_agree_and_no_event_waits(several):
    password = (several.home / "secrets" / "pg-superuser.password").read_text().strip()
    for name in ("program", "order", "pay"):
        with psycopg.connect(host="127.0.0.1", port=PORT + 32, user="ticketflow", password=password, dbname=f"tf_{name}", autocommit=True) as database:
            until(lambda: database.execute("SELECT count(*) FROM outbox WHERE sent_at IS NULL").fetchone()[0] == 0, what=f"{name} has sent its events")
            assert database.execute("SELECT count(*) FROM dead_letter").fetchone()[0] == 0
    several.check()


def test_the_instances_are_kept_over_a_restart_of_the_installation(several):
    before = instances(several)
    several.local("stop")
    several.local("start", "--base-port", PORT)
    assert instances(several) == before
    assert several.caller(2).get("/v1/programs")["programs"]
