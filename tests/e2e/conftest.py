"""The running installation under test: made by ./ticketflow test e2e (TF_TEST_HOME, TF_TEST_BASE_PORT), reached from outside."""

import datetime
import hmac
import itertools
import json
import os
import pathlib
import secrets
import subprocess
import sys
import threading
import time

import httpx
import psycopg
import pytest
import redis as redis_client

from api import Api, Refused, in_threads, resident_id

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE_PORT = int(os.environ.get("TF_TEST_BASE_PORT", "17000"))
HOME = pathlib.Path(os.environ.get("TF_TEST_HOME", "/var/lib/ticketflow"))
GATEWAY = f"http://127.0.0.1:{BASE_PORT + 80}"
SANDBOX = f"http://127.0.0.1:{BASE_PORT + 90}"
LONG = os.environ.get("TF_LONG") == "1"
"""TF_LONG=1: the full numbers of the acceptance list; without it a tenth, so that the suite takes minutes."""
BIN = pathlib.Path(os.environ.get("TF_BIN", ROOT / "build" / "release" / "bin"))

sys.path.insert(0, str(ROOT / "build" / "python"))


@pytest.fixture(scope="session")
def gateway():
    return GATEWAY


@pytest.fixture(scope="session")
def sandbox():
    """The provider's test interface: sandbox(charge_id="*", delay_ms=…, lose=True, …) orders a fault."""

    def order_fault(**fault):
        response = httpx.post(f"{SANDBOX}/faults", json=fault)
        assert response.status_code == 200, response.text

    order_fault.url = SANDBOX
    return order_fault


def sandbox_signature(key, text, seconds=None):
    """The header's value over a call ("METHOD PATH\\n" and the body) or a notification (the body alone), as sandbox/signature.h says."""
    seconds = int(time.time() if seconds is None else seconds)
    return f"t={seconds},v1={hmac.new(key, f'{seconds}.'.encode() + text, 'sha256').hexdigest()}"


@pytest.fixture(scope="session")
def sandbox_key():
    return (HOME / "secrets" / "sandbox.key").read_bytes()


@pytest.fixture(scope="session")
def books(sandbox_key):
    """books() → the provider's own books: {"charges": {charge_id: …}, "refunds": […]}."""

    def read():
        response = httpx.get(f"{SANDBOX}/books", headers={"Sandbox-Signature": sandbox_signature(sandbox_key, b"GET /books\n")})
        assert response.status_code == 200, response.text
        document = response.json()
        return {"charges": {c["charge_id"]: c for c in document["charges"]}, "refunds": document["refunds"]}

    return read


@pytest.fixture(scope="session")
def http():
    """One pool of connections for all callers of a test run."""
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400, keepalive_expiry=20)
    with httpx.Client(timeout=30, limits=limits) as client:
        yield client


@pytest.fixture(scope="session")
def nobody(http):
    return Api(GATEWAY, client=http)


@pytest.fixture(scope="session")
def new_buyer(http):
    """new_buyer() → an Api logged in as a fresh account."""

    def make(language="en"):
        name = secrets.token_hex(8)
        anybody = Api(GATEWAY, language=language, client=http)
        login = {"email": f"{name}@buyer.example", "password": secrets.token_hex(8)}
        user = anybody.post("/v1/users", {**login, "name": f"Buyer {name}", "language": language})["user"]
        return log_in(anybody, login, user)

    return make


def log_in(anybody, login, user, device="pytest"):
    tokens = anybody.post("/v1/sessions", {"login": login["email"], "password": login["password"], "device": device})["tokens"]
    buyer = Api(GATEWAY, tokens["access_token"], anybody.language, anybody.client)
    buyer.login, buyer.user, buyer.tokens, buyer.since = login, user, tokens, time.monotonic()
    return buyer


@pytest.fixture
def buyer(new_buyer):
    return new_buyer()


@pytest.fixture(scope="session")
def buyers(new_buyer, nobody):
    """buyers(n) → n accounts that all tests share; they have orders in other tests' shows and nothing else."""
    pool, lock = [], threading.Lock()

    def fresh(b):
        if time.monotonic() - b.since > 600:  # access tokens live for 15 minutes
            b.tokens = nobody.post("/v1/sessions:refresh", {"refresh_token": b.tokens["refresh_token"]})["tokens"]
            b.token, b.since = b.tokens["access_token"], time.monotonic()
        return b

    def take(n):
        with lock:
            pool.extend(in_threads(lambda _: new_buyer(), range(n - len(pool)), threads=4))
            return in_threads(fresh, pool[:n])

    return take


