"""PostgreSQL's functions and Redis's in one story, step by step: what no single one of them can show."""

import threading
import time

import psycopg
import pytest

from inventory_model import Driver, Show
from test_commit_sql import BUCKET, EPOCH, OK, TOMB, commit, numbers, order, results, settle
from test_commit_sql import pg, show as fence  # noqa: F401 – fixtures
from test_generation import NOW, small_show


@pytest.fixture
def driver(client, pg, fence):
    """A show in both stores at epoch 1."""
    of = small_show()
    driver = Driver(client, Show(of.venue, fence, partition=BUCKET % 64))
    driver.rebuild(1)
    return driver


def hold(driver, no, places, user=None):
    user = str(user or no)
    got = driver.hold(str(no), user, f"key-{no}", "body", NOW, places=places)
    driver.show.hold(str(no), user, f"key-{no}", "body", NOW + 10000, places=places)
    return got


def rebuild_from(pg, driver):
    """Raise, begin, read, load, open: what the order service does."""
    epoch = pg.execute("UPDATE inventory SET epoch = epoch + 1 WHERE show_id = %s RETURNING epoch", [driver.show.show]).fetchone()[0]
    assert driver.begin(epoch) == ["OK"]
    fresh = Show(driver.show.venue, driver.show.show, partition=driver.show.partition)
    for no, state, user, places in pg.execute(
            "SELECT o.order_no, o.state, o.user_id, array_agg(t.place_no ORDER BY t.place_no) FROM orders o JOIN tickets t USING (bucket, order_no)"
            " WHERE o.show_id = %s AND t.live GROUP BY 1, 2, 3", [driver.show.show]).fetchall():
        fresh.hold(str(no), str(user), f"key-{no}", "body", NOW + 60000, places=places)
        fresh.due[str(no)] = str(NOW + 60000)
        if state == 2:
            fresh.settle(str(no), "S", 0, places)
    driver.show = fresh
    assert driver.open(epoch, driver.load_all(epoch)) == ["OK"]
    fresh.epoch = epoch
    return epoch


