"""Fixtures that all chaos tests share: one private installation with its points. ./ticketflow test chaos runs them; TF_CHAOS_SEED repeats a run's draws."""

import os
import pathlib
import random
import shutil

import pytest

from faults.disk import DiskFull
from points import Points
from stage import Stage
from world import FIGURES, LONG, ROOT, SEED, TEST_PORT, World


def pytest_report_header():
    return f"chaos: seed {SEED} (TF_CHAOS_SEED), {'long' if LONG else 'short'}"


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section(f"figures, seed {SEED}")
        for figure in FIGURES:
            terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def rng():
    return random.Random(SEED)


@pytest.fixture(scope="session")
def chaos_home():
    """Where the private installation lives; gone before and after, unless TF_TEST_KEEP=yes."""
    home = pathlib.Path(os.environ.get("TF_CHAOS_HOME", ROOT / "build" / f"test-{TEST_PORT}-chaos"))
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    yield home
    if os.environ.get("TF_TEST_KEEP") != "yes":
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def points(tmp_path_factory):
    return Points(tmp_path_factory.mktemp("chaos") / "points")


@pytest.fixture(scope="session")
def world(chaos_home, points):
    """The installation, running, with all points unarmed and all rules in force."""
    world = World(chaos_home, TEST_PORT + 2000, chaos_file=points.path)
    try:
        world.start()
        yield world
    finally:
        world.stop()


@pytest.fixture(scope="session")
def stage(chaos_home, tmp_path_factory):
    """The installation of the fault kit (stage.py): two instances of every service, proxies before the stores. At ports and a home of its own."""
    home = chaos_home.with_name(f"{chaos_home.name}-stage")
    shutil.rmtree(home, ignore_errors=True)
    stage = Stage(home, TEST_PORT + 2500, points=Points(tmp_path_factory.mktemp("stage") / "points"))
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()
        DiskFull.unmount_all()
        if os.environ.get("TF_TEST_KEEP") != "yes":
            shutil.rmtree(home, ignore_errors=True)
