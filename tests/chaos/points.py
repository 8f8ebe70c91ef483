"""The file that the processes of a chaos build share with the test: kill points and breakable rules (common/base/chaos.h has the layout).

The names are read from the declarations that the programs are built from, so that a point that is added is in the tests at once."""

import ctypes
import dataclasses
import mmap
import pathlib
import re
import time

BASE = pathlib.Path(__file__).resolve().parents[2] / "common" / "base"


class Row(ctypes.Structure):
    """struct tf_chaos_row."""

    _fields_ = [("name", ctypes.c_char * 48), ("countdown", ctypes.c_int32), ("hits", ctypes.c_uint32), ("passes", ctypes.c_uint32)]


@dataclasses.dataclass(frozen=True)
class Declared:
    """A kill point: the group it stands in, the service that passes it ("bus": any of them), and where it is."""

    name: str
    group: str
    process: str
    place: str


def declared_points():
    """All of kill_points.def, in its order."""
    points, group = [], None
    for line in (BASE / "kill_points.def").read_text().splitlines():
        if heading := re.fullmatch(r"/\* ---- (.*) \*/", line):
            group = heading[1]
        elif point := re.fullmatch(r'TF_POINT\((\w+), (\w+), "(.*)"\)', line):
            points.append(Declared(point[1], group, point[2], point[3]))
        else:
            assert not line.startswith("TF_POINT"), f"kill_points.def: {line}"
    return points


def declared_rules():
    """The names of broken.def: rules that live in C."""
    return re.findall(r"^TF_RULE\((\w+),", (BASE / "broken.def").read_text(), re.M)


class Points:
    """The file, open for both sides. Numbers are read and written as the processes do, a word at a time."""

    def __init__(self, path):
        names = [p.name for p in declared_points()] + declared_rules()
        assert len(set(names)) == len(names) and all(len(name) < 48 for name in names)
        self.path = pathlib.Path(path)
        self.path.write_bytes(b"".join(bytes(Row(name.encode())) for name in names))
        self.path.chmod(0o600)
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._rows = {name: row for name, row in zip(names, (Row * len(names)).from_buffer(self._map))}

    def arm(self, name, countdown=1):
        """The countdown-th pass from now on ends its process."""
        assert countdown > 0
        self._rows[name].countdown = countdown

    def disarm(self):
        """No point kills any more; rules are as they were."""
        for point in declared_points():
            self._rows[point.name].countdown = 0

    def break_rule(self, name, broken=True):
        assert name in declared_rules()
        self._rows[name].countdown = int(broken)

    def armed(self, name):
        return self._rows[name].countdown > 0

    def hits(self, name):
        return self._rows[name].hits

    def passes(self, name):
        return self._rows[name].passes

    def await_hits(self, wanted, timeout, arm=1, unless=lambda: False):
        """Arms every point of wanted (name → hits) until it has its hits; returns those that have not after timeout seconds, or when unless() is true. arm() or a
        number: the countdown."""
        end = time.monotonic() + timeout
        while True:
            missing = [name for name, hits in wanted.items() if self.hits(name) < hits]
            if not missing or time.monotonic() > end or unless():
                return missing
            for name in missing:
                if not self.armed(name):
                    self.arm(name, arm() if callable(arm) else arm)
            time.sleep(0.02)
