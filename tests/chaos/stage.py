"""The installation that the fault kit works on: two instances of every service and gateway, and a proxy before each store."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

import psycopg
import redis as redis_client

from proxy import Proxy
from world import LONG, SEED, World, until

SCALED = ("user", "program", "order", "pay", "gateway")
SERVED_BY_PG = ("user", "program", "order", "pay")
STORES = ("pg", "redis", "etcd")
OFFSETS = {"pg": 32, "redis": 79, "etcd": 23}
PROXY_OFFSET = {"pg": 60, "redis": 61, "etcd": 62}
REPLICA_OFFSET, EXTRA_OFFSET = 63, 64
"""Ports that no part of an installation has; instances of parts lie 200 apart."""
INSTANCE_PORTS = 200


def alive(pid):
    """The process exists and is more than an entry that nobody has read yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def seconds(n):
    """A promise of n seconds, where each runnable process has a core to itself; more where they share."""
    return n * max(1, os.getloadavg()[0] / os.cpu_count())


def drawn(things, n):
    """All of them in --long; otherwise n, drawn by the seed, so that every one has its day within some runs."""
    things = list(things)
    return things if LONG else sorted(random.Random(f"{SEED} {things}").sample(things, n), key=things.index)


class Stage(World):
    """proxies: by store. store_lock: held by whoever makes the supervisor wait, and by whoever kills a store."""

    def __init__(self, home, base_port, points, instances=2, **kw):
        super().__init__(home, base_port, chaos_file=points.path, **kw)
        self.points = points
        self.instances, self.store_lock, self._replica = instances, threading.RLock(), None
        ports = {store: base_port + offset for store, offset in PROXY_OFFSET.items()}
        self.proxies = {store: Proxy(ports[store], base_port + OFFSETS[store]) for store in STORES}
        self.settings["*.redis_address"] = f"127.0.0.1:{ports['redis']}"
        self.settings["*.etcd_endpoints"] = f"127.0.0.1:{ports['etcd']}"
        for service in SERVED_BY_PG:
            self.settings[f"{service}.pg_dsn"] = f"host=127.0.0.1 port={ports['pg']} dbname=tf_{service} user=tf_{service}"

    def database_lost(self, name):
        """Its next use connects anew."""
        connection = self._opened.pop(name, None)
        if connection:
            connection.close()

    def connection(self, name):
        """One more connection to a service's database, with all rights and in a transaction: for whoever blocks somebody."""
        words = {"host": "127.0.0.1", "port": self.base_port + OFFSETS["pg"], "user": "ticketflow", "dbname": f"tf_{name}"}
        return psycopg.connect(**words, password=self.secret("pg-superuser.password"))

    # ---- life ----

    def start(self):
        words = [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]
        if self.instances > 1:
            words += ["--scale", ",".join(f"{part}={self.instances}" for part in SCALED)]
        done = self.local("start", "--base-port", str(self.base_port), *words)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self):
        if self._replica:
            self._replica.end()
        super().stop()
        for proxy in self.proxies.values():
            proxy.close()

    def gateways(self):
        return [f"http://127.0.0.1:{self.base_port + 80 + INSTANCE_PORTS * i}" for i in range(self.instances)]

    def names(self, part):
        """All instances of a part: order, order-2 …"""
        return [name for name in self.parts() if name == part or name.startswith(f"{part}-")]

    def await_running(self, timeout=60):
        """Everything that should run does."""
        until(lambda: all(row["state"] == "running" for row in self.parts().values()), timeout=timeout, pause=0.3, what="all parts running")

    def new_show(self, rows=40, seats=50, **show):
        """As World makes it, and known to every instance: one that was asked too early says NOT_FOUND for a moment."""
        show_id = super().new_show(rows, seats, **show)
        seen = 0
        end = time.monotonic() + 20
        while seen < 8 * self.instances:
            assert time.monotonic() < end, f"show {show_id} is not known everywhere"
            gateway = self.gateways()[seen % self.instances]
            seen = seen + 1 if self.http.get(f"{gateway}/v1/shows/{show_id}/availability").status_code == 200 else 0
            time.sleep(0.02)
        return show_id

    def pid(self, part):
        """The part's process, as soon as it has one."""
        return until(lambda: self.parts().get(part, {}).get("pid"), timeout=60, what=f"a process of {part}")

    def kill(self, part):
        """kill -9; its pid."""
        pid = self.pid(part)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def await_again(self, part, pid, timeout=60):
        """The supervisor has brought it back."""
        until(lambda: (row := self.parts().get(part, {})).get("state") == "running" and row["pid"] != pid, timeout=timeout, pause=0.3, what=f"{part} again")

    def told(self, part):
        """The settings a part was started with, as an environment."""
        lines = (self.home / "run" / part / "settings").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line)

    @contextlib.contextmanager
    def supervisor_waits(self):
        """Nothing is restarted inside the block, so that a dead store's files may be changed before it comes back."""
        with self.store_lock:
            supervisor = self.parts()["supervisor"]["pid"]
            os.kill(supervisor, signal.SIGSTOP)
            try:
                yield
            finally:
                os.kill(supervisor, signal.SIGCONT)

    @contextlib.contextmanager
    def store_down(self, store):
        """The store is dead inside the block and comes back after it."""
        with self.supervisor_waits():
            pid = self.parts()[store]["pid"]
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                until(lambda: not alive(pid), what=f"the end of {store}")
            yield

    def replica(self):
        """A second Redis that follows the first; made once."""
        if self._replica is None:
            self._replica = Replica(self)
        return self._replica

    def extra(self, service, number, environment):
        """An instance beside the supervisor's, started by hand with these variables in addition."""
        return Extra(self, service, number, environment)


