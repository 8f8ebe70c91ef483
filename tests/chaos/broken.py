"""Deliberately broken variants of the purchase protocol, each a named difference of a few lines: what is taken out, and what has to notice.

None of them is in any program. Those of SQL functions and of the Lua library are edits of the text that a private installation's PostgreSQL and Redis hold (the
programs go on calling the same names); those in C are switches of the chaos build (common/base/broken.def). apply() may be repeated, and has to be for a
library when Redis lost its functions.

  broken.py ROOT    does every edit still fit the sources? (ctest: chaos_variants)"""

import dataclasses
import pathlib
import re
import sys


@dataclasses.dataclass(frozen=True)
class Variant:
    """One broken rule. function: the SQL function edited, or "library"; edits: (old, new), each old text exactly once in it. statements: SQL instead, which names what is in `needs` of the
    migrations. Neither: a switch in C."""

    name: str
    rule: str
    caught_by: str
    function: str | None = None
    edits: tuple = ()
    statements: tuple = ()
    needs: tuple = ()


VARIANTS = [
    Variant(
        "no_unique_key",
        "a place is in one live ticket and a key makes one order, by unique keys",
        "Redis emptied under load: a key tried again has two orders (the clients' own list), the check's rules of keys and places",
        statements=(
            "ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_key",
            "DROP INDEX IF EXISTS tickets_live",
            "CREATE INDEX IF NOT EXISTS orders_key ON orders (bucket, show_id, user_id, request_id)",
            "CREATE INDEX IF NOT EXISTS tickets_live ON tickets (bucket, show_id, place_no) WHERE live",
        ),
        needs=("CONSTRAINT orders_key UNIQUE", "CREATE UNIQUE INDEX tickets_live"),
    ),
    Variant(
        "release_without_owner_check",
        "a place is freed only when no live ticket owns it",
        "the places of paid orders are sold again: CONFLICT alarms, the check compares Redis with the live tickets",
        function="library",
        edits=(("    if alive[place] then\n", "    if false then\n"),),
    ),
    Variant(
        "acknowledged_before_commit",
        "an order is acknowledged when its commit is durable",
        "PostgreSQL killed: an order that a client wrote down is not there",
        statements=(
            "ALTER SYSTEM SET wal_writer_delay = '10s'",
            "ALTER DATABASE tf_order SET synchronous_commit = off",
            "SELECT pg_reload_conf()",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tf_order' AND pid <> pg_backend_pid()",
        ),
    ),
    Variant("wall_clock_expiry", "holds end by PostgreSQL's clock, never by an instance's own", "a clock step: an unpaid order is cancelled before its release"),
    Variant(
        "no_fence",
        "only decisions of the fence's epoch are committed",
        "Redis restarted or a stale copy restored under load: CONFLICT alarms, two holders of a place, the check compares Redis with the live tickets",
        function="commit_orders",
        edits=(("WHERE u.epoch = f.epoch AND (", "WHERE ("),),
    ),
    Variant(
        "no_for_share",
        "who raises the epoch waits for batches under way",
        "rebuilds under load: an order commits behind the read of the rebuild, Redis sells its place again",
        function="commit_orders",
        edits=((" FOR SHARE OF i", ""),),
    ),
    Variant(
        "no_tombstone",
        "that an order does not exist is made final before its places are freed",
        "a batch held up beyond its intent's time (SIGSTOP) commits after its places were freed and sold again",
        function="settle_orders",
        edits=(
            (
                "  INSERT INTO orders (bucket, order_no, show_id, state, created_at)\n"
                "  SELECT u.bucket, u.no, u.show, 9, at FROM unnest(s_bucket, s_no, s_show) AS u(bucket, no, show) ORDER BY u.bucket, u.no\n"
                "  ON CONFLICT DO NOTHING;\n",
                "",
            ),
        ),
    ),
    Variant(
        "no_epoch_in_settle",
        "what was read under a newer epoch is not told to an older generation",
        "a settle held up over a rebuild (SIGSTOP, two servers): the place of a live ticket is free, or a dead order's taken for ever",
        function="library",
        edits=(("  if o.epoch < number(A[2]) then return {'STALE', o.epoch} end\n", ""),),
    ),
    Variant(
        "no_own_record_check",
        "a settle frees only what its order's record still lists",
        "a settle that comes twice frees places that were sold to others meanwhile: CONFLICT alarms, the check",
        function="library",
        edits=(("    call('HDEL', h, order)\n    call('ZREM', due, member)\n    return\n  end\n  if #freed > 0", "    call('ZREM', due, member)\n    return\n  end\n  if #freed > 0"),),
    ),
]
BY_NAME = {variant.name: variant for variant in VARIANTS}


