"""check reads the stores that the services were started with: those of another installation, given from outside, are looked at and not some local ones."""

import contextlib
import http.server
import json
import pathlib
import subprocess
import threading

import psycopg

from conftest import BIN, HOME
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


class Nonsense(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the books are closed")

    def log_message(self, *words):
        pass


def test_books_that_cannot_be_read_are_no_clean_bill(tmp_path):
    home = tmp_path / "home"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as provider:
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        for service in ("user", "program", "order", "pay"):
            settings = (HOME / "run" / service / "settings").read_text().splitlines()
            here = [f"TF_SANDBOX_URL=http://127.0.0.1:{provider.server_port}" if line.startswith("TF_SANDBOX_URL=") else line for line in settings]
            (home / "run" / service).mkdir(parents=True)
            (home / "run" / service / "settings").write_text("\n".join(here))
        code, rules = check(home)
        provider.shutdown()
    assert code == 1 and "cannot be read" in rules["books_of_the_provider"]["offenders"][0], rules
