"""Redis loses its last second, its last ten, everything, or comes back as it was some time ago, or another server takes over: under load, again and again.
No promise is broken, and the sale of a large show pauses no longer than its rebuild may take."""

import random
import time

import pytest

from faults.failover import Failover
from faults.redis_data import Emptied, StaleCopy, TailCut
from stage import drawn, seconds
from witness import Ledger, Load, prepare, spread
from world import FIGURES, LONG, SEED

TIMES = 20 if LONG else 1
PAUSE_MAX_S = 2.0
"""The longest time without an acknowledged order of a show of 50,000 places, the restart of Redis included."""
LOSSES = {
    "last second": lambda stage, rng: TailCut(stage, rng, tail_s=1),
    "last 10 s": lambda stage, rng: TailCut(stage, rng, tail_s=10),
    "emptied": Emptied,
    "stale copy": lambda stage, rng: StaleCopy(stage, rng, seconds=3),
    "A to B to A": lambda stage, rng: Failover(stage, rng, seconds=2),
}


@pytest.fixture(scope="module")
def accounts(stage, tmp_path_factory):
    return prepare(stage, 64, tmp_path_factory.mktemp("redis-loss") / "accounts")


@pytest.mark.parametrize("loss", drawn(LOSSES, 3))
def test_no_loss_of_redis_breaks_a_promise(stage, accounts, tmp_path, loss):
    rng, losses = random.Random(f"{SEED} {loss}"), []
    show = stage.new_show(rows=500, seats=100, hold_seconds=3)
    with Load(stage, [show], tmp_path / "journal", accounts, connections=32, rate=120) as load:
        load.await_orders(30)
        for _ in range(TIMES):
            fault, began = LOSSES[loss](stage, rng), time.time()
            with fault:
                time.sleep(fault.seconds)
            losses.append((round(began * 1e6), round(time.time() * 1e6)))
            load.await_orders(20)
            time.sleep(rng.uniform(0.5, 2.0))
    figures = Ledger(stage, [show], load.journal).verify()
    pauses = [load.journal.pause_s(*loss) for loss in losses]
    FIGURES.append(f"{loss}: {TIMES} times, the sale paused {spread(pauses)}; {figures}")
    assert max(pauses) <= seconds(PAUSE_MAX_S)
