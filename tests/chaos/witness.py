"""The independent witness: tf-load runs as a process of its own and writes down what it was told; afterwards that is held against PostgreSQL."""

import bisect
import collections
import json
import signal
import statistics
import subprocess
import time

import psycopg

from world import until

PENDING, PAID, CANCELLED = 1, 2, 5
"""OrderState as order's table has it; 9 there is a tombstone, which is no order."""
EXPIRED = 2
"""CancelReason."""


class Load:
    """A running tf-load. mix, rate: what its buyers do and how often they begin, all together."""

    MIX = "order=55,pay=25,cancel=10,get=10"

    def __init__(self, stage, shows, journal, accounts, connections=128, rate=None, mix=MIX, seed=1, places=2, tries=80):
        self.stage, self.journal = stage, Journal(journal)
        command = [stage.bin / "tf-load", "run", "--accounts", accounts, "--gateways", ",".join(stage.gateways()), "--show", ",".join(map(str, shows))]
        command += ["--out", journal, "--connections", connections, "--mix", mix, "--places", places, "--split", "--tries", tries]
        command += ["--until-signal", "--seed", seed, "--timeout-ms", 10000, *(["--rate-limit", rate] if rate else [])]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.summary = ""

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.stop() if failure[0] is None else self.abandon()

    def await_orders(self, n, timeout=60):
        """n more acknowledged orders from now."""
        wanted = self.journal.count("order") + n

        def enough():
            assert self.process.poll() is None, self.process.communicate()
            return self.journal.count("order") >= wanted

        until(enough, timeout=timeout, what=f"{n} more orders")

    def stop(self):
        """Calls under way end as they would; the journal is whole then."""
        self.process.send_signal(signal.SIGTERM)
        self.summary, fault = self.process.communicate(timeout=90)
        assert self.process.returncode == 0, fault
        self.journal.read()

    def abandon(self):
        self.process.kill()
        self.process.communicate()


