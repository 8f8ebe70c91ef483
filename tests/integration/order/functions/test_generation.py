"""The generation token: what closes a show, who may open it, and that nothing of an old generation counts."""

import random

import pytest

from inventory_model import DIGEST, LIBRARY, SOURCE, Driver, PrivateRedis, Show, Venue, connect as connect_to, free_port, load_library, named

NOW = 1790000000000
shows = iter(range(5000, 6000))


def small_show():
    venue = Venue([False, True], [(1, 20, [1, 2], 10), (1, 9, [3], 4), (2, 30, [1, 2], 0)], kmax=6)
    return Show(venue, next(shows), partition=3)


def opened(client, epoch=1):
    driver = Driver(client, small_show())
    driver.rebuild(epoch)
    return driver


def take(driver, order="11", user="1", key="key-one", k=2):
    got = driver.hold(order, user, key, "body", NOW, choices=[(1, k, False)])
    expected = driver.show.hold(order, user, key, "body", NOW + 10000, choices=[(1, k, False)])
    assert got[0] == expected[0]
    return got


def all_closed(driver):
    show = driver.show
    assert driver.hold("99", "9", "key-nine", "b", NOW, choices=[(1, 1, False)]) == ["CLOSED"]
    assert driver.settle(show.epoch, ("11", "H", 0, [])) == ["CLOSED"]
    assert driver.confirm(("11", NOW)) == ["CLOSED"]
    assert driver.state(2) == ["CLOSED"]
    assert driver.read(NOW) == ["CLOSED"]
    assert driver.used("1") == ["CLOSED"]
    assert driver.seen()[0] == "CLOSED"


def image_is(driver):
    show = driver.show
    m, _ = show.image(show.epoch)
    stored = driver.client.get(show.key("m")).encode("latin-1")
    assert stored[:8] + stored[16:] == m[:8] + m[16:]
    assert driver.client.hgetall(show.key("h")) == show.records()


# ---- what closes ----------------------------------------------------------------------------------------------------------

def test_restart_with_all_data_kept_closes(server):
    private, connect = server
    driver = opened(connect())
    held = take(driver)
    driver.client.execute_command("CONFIG", "SET", "appendfsync", "always")
    driver.client.set("flush", "1")
    private.stop()
    private.start()
    driver.client = connect()
    assert driver.client.exists(driver.show.key("m")), "the data came back; only the token is gone"
    assert driver.client.hgetall(driver.show.key("h")), "even the hold"
    all_closed(driver)
    assert driver.seen() == ["CLOSED", 1, 0, 0, 0]
    driver.rebuild(2)
    image_is(driver)
    again = take(driver, order="12")
    assert again[0] == "AGAIN" and again[2:3] == ["11"] and again[4:] == held[4:], "the key outlives the generation with its order"


def test_flushall_closes(server):
    _, connect = server
    driver = opened(connect())
    take(driver)
    driver.client.flushall()
    all_closed(driver)
    driver.rebuild(2)
    image_is(driver)


def test_deleted_map_closes(client):
    driver = opened(client)
    client.delete(driver.show.key("m"))
    all_closed(driver)


def test_data_of_an_older_generation_closes(client):
    """A resync brings the keys of another history under a living process."""
    driver = opened(client)
    take(driver)
    old = {name: client.execute_command("DUMP", name, **{"NEVER_DECODE": True}) for name in driver.show.live() if client.exists(name)}
    driver.show.settle("11", "H", 0, [])
    driver.rebuild(2)
    client.delete(*driver.show.live())
    for name, data in old.items():
        client.execute_command("RESTORE", name, 0, data)
    all_closed(driver)
    assert driver.seen() == ["CLOSED", 2, 0, 0, 0]


def test_reloaded_library_closes(server):
    _, connect = server
    driver = opened(connect())
    driver.client.function_load(LIBRARY, replace=True)
    all_closed(driver)


def test_a_changed_library_comes_beside_the_old_one(server):
    """An upgrade on a running server: nothing of it is silently left out, and what the old one opened is closed to the new one."""
    _, connect = server
    old = opened(connect())
    library, digest = named(SOURCE + b"\n-- changed\n")
    assert digest != DIGEST
    old.client.function_load(library)
    new = Driver(old.client, old.show, digest)
    all_closed(new)
    new.rebuild(2)
    assert take(new)[0] == "HELD"
    assert old.read(NOW) == ["CLOSED"], "two libraries never sell side by side"


def test_a_server_with_older_data_is_closed(server):
    """A replica that was promoted has the keys and not the token."""
    _, connect = server
    driver = opened(connect())
    take(driver)
    client = driver.client
    copy = {name: client.execute_command("DUMP", name, **{"NEVER_DECODE": True}) for name in driver.show.live()
            if client.exists(name)}
    other = PrivateRedis(free_port())
    try:
        replica = connect_to("127.0.0.1", other.port)
        load_library(replica)
        for name, data in copy.items():
            replica.execute_command("RESTORE", name, 0, data)
        driver.client = replica                 # the connection now leads to the other server, between two commands
        all_closed(driver)
        driver.client = client
        assert take(driver, order="12", key="key-two")[0] == "HELD", "the old one still decides; its commits need the fence's epoch"
    finally:
        other.close()