def edited(text, edits):
    """The text with the edits; one that fits nowhere, or twice, is an error."""
    for old, new in edits:
        assert text.count(old) == 1, f"fits {text.count(old)} times: {old!r}"
        text = text.replace(old, new)
    return text


# ---- a running installation ----


def _function_texts(database, name):
    """All of that name: a function may have kept an older form beside it that calls the newer."""
    return [text for (text,) in database.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", (name,))]


def _library_text(redis):
    """The code of the inventory library that this Redis has."""
    libraries = redis.execute_command("FUNCTION", "LIST", "LIBRARYNAME", "tf_inventory_*", "WITHCODE")
    assert len(libraries) == 1, f"{len(libraries)} inventory libraries: which of them is called cannot be told"
    return libraries[0][b"library_code"].decode()


def is_applied(variant, text):
    """Every edit was made in this text."""
    return all(old not in text for old, _ in variant.edits)


def apply(world, name):
    """Takes the rule out of the installation, at once and for as long as its data live. For a switch in C: points.break_rule."""
    variant = BY_NAME[name]
    database = world.database("order")
    for statement in variant.statements:
        database.execute(statement)
    if variant.function == "library":
        with world.redis() as redis:
            text = _library_text(redis)
            if not is_applied(variant, text):
                redis.execute_command("FUNCTION", "LOAD", "REPLACE", edited(text, variant.edits))
    elif variant.function:
        for text in _function_texts(database, variant.function):
            if not is_applied(variant, text):
                database.execute(edited(text, variant.edits))


def applied(world, name):
    """The installation works by the broken rule now."""
    variant = BY_NAME[name]
    if variant.function == "library":
        with world.redis() as redis:
            return is_applied(variant, _library_text(redis))
    return all(is_applied(variant, text) for text in _function_texts(world.database("order"), variant.function))


# ---- the sources ----


def newest_source(root, name):
    """The text that the variant edits: the library, or the last body of the function that has what is edited."""
    function = BY_NAME[name].function
    if function == "library":
        return (root / "services/order/inventory/inventory.lua").read_text()
    bodies = [
        body[: body.index("$$;")]
        for path in sorted((root / "sql/order").glob("*.sql"))
        for body in re.split(rf"^CREATE (?:OR REPLACE )?FUNCTION {function}\(", path.read_text(), flags=re.M)[1:]
    ]
    assert bodies, f"no migration makes {function}"
    return max(bodies, key=lambda body: (all(old in body for old, _ in BY_NAME[name].edits), bodies.index(body)))


def misfits(root):
    """What no longer fits, a sentence each."""
    said = []
    migrations = "".join(path.read_text() for path in sorted((root / "sql/order").glob("*.sql")))
    switches = (root / "common/base/broken.def").read_text()
    for variant in VARIANTS:
        try:
            if variant.function:
                edited(newest_source(root, variant.name), variant.edits)
            elif variant.statements:
                assert all(need in migrations for need in variant.needs), f"the migrations do not have {variant.needs}"
            else:
                assert f"TF_RULE({variant.name}," in switches, "broken.def has no such switch"
        except AssertionError as misfit:
            said.append(f"{variant.name}: {misfit}")
    return said


if __name__ == "__main__":
    found = misfits(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or f"{len(VARIANTS)} variants fit")
    sys.exit(bool(found))
