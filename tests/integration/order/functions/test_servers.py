"""Servers that change under a show: a replica promoted and the way back, two servers behind one connection, lost tails, old copies, an upgrade."""

import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
import redis

from inventory_model import SOURCE, Driver, PrivateRedis, connect, free_port, load_library, named
from test_generation import NOW, all_closed, image_is, opened, small_show, take

LIBRARY_KEY = "tf:library"


@pytest.fixture
def pair():
    """Two servers with the library; yields two drivers of the same show, one for each."""
    servers = [PrivateRedis(free_port()) for _ in range(2)]
    show = small_show()
    drivers = []
    for server in servers:
        client = connect("127.0.0.1", server.port)
        load_library(client)
        drivers.append(Driver(client, show))
    yield drivers
    for server in servers:
        server.close()


def port_of(driver):
    return driver.client.connection_pool.connection_kwargs["port"]


def follow(replica, primary):
    primary.client.config_set("repl-diskless-sync-delay", 0)
    replica.client.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
    for _ in range(200):
        info = replica.client.info("replication")
        if info["master_link_status"] == "up" and info["slave_repl_offset"] == primary.client.info("replication")["master_repl_offset"]:
            return
        time.sleep(0.05)
    raise AssertionError("the replica does not follow")


def promote(driver):
    driver.client.execute_command("REPLICAOF", "NO", "ONE")


# ---- fail-over ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("rebuilt_on_b", [True, False])
def test_fail_over_to_a_replica_and_back(pair, rebuilt_on_b):
    """A → B → A by replication: whoever serves again is closed until it was rebuilt, whether its process lived on or not."""
    a, b = pair
    a.rebuild(1)
    assert take(a)[0] == "HELD"
    follow(b, a)
    promote(b)
    assert b.client.exists(a.show.key("m")), "the keys came along; only the token is missing"
    all_closed(b)
    if rebuilt_on_b:
        b.rebuild(2)
        assert take(b, order="12", key="key-two")[0] == "HELD"
    follow(a, b)
    for call in (lambda: a.seen(), lambda: a.hold("13", "3", "key-three", "b", NOW, choices=[(1, 1, False)])):
        with pytest.raises(redis.exceptions.ReadOnlyError):
            call()      # nobody decides on a replica, nobody is even told that a rebuild is needed
    promote(a)
    if not rebuilt_on_b and a.seen()[0] == "OPEN":
        image_is(a)     # continued without a full copy, and nothing was decided elsewhere meanwhile: the generation is the same
        return
    all_closed(a)
    a.rebuild(3)
    image_is(a)


def test_a_generation_opened_on_b_closes_a_that_never_followed(pair):
    """A was cut off and lives; its own generation is older than the fence, so its decisions end at the commit, its settles here."""
    a, b = pair
    a.rebuild(1)
    take(a)
    b.rebuild(2)
    a.show.epoch = 1
    assert a.hold("12", "2", "key-two", "b", NOW, choices=[(1, 1, False)])[:2] == ["HELD", 1], "with its own, lower epoch"
    assert a.settle(2, ("11", "H", 0, [])) == ["STALE", 1]


