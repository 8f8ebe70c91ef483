"""Every event that docs/purchase-protocol.md promises an outcome for names tests that exist, or says why it has none."""

import re
from pathlib import Path

import pytest

from inventory_model import ROOT

FOLDERS = {"functions": "tests/integration/order", "rooms": "tests/integration/order", "service": "tests/integration/order", "chassis": "tests/integration",
           "e2e": "tests"}
ROWS_MIN = 55


def rows():
    text = (ROOT / "docs/purchase-protocol.md").read_text()
    table = text.split("## What happens when …")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line.startswith("| ")]
    return [cell for cell in cells[2:] if not cell[0].startswith("**")]


def file_of(name):
    return ROOT / FOLDERS[name.split("/")[0]] / name


def has_case(path, case):
    text = Path(path).read_text()
    if path.suffix == ".py":
        return re.search(rf"^def {case}\(", text, re.M) is not None
    return re.search(rf"\bvoid {case}\(", text) is not None and re.search(rf"\bcmocka_unit_test\w*\({case}\b", text) is not None


def test_the_table_is_read():
    events = [row[0] for row in rows()]
    assert len(events) >= ROWS_MIN and len(set(events)) == len(events)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_event_has_its_test(row):
    event, outcome, tests = row
    assert outcome
    if tests.startswith("none: "):
        assert len(tests) > len("none: ") + 40, f"{event}: why not?"
        return
    named = re.findall(r"`([\w/.]+)::(\w+)`", tests)
    assert named and ", ".join(f"`{file}::{case}`" for file, case in named) == tests, f"{event}: tests are named as `folder/file::case`"
    for file, case in named:
        assert has_case(file_of(file), case), f"{event}: there is no {case} in {file}"
