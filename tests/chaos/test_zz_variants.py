"""The broken variants can be made of a running installation. Last of all, because nothing can be trusted afterwards."""

import pytest

import broken
from api import new_key
from points import declared_rules


def test_every_switch_in_c_is_a_variant():
    assert {v.name for v in broken.VARIANTS if not v.function and not v.statements} == set(declared_rules())


@pytest.mark.parametrize("name", [v.name for v in broken.VARIANTS if v.function])
def test_an_edit_takes_effect_and_may_be_repeated(name, world):
    assert not broken.applied(world, name)
    broken.apply(world, name)
    assert broken.applied(world, name)
    broken.apply(world, name)
    assert broken.applied(world, name)


def test_keys_are_not_unique_any_more(world):
    unique = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname IN ('orders_key', 'tickets_live') AND i.indisunique"
    assert world.database("order").execute(unique).fetchone() == (2,)
    broken.apply(world, "no_unique_key")
    broken.apply(world, "no_unique_key")
    assert world.database("order").execute(unique).fetchone() == (0,)


def test_a_switch_in_c_is_asked(world, points):
    before = points.passes("wall_clock_expiry")
    points.break_rule("wall_clock_expiry")
    show, buyer = world.new_show(rows=1, seats=4), world.new_buyer()
    order = buyer.best(show, key=new_key())
    buyer.post(f"/v1/orders/{order['order_no']}:cancel")
    assert points.passes("wall_clock_expiry") > before
    points.break_rule("wall_clock_expiry", False)


def test_commits_are_not_durable_any_more(world):
    broken.apply(world, "acknowledged_before_commit")
    world.database("order").close()  # a new connection has the new setting
    assert world.database("order").execute("SHOW synchronous_commit").fetchone() == ("off",)
    assert world.database("order").execute("SHOW wal_writer_delay").fetchone() == ("10s",)
