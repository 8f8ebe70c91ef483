"""Every kill point: the process dies there, is started again, and nothing that anybody was told is lost or happens twice.

All points of a turn are armed at once over traffic that passes them, so that processes also die while others are coming back; each counts when its process
died there. After each turn the traffic ends, what people were told is compared with what the services say, and the auditor must find nothing."""

import collections
import os
import subprocess
import threading
import time

import pytest

from api import until
from points import declared_points
from traffic import Traffic
from world import FIGURES, LONG, ROOT, SEED

HITS = int(os.environ.get("TF_CHAOS_HITS") or (20 if LONG else 1))
PER_HIT_S = 6
"""What the death of a process costs at most on the average: its backoff, its start, a lease of 10 s now and then."""

TURNS = {
    "purchase and payment": ("pay", "pay", "cancel", "expire"),
    "expiry and settling": ("expire", "expire", "cancel", "pay"),
    "cancel, refund and rebuild": ("cancel", "refund"),
    "bus": ("pay", "cancel"),
}
"""Which journeys pass the points of a turn (their groups in kill_points.def)."""

POINTS = collections.defaultdict(list)
for point in declared_points():
    POINTS[next(turn for turn in TURNS if point.group in turn)].append(point.name)


@pytest.fixture(scope="module")
def traffic(world):
    return Traffic(world, SEED)


class Provoker:
    """What a turn needs besides buyers, twice a second."""

    def __init__(self, world, traffic, turn):
        self.world, self.traffic = world, traffic
        self.step = {"cancel, refund and rebuild": self.forget_inventory, "bus": self.poison}.get(turn)
        self.stopping, self.failures = threading.Event(), []
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *failure):
        self.stopping.set()
        self.thread.join()
        if failure[0] is None and self.failures:
            raise self.failures[0]

    def _run(self):
        try:
            while self.step and not self.stopping.wait(0.5):
                self.step()
        except Exception as failure:  # raised by whoever leaves the block
            self.failures.append(failure)

    def forget_inventory(self):
        """The head of an open show is gone from Redis: CLOSED to whoever asks, and rebuilt."""
        with self.world.redis() as redis:
            for key in redis.scan_iter(f"tf:{{*}}:{self.traffic.long_show}:m"):
                redis.unlink(key)

    def poison(self):
        """Bytes that are no event, and the replay of an event that was handled long ago."""
        with self.world.redis() as redis:
            for topic in ("order", "payment"):
                redis.xadd(f"tf:bus:{topic}", {"d": b"no envelope"})
        handled = self.world.database("pay").execute("SELECT event_id, envelope FROM outbox WHERE topic = 'payment' AND sent_at IS NOT NULL ORDER BY event_id LIMIT 1").fetchone()
        if handled:
            self.world.database("order").execute(
                "INSERT INTO dead_letter (topic, event_id, type, envelope, cause, attempts, replay_at) VALUES ('payment', %s, 'made by the test', %s, 'made by the test', 1, now())"
                " ON CONFLICT (topic, event_id) DO UPDATE SET replay_at = now(), resolved_at = NULL, resolution = NULL",
                handled,
            )

    def clear(self):
        """What an operator does with letters that are of no use."""
        for service in ("user", "program", "order", "pay"):
            self.world.database(service).execute(
                "UPDATE dead_letter SET resolved_at = now(), replay_at = NULL, resolution = 'discarded: made by the test' WHERE resolved_at IS NULL"
            )


def all_running(world):
    return all(part["state"] in ("running", "external") for part in world.parts().values())


@pytest.mark.parametrize("turn", TURNS)
def test_processes_die_at_every_point_of(turn, world, points, traffic, rng):
    wanted = {name: points.hits(name) + HITS for name in POINTS[turn]}
    begun, orders = time.monotonic(), len(traffic.told)
    provoker = Provoker(world, traffic, turn)
    traffic.patience_s = 60 + PER_HIT_S * HITS * len(wanted)
    traffic.start(TURNS[turn])
    try:
        with provoker:
            missing = points.await_hits(
                wanted, timeout=traffic.patience_s, arm=lambda: rng.randint(1, 3 if LONG else 1), unless=lambda: traffic.failures or provoker.failures
            )
            died, resumed = time.monotonic(), len(traffic.told) + len(traffic.buyers)
            points.disarm()
        until(lambda: traffic.failures or len(traffic.told) >= resumed, timeout=60, what="orders as before")
    finally:
        points.disarm()
        traffic.patience_s = 60
        traffic.stop()
    assert not missing, f"nobody died at {missing} (passes: {[points.passes(name) for name in missing]})"

    until(lambda: all_running(world), timeout=30, what="all parts running again")
    provoker.clear()
    traffic.verify()
    assert world.audit() == []
    FIGURES.append(
        f"{turn}: {HITS} deaths at each of {len(wanted)} points in {died - begun:.0f} s, calm after {time.monotonic() - died:.0f} s more, {len(traffic.told) - orders} orders, calls sent again: {dict(traffic.troubles)}"
    )


def test_names_that_nobody_declared_do_not_build(tmp_path):
    """In any build: a name is in the tests or it is a mistake."""
    for chaos in ([], ["-DTF_CHAOS"]):
        for use, builds in (("TF_KILL_POINT(order_hold_before)", True), ("TF_KILL_POINT(nowhere)", False), ("(void)TF_BROKEN(nothing)", False)):
            source = tmp_path / "use.c"
            source.write_text(f'#include "common/base/chaos.h"\nvoid use(void);\nvoid use(void) {{ {use}; }}\n')
            done = subprocess.run(["cc", *chaos, f"-I{ROOT}", "-fsyntax-only", str(source)], capture_output=True, text=True)
            assert (done.returncode == 0) == builds, (chaos, use, done.stderr)
