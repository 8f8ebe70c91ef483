"""Another clock for one instance (libfaketime). The instance is started by hand beside the others, and takes part like them; its clock follows a file, so that
it can be stepped while it runs. CLOCK_MONOTONIC stays true, as it does on a machine whose date is set."""

import datetime
import glob
import time

from world import until
from faults import Fault, Unavailable

LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def library():
    found = glob.glob(LIBRARY)
    if not found:
        raise Unavailable("libfaketime is not installed")
    return found[0]


class Clock:
    """The file that says what time it is."""

    def __init__(self, path):
        self.path = path
        self.true()

    def _say(self, text):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{text}\n")
        fresh.replace(self.path)

    def true(self):
        self._say("+0")

    def step(self, seconds):
        """That much ahead of the truth, or behind it."""
        self._say(f"{seconds:+d}")

    def freeze(self):
        """It stands at the present second."""
        self._say(datetime.datetime.fromtimestamp(int(time.time())).strftime("%Y-%m-%d %H:%M:%S"))

    def environment(self):
        return {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


class ClockStep(Fault):
    """One more instance of a service, whose clock jumps after it has begun to serve."""

    KINDS = {"+10 min": 600, "-1 h": -3600, "frozen": None}

    def __init__(self, stage, rng, service="order", kind=None, seconds=None, number=3):
        super().__init__(stage, rng)
        self.service, self.kind, self.number = service, kind or rng.choice(sorted(self.KINDS)), number
        self.name, self.seconds = f"clock of {service} {self.kind}", seconds or rng.uniform(4, 8)
        self.instance = None

    def inject(self):
        self.clock = Clock(self.stage.home / f"clock-{self.service}-{self.number}")
        self.instance = self.stage.extra(self.service, self.number, self.clock.environment())
        try:
            until(lambda: self.instance.health() == 200, timeout=30, what=f"{self.instance.name} serves")
        except AssertionError:
            self.instance.end()
            raise
        self.step()

    def step(self):
        if self.KINDS[self.kind] is None:
            self.clock.freeze()
        else:
            self.clock.step(self.KINDS[self.kind])

    def heal(self):
        self.clock.true()
        self.instance.end()
