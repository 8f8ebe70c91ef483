"""Starting, stopping and dying on one machine: tf-local with installations of its own, and every service by hand from environment and files alone."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import httpx
import psycopg
import pytest
import redis

from api import until
from conftest import BASE_PORT, BIN, ROOT

# Behind those of the installation under test; services by hand take the 700 above the stores'.
STORES_PORT, WHOLE_PORT, OTHER_PORT = BASE_PORT + 600, BASE_PORT + 1400, BASE_PORT + 1800
PORTS = {"pg": 32, "redis": 79, "etcd": 23, "sandbox": 90, "user": 11, "program": 12, "order": 13, "pay": 14, "gateway": 80}
STORES = ("pg", "redis", "etcd")
SERVICES = [name for name in PORTS if name not in STORES]


def local(command, home, *arguments, **options):
    """tf-local COMMAND: (exit status, what it printed)."""
    done = subprocess.run(
        [BIN / "tf-local", command, "--home", home, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options
    )
    return done.returncode, done.stdout


def status(home):
    """Each part by name, with its pid, state, restarts …; {} when nothing runs."""
    code, text = local("status", home, "--json")
    document = json.loads(text)
    assert document["running"] == (code != 3)
    return {row["part"]: row for row in document["parts"]}


def seconds(n):
    """A promise of n seconds, where each runnable process has a core to itself; more where they share."""
    return n * max(1, os.getloadavg()[0] / os.cpu_count())


def processes_of(home):
    """Everything that works in the installation's directories or was started with its name: {pid: command}."""
    found = {}
    for directory in pathlib.Path("/proc").iterdir():
        if not directory.name.isdigit() or int(directory.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command and (os.readlink(directory / "cwd").startswith(f"{home}/") or f"{home}" in command):
                found[int(directory.name)] = command
    return found


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def serves(base_port):
    """The gateway answers from program's database."""
    try:
        return httpx.get(f"http://127.0.0.1:{base_port + PORTS['gateway']}/v1/programs", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@contextlib.contextmanager
def private_home():
    """A directory that PostgreSQL's account may enter; whatever runs in it at the end is stopped."""
    home = tempfile.mkdtemp(prefix="tf-test-local-", dir="/var/lib" if os.geteuid() == 0 else None)
    os.chmod(home, 0o755)
    try:
        yield home
    finally:
        local("stop", home)
        for pid in processes_of(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def stores():
    """An installation of PostgreSQL, Redis and etcd without services."""
    with private_home() as home:
        code, text = local("start", home, "--base-port", STORES_PORT, "--stores-only")
        assert code == 0, text
        yield home


@pytest.fixture(scope="module")
def whole():
    """A whole installation."""
    with private_home() as home:
        code, text = local("start", home, "--base-port", WHOLE_PORT)
        assert code == 0, text
        yield home


# ---- by hand ----------------------------------------------------------------------------------------------------------


def by_hand(stores, name):
    """The environment that starts the service, as an operator would write it."""
    secrets, port = f"{stores}/secrets", STORES_PORT + 500 + PORTS[name]
    own = {
        "sandbox": {"KEY_FILE": f"{secrets}/sandbox.key", "BOOKS_FILE": f"{stores}/books-by-hand.jsonl"},
        "user": {
            "SIGNING_KEY_FILE": f"{secrets}/user-signing.key",
            "PERSONAL_KEY_FILE": f"{secrets}/personal-data.key",
            "PERSON_KEY_FILE": f"{secrets}/person.key",
        },
        "program": {},
        "order": {"TICKET_KEY_FILE": f"{secrets}/ticket-signing.key"},
        "pay": {"SANDBOX_URL": "http://127.0.0.1:9", "SANDBOX_KEY_FILE": f"{secrets}/sandbox.key", "NOTIFY_URL": "http://127.0.0.1:9"},
        "gateway": {},
    }[name]
    settings = {
        "LISTEN": f"127.0.0.1:{port}",
        "ADMIN_LISTEN": f"127.0.0.1:{port + 100}",
        "REDIS_ADDRESS": f"127.0.0.1:{STORES_PORT + PORTS['redis']}",
        "REDIS_PASSWORD_FILE": f"{secrets}/redis.password",
        "ETCD_ENDPOINTS": f"127.0.0.1:{STORES_PORT + PORTS['etcd']}",
        "ETCD_PREFIX": "/by-hand",
        "INTERNAL_KEY_FILE": f"{secrets}/internal.key",
        "PG_DSN": f"host=127.0.0.1 port={STORES_PORT + PORTS['pg']} user=ticketflow dbname=by_hand_{name}",
        "PG_PASSWORD_FILE": f"{secrets}/pg-superuser.password",
        **own,
    }
    return {"PATH": "/usr/bin:/bin"} | {f"TF_{key}": value for key, value in settings.items()}


def run_service(name, environment, *arguments):
    """A run that ends by itself: (exit status, what it printed)."""
    done = subprocess.run([BIN / f"tf-{name}", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


HAS_DATABASE = ["user", "program", "order", "pay"]


@pytest.fixture(scope="module")
def databases(stores):
    password = pathlib.Path(f"{stores}/secrets/pg-superuser.password").read_text()
    with psycopg.connect(f"host=127.0.0.1 port={STORES_PORT + PORTS['pg']} user=ticketflow password={password} dbname=postgres", autocommit=True) as c:
        for name in HAS_DATABASE:
            c.execute(f"CREATE DATABASE by_hand_{name}")


@pytest.mark.parametrize("name", SERVICES)
def test_help_and_version(name):
    code, text = run_service(name, {}, "--help")
    assert code == 0 and all(setting in text for setting in ("TF_LISTEN", "TF_ADMIN_LISTEN", "TF_LOG_LEVEL")), text
    assert all((word in text) == (name in HAS_DATABASE) for word in ("TF_PG_DSN", "--migrate")), text
    code, text = run_service(name, {}, "--version")
    assert code == 0 and re.search(r"\b\d+\.\d+\.\d+\b", text), text


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_by_hand(stores, databases, name):
    environment = by_hand(stores, name)
    if name in HAS_DATABASE:
        code, text = run_service(name, environment)
        assert code != 0 and f"tf-{name} --migrate" in text, text
        for _ in ("first", "again"):
            code, text = run_service(name, environment, "--migrate")
            assert code == 0, text
    admin = f"http://{environment['TF_ADMIN_LISTEN']}"
    with subprocess.Popen([BIN / f"tf-{name}"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:

            def healthy():
                assert process.poll() is None, f"tf-{name} ended with {process.returncode}"
                try:
                    return httpx.get(f"{admin}/healthz", timeout=1).status_code == 200
                except httpx.HTTPError:
                    return False

            until(healthy, timeout=20, what=f"tf-{name} serves")
            assert "process_cpu_seconds_total" in httpx.get(f"{admin}/metrics").text
            process.terminate()
            assert process.wait(timeout=15) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("name", SERVICES)
def test_a_bad_setting_is_named(stores, name):
    code, text = run_service(name, by_hand(stores, name) | {"TF_LOG_LEVEL": "loud"})
    assert code != 0 and "log_level" in text, text
    code, text = run_service(name, by_hand(stores, name), "--no-such-setting=1")
    assert code != 0 and "no-such-setting" in text.replace("_", "-"), text


KEYS = {
    "sandbox": ["KEY_FILE"],
    "user": ["INTERNAL_KEY_FILE", "SIGNING_KEY_FILE", "PERSONAL_KEY_FILE", "PERSON_KEY_FILE", "PG_PASSWORD_FILE"],
    "program": ["INTERNAL_KEY_FILE"],
    "order": ["INTERNAL_KEY_FILE", "TICKET_KEY_FILE"],
    "pay": ["INTERNAL_KEY_FILE", "SANDBOX_KEY_FILE"],
    "gateway": ["INTERNAL_KEY_FILE"],
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in SERVICES for key in KEYS[name]])
def test_a_key_that_others_can_read_is_refused(stores, databases, tmp_path, name, key):
    environment = by_hand(stores, name)
    if name in HAS_DATABASE:
        assert run_service(name, environment, "--migrate")[0] == 0
    open_key = tmp_path / "open.key"
    open_key.write_bytes(pathlib.Path(environment[f"TF_{key}"]).read_bytes())
    open_key.chmod(0o644)
    code, text = run_service(name, environment | {f"TF_{key}": str(open_key)})
    assert code != 0 and "open.key" in text, text
    code, text = run_service(name, environment | {f"TF_{key}": str(tmp_path / "missing.key")})
    assert code != 0 and "missing.key" in text, text


# ---- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_of_the_owner_alone_and_on_no_command_line(whole):
    directory = pathlib.Path(whole, "secrets")
    assert directory.stat().st_mode & 0o777 == 0o700
    secrets = {path.name: path for path in directory.iterdir()}
    assert {"redis.password", "pg-superuser.password", "internal.key"} <= set(secrets)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in secrets.values())
    assert pathlib.Path(whole, "run", "redis.conf").stat().st_mode & 0o777 == 0o600
    for command in processes_of(whole).values():
        assert not any(path.read_text() in command for name, path in secrets.items() if name.endswith(".password")), command


def test_redis_serves_only_who_knows_the_password(stores):
    with redis.Redis(port=STORES_PORT + PORTS["redis"]) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.ping()
    password = pathlib.Path(stores, "secrets", "redis.password").read_text()
    with redis.Redis(port=STORES_PORT + PORTS["redis"], password=password) as somebody:
        assert somebody.ping()


def test_etcd_serves_only_who_knows_the_password(whole):
    with httpx.Client(base_url=f"http://127.0.0.1:{WHOLE_PORT + PORTS['etcd']}/v3", timeout=5) as etcd:
        for path, body in {
            "kv/range": {"key": "AA==", "range_end": "AA=="},
            "kv/put": {"key": "Zm9v", "value": "YmFy"},
            "auth/user/add": {"name": "mallory", "password": "x"},
            "auth/disable": {},
        }.items():
            assert etcd.post(path, json=body).status_code != 200, path
        assert etcd.post("auth/authenticate", json={"name": "ticketflow", "password": "guessed"}).status_code != 200
        password = pathlib.Path(whole, "secrets", "etcd-ticketflow.password").read_text()
        token = {"Authorization": etcd.post("auth/authenticate", json={"name": "ticketflow", "password": password}).json()["token"]}
        assert int(etcd.post("kv/range", json={"key": "AA==", "range_end": "AA=="}, headers=token).json()["count"]) >= 5, "the services are registered"
        assert etcd.post("auth/disable", json={}, headers=token).status_code != 200, "the services' user administers nothing"


def test_postgresql_trusts_nobody(stores):
    port = STORES_PORT + PORTS["pg"]
    password = pathlib.Path(stores, "secrets", "pg-superuser.password").read_text()
    with psycopg.connect(f"host=127.0.0.1 port={port} user=ticketflow password={password} dbname=postgres") as c:
        methods = c.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
        assert methods == [("scram-sha-256",)]
    for where in ("127.0.0.1", f"{stores}/run/pg"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"host={where} port={port} user=ticketflow dbname=postgres connect_timeout=5")


# ---- starting ---------------------------------------------------------------------------------------------------------


def test_status_tells_every_part(whole):
    parts = status(whole)
    assert set(parts) == {"supervisor", *PORTS}
    for name, row in parts.items():
        assert row["state"] == "running"
        assert row["pid"] > 1 and row["restarts"] == 0 and row["memory_kib"] > 0
        assert abs(row["since"] - time.time()) < 3600
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?", row["version"]), row
        if name != "supervisor":
            assert row["address"] == f"127.0.0.1:{WHOLE_PORT + PORTS[name]}"
    assert local("status", whole)[0] == 0


def test_a_second_start_changes_nothing(whole):
    before = status(whole)
    code, text = local("start", whole, "--base-port", WHOLE_PORT)
    assert code == 2 and "runs already" in text and whole in text
    code, text = local("start", whole, "--base-port", OTHER_PORT)
    assert code == 2 and "runs already" in text
    assert {n: r["pid"] for n, r in before.items()} == {n: r["pid"] for n, r in status(whole).items()}


@pytest.mark.parametrize(("part", "offset"), [("gateway", 80), ("order", 113), ("etcd", 24)])
def test_a_busy_port_is_named(part, offset):
    with private_home() as home, socket.create_server(("127.0.0.1", OTHER_PORT + offset)):
        code, text = local("start", home, "--base-port", OTHER_PORT)
        assert code == 1
        assert re.search(rf"port {OTHER_PORT + offset} \({part}.*\) is in use by \S+ \(pid {os.getpid()}\)", text), text
        assert processes_of(home) == {}
        assert local("status", home)[0] == 3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--set", "nobody.workers=3"], "nobody.workers"),
        (["--set", "order.workers"], "order.workers"),
        (["--base-port", "http"], "base-port"),
        (["--pg", "postgresql://somewhere/"], "keywords"),
    ],
)
def test_a_bad_argument_is_named(arguments, word):
    with private_home() as home:
        code, text = local("start", home, *arguments)
        assert code == 64 and word in text


def test_a_home_that_is_no_directory_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    code, text = local("start", tmp_path / "file" / "home", "--base-port", OTHER_PORT)
    assert code == 1 and f"{tmp_path}/file/home" in text


def test_a_home_with_something_else_in_it_is_left_alone():
    with private_home() as home:
        pathlib.Path(home, "thesis.txt").write_text("")
        code, text = local("start", home, "--base-port", OTHER_PORT)
        assert code == 1 and home in text and "thesis.txt" in text, text
        assert os.listdir(home) == ["thesis.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_home_of_another_account_is_left_alone():
    with private_home() as home:
        shutil.chown(home, "nobody")
        code, text = local("start", home, "--base-port", OTHER_PORT)
        assert code == 1 and home in text and "nobody" in text, text
        assert os.listdir(home) == []


def test_too_few_open_files_are_named():
    with private_home() as home:
        limit = ["prlimit", "--nofile=100:100", BIN / "tf-local", "start", "--home", home, "--base-port", str(OTHER_PORT)]
        done = subprocess.run(limit, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "ulimit" in done.stderr, done.stderr


@pytest.mark.parametrize("moment", ["secrets/internal.key", "pg.new/PG_VERSION", "pg/postmaster.pid", "redis/appendonlydir", "etcd/member/wal"])
def test_a_first_start_that_was_killed_is_finished_by_the_next(moment):
    with private_home() as home:
        command = [BIN / "tf-local", "start", "--home", home, "--base-port", str(OTHER_PORT), "--stores-only"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            until(pathlib.Path(home, moment).exists, timeout=20, pause=0.001, what=moment)
            for pid in [pid for pid, command in processes_of(home).items() if "tf-local" in command]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        code, text = local("start", home, "--base-port", OTHER_PORT, "--stores-only")
        assert code == 0, text
        assert {row["state"] for row in status(home).values()} == {"running"}
        assert not pathlib.Path(home, "pg.new").exists()


def test_of_two_starts_at_once_one_starts():
    with private_home() as home:
        command = [BIN / "tf-local", "start", "--home", home, "--base-port", str(OTHER_PORT), "--stores-only"]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
        texts = [process.communicate(timeout=60)[0] for process in both]
        assert sorted(process.returncode for process in both) == [0, 2], texts
        assert {row["state"] for row in status(home).values()} == {"running"}


def test_a_part_that_cannot_start_says_why():
    with private_home() as home:
        code, text = local("start", home, "--base-port", OTHER_PORT, "--set", "order.hold_floor_s=never")
        assert code == 1 and "hold_floor_s" in text, text
        assert processes_of(home) == {}


def test_an_interrupted_start_stops_what_had_started():
    with private_home() as home:
        with subprocess.Popen([BIN / "tf-local", "start", "--home", home, "--base-port", str(OTHER_PORT)], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if "redis" in line:
                    break
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
        assert process.returncode == 130 and "Interrupted" in rest, rest
        assert processes_of(home) == {}


def test_a_start_whose_caller_is_killed_stops_too():
    with private_home() as home:
        with subprocess.Popen([BIN / "tf-local", "start", "--home", home, "--base-port", str(OTHER_PORT)], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if "redis" in line:
                    break
            process.kill()
        until(lambda: processes_of(home) == {}, timeout=20, what="nothing left")


def test_servers_given_from_outside_are_used(stores):
    password = pathlib.Path(f"{stores}/secrets/pg-superuser.password").read_text()
    given = {
        "--pg": f"host=127.0.0.1 port={STORES_PORT + PORTS['pg']} user=ticketflow dbname=postgres password={password}",
        "--redis": f"127.0.0.1:{STORES_PORT + PORTS['redis']}",
        "--etcd": f"127.0.0.1:{STORES_PORT + PORTS['etcd']}",
    }
    with private_home() as home:
        secret = f"*.redis_password_file={stores}/secrets/redis.password"
        code, text = local("start", home, "--base-port", OTHER_PORT, *(word for pair in given.items() for word in pair), "--set", secret)
        assert code == 0, text
        parts = status(home)
        assert {parts[name]["state"] for name in STORES} == {"external"}
        assert serves(OTHER_PORT)
        assert not any(pathlib.Path(home, name).exists() for name in STORES)
        for name in HAS_DATABASE:
            assert password.encode() not in pathlib.Path(f"/proc/{parts[name]['pid']}/environ").read_bytes(), "the administrator's password is no service's"
        assert local("stop", home)[0] == 0
    with private_home() as home:
        code, text = local("start", home, "--base-port", OTHER_PORT, "--redis", "127.0.0.1:1")
        assert code == 1 and "Redis at 127.0.0.1:1 does not answer" in text


def test_roles_of_services_enter_their_own_database_only(whole):
    for role in HAS_DATABASE:
        password = pathlib.Path(whole, "secrets", f"pg-{role}.password").read_text()
        for database in HAS_DATABASE:
            dsn = f"host=127.0.0.1 port={WHOLE_PORT + PORTS['pg']} user=tf_{role} password={password} dbname=tf_{database} connect_timeout=5"
            if role == database:
                with psycopg.connect(dsn) as c:
                    assert c.execute("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
            else:
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    psycopg.connect(dsn)


# ---- dying ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", list(PORTS))
def test_a_part_that_crashes_is_restarted(whole, part):
    before = status(whole)[part]
    os.kill(before["pid"], signal.SIGKILL)

    def back():
        row = status(whole)[part]
        return row["state"] == "running" and row["pid"] != before["pid"] and row

    after = until(back, timeout=20, what=f"{part} again")
    assert after["restarts"] == before["restarts"] + 1
    until(lambda: serves(WHOLE_PORT), timeout=20, what="serving again")
    others = {name: row["state"] for name, row in status(whole).items()}
    assert set(others.values()) == {"running"}, others


def test_what_a_crashed_postgresql_left_is_waited_for_and_ended(whole):
    password = pathlib.Path(whole, "secrets", "pg-superuser.password").read_text().strip()
    log = pathlib.Path(whole, "log", "pg.log")
    with psycopg.connect(host="127.0.0.1", port=WHOLE_PORT + PORTS["pg"], user="ticketflow", password=password, dbname="postgres") as connection:
        backend, before, at = connection.info.backend_pid, status(whole)["pg"], log.stat().st_size
        os.kill(backend, signal.SIGSTOP)
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: status(whole)["pg"]["state"] == "backoff", what="the crash is seen")
        time.sleep(2)
        assert status(whole)["pg"]["state"] == "backoff", "no server is started beside what the old one left"
        until(lambda: (row := status(whole)["pg"])["state"] == "running" and row["pid"] != before["pid"], timeout=20, what="pg again")
        assert not pathlib.Path(f"/proc/{backend}").exists()
        assert status(whole)["pg"]["restarts"] == before["restarts"] + 1
        assert "pre-existing shared memory" not in log.read_bytes()[at:].decode()
    until(lambda: serves(WHOLE_PORT), timeout=20, what="serving again")


def test_a_part_that_crashes_again_and_again_is_seen(tmp_path):
    for program in BIN.glob("tf-*"):
        (tmp_path / program.name).symlink_to(program)
    pay, supervisor = tmp_path / "tf-pay", tmp_path / "tf-local"
    supervisor.unlink()
    shutil.copy(BIN / "tf-local", supervisor)  # it looks for the others beside itself
    with private_home() as home:
        done = subprocess.run([supervisor, "start", "--home", home, "--base-port", str(OTHER_PORT)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout
        before = status(home)
        pay.unlink()
        pay.write_text("#!/bin/sh\nexit 7\n")
        pay.chmod(0o755)
        os.kill(before["pay"]["pid"], signal.SIGKILL)
        until(lambda: status(home)["pay"]["restarts"] >= 4 and status(home)["pay"]["state"] == "backoff", timeout=20, what="pay rests between its crashes")
        assert local("status", home)[0] == 1
        restarts, begun = status(home)["pay"]["restarts"], time.monotonic()
        time.sleep(3)
        assert status(home)["pay"]["restarts"] - restarts <= (time.monotonic() - begun) / 0.8 + 1, "it rests longer and longer"
        assert {name: row["pid"] for name, row in status(home).items() if name != "pay"} == {n: r["pid"] for n, r in before.items() if n != "pay"}
        assert "status 7" in pathlib.Path(home, "log", "supervisor.log").read_text()
        pay.unlink()
        pay.symlink_to(BIN / "tf-pay")
        until(lambda: local("status", home)[0] == 0, timeout=20, what="pay again")


def test_a_killed_supervisor_takes_all_along(whole):
    os.kill(status(whole)["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: processes_of(whole) == {}, timeout=seconds(5), what="no child left")
    assert local("status", whole)[0] == 3
    code, text = local("start", whole, "--base-port", WHOLE_PORT)
    assert code == 0, text
    # Without a moment's pause: what is still going down is waited for.
    os.kill(status(whole)["supervisor"]["pid"], signal.SIGKILL)
    code, text = local("start", whole, "--base-port", WHOLE_PORT)
    assert code == 0, text
    assert serves(WHOLE_PORT)


def test_after_a_stop_nothing_is_left_and_a_start_is_quick(whole):
    code, text = local("stop", whole)
    assert code == 0, text
    assert processes_of(whole) == {}
    assert [port for part, offset in PORTS.items() for port in (WHOLE_PORT + offset, WHOLE_PORT + offset + 100) if listens(port)] == []
    assert [path for path in pathlib.Path(whole).rglob("*") if path.is_socket()] == []
    assert local("status", whole)[0] == 3
    assert local("stop", whole) == (0, "TicketFlow is not running.\n")
    pathlib.Path(whole, "secrets", "redis.password").unlink()  # an installation from before there was one
    begun = time.monotonic()
    code, text = local("start", whole, "--base-port", WHOLE_PORT)
    assert code == 0, text
    assert serves(WHOLE_PORT)
    assert time.monotonic() - begun < seconds(5)


# ---- logs -------------------------------------------------------------------------------------------------------------


def test_logs_give_way_while_parts_run_and_are_followed_over_it():
    limit, requests = 20000, []

    def ask(n):
        """Requests that the gateway logs under ids of ours."""
        with httpx.Client(base_url=f"http://127.0.0.1:{OTHER_PORT + PORTS['gateway']}") as client:
            for _ in range(n):
                requests.append(f"rotation-{len(requests)}")
                client.get("/v1/programs", headers={"X-Request-Id": requests[-1]})

    with private_home() as home:
        code, text = local("start", home, "--base-port", OTHER_PORT, "--log-bytes", limit)
        assert code == 0, text
        log = pathlib.Path(home, "log", "gateway.log")
        with subprocess.Popen([ROOT / "ticketflow", "logs", "-f", "gateway"], env={**os.environ, "TF_HOME": home}, stdout=subprocess.PIPE, text=True) as tail:
            try:
                for _ in range(5):
                    ask(limit // 200)
                    until(lambda: log.stat().st_size < limit, timeout=10, what="the log has given way")
                ask(3)
                followed = []
                for line in tail.stdout:
                    followed += re.findall(r"rotation-\d+", line)
                    if requests[-1] in followed:
                        break
            finally:
                tail.kill()
        assert followed[-3:] == requests[-3:]
        files = [log.with_name(f"gateway.log.{n}") for n in (3, 2, 1)] + [log]
        assert sorted(log.parent.glob("gateway.log*")) == sorted(files)
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
        lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        seen = [line["request_id"] for line in lines if line.get("request_id", "").startswith("rotation-")]
        assert len(seen) > limit // 100 and seen == requests[-len(seen) :], "in order, none lost"