def encoded(command):
    words = [str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def whole_reply(stream):
    line = stream.readline()
    if line[:1] == b"$" and int(line[1:]) >= 0:
        return line + stream.read(int(line[1:]) + 2)
    if line[:1] == b"*" and int(line[1:]) > 0:
        return line + b"".join(whole_reply(stream) for _ in range(int(line[1:])))
    return line


class SwappingProxy:
    """Passes each client's n-th command on to the server that `route` names: commands of one pipeline may meet two servers."""

    def __init__(self, ports, route):
        self.ports, self.route = ports, route
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client, _ = self.listener.accept()
        with client:
            files = [socket.create_connection(("127.0.0.1", p)).makefile("rwb") for p in self.ports]
            stream, n = client.makefile("rb"), 0
            while head := stream.readline():
                command = [head]
                for _ in range(int(head[1:])):
                    size = stream.readline()
                    command += [size, stream.read(int(size[1:]) + 2)]
                to = files[self.route(n)]
                to.write(b"".join(command))
                to.flush()
                client.sendall(whole_reply(to))
                n += 1



@pytest.mark.parametrize("first_on_b", [1, 4, 7])
def test_servers_swapped_between_two_pipelined_commands(pair, first_on_b):
    """The link stays, the server behind it is a promoted replica from the n-th command on."""
    a, b = pair
    a.rebuild(1)
    follow(b, a)
    promote(b)
    proxy = SwappingProxy([port_of(a), port_of(b)], lambda n: 0 if n < first_on_b else 1)
    show = a.show
    packed = []
    for n in range(8):
        packed.append(("FCALL", f"tf_{a.digest}_hold", 7, *show.live(), show.due_key, show.request_key(str(n), "key"), show.show, str(100 + n), str(n),
                       "body", 1, show.limit, 0, NOW, NOW + 10000, 900, 0, "B", 1, 1, 0))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as through:
        through.sendall(b"".join(encoded(command) for command in packed))
        stream = through.makefile("rb")
        answers = [whole_reply(stream).split(b"\r\n")[2].decode() for _ in packed]
    assert answers == ["HELD"] * first_on_b + ["CLOSED"] * (8 - first_on_b)
    assert b.client.hlen(show.key("h")) == 0, "nothing was decided on the copy"


# ---- a server that lost something ---------------------------------------------------------------------------------------------

def aof(private):
    return next(Path(private.dir, "appendonlydir").glob("*.incr.aof"))


@pytest.mark.parametrize("lost", ["a byte", "the last call", "half", "all"])
def test_lost_tails_close(server, lost):
    private, again = server
    driver = opened(again())
    driver.client.execute_command("CONFIG", "SET", "appendfsync", "always")
    take(driver)
    before = aof(private).stat().st_size
    assert take(driver, order="12", key="key-two")[0] == "HELD"
    size = aof(private).stat().st_size
    private.stop()
    keep = {"a byte": size - 1, "the last call": before, "half": size // 2, "all": 0}[lost]
    with open(aof(private), "r+b") as file:
        file.truncate(keep)
    private.start()
    driver.client = again()
    records = driver.client.hgetall(driver.show.key("h"))
    assert len(records) == {"a byte": 1, "the last call": 1}.get(lost, len(records)), "whole calls or none"
    all_closed(driver)
    driver.rebuild(2)
    image_is(driver)


def test_a_stale_copy_restored_closes(server, tmp_path):
    """The whole directory of an earlier hour under a new process."""
    private, again = server
    driver = opened(again())
    driver.client.execute_command("CONFIG", "SET", "appendfsync", "always")
    take(driver)
    shutil.copytree(private.dir, tmp_path / "copy")
    driver.show.settle("11", "H", 0, [])
    assert driver.settle(1, ("11", "H", 0, [])) == ["OK"]
    driver.rebuild(2)
    private.stop()
    shutil.rmtree(private.dir)
    shutil.copytree(tmp_path / "copy", private.dir)
    private.start()
    driver.client = again()
    assert driver.client.hgetall(driver.show.key("h")).keys() == {"11"}, "the old sale is back"
    all_closed(driver)
    driver.rebuild(3)
    image_is(driver)


# ---- whose rebuild ------------------------------------------------------------------------------------------------------------

def test_a_load_under_way_is_told_with_its_progress(client):
    driver = opened(client, 4)
    assert driver.seen() == ["OPEN", 4, 1, 0, 0]
    assert driver.begin(5) == ["OK"]
    assert driver.seen() == ["CLOSED", 5, 0, 5, 0]
    driver.load(5, "h", "1", "x")
    assert driver.seen() == ["CLOSED", 5, 0, 5, 1]
    assert driver.begin(5) == ["OK"]
    assert driver.open(5, driver.load_all(5)) == ["OK"]
    driver.show.epoch = 5
    assert driver.seen() == ["OPEN", 5, 1, 0, 0]


# ---- an upgrade on a running server ---------------------------------------------------------------------------------------------

def lead(driver, take_it, lease_ms=10000):
    return driver.call("lead", [LIBRARY_KEY], int(take_it), lease_ms)


def test_the_library_started_last_leads_until_its_lease_ends(server):
    _, again = server
    old = opened(again())
    library, digest = named(SOURCE + b"\n-- the next release\n")
    old.client.function_load(library)
    new = Driver(old.client, old.show, digest)
    assert lead(old, True) == ["OK"]
    assert lead(new, False) == ["SUPERSEDED", old.digest]
    assert lead(new, True, 400) == ["OK"]
    assert lead(old, False) == ["SUPERSEDED", digest]
    assert lead(new, False, 400) == ["OK"], "renewed"
    time.sleep(0.5)
    assert lead(old, False) == ["OK"], "nobody of the other version lives any more"
    assert lead(new, False) == ["SUPERSEDED", old.digest]
    assert lead(new, True) == ["OK"], "and back again"