def prepare(stage, accounts, path):
    """That many accounts in the file."""
    done = subprocess.run(
        [str(word) for word in (stage.bin / "tf-load", "prepare", "--home", stage.home, "--base-port", stage.base_port, "--accounts", accounts, "--out", path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return path


class Journal:
    """What the buyers were told, read while it is written: whole lines only."""

    def __init__(self, path):
        self.path, self.lines, self._at, self._ok = path, [], 0, collections.Counter()

    def read(self):
        """All lines so far."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._at)
                text = file.read()
            end = text.rfind(b"\n") + 1
            self._at += end
            for line in text[:end].splitlines():
                line = json.loads(line)
                self.lines.append(line)
                if line["outcome"] == "ok":
                    self._ok[line["op"]] += 1
        return self.lines

    def count(self, op):
        """Acknowledged so far."""
        self.read()
        return self._ok[op]

    def acknowledged(self, op):
        return [line for line in self.lines if (line["op"], line["outcome"]) == (op, "ok")]

    def ends(self, op="order"):
        """Key → what it came to: ok, unknown (open), refused; as tools/load/README.md says."""
        found = collections.defaultdict(set)
        for line in self.lines:
            if line["op"] == op:
                found[line["key"]].add(line["outcome"])
        return {key: next(o for o in ("ok", "unknown", "refused") if o in seen) for key, seen in found.items()}

    def refusals(self):
        return collections.Counter(f"{line['op']} {line['reason']}" for line in self.lines if line["outcome"] == "refused")

    def unknowns(self):
        return collections.Counter(f"{line['op']} {line['reason']}" for line in self.lines if line["outcome"] == "unknown")

    def answers(self, since_us=0):
        """Moments (µs) at which an order begun after since_us was acknowledged."""
        return sorted(line["t_us"] for line in self.acknowledged("order") if line["began_us"] >= since_us)

    def pause_s(self, begin_us, end_us):
        """The longest time without an acknowledged order that touches begin … end, in seconds."""
        moments = [line["t_us"] for line in self.acknowledged("order")]
        moments.sort()
        low, high = max(0, bisect.bisect_left(moments, begin_us) - 1), bisect.bisect_right(moments, end_us) + 1
        near = moments[low:high]
        return max((b - a for a, b in zip(near, near[1:])), default=0) / 1e6


class Broken(AssertionError):
    """A promise that was not kept."""


class Ledger:
    """The journal held against the databases. Every violation is a sentence; an empty list is a clean bill."""

    def __init__(self, stage, shows, journal):
        self.stage, self.shows, self.journal = stage, [int(s) for s in shows], journal
        self.figures = {}

    def rows(self, database, statement, *parameters):
        for _ in range(60):
            try:
                return self.stage.database(database).execute(statement, parameters).fetchall()
            except psycopg.OperationalError:  # killed meanwhile, or still recovering
                self.stage.database_lost(database)
                time.sleep(0.5)
        raise AssertionError("PostgreSQL does not come back")

    def await_calm(self, timeout=90):
        """Nothing is under way any more: no event unsent, no order past its release, nothing to settle, no refund on its way. A sentence for what stays."""
        questions = [
            ("order", "outbox rows unsent", "SELECT count(*) FROM outbox WHERE sent_at IS NULL"),
            ("pay", "outbox rows unsent", "SELECT count(*) FROM outbox WHERE sent_at IS NULL"),
            ("program", "outbox rows unsent", "SELECT count(*) FROM outbox WHERE sent_at IS NULL"),
            ("order", "orders past their release", "SELECT count(*) FROM orders WHERE state = 1 AND release_at < clock_timestamp()"),
            ("order", "orders to be settled", "SELECT count(*) FROM settle_queue"),
            ("order", "refunds without an end", "SELECT count(*) FROM refund_due WHERE state = 'PROCESSING'"),
        ]
        end, left = time.monotonic() + timeout, {}
        while True:
            left = {f"{name}: {what}": n for name, what, question in questions if (n := self.rows(name, question)[0][0])}
            if not left or time.monotonic() > end:
                return [f"after {timeout} s there are still {n} {what}" for what, n in left.items()] + (self._stuck_refunds() if left else [])
            time.sleep(0.3)

    def _stuck_refunds(self):
        """What pay says of the refunds that order waits for."""
        due = self.rows("order", "SELECT refund_id, order_no, reason, requested_at::time(0)::text FROM refund_due WHERE state = 'PROCESSING' LIMIT 5")
        said = []
        for refund, order, reason, requested in due:
            known = self.rows("pay", "SELECT state, attempts, cause FROM refund WHERE refund_id = %s", refund)
            sent = self.rows("order", "SELECT event_id, created_at::time(0)::text, sent_at::time(0)::text FROM outbox WHERE aggregate_id = %s", order)
            handled = [self.rows("pay", "SELECT 1 FROM inbox WHERE topic = 'order' AND event_id = %s", event) != [] for event, _, _ in sent]
            said.append(f"  refund {refund} ({reason}, {requested}) of order {order}: pay has {known}; events {sent}, handled there: {handled}")
        return said

    def orders(self):
        """Number (text) → row of the shows' orders."""
        found = self.rows(
            "order",
            "SELECT o.order_no::text, o.request_id, o.user_id::text, o.state, o.show_id::text, o.cancel_reason, o.cancelled_at < o.release_at,"
            " coalesce(array_agg(t.place_no ORDER BY t.place_no), '{}') FROM orders o LEFT JOIN tickets t USING (bucket, order_no)"
            " WHERE o.show_id = ANY (%s) AND o.kind = 1 AND o.state <> 9 GROUP BY o.bucket, o.order_no",
            self.shows,
        )
        names = ("order_no", "key", "user_id", "state", "show_id", "cancel_reason", "early", "places")
        return {row[0]: dict(zip(names, row)) for row in found}

    def violations(self):
        """After await_calm()."""
        said, stored = [], self.orders()
        lines = self.journal.lines
        orders = self.journal.acknowledged("order")
        for line in orders:
            row = stored.get(line["order_no"])
            if row is None:
                said.append(f"acknowledged order {line['order_no']} of key {line['key']} is not there")
            elif (row["key"], row["user_id"], row["places"]) != (line["key"], line["user_id"], sorted(line["places"])):
                said.append(f"order {line['order_no']} was acknowledged as {line['key']} {sorted(line['places'])} and is {row['key']} {row['places']}")
        keys = collections.Counter((row["user_id"], row["key"]) for row in stored.values())
        said += [f"key {key[1]} made {n} orders" for key, n in keys.items() if n > 1]
        numbers = collections.defaultdict(set)
        for line in orders:
            numbers[line["key"]].add(line["order_no"])
        said += [f"key {key} was answered with {sorted(found)}" for key, found in numbers.items() if len(found) > 1]
        asked = {line["key"] for line in lines if line["op"] == "order"}
        said += [f"order {row['order_no']} has a key that nobody sent: {row['key']}" for row in stored.values() if row["key"] not in asked]
        live = self.rows(
            "order",
            "SELECT show_id, place_no, count(*) FROM tickets WHERE live AND show_id = ANY (%s) GROUP BY show_id, place_no HAVING count(*) > 1",
            self.shows,
        )
        said += [f"place {place} of show {show} is in {n} live tickets" for show, place, n in live]
        said += [f"order {row['order_no']} expired before its release" for row in stored.values() if row["cancel_reason"] == EXPIRED and row["early"]]
        said += self._money(stored)
        said += [f"{line['order_no']} was cancelled and is in state {stored[line['order_no']]['state']}" for line in self.journal.acknowledged("cancel")
                 if line["order_no"] in stored and stored[line["order_no"]]["state"] in (PENDING, PAID)]
        for name in ("order", "pay", "program"):
            letters = self.rows(name, "SELECT type, cause FROM dead_letter WHERE resolved_at IS NULL LIMIT 5")
            said += [f"{name} has a dead letter: {kind}: {cause}" for kind, cause in letters]
        ends = self.journal.ends()
        became = {row["key"] for row in stored.values()}
        unknown = [key for key, end in ends.items() if end == "unknown"]
        said += [f"key {key} was refused and has an order" for key, end in ends.items() if end == "refused" and key in became]
        self.figures.update(
            orders=len(orders),
            paid=sum(row["state"] == PAID for row in stored.values()),
            pressed=len({line["order_no"] for line in self.journal.acknowledged("press")}),
            unknown_calls=sum(line["outcome"] == "unknown" for line in lines),
            unknown_keys=len(unknown),
            unknown_became_orders=sum(key in became for key in unknown),
        )
        return said

    def _money(self, stored):
        """Whose payment the bank acknowledged has a ticket or a refund."""
        refunded = {row[0] for row in self.rows("order", "SELECT DISTINCT order_no::text FROM refund_due")}
        said = []
        for number in {line["order_no"] for line in self.journal.acknowledged("press")}:
            state = stored[number]["state"] if number in stored else None
            if state == PENDING or (state == CANCELLED and number not in refunded):
                said.append(f"order {number} was paid at the bank, is in state {state} and has no refund")
        return said

    def verify(self, timeout=90):
        """Calm, then no violation, then tf-check is clean: else Broken, with the first sentences."""
        said = self.await_calm(timeout)
        said += self.violations()
        said += [f"check: {line}" for line in self.stage.audit(patience=timeout / 2)]
        if said:
            raise Broken(f"{len(said)} violations:\n  " + "\n  ".join(said[:20]))
        return self.figures


def spread(seconds):
    """Median and greatest, for a table."""
    return f"median {statistics.median(seconds):6.2f} s, at most {max(seconds):6.2f} s" if seconds else "-"
