"""Random operations on the function library against the plain model: every answer, then the whole of Redis, must be the same.

The seed is printed; TF_TEST_SEED repeats a run, TF_TEST_OPERATIONS makes it longer."""

import os
import random
import time

from inventory_model import Driver, Show, Venue


def make_venue(rng):
    kmax = rng.choice([1, 4, 6, 6, 8, 12, 20])
    kinds = [rng.random() < 0.25 for _ in range(rng.randint(1, 4))]
    segments = []
    for tier, standing in enumerate(kinds, 1):
        for _ in range(rng.randint(1, 8)):
            n = rng.choice([1, 2, 3, 7, 14, 15, 16, 17, 31, 32, 33, 40, 64, rng.randint(1, 120)])
            segments.append((tier, n, [rng.randint(0, 40) for _ in range((n + 15) // 16)], rng.randrange(n)))
    return Venue(kinds, segments, kmax)


class Run:
    def __init__(self, client, rng, show_number):
        self.rng, self.client = rng, client
        self.show = Show(make_venue(rng), show_number, partition=rng.randrange(64), limit=rng.choice([6, 40, 10**6, 10**6]),
                         one_pending=rng.random() < 0.1)
        self.driver = Driver(client, self.show)
        for name in client.scan_iter(f"tf:{{{self.show.partition}}}:{self.show.show}:*"):
            client.unlink(name)
        self.now, self.next_order = 1790000000000, show_number * 10**9 + 9 * 10**18  # beyond 2^53
        self.fates = {}     # order -> PENDING, PAID, gone: what "PostgreSQL" says of committed orders
        self.requests = []  # to repeat
        self.tally = {}
        self.fill = rng.choice([0.3, 0.6, 0.9, 1.0])
        self.driver.rebuild(self.driver.seen()[1] + rng.randint(1, 5))  # a repeated seed meets its show again

    # ---- operations ---------------------------------------------------------------------------------------------
    def hold(self):
        rng, show = self.rng, self.show
        user, key = str(rng.randrange(1, 30)), f"key-{rng.randrange(10**9)}"
        order, body, due = str(self.next_order), f"b{rng.randrange(3)}", self.now + 10000
        self.next_order += 1
        request = {}
        if rng.random() < 0.4:
            n = rng.randint(1, min(20, max(1, show.venue.kmax)))
            if rng.random() < 0.5:
                start = rng.choice(list(show.venue.places))
                request["places"] = [p for p in range(start, start + n) if p in show.venue.places] or [start]
            else:
                request["places"] = rng.sample(list(show.venue.places), min(n, len(show.venue.places)))
        else:
            tiers = rng.sample(list(show.venue.tiers), rng.randint(1, min(2, len(show.venue.tiers))))
            most = max(1, min(show.venue.kmax, 20 // len(tiers)))
            request["choices"] = [(t, min(most, rng.choice([1, 2, 2, 3, 4, 6, 20])), rng.random() < 0.4) for t in tiers]
        n = len(request["places"]) if "places" in request else sum(k for _, k, _ in request["choices"])
        if rng.random() < 0.15:
            request["persons"] = [f"person{rng.randrange(60)}" for _ in range(n)]
        if rng.random() < 0.02:
            request["terms"] = show.terms + 1
        if self.requests and rng.random() < 0.15:
            user, key, body, request = rng.choice(self.requests)
            if rng.random() < 0.2:
                body = "other"
        elif rng.random() < 0.3:
            self.requests.append((user, key, body, request))
            self.requests = self.requests[-50:]
        self.check_hold(order, user, key, body, due, request)

    def check_hold(self, order, user, key, body, due, request):
        show = self.show
        expected = show.hold(order, user, key, body, due, **request)
        got = self.driver.hold(order, user, key, body, self.now, **request)
        self.count(expected[0])
        context = (request, expected, got)
        assert got[0] == expected[0], context
        if got[0] in ("HELD", "AGAIN"):
            assert [got[1], got[2], got[4:]] == [show.epoch, *expected[1:]], context
        elif got[0] == "PLACES_TAKEN":
            assert [got[1], got[2], got[4:]] == [expected[1], show.epoch, expected[2]], context
        elif got[0] in ("NO_ADJACENT", "NONE_FREE", "SOLD_OUT"):
            assert got[1:5] == expected[1:], context
            assert got[5] == 0 if got[4] == 0 else self.check_release(got[5]) is None, context
        else:
            assert got == expected, context

    def check_release(self, got):
        """The earliest end of a committed hold; exact unless 64 entries lie before it."""
        ahead = sorted(float(d) for d in self.show.due.values() if float(d) >= self.now)
        ends = [d for d in ahead if d == int(d)]
        if ends and ahead.index(ends[0]) >= 64:
            assert got == 0 or got in ends
        else:
            assert got == min(ends, default=0)

    def commit(self):
        held = [o for o in self.show.orders if o not in self.fates and self.show.orders[o]["state"] == "H"]
        batch = self.rng.sample(held, min(len(held), self.rng.randint(1, 5)))
        if not batch:
            return
        due = self.now + self.rng.randint(2000, 600000)
        for order in batch:
            self.fates[order] = "PENDING"
        if self.rng.random() < 0.8:  # else the confirm is lost
            stranger = "77777"
            assert self.driver.confirm(*[(o, due) for o in batch + [stranger]]) == ["OK"]
            for order in batch:
                self.show.due[order] = str(due)
        self.count("commit")

    def settle(self, order, state, due, live, epoch=None):
        got = self.driver.settle(self.show.epoch if epoch is None else epoch, (order, state, due, live))
        if epoch is not None and epoch > self.show.epoch:
            assert got == ["STALE", self.show.epoch]
            self.count("stale")
            return
        assert got == ["OK"]
        self.show.settle(order, state, due, live)
        self.count("settle " + state)

    def end_some(self):
        rng = self.rng
        orders = list(self.show.orders)
        if not orders:
            return
        order = rng.choice(orders)
        record = self.show.orders[order]
        fate = self.fates.get(order)
        due = self.now + 5000
        if rng.random() < 0.05:
            self.settle(order, "H", due, record["places"], self.show.epoch + 1)
        elif fate is None and record["state"] == "H":      # tombstone
            self.settle(order, "H", 0, [])
            self.old = order
        elif fate == "PENDING" and rng.random() < 0.5:     # paid
            self.fates[order] = "PAID"
            self.settle(order, "S", 0, record["places"])
        elif fate == "PAID" and rng.random() < 0.5:        # an old read: still pending; nothing may change
            self.settle(order, "H", due, list(record["places"]))
        elif rng.random() < 0.5:                           # one ticket of several
            keep = [p for p in record["places"] if rng.random() < 0.5]
            self.settle(order, record["state"], due, keep)
        else:
            self.settle(order, record["state"], due, [])
            if rng.random() < 0.3:                         # twice, and late with places that may be somebody else's
                self.settle(order, rng.choice("HS"), due, record["places"])

    def blocks(self):
        """Blocks come with a rebuild."""
        free = [p for p in self.show.owner if self.show.owner[p] is None]
        places = self.rng.sample(free, min(len(free), self.rng.randint(0, 6)))
        if places:
            order = str(self.next_order)
            self.next_order += 1
            self.fates[order] = "PAID"
            for place in places:
                self.show.owner[place] = order
            self.show.orders[order] = dict(state="B", user="1", body="-", places=sorted(places), persons=[])

    def rebuild(self):
        rng, show, driver = self.rng, self.show, self.driver
        epoch = show.epoch + rng.randint(1, 3)
        assert driver.begin(show.epoch)[0] == "STALE"
        if rng.random() < 0.5:
            assert driver.begin(epoch) == ["OK"]
            assert driver.hold("1", "1", "k", "b", self.now, choices=[(1, 1, True)]) == ["CLOSED"]
            assert driver.settle(epoch, ("1", "H", 0, [])) == ["CLOSED"]
            assert driver.load(epoch - 1, "h", "1", "x") == ["STALE"]
            driver.load(epoch, "h", "1", "left over")
            if rng.random() < 0.5:                         # another rebuild was faster
                epoch += 1
        for order in [o for o in show.orders if o not in self.fates]:   # old holds die with their generation
            for place in show.orders[order]["places"]:
                show.owner[place] = None
            for person in show.orders[order]["persons"]:
                del show.persons[person]
            user = show.users[show.orders[order]["user"]]
            user[0] -= len(show.orders[order]["places"])
            user[1].remove(order)
            del show.orders[order]
        for order, fate in self.fates.items():
            if fate == "PAID" and order in show.orders and show.orders[order]["state"] == "H":
                show.orders[order]["state"] = "S"
        self.blocks()
        show.terms += rng.randint(0, 1)
        show.sale_state = 1
        driver.rebuild(epoch)
        assert driver.open(epoch, [0] * 5) == ["OK"]       # again: nothing is done
        self.count("rebuild")

    def claim(self):
        self.now += self.rng.randint(0, 20000)
        got, closed = self.driver.claim(self.now, self.now + 10000)
        assert not closed
        expected = sorted((o for o, d in self.show.due.items() if float(d) <= self.now), key=lambda o: (float(self.show.due[o]), o))
        assert got == [f"{self.show.show}:{o}" for o in expected][:100]
        for order in expected[:100]:
            self.show.due[order] = f"{self.now + 10000}.5"
        for order in expected[:100]:
            if order not in self.show.orders:
                self.settle(order, "H", 0, [])
        self.count("claim")

    def sale_state(self):
        for state in (self.rng.choice([2, 3]), 1):
            assert self.driver.state(state) == ["OK"]
            self.show.sale_state = state
            self.hold()

    # ---- the whole ----------------------------------------------------------------------------------------------
    def compare(self):
        show, client = self.show, self.client
        m, g = show.image(show.epoch)
        stored = client.get(show.key("m")).encode("latin-1")
        assert stored[:8] + stored[16:] == m[:8] + m[16:], "bitmaps or index differ"
        assert client.get(show.key("g")).encode("latin-1") == g
        assert client.hgetall(show.key("h")) == show.records()
        assert client.hgetall(show.key("u")) == show.user_fields()
        assert client.hgetall(show.key("p")) == show.persons
        due = {name.split(":")[1]: float(score) for name, score in client.zrange(show.due_key, 0, -1, withscores=True)
               if name.split(":")[0] == show.show}
        assert due == {o: float(d) for o, d in show.due.items()}
        read = self.driver.read(self.now)
        n = show.venue.bitmap // 8
        assert read[:2] == ["OK", show.epoch] and read[3:6] == [show.terms, show.sale_state, show.venue.bitmap]
        assert read[6].encode("latin-1") == m[64:64 + 3 * n]
        self.check_release(read[7])
        for user in ("1", "2", "31"):
            assert self.driver.used(user) == ["OK", show.users.get(user, [0])[0], int(user in show.users)]

    def count(self, what):
        self.tally[what] = self.tally.get(what, 0) + 1

    def step(self):
        used = sum(1 for o in self.show.owner.values() if o) / len(self.show.owner)
        roll = self.rng.random()
        if roll < 0.5:
            self.hold()
        elif roll < 0.6:
            self.commit()
        elif roll < 0.6 + (0.33 if used > self.fill else 0.15):
            self.end_some()
        elif roll < 0.95:
            self.hold()
        elif roll < 0.975:
            self.claim()
        elif roll < 0.98:
            self.sale_state()
        elif roll < 0.983:
            self.rebuild()


def test_random_operations(client):
    seed = int(os.environ.get("TF_TEST_SEED", time.time_ns() % 10**9))
    operations = int(os.environ.get("TF_TEST_OPERATIONS", 4000))
    print(f"seed {seed}, {operations} operations")
    rng = random.Random(seed)
    tally, done, shows = {}, 0, 0
    while done < operations:
        shows += 1
        client.delete(*[f"tf:{{{i}}}:due" for i in range(64)])
        run = Run(client, rng, 10**6 + seed % 10**5 * 1000 + shows)
        for i in range(min(operations - done, 1000)):
            run.step()
            if i % 100 == 99:
                run.compare()
        run.compare()
        done += 1000
        for what, n in run.tally.items():
            tally[what] = tally.get(what, 0) + n
    print(f"{shows} shows: {tally}")