@pytest.fixture(scope="session")
def new_person():
    """new_person() → the body of an attendee whom nobody has seen before."""

    def make(name="Wang Fang"):
        return {"name": name, "id_type": "ID_TYPE_CN_RESIDENT", "id_number": resident_id(secrets.randbelow(16_800_000))}

    return make


class Operator(Api):
    """The platform's operator; its token is renewed when it grows old, because the session outlives it."""

    def __init__(self, client):
        text = (HOME / "secrets" / "operator.password").read_text()
        self.words = dict(line.split(" ", 1) for line in text.splitlines())
        super().__init__(GATEWAY, client=client)
        self.since = None

    def headers(self, key=None, headers=None):
        if self.since is None or time.monotonic() - self.since > 600:
            anybody = Api(GATEWAY, client=self.client)
            tokens = anybody.post("/v1/sessions", {"login": self.words["login"], "password": self.words["password"]})["tokens"]
            self.token, self.since = tokens["access_token"], time.monotonic()
        return super().headers(key, headers)


@pytest.fixture(scope="session")
def operator(http):
    """The platform operator, logged in with the password written at first start."""
    return Operator(http)


_serial = itertools.count(1)


def new_ref():
    return f"t{os.getpid()}-{next(_serial)}-{secrets.token_hex(3)}"


@pytest.fixture(scope="session")
def new_show(operator, nobody):
    """new_show(rows=…, seats=…, price=…, **show) → the id (a string) of a published show of its own programme, on sale. price: minor units.

    Every call makes objects with refs of their own, in the import format (docs/import-format.md)."""

    def make(rows=4, seats=10, price=10000, document=None, wait=True, **show):
        return make.many(document or catalogue(new_ref(), rows, seats, price, show), wait)[0]

    def many(document, wait=True):
        """The ids of all shows of a document."""
        objects = operator.call("POST", "/v1/admin/imports", document)["objects"]
        shows = [o["id"] for o in objects if o["kind"] == "show"]
        for show_id in shows if wait else ():
            await_inventory(nobody, show_id)
        return shows

    make.many = many
    return make


def await_inventory(api, show_id, timeout=20):
    until = time.monotonic() + timeout
    while True:
        try:
            return api.get(f"/v1/shows/{show_id}/availability")
        except Refused:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def catalogue(ref, rows=4, seats=10, price=10000, show=None):
    """One organiser, venue, plan (rows in words), programme and show, published; `show` overrides members of the show."""
    text = (pathlib.Path(__file__).parent / "one_show.json").read_text()
    start = (datetime.datetime.now() + datetime.timedelta(days=30)).strftime("%Y-%m-%dT19:30")
    amount = f'"{price // 100}.{price % 100:02d}"'
    for name, value in {"REF": ref, "START": start, '"ROWS"': f'"1-{rows}"', '"SEATS"': str(seats), '"PRICE"': amount}.items():
        text = text.replace(name, value)
    document = json.loads(text)
    document["programs"][0]["shows"][0].update(show or {})
    return document


@pytest.fixture(scope="session")
def local():
    """The supervisor's view: local("status", "--json")."""

    def run(*arguments):
        command = [str(BIN / "tf-local"), arguments[0], "--home", str(HOME), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def parts():
        """Name → {"part", "state", "pid", …}."""
        return {p["part"]: p for p in json.loads(run("status", "--json").stdout)["parts"]}

    def check():
        """./ticketflow check: the finished process; run.check.json() gives the rules."""
        command = [str(BIN / "tf-check"), "--home", str(HOME), "--base-port", str(BASE_PORT), "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    run.parts, run.check = parts, check
    run.home, run.base_port, run.root = HOME, BASE_PORT, ROOT
    return run


@pytest.fixture(scope="session")
def database():
    """database("order") → a connection with all rights, in autocommit: for looking behind the scenes, and for breaking things on purpose."""
    password = (HOME / "secrets" / "pg-superuser.password").read_text().strip()
    opened = {}

    def lives(name):  # some tests kill PostgreSQL
        try:
            return opened[name].execute("SELECT 1")
        except psycopg.OperationalError:
            return False

    def connect(name):
        if name not in opened or not lives(name):
            opened[name] = psycopg.connect(
                host="127.0.0.1", port=BASE_PORT + 32, user="ticketflow", password=password, dbname=f"tf_{name}", autocommit=True
            )
        return opened[name]

    yield connect
    for connection in opened.values():
        connection.close()


@pytest.fixture(scope="session")
def redis():
    """The installation's Redis."""
    password = (HOME / "secrets" / "redis.password").read_text().strip()
    with redis_client.Redis(port=BASE_PORT + 79, password=password) as connection:
        yield connection
