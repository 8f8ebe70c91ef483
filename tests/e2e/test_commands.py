"""The commands of ./ticketflow as an operator types them: help, faults of the command line, and what `test` says when something fails."""

import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from conftest import ROOT

COMMANDS = ["up", "down", "status", "logs", "scale", "restart", "import", "demo", "order", "events", "check", "test", "bench", "load", "service", "docs", "help"]


def ticketflow(*arguments, root=ROOT, **environment):
    """(exit status, standard output, standard error)"""
    done = subprocess.run(
        [root / "ticketflow", *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


def test_every_command_is_in_the_help_and_here():
    code, text, _ = ticketflow("help")
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    files = {path.stem for path in (ROOT / "deploy/local/commands").glob("*.sh")} - {"lib"}
    assert code == 0 and listed == COMMANDS and set(COMMANDS) == files


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, option):
    code, text, _ = ticketflow(command, option)
    assert code == 0 and text.startswith(f"usage: ./ticketflow {command}") and len(text.splitlines()) >= 3
    assert ticketflow("help", command) == (0, text, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_changes_nothing_and_is_named(command, tmp_path):
    code, text, fault = ticketflow(command, "--nonsense", TF_HOME=str(tmp_path / "home"))
    assert code == 64 and text == ""
    assert fault.startswith(f"ticketflow: {command}: ") and fault.endswith(f"; see ./ticketflow {command} --help\n"), fault
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["dance"], "no command 'dance'"),
        (["lib"], "no command 'lib'"),
        (["../up"], "no command"),
        (["help", "dance"], "no command 'dance'"),
        (["import"], "FILE"),
        (["service", "order"], "ARGUMENT"),
        (["test", "-k"], "pattern"),
        (["bench", "--json"], "file"),
        (["up", "--set"], "PART.NAME=VALUE"),
        (["up", "--base-port", "http"], "base port 'http'"),
        (["down", "now"], "'now'"),
        (["scale"], "PART=N"),
        (["scale", "order"], "'order'"),
        (["scale", "order=two"], "'order=two'"),
        (["up", "--scale"], "PART=N"),
        (["restart"], "PART"),
        (["restart", "../order"], "'../order'"),
    ],
)
def test_a_faulty_command_line_is_named(arguments, word):
    code, text, fault = ticketflow(*arguments)
    assert code == 64 and word in fault, fault


def test_a_home_without_installation_is_told(tmp_path):
    home = {"TF_HOME": str(tmp_path / "a home")}
    assert ticketflow("status", **home)[:2] == (3, "TicketFlow is not running.\n")
    assert ticketflow("down", **home)[:2] == (0, "TicketFlow is not running.\n")
    assert ticketflow("scale", "order=2", **home)[:2] == ticketflow("restart", "all", **home)[:2] == (3, "TicketFlow is not running.\n")
    for command in (["logs"], ["check"], ["demo"], ["import", str(ROOT / "README.md")], ["service", "order", "--help"]):
        code, _, fault = ticketflow(*command, **home)
        assert code == 1 and fault.startswith("ticketflow: ") and len(fault.splitlines()) == 1, fault
    assert list(tmp_path.iterdir()) == []


# ---- ./ticketflow test, on a tree of its own whose programs and cases are made here --------------------------------------


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tree(tmp_path):
    """A tree that is built and installed already, as far as `test` can see."""
    root = tmp_path / "a tree"
    shutil.copytree(ROOT / "deploy/local/commands", root / "deploy/local/commands")
    shutil.copy(ROOT / "ticketflow", root)
    for name in ("packages.txt", "packages-test.txt"):
        (root / "deploy/local" / name).write_text("")
    (root / "proto").mkdir()
    (root / "tests/e2e").mkdir(parents=True)
    (root / "tests/requirements.txt").write_text("")
    for preset in ("asan", "release"):
        (root / "build" / preset).mkdir(parents=True)
        (root / "build" / preset / "build.ninja").write_text("rule nothing\n  command = true\nbuild all: phony\n")
    for program in ("tf-local", "tf-check"):
        script(root / "build/release/bin" / program, "exit 0")
    script(root / "build/venv/bin/python", f'exec {sys.executable} "$@"')
    summed = subprocess.run(["sha256sum", root / "tests/requirements.txt"], capture_output=True, text=True, check=True).stdout
    (root / "build/venv/requirements.sum").write_text(summed)
    (root / "build/python").mkdir()
    (root / "build/python/.done").write_text("")
    programs = {"test_fine": "exit 0", "test_faulty": "echo '[  ERROR   ] --- 1 is not 2'; exit 1"}
    listing = ""
    for name, text in programs.items():
        script(root / "build/asan/bin" / name, text)
        listing += f'add_test({name} "{root}/build/asan/bin/{name}")\nset_tests_properties({name} PROPERTIES LABELS unit)\n'
    (root / "build/asan/CTestTestfile.cmake").write_text(listing)
    script(root / "build/asan/bin/fuzz-letters", "echo '3 passed, 0 failed'")
    script(root / "build/asan/bin/fuzz-digits", "echo '2 passed, 1 failed'")
    (root / "tests/e2e/test_numbers.py").write_text(
        "def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 == 2, 'one is not two'\n"
    )
    return root


def run_tests(tree, *arguments):
    port = {"TF_TEST_PORT": "27999"}  # names a directory only: nothing here listens
    code, text, fault = ticketflow("test", *arguments, root=tree, **port)
    return code, text.splitlines(), fault


def test_the_last_line_counts_and_what_failed_is_listed_before_it(tree):
    code, lines, _ = run_tests(tree, "unit", "e2e", "fuzz")
    assert code == 1 and lines[-1] == "4 passed, 3 failed", lines
    failed = "\n".join(lines[lines.index("Failed:") :])
    assert "unit: test_faulty" in failed and "1 is not 2" in failed
    assert "e2e: test_numbers.py::test_wrong" in failed and "one is not two" in failed
    assert "fuzz: fuzz-digits: 2 passed, 1 failed" in failed
    assert "fine" not in failed and "letters" not in failed and "right" not in failed


@pytest.mark.parametrize("suite", ["unit", "e2e", "fuzz"])
def test_a_pattern_chooses(tree, suite):
    code, lines, _ = run_tests(tree, suite, "-k", {"unit": "fine", "e2e": "right", "fuzz": "letters"}[suite])
    assert code == 0 and lines[-1] == {"unit": "1 passed, 0 failed", "e2e": "2 passed, 0 failed", "fuzz": "1 passed, 0 failed"}[suite]
    assert "Failed:" not in lines


@pytest.mark.parametrize("suites", [["unit"], ["e2e"], ["fuzz"], ["unit", "e2e", "fuzz"]])
def test_a_pattern_that_matches_nothing_is_an_error(tree, suites):
    code, lines, fault = run_tests(tree, *suites, "-k", "unicorn")
    assert code == 1 and "'unicorn'" in fault and "no test ran" in fault, fault
    assert not any("passed, " in line for line in lines)


def test_a_suite_without_tests_fails(tree):
    (tree / "tests/e2e/test_numbers.py").unlink()
    code, lines, _ = run_tests(tree, "e2e")
    assert code == 1 and lines[-1] == "0 passed, 1 failed" and "  e2e: pytest found no case" in lines


def test_a_suite_that_cannot_be_read_fails(tree):
    (tree / "tests/e2e/test_numbers.py").write_text("import no_such_module\n")
    code, lines, _ = run_tests(tree, "e2e")
    assert code == 1 and any("test_numbers.py" in line for line in lines[lines.index("Failed:") :]), lines
