"""Redis comes back with less than it had: without its last seconds, with nothing, or as it was some time ago. Needs its append-only file with timestamps."""

import pathlib
import shutil
import subprocess
import time

from faults import Fault


def log_directory(stage):
    return stage.home / "redis" / "appendonlydir"


class RedisData(Fault):
    """Kills Redis and changes its files before the supervisor brings it back."""

    def inject(self):
        with self.stage.store_down("redis"):
            self.change()

    def change(self):
        raise NotImplementedError

    def heal(self):
        self.stage.await_running()


class TailCut(RedisData):
    """The last seconds are gone: what a power loss does to a Redis that syncs rarely."""

    def __init__(self, stage, rng, tail_s=None):
        super().__init__(stage, rng)
        self.tail_s = tail_s or rng.choice([1, 10])
        self.name = f"redis without its last {self.tail_s} s"
        self.cut_bytes = 0

    def change(self):
        directory = log_directory(self.stage)
        manifest = next(directory.glob("*.manifest"))
        before = self._size(directory)
        done = subprocess.run(
            ["/usr/bin/redis-check-aof", "--truncate-to-timestamp", str(int(time.time()) - self.tail_s), str(manifest)],
            input="y\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        # A log that began later than that (it was rewritten) has no such place: then all of it that can be cut goes.
        if done.returncode:
            tail = max(directory.glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
            with open(tail, "r+b") as file:
                file.truncate(0)
        self.cut_bytes = before - self._size(directory)

    @staticmethod
    def _size(directory):
        return sum(path.stat().st_size for path in directory.glob("*.aof"))


class Emptied(RedisData):
    """All of its data are gone."""

    name = "redis emptied"

    def change(self):
        shutil.rmtree(log_directory(self.stage))


class StaleCopy(RedisData):
    """It comes back as it was `seconds` ago; the copy is made at inject, the old state returns at heal."""

    name = "redis from a stale copy"

    def __init__(self, stage, rng, seconds=None):
        super().__init__(stage, rng)
        self.seconds = seconds or rng.uniform(2, 8)
        self.copy = pathlib.Path(stage.home) / "stale-copy"

    def inject(self):
        shutil.rmtree(self.copy, ignore_errors=True)
        for _ in range(5):
            try:
                shutil.copytree(log_directory(self.stage), self.copy)
                return
            except (shutil.Error, FileNotFoundError):  # rewritten meanwhile: its files have other names now
                shutil.rmtree(self.copy, ignore_errors=True)
        raise AssertionError("the log of Redis cannot be copied")

    def change(self):
        shutil.rmtree(log_directory(self.stage), ignore_errors=True)
        shutil.copytree(self.copy, log_directory(self.stage))

    def heal(self):
        with self.stage.store_down("redis"):
            self.change()
        super().heal()
