"""The run: two instances of everything under load, any process killed at any moment and every other fault of the kit beside it; afterwards all promises are
kept, without a manual step."""

import time

from run import Director, report, timeline
from witness import Ledger, Load, prepare
from world import FIGURES, LONG, SEED

RUN_S = 20 * 60 if LONG else 45
KILLS_EACH = 20 if LONG else 1
RUN_MOST_S = 3 * RUN_S
"""On a slow machine it goes on until every kind of process has been killed that often."""
RATE = 150
"""Operations in a second: two cores carry the load, eighteen processes, and what the faults cost."""

CALM_S = 180
"""What failed again and again is tried after up to 60 s, and a refund takes two events and a call to the bank."""


def test_all_promises_are_kept(stage, tmp_path):
    shows = [stage.new_show(rows=200, seats=100, hold_seconds=20), stage.new_show(rows=200, seats=100, hold_seconds=4)]
    accounts = prepare(stage, 256, tmp_path / "accounts")
    director = Director(stage, SEED, kill_every_s=4.0 if LONG else 3.0, others_every_s=5.0 if LONG else 3.0)
    with Load(stage, shows, tmp_path / "journal", accounts, rate=RATE, seed=SEED % 2**31) as load:
        load.await_orders(50)
        director.start()
        began = time.monotonic()
        while (time.monotonic() < began + RUN_S or director.least_killed() < KILLS_EACH) and time.monotonic() < began + RUN_MOST_S:
            assert load.process.poll() is None, "the load has ended"
            time.sleep(0.5)
        director.stop()
        stage.await_running()
        load.await_orders(50)  # it sells again, without anybody's help
    ledger = Ledger(stage, shows, load.journal)
    try:
        figures = ledger.verify(CALM_S)
    finally:
        FIGURES.extend(report(director, load, ledger.figures))
        print("\n".join(timeline(director.happened, load.journal)))  # shown when it fails
    assert not director.failures, "\n".join(director.failures)
    assert figures["orders"] > RUN_S, "too little was sold to say anything"
    assert director.least_killed() >= KILLS_EACH, "some process was killed too rarely"
