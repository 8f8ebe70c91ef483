"""A rolling restart of every service and gateway under load. Buyers repeat a call once, with its key, at another gateway: nobody sees a failure."""

import collections

from witness import Ledger, Load, prepare
from world import FIGURES, LONG

PATIENCE = 2
"""Attempts with a key: the first, and the one repetition."""


def test_a_rolling_restart_of_everything_fails_nobody(stage, tmp_path):
    show = stage.new_show(rows=200, seats=100, hold_seconds=60)
    accounts, rounds = prepare(stage, 256, tmp_path / "accounts"), 3 if LONG else 1
    connections = 128 if LONG else 32
    with Load(stage, [show], tmp_path / "journal", accounts, connections, rate=100, tries=PATIENCE, mix="order=55,pay=25,get=20") as load:
        load.await_orders(30)
        for _ in range(rounds):
            before = {name: row["pid"] for name, row in stage.parts().items()}
            done = stage.local("restart", "all", timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr
            after = stage.parts()
            restarted = {name for name in after if after[name]["pid"] != before[name]}
            assert restarted == {name for part in ("user", "program", "order", "pay", "gateway") for name in stage.names(part)}
            load.await_orders(30)
    journal = load.journal
    ends = {op: collections.Counter(journal.ends(op).values()) for op in ("order", "pay", "press", "get")}
    FIGURES.append(f"rolling restart, {rounds} times: {ends}, repeated: {dict(journal.unknowns())}")
    assert {op: counted for op, counted in ends.items() if set(counted) - {"ok"}} == {}, "somebody saw a failure"
    Ledger(stage, [show], journal).verify()
