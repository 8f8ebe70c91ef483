"""A plain model of a show's inventory, the keys of services/order/inventory/inventory.lua, and their image made from the model.

The model is an array of places and searches everything; it shares no idea with the library but its documented result."""

import hashlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import redis

ROOT = Path(__file__).resolve().parents[4]
SOURCE = (ROOT / "services/order/inventory/inventory.lua").read_bytes()


def named(source):
    """The library as the build makes it of this source (services/order/CMakeLists.txt), and the digest in its names."""
    digest = hashlib.sha256(source).hexdigest()[:12]
    return source.replace(b"@TF_INVENTORY@", digest.encode()), digest


LIBRARY, DIGEST = named(SOURCE)
HEAD = 64
AHEAD_RANKS, AHEAD_CELLS = 32, 5


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(host, port):
    # latin-1 maps bytes one to one, so that bitmaps and text travel alike.
    return redis.Redis(host=host, port=port, decode_responses=True, encoding="latin-1")


class PrivateRedis:
    """A redis-server of the test's own: it may be killed, emptied and started again."""

    def __init__(self, port):
        self.port, self.dir, self.process = port, tempfile.mkdtemp(prefix="tf-redis-"), None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir, "--save", "",
             "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                if redis.Redis(port=self.port).ping():
                    return
            except redis.exceptions.ConnectionError:
                time.sleep(0.05)
        raise RuntimeError("redis-server did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir)


def load_library(client):
    try:
        client.function_load(LIBRARY)
    except redis.exceptions.ResponseError as error:
        if "already exists" not in str(error):
            raise


class Tier:
    def __init__(self, standing=False):
        self.standing, self.segments, self.ranks, self.cells = standing, [], [], {}


class Venue:
    """Place numbers: segments = [(tier, count, qualities, focal offset)], by tier."""

    def __init__(self, tiers, segments, kmax):
        self.tiers = {i + 1: Tier(standing) for i, standing in enumerate(tiers)}
        self.kmax, self.places, at = kmax, {}, 32
        for tier, count, qualities, focal in segments:
            t = self.tiers[tier]
            t.segments.append((at, count))
            for offset in range(count):
                self.places[at + offset] = tier
            for i in range((count + 15) // 16):
                t.ranks.append((qualities[i], at // 16 + i, 2 * (at + focal)))
            at = (at + count + 16) // 16 * 16
        self.numbers = at
        for t in self.tiers.values():
            t.ranks.sort(key=lambda r: (r[0], r[1]))
            t.ranks = [(cell, focal) for _, cell, focal in t.ranks]
        self.bitmap = (self.numbers + 63) // 64 * 64


class Show:
    def __init__(self, venue, show, partition=0, limit=10**6, one_pending=False):
        self.venue, self.show, self.partition, self.limit, self.one_pending = venue, str(show), partition, limit, one_pending
        self.epoch, self.terms, self.sale_state = 0, 1, 1
        self.owner = {p: None for p in venue.places}  # order or None
        self.orders = {}    # order -> dict(state, user, body, places, persons)
        self.users = {}     # user -> [tickets, [pending orders]]
        self.persons = {}   # person -> order
        self.due = {}       # order -> score text
        self.keys = {}      # (user, key) -> order

    # ---- keys ---------------------------------------------------------------------------------------------------
    def key(self, letter):
        return f"tf:{{{self.partition}}}:{self.show}:{letter}"

    def live(self):
        return [self.key(x) for x in "mghup"]

    def staging(self):
        return [self.key("new:" + x) for x in "mghup"]

    @property
    def due_key(self):
        return f"tf:{{{self.partition}}}:due"

    def request_key(self, user, key):
        return self.key(f"r:{user}:{key}")

    # ---- the image ----------------------------------------------------------------------------------------------
    def longest(self, cell, free=None):
        free = free or self.is_free
        best = 0
        for start in range(16 * cell, 16 * cell + 16):
            n = 0
            while n < self.venue.kmax and free(start + n):
                n += 1
            best = max(best, n)
        return best

    def is_free(self, place):
        return place in self.owner and self.owner[place] is None

    def image(self, epoch, version=0):
        v = self.venue
        areas = [bytearray(v.bitmap // 8) for _ in range(3)]

        def put(area, place):
            area[place // 8] |= 0x80 >> place % 8

        for place, order in self.owner.items():
            if order is None:
                put(areas[0], place)
            else:
                state = self.orders[order]["state"]
                if state == "S":
                    put(areas[1], place)
                if state == "B":
                    put(areas[2], place)
        index, tiers, ranks, cells = bytearray(), b"", b"", {}
        index_at = HEAD * 8 + 3 * v.bitmap
        cell_table = 16 + 32 * len(v.tiers)
        n_cells = v.numbers // 16
        ranks_at = cell_table + 4 * n_cells
        for number, tier in v.tiers.items():
            stride = max(8, (len(tier.ranks) + 7) // 8 * 8)
            bitmaps = [bytearray(stride // 8) for _ in range(v.kmax)]
            for rank, (cell, focal) in enumerate(tier.ranks):
                for k in range(self.longest(cell)):
                    bitmaps[k][rank // 8] |= 0x80 >> rank % 8
                cells[cell] = number << 24 | rank
            first = tier.segments[0][0] // 8 if tier.segments else 0
            last = (tier.segments[-1][0] + tier.segments[-1][1] - 1) // 8 if tier.segments else 0
            tiers += struct.pack(">8I", index_at + 8 * len(index), stride, ranks_at + len(ranks), first, last,
                                 sum(n for _, n in tier.segments), tier.standing, len(tier.ranks))
            for bitmap in bitmaps:
                index += bitmap
            ranks += b"".join(struct.pack(">II", cell, focal) for cell, focal in tier.ranks)
        head = struct.pack(">QqIIII", epoch, version, self.terms, self.sale_state, v.numbers, v.bitmap).ljust(HEAD, b"\0")
        table = b"".join(struct.pack(">I", cells.get(c, 0)) for c in range(n_cells))
        g = struct.pack(">IIII", v.kmax, len(v.tiers), cell_table, n_cells) + tiers + table + ranks
        return bytes(head + areas[0] + areas[1] + areas[2] + index), g

    def records(self):
        return {order: " ".join([r["state"], r["user"], r["body"], ",".join(map(str, r["places"])), ",".join(r["persons"]) or "-"])
                for order, r in self.orders.items()}

    def user_fields(self):
        return {user: " ".join([str(tickets)] + pending) for user, (tickets, pending) in self.users.items()}

    # ---- choice -------------------------------------------------------------------------------------------------
    def choose(self, free, cell, k, focal):
        starts = []
        for s in range(16 * cell, 16 * cell + 16):
            if all(free(s + i) for i in range(k)):
                orphan = (free(s - 1) and not free(s - 2)) or (free(s + k) and not free(s + k + 1))
                starts.append((orphan, abs(2 * s + k - 1 - focal), s))
        if not starts:
            return None, False
        orphan, _, s = min(starts)
        return s, not orphan

    def best(self, free, tier, k):
        ranks = self.venue.tiers[tier].ranks
        for rank, (cell, focal) in enumerate(ranks):
            start, clean = self.choose(free, cell, k, focal)
            if start is None:
                continue
            if clean or self.venue.tiers[tier].standing:
                return start
            seen = 0
            for other, other_focal in ranks[rank + 1:rank + 1 + AHEAD_RANKS]:
                if self.longest(other) < k:  # as it was before this call
                    continue
                seen += 1
                if seen > AHEAD_CELLS:
                    break
                at, at_clean = self.choose(free, other, k, other_focal)
                if at_clean:
                    return at
            return start
        return None

    def counts(self, tier):
        of = {"free": 0, "H": 0, "S": 0, "B": 0}
        for place, t in self.venue.places.items():
            if t == tier:
                order = self.owner[place]
                of["free" if order is None else self.orders[order]["state"]] += 1
        return of

    def select(self, choices):
        """Places, or (why, tier, free, held)."""
        taken = []
        gone = set()

        def free(place):
            return self.is_free(place) and place not in gone

        def take(start, k):
            for place in range(start, start + k):
                assert free(place)
                taken.append(place)
                gone.add(place)

        for tier, k, may_split in choices:
            start = self.best(free, tier, k)
            if start is not None:
                take(start, k)
                continue
            of = self.counts(tier)
            if of["free"] >= k and (may_split or self.venue.tiers[tier].standing):
                left, first = k, len(taken)
                while left:
                    for size in [left] + list(range(left - 2, 1, -1)) + [left - 1, 1]:
                        start = self.best(free, tier, size) if size >= 1 else None
                        if start is not None:
                            take(start, size)
                            left -= size
                            break
                taken[first:] = sorted(taken[first:])
            elif of["free"] >= k:
                return ("NO_ADJACENT", tier, of["free"], of["H"])
            elif of["free"] == 0 and of["H"] == 0:
                return ("SOLD_OUT", tier, 0, 0)
            else:
                return ("NONE_FREE", tier, of["free"], of["H"])
        return taken

    # ---- what the functions should do ------------------------------------------------------------------------------
    def hold(self, order, user, key, body, due, places=None, choices=None, persons=(), terms=None):
        terms = self.terms if terms is None else terms
        if terms != self.terms:
            return ["TERMS", self.terms]
        first = self.keys.get((user, key))
        if first in self.orders:
            record = self.orders[first]
            if record["body"] != body:
                return ["KEY_REUSED"]
            return ["AGAIN", first, record["places"]]
        known = int(user in self.users)
        if self.sale_state != 1:
            return ["WITHDRAWN" if self.sale_state == 3 else "PAUSED", known]
        n = len(places) if places else sum(k for _, k, _ in choices)
        tickets, pending = self.users.get(user, (0, []))
        if self.one_pending and pending:
            return ["PENDING_ORDER", known, pending[0]]
        if tickets + n > self.limit:
            return ["LIMIT", known, max(0, self.limit - tickets)]
        for i, person in enumerate(persons):
            if person in self.persons or person in persons[:i]:
                return ["PERSON", known, i]
        if places:
            taken = [p for p in places if not self.is_free(p)]
            if taken:
                return ["PLACES_TAKEN", known, taken]
            got = places
        else:
            got = self.select(choices)
            if isinstance(got, tuple):
                return [got[0], known, *got[1:]]
        for place in got:
            self.owner[place] = order
        self.orders[order] = dict(state="H", user=user, body=body, places=list(got), persons=list(persons))
        self.users[user] = [tickets + n, pending + [order]]
        for person in persons:
            self.persons[person] = order
        self.keys[(user, key)] = order
        self.due[order] = f"{due}.5"
        return ["HELD", order, list(got)]

    def settle(self, order, state, due, live):
        record = self.orders.get(order)
        if not record:
            self.due.pop(order, None)
            return
        was = record["state"]
        if was != "H":
            state = was
        kept = [i for i, p in enumerate(record["places"]) if p in live]
        freed = [i for i, p in enumerate(record["places"]) if p not in live]
        for i in freed:
            self.owner[record["places"][i]] = None
            if record["persons"]:
                self.persons.pop(record["persons"][i], None)
        if was != "B":
            entry = self.users[record["user"]]
            entry[0] -= len(freed)
            if was == "H" and (state != "H" or not kept):
                entry[1] = [o for o in entry[1] if o != order]
        record["places"] = [record["places"][i] for i in kept]
        if record["persons"]:
            record["persons"] = [record["persons"][i] for i in kept]
        record["state"] = state
        if not kept:
            del self.orders[order]
            self.due.pop(order, None)
        elif state == "H":
            self.due[order] = str(due)
        else:
            self.due.pop(order, None)


class Driver:
    """Calls the functions for a Show."""

    def __init__(self, client, show, digest=DIGEST):
        self.client, self.show, self.digest = client, show, digest

    def call(self, name, keys, *args):
        return self.client.fcall(f"tf_{self.digest}_{name}", len(keys), *keys, *args)

    def hold(self, order, user, key, body, now, places=None, choices=None, persons=(), terms=None, intent_ms=10000, ttl=900):
        s = self.show
        args = [s.show, order, user, body, s.terms if terms is None else terms, s.limit, int(s.one_pending), now, now + intent_ms,
                ttl, len(persons), *persons]
        if places:
            args += ["P", *places]
        else:
            args.append("B")
            for tier, k, may_split in choices:
                args += [tier, k, int(may_split)]
        return self.call("hold", s.live() + [s.due_key, s.request_key(user, key)], *args)

    def settle(self, epoch, *entries):
        args = []
        for order, state, due, live in entries:
            args += [order, state, due, ",".join(map(str, live)) or "-"]
        return self.call("settle", self.show.live() + [self.show.due_key], self.show.show, epoch, *args)

    def confirm(self, *pairs):
        return self.call("confirm", [self.show.key("m"), self.show.due_key], self.show.show, *[x for pair in pairs for x in pair])

    def claim(self, now, lease, n=100):
        return self.call("claim", [self.show.due_key], now, lease, n)

    def seen(self):
        return self.call("seen", [self.show.key("m")], self.show.show)

    def begin(self, epoch):
        return self.call("begin", [self.show.key("m")] + self.show.staging(), self.show.show, epoch)

    def load(self, epoch, what, *args):
        return self.call("load", self.show.staging() + [self.show.due_key], self.show.show, epoch, what, *args)

    def open(self, epoch, counts):
        return self.call("open", self.show.live() + self.show.staging(), self.show.show, epoch, *counts)

    def state(self, sale_state):
        return self.call("state", [self.show.key("m")], self.show.show, sale_state)

    def read(self, now, intents_until=None):
        return self.call("read", [self.show.key("m"), self.show.due_key], self.show.show, now, intents_until or now + 10000)

    def used(self, user):
        return self.call("used", [self.show.key("m"), self.show.key("u")], self.show.show, user)

    def load_all(self, epoch):
        """Everything of a generation, in chunks; the counts for open."""
        s = self.show
        m, g = s.image(epoch)
        for what, data in (("m", m), ("g", g)):
            for at in range(0, len(data), 1000):
                assert self.load(epoch, what, at, data[at:at + 1000]) == ["OK"]
        tables = (("h", s.records()), ("u", s.user_fields()), ("p", s.persons))
        for what, table in tables:
            items = [x for pair in table.items() for x in pair]
            for at in range(0, len(items), 400):
                assert self.load(epoch, what, *items[at:at + 400]) == ["OK"]
        due = [x for order, r in s.orders.items() if r["state"] == "H" for x in (s.due[order].split(".")[0], order)]
        for at in range(0, len(due), 400):
            assert self.load(epoch, "d", *due[at:at + 400]) == ["OK"]
        return [len(m), len(g)] + [len(table) for _, table in tables]

    def rebuild(self, epoch):
        assert self.begin(epoch) == ["OK"]
        assert self.open(epoch, self.load_all(epoch)) == ["OK"]
        self.show.epoch = epoch
        for order in self.show.orders:
            if order in self.show.due:
                self.show.due[order] = self.show.due[order].split(".")[0]
