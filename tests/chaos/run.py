"""A run of many faults: one thread kills processes, another draws everything else; when and what comes from the seed. Afterwards a table."""

import collections
import contextlib
import random
import threading
import time

from faults import Unavailable
from faults.clock import ClockStep
from faults.disk import DiskFull
from faults.failover import Failover
from faults.process import KINDS, Freeze, Kill
from faults.redis_data import Emptied, StaleCopy, TailCut
from faults.wire import Cut, Delay, Flicker, Partition
from witness import spread

OTHERS = (Freeze, Delay, Partition, Cut, Flicker, TailCut, Emptied, StaleCopy, Failover, DiskFull, ClockStep)


class Deck:
    """Everything comes once before anything comes again, in an order of its own each time."""

    def __init__(self, things, rng):
        self.things, self.rng, self.left = list(things), rng, []

    def draw(self):
        if not self.left:
            self.left = self.rng.sample(self.things, len(self.things))
        return self.left.pop()


class Happened:
    """A fault that was: moments in µs of CLOCK_REALTIME, as in the journal. healed_us None: it did not come to an end."""

    def __init__(self, name):
        self.name, self.began_us, self.healed_us = name, round(time.time() * 1e6), None


class Director:
    """Runs until stop(). What a fault could not do is in failures, what this machine does not offer in skipped."""

    def __init__(self, stage, seed, kill_every_s=4.0, others_every_s=6.0, others=OTHERS):
        self.stage, self.every = stage, {"kill": kill_every_s, "other": others_every_s}
        self.rngs = {"kill": random.Random(f"{seed} kill"), "other": random.Random(f"{seed} other")}
        self.decks = {"kill": Deck(KINDS, self.rngs["kill"]), "other": Deck(others, self.rngs["other"])}
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.happened, self.failures, self.skipped = [], [], {}
        self.threads = [threading.Thread(target=self._loop, args=(which,), name=which) for which in self.decks]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        """Everything is healed when it returns."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        for proxy in self.stage.proxies.values():
            proxy.heal()

    def least_killed(self):
        """How often the kind of process has been killed that was killed least."""
        with self.lock:
            killed = collections.Counter(h.name for h in self.happened)
        return min(killed[f"kill {part}"] for part in KINDS)

    def _loop(self, which):
        rng, deck = self.rngs[which], self.decks[which]
        while not self.stopping.wait(rng.uniform(0.5, 1.5) * self.every[which]):
            drawn = deck.draw()
            fault = Kill(self.stage, rng, drawn) if which == "kill" else drawn(self.stage, rng)
            if type(fault) in self.skipped:
                continue
            self._let_happen(fault)

    def _let_happen(self, fault):
        happened = Happened(fault.name)
        try:
            try:
                fault.inject()
                self.stopping.wait(fault.seconds)
            except BaseException:
                with contextlib.suppress(Exception):  # what was half done is taken back; the first failure is told
                    fault.heal()
                raise
            fault.heal()
            happened.healed_us = round(time.time() * 1e6)
            with self.lock:
                self.happened.append(happened)
        except Unavailable as why:
            self.skipped[type(fault)] = str(why)
        except Exception as failure:  # told at the end of the run, with all others
            with self.lock:
                self.failures.append(f"{fault.name}: {type(failure).__name__}: {failure}")


def table(happened, journal):
    """Lines: each fault, how often, and how long no order was acknowledged around it (from its beginning until orders flowed again)."""
    pauses = collections.defaultdict(list)
    for fault in happened:
        pauses[fault.name].append(journal.pause_s(fault.began_us, fault.healed_us))
    return [f"  {name:34} {len(found):4}   longest pause {spread(found)}" for name, found in sorted(pauses.items())]


def timeline(happened, journal):
    """When each fault was, in seconds since the journal began."""
    start = journal.lines[0]["began_us"] if journal.lines else 0
    return [f"  {(h.began_us - start) / 1e6:7.1f} … {(h.healed_us - start) / 1e6:7.1f} s  {h.name}" for h in sorted(happened, key=lambda h: h.began_us)]


def report(director, load, figures):
    """Everything that a run has to say, line by line."""
    journal = load.journal
    lines = [*load.summary.rstrip().splitlines(), "faults, and the longest time without an acknowledged order around each:"]
    lines += table(director.happened, journal)
    lines += [f"  {kind.__name__}: not possible here: {why}" for kind, why in director.skipped.items()]
    for title, counted in (("refusals", journal.refusals()), ("unknown outcomes, asked again", journal.unknowns())):
        lines += [f"{title}: " + (", ".join(f"{what} {n}" for what, n in counted.most_common()) or "none")]
    lines += [", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())]
    return lines
