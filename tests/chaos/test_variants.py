"""Each rule of the purchase protocol taken out (broken.py), under load and the faults it is there for: within three minutes the run's own witness or the
auditor must notice. Only in --long, each on an installation of its own."""

import functools
import random
import shutil
import time

import pytest

import broken
from faults import Fault, Unavailable
from faults.clock import ClockStep
from faults.disk import DiskFull
from faults.failover import Failover
from faults.process import Freeze, Kill
from faults.redis_data import Emptied, StaleCopy, TailCut
from points import Points
from stage import Stage
from witness import Broken, Ledger, Load, prepare
from world import FIGURES, LONG, SEED, TEST_PORT

LIMIT_S = 180
MIX = "order=60,pay=5,cancel=35"
"""Most places come back and are sold again, which is when a broken rule shows."""

pytestmark = pytest.mark.skipif(not LONG, reason="only with --long")


@functools.cache
def kill(part):
    return lambda stage, rng: Kill(stage, rng, part)


@functools.cache
def freeze(part, seconds):
    return lambda stage, rng: Freeze(stage, rng, part, seconds)


def clock(kind):
    return lambda stage, rng: ClockStep(stage, rng, "order", kind, seconds=8)


class LostAnswers(Fault):
    """Commits happen and nobody hears of them: PostgreSQL's answers are held up, all instances of order die, Redis is emptied. Every key comes again."""

    name, seconds = "answers lost and redis emptied", 0.5

    def inject(self):
        self.stage.proxies["pg"].hold("down")
        time.sleep(1)
        for instance in self.stage.names("order"):
            self.stage.kill(instance)
        Emptied(self.stage, self.rng).inject()

    def heal(self):
        self.stage.proxies["pg"].cut()
        self.stage.proxies["pg"].heal()
        self.stage.await_running()


REDIS = (Emptied, lambda stage, rng: StaleCopy(stage, rng, seconds=3), lambda stage, rng: TailCut(stage, rng, tail_s=10), kill("redis"))
PROVOKED_BY = {
    "no_unique_key": (LostAnswers,) + REDIS,
    "release_without_owner_check": (kill("order"), freeze("redis", 3)),
    "acknowledged_before_commit": (kill("pg"),),
    "wall_clock_expiry": (clock("+10 min"),),
    "no_fence": (lambda stage, rng: Failover(stage, rng, stale=True), freeze("order", 4)) + REDIS,
    "no_for_share": (Emptied, kill("redis"), freeze("pg", 2)),
    "no_tombstone": (freeze("order", 4), freeze("pg", 4), kill("order")),
    "no_epoch_in_settle": (lambda stage, rng: Failover(stage, rng, stale=True), freeze("order", 4), kill("redis")),
    "no_own_record_check": (kill("order"), freeze("order", 4), freeze("redis", 3)),
}
"""The faults that each rule is there for, turn by turn."""


def test_every_variant_has_its_faults():
    assert set(PROVOKED_BY) == {variant.name for variant in broken.VARIANTS}


@pytest.fixture
def own_stage(chaos_home, tmp_path):
    """An installation that may be spoilt, beside the one that all other tests share."""
    home = chaos_home.with_name(f"{chaos_home.name}-variant")
    shutil.rmtree(home, ignore_errors=True)
    stage = Stage(home, TEST_PORT + 3000, points=Points(tmp_path / "points"))
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()
        DiskFull.unmount_all()
        shutil.rmtree(home, ignore_errors=True)


def conflicts(stage):
    """Alarms of all order instances that run: places that Redis gave twice and PostgreSQL refused."""
    counted = 0
    for name, row in stage.parts().items():
        if name.split("-")[0] == "order" and row.get("admin_port"):
            text = stage.http.get(f"http://127.0.0.1:{row['admin_port']}/metrics").text
            counted += sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith("tf_order_conflicts_total"))
    return counted


class Trial:
    """Turns of load and faults on a stage; turn() returns what was noticed, or None."""

    def __init__(self, stage, directory, name):
        self.stage, self.directory, self.rng, self.turns = stage, directory, random.Random(f"{SEED} {name}"), 0
        self.accounts = prepare(stage, 128, directory / "accounts")

    def turn(self, faults, again=lambda: None):
        """again: what has to be done when Redis has come back."""
        stage, self.turns = self.stage, self.turns + 1
        show = stage.new_show(rows=20, seats=100, hold_seconds=3)
        with Load(stage, [show], self.directory / f"journal-{self.turns}", self.accounts, connections=64, rate=200, mix=MIX) as load:
            load.await_orders(20)
            for make in faults:
                with make(stage, self.rng) as fault:
                    time.sleep(fault.seconds + 0.5)
                if "redis" in fault.name:
                    again()
            stage.await_running()
            load.await_orders(20)
        try:
            Ledger(stage, [show], load.journal).verify(timeout=60)
        except Broken as violation:
            return str(violation).splitlines()[1].strip()
        alarms = conflicts(stage)
        return f"{alarms} CONFLICT alarms" if alarms else None


def test_with_all_rules_nothing_is_noticed(own_stage, tmp_path):
    every = dict.fromkeys(make for faults in PROVOKED_BY.values() for make in faults)
    assert Trial(own_stage, tmp_path, "nothing").turn(every) is None


@pytest.mark.parametrize("name", [variant.name for variant in broken.VARIANTS])
def test_a_broken_rule_is_caught(own_stage, tmp_path, name):
    stage, variant, began, caught = own_stage, broken.BY_NAME[name], time.monotonic(), None
    trial = Trial(stage, tmp_path, name)

    def take_out():
        if variant.function or variant.statements:
            broken.apply(stage, name)
        else:
            stage.points.break_rule(name)

    take_out()
    while caught is None and time.monotonic() - began < LIMIT_S:
        try:
            caught = trial.turn(PROVOKED_BY[name], take_out if variant.function == "library" else lambda: None)
        except Unavailable as why:
            pytest.skip(str(why))
    FIGURES.append(f"{name}: " + (f"after {time.monotonic() - began:.0f} s by: {caught}" if caught else "NOT CAUGHT"))
    assert caught, f"{name} was not noticed within {LIMIT_S} s"
