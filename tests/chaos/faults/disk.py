"""The disk of a store is full. Its data lie on a small file system in memory, which only root may make; it is filled by a file that goes away again."""

import contextlib
import os
import shutil
import subprocess

from world import until
from faults import Fault, Unavailable

SIZE_MIB = {"redis": 256, "pg": 3072}


class DiskFull(Fault):
    """Mounted the first time that it is used, with the store down for a moment; unmounted by unmount_all()."""

    _mounted = set()

    def __init__(self, stage, rng, store=None, seconds=None):
        super().__init__(stage, rng)
        self.store = store or rng.choice(sorted(SIZE_MIB))
        self.name, self.seconds = f"disk full {self.store}", seconds or rng.uniform(2, 6)
        self.directory = stage.home / self.store
        self.filler = self.directory / ("filler" if self.store == "redis" else "pg_wal/filler")

    def prepare(self):
        """Its data move to the small file system."""
        if os.geteuid() != 0:
            raise Unavailable("only root may mount a small file system")
        if self.directory in DiskFull._mounted:
            return
        place = str(self.directory)
        with self.stage.store_down(self.store):
            self._await_orphans()
            beside = f"{place}.before"
            subprocess.run(["/bin/cp", "-a", place, beside], check=True)
            stat = os.stat(place)
            done = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB[self.store]}m,mode=0700", "tmpfs", place], capture_output=True, text=True)
            if done.returncode:
                shutil.rmtree(beside)
                raise Unavailable(f"mount: {done.stderr.strip()}")
            subprocess.run(["/bin/cp", "-a", f"{beside}/.", place], check=True)
            os.chown(place, stat.st_uid, stat.st_gid)
            shutil.rmtree(beside)
            DiskFull._mounted.add(self.directory)
        self.stage.await_running()

    def _await_orphans(self):
        """PostgreSQL's children outlive it by a moment, and still write."""
        def none():
            for name in os.listdir("/proc"):
                if name.isdigit():
                    with contextlib.suppress(OSError):
                        state = open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()[0]
                        if state != "Z" and os.readlink(f"/proc/{name}/cwd") == str(self.directory):
                            return False
            return True

        until(none, timeout=30, what=f"the end of all processes of {self.store}")

    def inject(self):
        self.prepare()
        room = os.statvfs(self.directory)
        file = os.open(self.filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            with contextlib.suppress(OSError):
                os.posix_fallocate(file, 0, room.f_bavail * room.f_frsize)
            with contextlib.suppress(OSError):  # and the last bytes
                os.lseek(file, 0, os.SEEK_END)
                while os.write(file, bytes(4096)):
                    pass
        finally:
            os.close(file)

    def heal(self):
        self.filler.unlink(missing_ok=True)
        self.stage.await_running()

    @classmethod
    def unmount_all(cls):
        """After the installation has stopped."""
        for directory in sorted(cls._mounted):
            subprocess.run(["/bin/umount", str(directory)], check=False)
        cls._mounted.clear()
