"""The running installation under test: made by ./ticketflow test e2e (TF_TEST_HOME, TF_TEST_BASE_PORT), reached from outside."""

import datetime
import itertools
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time

import httpx
import pytest

from api import Api, Refused

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE_PORT = int(os.environ.get("TF_TEST_BASE_PORT", "17000"))
HOME = pathlib.Path(os.environ.get("TF_TEST_HOME", "/var/lib/ticketflow"))
GATEWAY = f"http://127.0.0.1:{BASE_PORT + 80}"
SANDBOX = f"http://127.0.0.1:{BASE_PORT + 90}"

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


@pytest.fixture(scope="session")
def nobody():
    return Api(GATEWAY)


@pytest.fixture(scope="session")
def http():
    """One pool of connections for all callers of a test run."""
    with httpx.Client(timeout=30, limits=httpx.Limits(max_connections=400, max_keepalive_connections=400)) as client:
        yield client


@pytest.fixture(scope="session")
def new_buyer(http):
    """new_buyer() → an Api logged in as a fresh account."""

    def make(language="en"):
        name = secrets.token_hex(8)
        anybody = Api(GATEWAY, language=language, client=http)
        login = {"email": f"{name}@buyer.example", "password": secrets.token_hex(8)}
        user = anybody.post("/v1/users", {**login, "name": f"Buyer {name}", "language": language})["user"]
        tokens = anybody.post("/v1/sessions", {"login": login["email"], "password": login["password"], "device": "pytest"})["tokens"]
        buyer = Api(GATEWAY, tokens["access_token"], language, client=http)
        buyer.login, buyer.user, buyer.tokens = login, user, tokens
        return buyer

    return make


@pytest.fixture
def buyer(new_buyer):
    return new_buyer()


@pytest.fixture(scope="session")
def operator(http):
    """The platform operator, logged in with the password written at first start."""
    text = (HOME / "secrets" / "operator.password").read_text()
    words = dict(line.split(" ", 1) for line in text.splitlines())
    tokens = Api(GATEWAY, client=http).post("/v1/sessions", {"login": words["login"], "password": words["password"]})["tokens"]
    return Api(GATEWAY, tokens["access_token"], client=http)


_serial = itertools.count(1)


@pytest.fixture(scope="session")
def new_show(operator, nobody):
    """new_show(rows=…, seats=…, **show) → the id (a string) of a published show of its own programme, on sale. tiers: list of dicts for several tiers.

    Every call makes objects with refs of their own, in the import format (docs/import-format.md)."""

    def make(rows=4, seats=10, price=10000, document=None, wait=True, **show):
        ref = f"t{os.getpid()}-{next(_serial)}-{secrets.token_hex(3)}"
        document = document or catalogue(ref, rows, seats, price, show)
        objects = operator.call("POST", "/v1/admin/imports", document)["objects"]
        show_id = next(o["id"] for o in objects if o["kind"] == "show")
        if wait:
            await_inventory(nobody, show_id)
        return show_id

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


def catalogue(ref, rows, seats, price, show):
    """One organiser, venue, plan (rows in words), programme and show, published; `show` overrides members of the show."""
    text = (pathlib.Path(__file__).parent / "one_show.json").read_text()
    start = (datetime.datetime.now() + datetime.timedelta(days=30)).strftime("%Y-%m-%dT19:30")
    for name, value in {"REF": ref, "START": start, '"ROWS"': f'"1-{rows}"', '"SEATS"': str(seats), '"PRICE"': str(price)}.items():
        text = text.replace(name, value)
    document = json.loads(text)
    document["programs"][0]["shows"][0].update(show)
    return document


@pytest.fixture(scope="session")
def local():
    """The supervisor's view: local("status", "--json")."""

    def run(*arguments):
        command = [str(ROOT / "build/release/bin/tf-local"), arguments[0], "--home", str(HOME), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    run.home, run.base_port, run.root = HOME, BASE_PORT, ROOT
    return run