# ---- who may open ---------------------------------------------------------------------------------------------------------

def test_open_twice_changes_nothing(client):
    driver = Driver(client, small_show())
    assert driver.begin(1) == ["OK"]
    counts = driver.load_all(1)
    assert driver.open(1, counts) == ["OK"]
    driver.show.epoch = 1
    take(driver)
    assert driver.open(1, counts) == ["OK"]     # sent again, its answer was lost
    image_is(driver)


def test_begin_again_after_open_is_refused(client):
    driver = opened(client, 4)
    take(driver)
    assert driver.begin(4) == ["STALE", 4]
    assert driver.begin(3) == ["STALE", 4]
    image_is(driver)
    assert take(driver, order="12", key="key-two")[0] == "HELD"


def test_begin_again_after_open_and_restart_is_refused(server):
    """open's reply is lost, a sale is committed, the server restarts with its data: the old rebuild must not open again."""
    private, connect = server
    driver = opened(connect(), 4)
    take(driver)
    driver.client.execute_command("CONFIG", "SET", "appendfsync", "always")
    driver.client.set("flush", "1")
    private.stop()
    private.start()
    driver.client = connect()
    assert driver.begin(4) == ["STALE", 4]
    assert driver.open(4, [0] * 5)[0] == "REFUSED"
    all_closed(driver)


def test_begin_may_be_repeated_before_open(client):
    driver = Driver(client, small_show())
    assert driver.begin(2) == ["OK"]
    driver.load(2, "h", "77", "left over")
    assert driver.begin(2) == ["OK"]
    assert driver.open(2, driver.load_all(2)) == ["OK"]
    assert client.hgetall(driver.show.key("h")) == {}


def test_the_greater_epoch_wins(client):
    one = Driver(client, small_show())
    two = Driver(client, one.show)
    assert one.begin(2) == ["OK"]
    counts = one.load_all(2)
    assert two.begin(3) == ["OK"]
    assert one.load(2, "h", "1", "x") == ["STALE"]
    assert one.open(2, counts)[0] == "REFUSED"
    assert one.begin(2) == ["STALE", 3]
    assert two.open(3, two.load_all(3)) == ["OK"]
    assert one.begin(3) == ["STALE", 3]
    assert one.seen() == ["OPEN", 3, 1, 0, 0]


def test_server_change_in_the_middle_of_a_load_refuses(server):
    private, connect = server
    driver = Driver(connect(), small_show())
    driver.client.execute_command("CONFIG", "SET", "appendfsync", "always")
    assert driver.begin(2) == ["OK"]
    counts = driver.load_all(2)
    private.stop()
    private.start()
    driver.client = connect()
    assert driver.client.exists(driver.show.key("new:m")), "the staged keys came back"
    assert driver.load(2, "h", "1", "x") == ["STALE"]
    assert driver.open(2, counts)[0] == "REFUSED"


@pytest.mark.parametrize("missing", range(5))
def test_an_incomplete_load_does_not_open(client, missing):
    driver = Driver(client, small_show())
    driver.rebuild(1)
    for n in range(3):
        assert driver.hold(str(n), str(n), f"key-{n}", "b", NOW, choices=[(1, 1, False)], persons=[f"p{n}"])[0] == "HELD"
        driver.show.hold(str(n), str(n), f"key-{n}", "b", NOW, choices=[(1, 1, False)], persons=[f"p{n}"])
    assert driver.begin(2) == ["OK"]
    counts = driver.load_all(2)
    counts[missing] += 1
    assert driver.open(2, counts)[0] == "REFUSED"
    all_closed(driver)


def test_opening_needs_the_epoch_in_the_head(client):
    driver = Driver(client, small_show())
    assert driver.begin(2) == ["OK"]
    counts = driver.load_all(2)
    m, _ = driver.show.image(1)
    driver.load(2, "m", 0, m)
    assert driver.open(2, counts) == ["REFUSED", "epoch of head"]


def test_shows_that_ended_are_forgotten_and_rebuilt(server):
    """The token table is bounded: the show opened longest ago closes."""
    _, connect = server
    client = connect()
    first = opened(client)
    venue = Venue([False], [(1, 1, [0], 0)], kmax=1)
    for n in range(4096):
        Driver(client, Show(venue, 10**6 + n, partition=n % 64)).rebuild(1)
    all_closed(first)
    first.rebuild(2)
    assert take(first)[0] == "HELD"


# ---- settling across generations --------------------------------------------------------------------------------------------

