"""Processes that die or stand still."""

import contextlib
import os
import signal

from faults import Fault

KINDS = ("user", "program", "order", "pay", "gateway", "sandbox", "pg", "redis", "etcd")


class Kill(Fault):
    """kill -9 of one instance of a part."""

    def __init__(self, stage, rng, part=None):
        super().__init__(stage, rng)
        self.part = part or rng.choice(KINDS)
        self.name = f"kill {self.part}"

    def inject(self):
        with self.stage.store_lock:  # a store that is being changed is dead already
            self.instance = self.rng.choice(sorted(self.stage.names(self.part)))
            self.pid = self.stage.kill(self.instance)

    def heal(self):
        self.stage.await_again(self.instance, self.pid)


class Freeze(Fault):
    """SIGSTOP: the process is there and does nothing; its peers see open connections and silence."""

    def __init__(self, stage, rng, part=None, seconds=None):
        super().__init__(stage, rng)
        self.part = part or rng.choice(KINDS)
        self.name, self.seconds = f"freeze {self.part}", seconds or rng.uniform(1, 6)

    def inject(self):
        with self.stage.store_lock:
            self.pid = self.stage.pid(self.rng.choice(sorted(self.stage.names(self.part))))
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGSTOP)

    def heal(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
