"""The fault kit: one file for each kind, one class for each fault.

A fault is made with what it needs and drawn from a random.Random, so that a seed repeats it. inject() lets it happen, heal() takes it back; what needs
no healing (kill -9: the supervisor brings the process back) waits in heal() until that has happened. A fault is used once."""


class Unavailable(Exception):
    """This machine does not let the fault happen; the sentence says why."""


class Fault:
    """name: for the tables. seconds: how long it lasts between inject and heal in a run of many."""

    name, seconds = "fault", 0.0

    def __init__(self, stage, rng):
        self.stage, self.rng = stage, rng

    def inject(self):
        raise NotImplementedError

    def heal(self):
        """Returns when the fault is over for whoever looks from outside, but not when its traces are."""

    def __enter__(self):
        self.inject()
        return self

    def __exit__(self, *failure):
        self.heal()
