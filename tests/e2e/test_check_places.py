"""check reads the stores that the services were started with: those of another installation, given from outside, are looked at and not some local ones."""

import contextlib
import json
import pathlib
import subprocess

import psycopg

from conftest import BIN
from test_local import OTHER_PORT, PORTS, STORES_PORT, local, private_home, serves


def check(home):
    done = subprocess.run([str(BIN / "tf-check"), "--home", home, "--base-port", "1024", "--json"], capture_output=True, text=True, timeout=120)
    return done.returncode, {rule["rule"]: rule for rule in json.loads(done.stdout or '{"rules": []}')["rules"]}


@contextlib.contextmanager
def started(home, port, *arguments):
    code, text = local("start", home, "--base-port", port, *arguments)
    assert code == 0, text
    yield home


def test_check_reads_servers_given_from_outside():
    with private_home() as there, private_home() as home, started(there, STORES_PORT, "--stores-only"):
        password = pathlib.Path(there, "secrets", "pg-superuser.password").read_text()
        server = f"host=127.0.0.1 port={STORES_PORT + PORTS['pg']} user=ticketflow password={password}"
        given = {
            "--pg": f"{server} dbname=postgres",
            "--redis": f"127.0.0.1:{STORES_PORT + PORTS['redis']}",
            "--set": f"*.redis_password_file={there}/secrets/redis.password",
        }
        with started(home, OTHER_PORT, *(word for pair in given.items() for word in pair)):
            assert serves(OTHER_PORT)
            code, rules = check(home)
            assert (code, [rule for rule in rules.values() if rule["violations"]]) == (0, [])
            # Stopped, the services do not mend it; what they were told is still known.
            assert local("stop", home)[0] == 0
            with psycopg.connect(f"{server} dbname=tf_pay", autocommit=True) as pay:
                pay.execute("INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope, created_at) VALUES (1, 4711, 'payment', 1, 'x', now() - interval '61 s')")
            code, rules = check(home)
            assert code == 1 and "4711" in rules["events_sent"]["offenders"][0], rules
            assert rules["due_entries_move"]["violations"] == 0, "Redis was not reached"


def test_what_services_were_told_is_for_their_account_alone():
    with private_home() as home, started(home, OTHER_PORT):
        for service in ("user", "program", "order", "pay"):
            settings = pathlib.Path(home, "run", service, "settings")
            assert settings.stat().st_mode & 0o777 == 0o600
            assert "TF_PG_DSN=" in settings.read_text()
