"""The way to a store: slow, silent or cut. By the proxies of the stage (proxy.py)."""

from faults import Fault

STORES = ("pg", "redis", "etcd")


class Wire(Fault):
    def __init__(self, stage, rng, store=None, seconds=None):
        super().__init__(stage, rng)
        self.store = store or rng.choice(STORES)
        self.proxy = stage.proxies[self.store]
        self.name = f"{type(self).__name__.lower()} {self.store}"
        self.seconds = seconds or rng.uniform(1, 6)

    def heal(self):
        self.proxy.heal()


class Delay(Wire):
    """Every piece takes 5 to 80 ms longer, each way."""

    def inject(self):
        self.proxy.delay(self.rng.uniform(0.005, 0.08))


class Partition(Wire):
    """Nothing arrives, nobody is told; at random both ways, or only what is sent, or only the answers."""

    def __init__(self, stage, rng, store=None, seconds=None, directions=None):
        super().__init__(stage, rng, store, seconds)
        self.directions = directions or rng.choice([("up", "down"), ("up",), ("down",)])

    def inject(self):
        self.proxy.hold(*self.directions)

    def heal(self):
        """What was held up arrives now, late, or the connections end with it: both happen on real networks."""
        if self.rng.random() < 0.5:
            self.proxy.cut()
        self.proxy.heal()


class Cut(Wire):
    """All connections end; new ones do too until it heals."""

    def inject(self):
        self.proxy.cut(refuse=True)


class Flicker(Wire):
    """All connections end once, in the middle of whatever they were saying."""

    seconds = 0.0

    def __init__(self, stage, rng, store=None):
        super().__init__(stage, rng, store)
        self.seconds = 0.0

    def inject(self):
        self.proxy.cut()