def test_settle_read_in_a_newer_epoch_is_stale(client):
    driver = opened(client, 5)
    take(driver)
    assert driver.settle(6, ("11", "H", 0, [])) == ["STALE", 5]
    image_is(driver)
    assert driver.settle(5, ("11", "H", 0, [])) == ["OK"]
    driver.show.settle("11", "H", 0, [])
    image_is(driver)


def test_settle_read_before_a_rebuild_frees_only_its_own(client):
    """Read: order 11 is dead. Rebuild (which did not find it). Its place is sold to 12. The late call must not free it."""
    driver = opened(client, 1)
    place = take(driver)[4]
    driver.show.settle("11", "H", 0, [])        # what PostgreSQL said; the call to Redis is late
    driver.rebuild(2)
    got = driver.hold("12", "2", "key-two", "body", NOW, places=[place])
    driver.show.hold("12", "2", "key-two", "body", NOW + 10000, places=[place])
    assert got[0] == "HELD"
    assert driver.settle(1, ("11", "H", 0, [])) == ["OK"]
    driver.show.due.pop("11", None)
    image_is(driver)


def test_claimed_entries_come_due_again_until_settled(client):
    driver = opened(client)
    client.delete(driver.show.due_key)
    take(driver)
    member = f"{driver.show.show}:11"
    assert driver.claim(NOW + 9999, NOW + 20000) == [[], []]
    assert driver.claim(NOW + 10001, NOW + 20000) == [[member], []]
    assert driver.claim(NOW + 20000, NOW + 30000) == [[], []], "leased"
    assert driver.claim(NOW + 20001, NOW + 30000) == [[member], []], "the worker died"
    assert driver.settle(1, ("11", "H", 0, [])) == ["OK"]
    assert driver.claim(NOW + 99999, NOW + 200000) == [[], []]


def test_due_orders_of_a_closed_show_are_not_handed_out(client):
    driver = opened(client)
    client.delete(driver.show.due_key)
    take(driver)
    assert driver.begin(2) == ["OK"]
    assert driver.claim(NOW + 10001, NOW + 20000) == [[], [driver.show.show]]
    assert client.zscore(driver.show.due_key, f"{driver.show.show}:11") == NOW + 20000.5


def test_a_reply_lost_on_the_wire_is_asked_for_with_a_new_number(client):
    driver = opened(client)
    lost = take(driver)                          # nobody saw this
    again = driver.hold("12", "1", "key-one", "body", NOW, choices=[(1, 2, False)])
    assert again[0] == "AGAIN" and again[2] == "11" and again[4:] == lost[4:]
    image_is(driver)


def test_a_decision_on_other_terms_is_not_repeated(client):
    """An instance may have the new terms before the inventory has: the key's decision of the old ones must not reach a commit on the new."""
    driver = opened(client)
    take(driver)
    for body in ("body", "other"):
        assert driver.hold("12", "1", "key-one", body, NOW, choices=[(1, 2, False)], terms=2) == ["TERMS", 1]
    image_is(driver)


def test_reply_lost_then_rebuild_then_a_new_decision(client):
    """The first decision died with its generation; the key decides anew and nothing is taken twice."""
    driver = opened(client)
    take(driver)
    driver.show.settle("11", "H", 0, [])
    driver.show.users.clear()
    driver.rebuild(2)
    assert take(driver, order="12")[0] == "HELD"
    assert client.hgetall(driver.show.key("h")).keys() == {"12"}
    image_is(driver)


def test_numbers_beyond_doubles_stay_exact(client):
    driver = opened(client)
    for n, order in enumerate(("9223372036854775807", "9223372036854775806", "9007199254740993")):
        assert driver.hold(order, "9223372036854775805", f"key-{n}", "b", NOW, choices=[(1, 1, False)])[2] == order
    assert client.hgetall(driver.show.key("h")).keys() == {"9223372036854775807", "9223372036854775806", "9007199254740993"}
    assert client.hgetall(driver.show.key("u")) == {
        "9223372036854775805": "3 9223372036854775807 9223372036854775806 9007199254740993"}


def test_nothing_is_written_by_a_faulty_call(client):
    import redis
    driver = opened(client)
    before = {name: client.get(name) if name.endswith(":m") else client.hgetall(name) for name in driver.show.live() if not name.endswith(":g")}
    rng = random.Random(1)
    for places in ([31], [0], [10**7], [-1], [33, 33], [2.5], list(range(32, 53)), [rng.randrange(10**9)]):
        with pytest.raises(redis.exceptions.ResponseError):
            driver.hold("1", "1", "key-x", "b", NOW, places=places)
    for choices in ([(3, 1, False)], [(0, 1, False)], [(1, 0, False)], [(1, 7, True)], [(1, 1, False), (1, 1, False)], [(1, 1.5, False)]):
        with pytest.raises(redis.exceptions.ResponseError):
            driver.hold("1", "1", "key-x", "b", NOW, choices=choices)
    for name, value in before.items():
        assert (client.get(name) if name.endswith(":m") else client.hgetall(name)) == value
    assert client.zscore(driver.show.due_key, f"{driver.show.show}:1") is None
