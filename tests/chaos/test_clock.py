"""CLOCK_REALTIME of one instance is wrong: ten minutes ahead, an hour behind, standing still. It stops to serve until its clock agrees again; no hold ends
early by true time, and no id comes twice."""

import itertools
import random
import time

import pytest

from faults import Unavailable
from faults.clock import ClockStep
from stage import drawn, seconds
from witness import Ledger, Load, prepare
from world import FIGURES, SEED, until

HOLD_S = 3
NOTICED_S = 6
"""Until an instance must have seen that its clock is off: it asks PostgreSQL's every second, and a standing clock must first be 2 s behind."""


@pytest.fixture(scope="module")
def accounts(stage, tmp_path_factory):
    return prepare(stage, 64, tmp_path_factory.mktemp("clock") / "accounts")


@pytest.mark.parametrize(("service", "kind"), drawn(itertools.product(["order", "user"], sorted(ClockStep.KINDS)), 1))
def test_an_instance_with_a_wrong_clock_does_not_serve(stage, accounts, tmp_path, service, kind):
    show = stage.new_show(rows=200, seats=100, hold_seconds=HOLD_S)
    fault = ClockStep(stage, random.Random(f"{SEED} {kind}"), service, kind)
    with Load(stage, [show], tmp_path / "journal", accounts, connections=16, rate=60, mix="order=70,pay=20,get=10") as load:
        load.await_orders(20)
        try:
            fault.inject()
        except Unavailable as why:
            load.stop()
            pytest.skip(str(why))
        try:
            stepped = time.monotonic()
            until(lambda: fault.instance.health() == 503, timeout=seconds(NOTICED_S), what=f"{fault.instance.name} does not serve")
            noticed = time.monotonic() - stepped
            load.await_orders(100)  # also over the release of many that it took part in
            assert fault.instance.health() == 503, "it serves again with a wrong clock"
            fault.clock.true()
            until(lambda: fault.instance.health() == 200, timeout=seconds(NOTICED_S), what=f"{fault.instance.name} serves again")
        finally:
            fault.heal()
        load.await_orders(20)
    figures = Ledger(stage, [show], load.journal).verify()  # no hold ended before its release by PostgreSQL's clock
    early = early_by_true_time(stage, show, load.journal)
    assert early == [], f"holds that ended early: {early[:5]}"
    doubled = stage.database("order").execute("SELECT ticket_id FROM tickets GROUP BY ticket_id HAVING count(*) > 1 LIMIT 3").fetchall()
    assert doubled == []
    FIGURES.append(f"clock of {service} {kind}: noticed after {noticed:.1f} s; {figures}")


def early_by_true_time(stage, show, journal):
    """Orders that were expired sooner than their hold lasts, counted from the request by the client's clock."""
    began = {line["order_no"]: line["began_us"] / 1e6 for line in journal.acknowledged("order") if line["attempt"] == 1}
    rows = stage.database("order").execute(
        "SELECT order_no::text, extract(epoch FROM cancelled_at)::float8 FROM orders WHERE show_id = %s AND cancel_reason = 2", [show]
    )
    return [(number, ended - began[number]) for number, ended in rows if number in began and ended - began[number] < HOLD_S]
