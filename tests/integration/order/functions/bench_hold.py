"""Redis CPU of one hold at several fills: python bench_hold.py [fills]. Not a test; it starts a redis-server of its own.

CPU is the server's main thread (schedstat, nanoseconds) over pipelines of 50 holds, each followed by settling that frees them, measured apart; the
median over pipelines is printed beside the p10 and p90."""

import random
import statistics
import sys

from inventory_model import Driver, PrivateRedis, Show, Venue, connect, free_port, load_library

PIPELINE, ROUNDS = 50, 60


def venue():
    rng = random.Random(1)
    segments, left, row = [], 50000, 0
    while left:
        n = min(left, rng.randint(40, 120))
        segments.append((1, n, [row * 3 + abs(2 * i + 1 - (n + 15) // 16) for i in range((n + 15) // 16)], n // 2))
        left, row = left - n, row + 1
    return Venue([False], segments, kmax=6)


def cpu_ns(pid):
    with open(f"/proc/{pid}/task/{pid}/schedstat") as f:
        return int(f.read().split()[0])


class Bench:
    def __init__(self, server, client):
        self.pid, self.client = server.process.pid, client
        self.show = Show(venue(), 1, partition=7)
        self.driver = Driver(client, self.show)
        self.next, self.rng = 10**18, random.Random(2)

    def reset(self, fill):
        """65 % best available, 35 % chosen; with two rounds of releases, as a sale leaves it."""
        self.client.flushall()
        self.show = Show(self.show.venue, 1, partition=7)
        self.driver.show = self.show
        self.epoch = self.driver.seen()[1] + 1
        self.driver.rebuild(self.epoch)
        self.show.epoch = self.epoch
        held, taken = [], 0
        target = int(fill * 50000)
        for goal in (0.6 * target, 0.5 * target, 0.95 * target, 0.85 * target, target):
            while taken < goal:
                got = self.holds([self.request() for _ in range(PIPELINE)])
                for reply in got:
                    if isinstance(reply, list) and reply[0] == "HELD":
                        held.append((reply[2], len(reply) - 4))
                        taken += len(reply) - 4
            while taken > goal and held:
                batch = [held.pop(self.rng.randrange(len(held))) for _ in range(min(len(held), PIPELINE))]
                taken -= sum(n for _, n in batch)
                self.frees([o for o, _ in batch])

    def size(self):
        return self.rng.choices((1, 2, 3, 4, 5, 6), (20, 45, 12, 15, 3, 5))[0]

    def request(self, k=None, chosen=None):
        k = k or self.size()
        if chosen is None:
            chosen = self.rng.random() < 0.35
        if chosen:
            start = self.rng.choice(list(self.places))
            return {"places": list(range(start, start + k))}
        return {"choices": [(1, k, False)]}

    @property
    def places(self):
        if not hasattr(self, "_places"):
            self._places = list(self.show.venue.places)
        return self._places

    def pipeline(self, calls):
        pipe = self.client.pipeline(transaction=False)
        for call in calls:
            call(Driver(pipe, self.show))
        before = cpu_ns(self.pid)
        replies = pipe.execute(raise_on_error=False)
        return replies, (cpu_ns(self.pid) - before) / len(calls) / 1000

    def holds(self, requests, timed=None):
        calls = []
        for request in requests:
            self.next += 1
            order = str(self.next)
            calls.append(lambda d, order=order, request=request: d.hold(order, str(self.next % 50000), "key-" + order, "b" * 32, 1790000000000,
                                                                        ttl=60, **request))
        replies, us = self.pipeline(calls)
        if timed is not None:
            timed.append(us)
        return replies

    def frees(self, orders, timed=None):
        if orders:
            _, us = self.pipeline([lambda d, o=o: d.settle(self.epoch, (o, "H", 0, [])) for o in orders])
            if timed is not None:
                timed.append(us)

    def measure(self, name, make):
        hold_us, free_us, kinds = [], [], {}
        for _ in range(ROUNDS):
            got = self.holds([make() for _ in range(PIPELINE)], hold_us)
            held = [r[2] for r in got if isinstance(r, list) and r[0] == "HELD"]
            for r in got:
                kind = r[0] if isinstance(r, list) else "error"
                kinds[kind] = kinds.get(kind, 0) + 1
            self.frees(held, free_us)
        q = statistics.quantiles(hold_us, n=10)
        free = f", settle {statistics.median(free_us):5.1f}" if free_us else ""
        print(f"  {name:22} median {statistics.median(hold_us):5.1f} us (p10 {q[0]:5.1f}, p90 {q[8]:5.1f}){free}   {kinds}")


def main():
    fills = [float(x) for x in sys.argv[1:]] or [0, 0.5, 0.9, 0.99]
    server = PrivateRedis(free_port())
    try:
        client = connect("127.0.0.1", server.port)
        client.config_set("appendonly", "no")
        load_library(client)
        bench = Bench(server, client)
        for fill in fills:
            bench.reset(fill)
            print(f"fill {fill:.0%}")
            pings = []
            for _ in range(ROUNDS):
                pings.append(bench.pipeline([lambda d: d.client.ping()] * PIPELINE)[1])
            print(f"  {'PING':22} median {statistics.median(pings):5.1f} us")
            for k in (1, 2, 4, 6):
                bench.measure(f"best {k}", lambda k=k: bench.request(k, False))
            bench.measure("best, mix", lambda: bench.request(None, False))
            bench.measure("chosen 2", lambda: bench.request(2, True))
    finally:
        server.close()


if __name__ == "__main__":
    main()
