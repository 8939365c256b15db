"""The hooks that pytest-oppcloud adds, as the examples of their page use them, and what becomes of those that break."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Folder

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "hooks.md"
STUDY = "omnetpp.ini::Study::value=1-#1"


def example(hook: str) -> str:
    """Return the example that implements `hook`."""
    found = re.findall(r"^```python\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if f"def {hook}(" in text)
    return str(text)


def test_the_documented_executor_runs_the_simulations(folder: Folder) -> None:
    folder.write("conftest.py", example("pytest_oppcloud_make_executor"))
    result = folder.run("--opp-config=General", "--opp-update-baselines=new")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["simulations run locally (runs.txt tells which)"])
    assert (folder.path / "runs.txt").read_text() == "omnetpp.ini::General::#0\n"


def test_what_is_no_executor_is_a_wrong_option(folder: Folder) -> None:
    folder.write("conftest.py", "def pytest_oppcloud_make_executor(config):\n    return 5\n")
    result = folder.run(STUDY)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pytest_oppcloud_make_executor: an object *, found 5"])


def test_words_on_the_command_line_stand_in_the_baseline_and_in_the_reproduction(folder: Folder) -> None:
    folder.write("conftest.py", example("pytest_oppcloud_arguments"))
    folder.record()
    text = folder.baselines.read_text()
    assert text.count("warmup-period 2s") == 1
    folder.run().assert_outcomes(passed=5)

    # What the options say stands above, and is what the reproduction ends with.
    result = folder.run("--opp-set=warmup-period=3s", STUDY)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*warmup-period*2s*3s*",
            f"*pytest -p no:oppcloud '{STUDY}' --opp-set=warmup-period=2s --opp-set=warmup-period=3s",
        ]
    )
    # Without the hook, the reproduction alone does the same.
    (folder.path / "conftest.py").unlink()
    folder.run(STUDY).assert_outcomes(failed=1)
    folder.run(STUDY, "--opp-set=warmup-period=2s").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "raise OSError('no such licence')",
            "conftest.py:2: *broke for *::Study::value=1-#1: OSError: no such licence",
        ),
        (
            "return ['--result-dir=x']",
            "*pytest_oppcloud_arguments: result-dir is given to each run and cannot be over*",
        ),
        ("return ['--repeat=1']", "omnetpp.ini: with *, config Study has no such run any more"),
        ("return 3", "*pytest_oppcloud_arguments: *"),
        ("return '--warmup-period=2s'", "*pytest_oppcloud_arguments: a list of strings was expected, *"),
    ],
)
def test_words_that_cannot_be_are_an_error_of_the_run(folder: Folder, body: str, said: str) -> None:
    folder.write("conftest.py", f"def pytest_oppcloud_arguments(item):\n    {body}\n")
    folder.write("oppcloud.toml", '[config."*"]\nxfail = "one day"\n')
    result = folder.run(STUDY)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])


def test_a_check_fails_a_run_and_keeps_it_from_being_recorded(folder: Folder) -> None:
    folder.write("conftest.py", example("pytest_oppcloud_check"))
    folder.record()
    recorded = folder.baselines.read_bytes()
    folder.run().assert_outcomes(passed=5)

    result = folder.run("--opp-config=General", "--opp-set=Tiny.value=-1", "--opp-update-baselines=all")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Tiny value is negative: -1", "again, alone: pytest *"])
    assert folder.baselines.read_bytes() == recorded
    # A difference is told as well.
    both = folder.run("--opp-config=General", "--opp-set=Tiny.value=-1")
    both.stdout.fnmatch_lines(["Differs from the baseline*", "Tiny value is negative: -1"])


def test_a_check_may_assert(folder: Folder) -> None:
    folder.record()
    folder.write("conftest.py", "def pytest_oppcloud_check(outcome):\n    assert outcome.events > 100\n")
    result = folder.run("--opp-config=General")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       AssertionError: assert 7 > 100", "conftest.py:2: AssertionError"])


def test_hearing_of_runs(folder: Folder) -> None:
    folder.record("--opp-config=General")
    folder.write("conftest.py", example("pytest_oppcloud_run_started"))
    folder.run("--opp-config=General").assert_outcomes(passed=1)
    assert (folder.path / "protocol.txt").read_text().splitlines() == [
        "submitted omnetpp.ini::General::#0",
        "started omnetpp.ini::General::#0",
        "finished omnetpp.ini::General::#0: completed",
    ]


def test_who_listens_cannot_change_the_verdict(folder: Folder) -> None:
    folder.record("--opp-config=General")
    folder.write("conftest.py", "def pytest_oppcloud_run_finished(outcome):\n    1 / 0\n")
    result = folder.run("--opp-config=General")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*pytest_oppcloud_run_finished broke: ZeroDivisionError: *conftest.py:2)"])
