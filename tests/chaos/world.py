"""A private installation of the chaos build, and what tests do with it: start and stop, databases, audit."""

import datetime
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time

import httpx
import psycopg
import redis as redis_client

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from api import Api, Refused, until  # noqa: E402 - the path is made above

TEST_PORT = int(os.environ.get("TF_TEST_PORT", "19000"))
LONG = os.environ.get("TF_LONG") == "1"
SEED = int(os.environ.get("TF_CHAOS_SEED") or secrets.randbelow(2**31))
"""Whatever a test draws comes from this; it is printed when the suite begins."""

FIGURES = []
"""Sentences that the suite prints at its end."""

LOW = {
    "order.hold_floor_s": 2,
    "program.hold_floor_s": 2,
    "order.pay_margin_s": 0,
    "order.settle_interval_ms": 50,
    "order.intent_ms": 2000,
    "order.safety_net_s": 5,
    "pay.query_after_ms": 500,
}
"""Short times, so that what is repaired later is repaired while the test looks."""


class World:
    """One installation, reached from outside. base_port and home are its own; chaos_file: the points its processes map; scale: instances, as in "order=2,pay=2"."""

    def __init__(self, home, base_port, build="chaos", chaos_file=None, settings=(), scale=None):
        self.home, self.base_port = pathlib.Path(home), base_port
        self.bin = pathlib.Path(os.environ.get("TF_CHAOS_BIN", ROOT / "build" / build / "bin"))
        self.chaos_file, self.scale, self.settings = chaos_file, scale, {**LOW, **dict(settings)}
        self.gateway = f"http://127.0.0.1:{base_port + 80}"
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=100, keepalive_expiry=20)
        self.http = httpx.Client(timeout=20, limits=limits)
        self.nobody = Api(self.gateway, client=self.http)
        self._opened, self._operator = {}, None

    # ---- life ----

    def local(self, command, *arguments, timeout=120):
        environment = {**os.environ, **({"TF_CHAOS_FILE": str(self.chaos_file)} if self.chaos_file else {})}
        return subprocess.run(
            [str(self.bin / "tf-local"), command, "--home", str(self.home), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
        )

    def start(self):
        sets = [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]
        scale = ["--scale", self.scale] if self.scale else []
        done = self.local("start", "--base-port", str(self.base_port), *scale, *sets)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self):
        for connection in self._opened.values():
            connection.close()
        self._opened.clear()
        self.local("stop")

    def parts(self):
        """Name → {"part", "state", "pid", "restarts", …}."""
        return {p["part"]: p for p in json.loads(self.local("status", "--json").stdout)["parts"]}

    # ---- behind the scenes ----

    def secret(self, name):
        return (self.home / "secrets" / name).read_text().strip()

    def database(self, name):
        """A connection with all rights to a service's database, in autocommit."""
        if name not in self._opened or self._opened[name].closed:
            self._opened[name] = psycopg.connect(
                host="127.0.0.1",
                port=self.base_port + 32,
                user="ticketflow",
                password=self.secret("pg-superuser.password"),
                dbname=f"tf_{name}",
                autocommit=True,
            )
        return self._opened[name]

    def redis(self):
        return redis_client.Redis(port=self.base_port + 79, password=self.secret("redis.password"))

    def audit(self, patience=30):
        """tf-check's violations once they stay: what is repaired meanwhile is none. An empty list is a clean bill."""
        end = time.monotonic() + patience
        while True:
            done = subprocess.run(
                [str(self.bin / "tf-check"), "--home", str(self.home), "--base-port", str(self.base_port), "--json"],
                capture_output=True,
                text=True,
                timeout=300,
            )
            if done.returncode == 0:
                return []
            if time.monotonic() > end:
                return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            time.sleep(0.5)

    # ---- people and shows ----

    @property
    def operator(self):
        """The platform's operator; logged in anew when the token is ten minutes old."""
        if self._operator is None or time.monotonic() - self._operator.since > 600:
            words = dict(line.split(" ", 1) for line in self.secret("operator.password").splitlines())
            self._operator = self.log_in({"login": words["login"], "password": words["password"]})
        return self._operator

    def log_in(self, login):
        tokens = self.nobody.post("/v1/sessions", login)["tokens"]
        person = Api(self.gateway, tokens["access_token"], client=self.http)
        person.since = time.monotonic()
        return person

    def new_buyer(self):
        name = secrets.token_hex(8)
        login = {"email": f"{name}@buyer.example", "password": secrets.token_hex(8)}
        self.nobody.post("/v1/users", {**login, "name": f"Buyer {name}", "language": "en"})
        return self.log_in({"login": login["email"], "password": login["password"]})

    def new_show(self, rows=40, seats=50, **show):
        """The id of a published show of its own programme, on sale, whose inventory is open."""
        text = (ROOT / "tests" / "e2e" / "one_show.json").read_text()
        start = (datetime.datetime.now() + datetime.timedelta(days=30)).strftime("%Y-%m-%dT19:30")
        words = {"REF": f"c{secrets.token_hex(6)}", "START": start, '"ROWS"': f'"1-{rows}"', '"SEATS"': str(seats), '"PRICE"': '"100.00"'}
        for name, value in words.items():
            text = text.replace(name, value)
        document = json.loads(text)
        document["programs"][0]["shows"][0].update({"one_pending_order": False, "account_limit": 1000, **show})
        objects = self.operator.post("/v1/admin/imports", document)["objects"]
        show_id = next(o["id"] for o in objects if o["kind"] == "show")
        until(lambda: self.is_open(show_id), what=f"the inventory of show {show_id}")
        return show_id

    def is_open(self, show_id):
        try:
            return self.nobody.get(f"/v1/shows/{show_id}/availability")
        except (Refused, httpx.TransportError):
            return False