def connectable(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Replica:
    """A Redis of the test's own."""

    def __init__(self, stage):
        self.stage, self.port = stage, stage.base_port + REPLICA_OFFSET
        self.directory = stage.home / "replica"
        self.directory.mkdir(mode=0o700, exist_ok=True)
        password = stage.secret("redis.password")
        settings = self.directory / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {password}\nmasterauth {password}\ndir {self.directory}\n"
            f'save ""\nappendonly no\nmaxmemory-policy noeviction\nrepl-diskless-sync-delay 0\n'
        )
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(["/usr/bin/redis-server", str(settings)], stdout=log, stderr=log)
        until(lambda: connectable(self.port), what="the second Redis")
        self.client = redis_client.Redis(port=self.port, password=password)

    @staticmethod
    def follow(follower, port, password):
        follower.config_set("masterauth", password)
        follower.execute_command("REPLICAOF", "127.0.0.1", port)

    def synchronised(self, follower, leader):
        """The follower has all that the leader has."""

        def caught_up():
            state, source = follower.info("replication"), leader.info("replication")
            return state.get("master_link_status") == "up" and state.get("slave_repl_offset", -1) >= source["master_repl_offset"] - 4096

        try:
            until(caught_up, timeout=20, what="the replica in step")
        except (redis_client.ConnectionError, redis_client.BusyLoadingError):
            return False
        return True

    def end(self):
        self.process.kill()
        self.process.wait()


class Extra:
    """A service's process that the supervisor does not know: the clock of one instance can be another one there."""

    def __init__(self, stage, service, number, environment):
        self.stage, self.name = stage, f"{service}-{number}"
        self.port = stage.base_port + EXTRA_OFFSET + 2 * number
        self.admin_port = self.port + 1
        told = stage.told(service)
        told.update(TF_INSTANCE=self.name, TF_LISTEN=f"127.0.0.1:{self.port}", TF_ADMIN_LISTEN=f"127.0.0.1:{self.admin_port}")
        self.log = stage.home / "log" / f"{self.name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(stage.bin / f"tf-{service}")],
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **told, **environment},
                cwd=stage.home / "run",
                stdout=log,
                stderr=log,
            )

    def health(self):
        """The status of /healthz: 200 when the instance serves; None when nobody listens."""
        try:
            return self.stage.http.get(f"http://127.0.0.1:{self.admin_port}/healthz", timeout=3).status_code
        except Exception:  # not up yet, or gone
            return None

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Recovered:
    """How long something took, in seconds."""

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, *failure):
        self.seconds = time.monotonic() - self.began