def free(driver, place):
    bits = driver.client.get(driver.show.key("m")).encode("latin-1")[64:]
    return bits[place // 8] >> (7 - place % 8) & 1 == 1


def test_settle_paused_between_postgresql_and_redis_over_a_rebuild(pg, driver):
    """PostgreSQL said: void. Before Redis hears it, the show is rebuilt and the place is sold to another: it stays his."""
    o = order(int(driver.show.show), places=[40])
    hold(driver, o["no"], [40])
    assert results(pg, o) == [OK]
    pg.execute("UPDATE orders SET state = 5 WHERE order_no = %s", [o["no"]])
    pg.execute("UPDATE tickets SET live = false WHERE order_no = %s", [o["no"]])
    state, live, _, read_at = settle(pg, o)[0]
    assert (state, live, read_at) == (5, None, 1)
    rebuild_from(pg, driver)
    second = order(int(driver.show.show), places=[40], epoch=2)
    assert hold(driver, second["no"], [40])[0] == "HELD"
    assert results(pg, second) == [OK]
    assert driver.settle(read_at, (str(o["no"]), "S", 0, [])) == ["OK"]
    assert not free(driver, 40)


def test_settle_read_after_a_raise_waits_for_its_rebuild(pg, driver):
    """The raise came before the read, so the build may or may not have seen the order: the old generation must not be told."""
    o = order(int(driver.show.show), places=[41])
    hold(driver, o["no"], [41])
    assert results(pg, o) == [OK]
    pg.execute("UPDATE inventory SET epoch = 2 WHERE show_id = %s", [driver.show.show])
    pg.execute("UPDATE orders SET state = 5 WHERE order_no = %s", [o["no"]])
    pg.execute("UPDATE tickets SET live = false WHERE order_no = %s", [o["no"]])
    read_at = settle(pg, o)[0][3]
    assert driver.settle(read_at, (str(o["no"]), "S", 0, [])) == ["STALE", 1]
    assert not free(driver, 41)
    rebuild_from(pg, driver)
    assert free(driver, 41)
    assert driver.settle(read_at, (str(o["no"]), "S", 0, [])) == ["OK"], "kept until now; there is nothing left to free"


def test_a_hold_of_the_old_generation_never_commits(pg, driver):
    o = order(int(driver.show.show), places=[42])
    assert hold(driver, o["no"], [42])[:2] == ["HELD", 1]
    epoch = rebuild_from(pg, driver)
    assert free(driver, 42), "it died with its generation"
    assert results(pg, o) == [EPOCH]
    again = dict(order(int(driver.show.show), places=[42], epoch=epoch), user=o["user"], request=o["request"])
    assert hold(driver, again["no"], [42], user=o["user"])[:2] == ["HELD", epoch], "the key decides anew"
    assert results(pg, again) == [OK]


@pytest.mark.parametrize("meanwhile", ["a raise", "a tombstone", "a raise and a tombstone"])
def test_a_batch_that_slept_is_refused(pg, dsn, driver, meanwhile):
    """Decided, then its process stood still (a paused machine) while the world went on: the batch that arrives late sells nothing."""
    o = order(int(driver.show.show), places=[43])
    hold(driver, o["no"], [43])
    if "tombstone" in meanwhile:
        state, live, _, read_at = settle(pg, o)[0]
        assert (state, live) == (9, None)
        assert driver.settle(read_at, (str(o["no"]), "S", 0, [])) == ["OK"]
        driver.show.settle(str(o["no"]), "S", 0, [])
    epoch = rebuild_from(pg, driver) if "raise" in meanwhile else 1
    other = order(int(driver.show.show), places=[43], epoch=epoch)
    assert hold(driver, other["no"], [43])[0] == "HELD", "the place is another's by right"
    assert results(pg, other) == [OK]
    for _ in range(2):      # and sent again
        assert results(pg, o) == [TOMB if "tombstone" in meanwhile else EPOCH]
    assert not free(driver, 43)
    assert pg.execute("SELECT order_no FROM tickets WHERE show_id = %s AND place_no = 43 AND live", [driver.show.show]).fetchall() == [(other["no"],)]


def test_committed_then_raised_then_sent_again_is_the_same_order(pg, driver):
    o = order(int(driver.show.show), places=[44])
    hold(driver, o["no"], [44])
    assert results(pg, o) == [OK]
    rebuild_from(pg, driver)
    result, number, release = commit(pg, o)[o["no"]]
    assert number == o["no"] and result == 1 and release > 0


def test_a_batch_of_five_shows_loses_only_the_rebuilt_one(pg, fence):
    shows = [fence]
    for _ in range(4):
        shows.append(next(numbers))
        pg.execute("INSERT INTO inventory (bucket, show_id, organiser_id, epoch, terms, sale_state) VALUES (%s, %s, 11, 1, 1, 1)", [BUCKET, shows[-1]])
    pg.execute("UPDATE inventory SET epoch = 2 WHERE show_id = %s", [shows[2]])
    orders = [order(s) for s in shows]
    assert results(pg, *orders) == [OK, OK, EPOCH, OK, OK]


def test_a_raise_gets_its_gap_between_many_committers(pg, dsn, fence):
    """Share locks that overlap without end could starve a raise: it must come through while batches of many committers run."""
    stop, committed = threading.Event(), []

    def run():
        with psycopg.connect(dsn, autocommit=True) as mine:
            while not stop.is_set():
                committed.extend(r for r in results(mine, *[order(fence, epoch=1) for _ in range(20)]))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        while len(committed) < 200:
            time.sleep(0.01)
        with psycopg.connect(dsn, autocommit=True) as raiser:
            raiser.execute("SET statement_timeout = '10s'")
            took = raiser.execute("WITH r AS (UPDATE inventory SET epoch = epoch + 1 WHERE show_id = %s RETURNING 1)"
                                  " SELECT extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000 FROM r", [fence]).fetchone()[0]
        print(f"a raise among six committers: {took:.1f} ms")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert results(pg, order(fence, epoch=1)) == [EPOCH]
    assert took < 2000
