"""Modes of running: the same baselines in all of them, and what is peculiar to each.

That items, verdicts and reports are the same is for tests/integration/contract to tell.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project, Server, Workers

INI = """
[Config Good]
**.value = ${value=1, 2}

[Config Different]
**.value = 4

[Config Crash]
**.behaviour = "crash /dev/null"

[Config Skipped]
abstract = true
"""

PYTHON_TESTS = """
import pytest

@pytest.fixture(scope="session")
def once():
    with open("setups", "a") as file:
        file.write("x")

def test_good(once):
    pass

def test_bad(once):
    assert False
"""

MODES = {
    "plain": (),
    "blocked": ("--oppcloud", "-p", "no:oppcloud"),
    "xdist": ("-n", "2"),
    "cloud": ("--oppcloud",),
    "cloud and xdist": ("--oppcloud", "-n", "2"),
}


@pytest.fixture
def mixed(project: Project) -> Project:
    """Return a project in which everything happens."""
    project.write(INI)
    project.record()
    project.write(INI.replace("value = 4", "value = 5"))
    project.pytester.makepyfile(test_ordinary=PYTHON_TESTS)
    return project


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "plain"])
def test_all_modes_record_the_same_baselines(project: Project, mode: str) -> None:
    project.write(INI.replace("[Config Crash]", "[Config NoCrash]").replace("crash /dev/null", "ok"))
    written = []
    for options in ((), MODES[mode]):
        project.run(*options, "--opp-update-baselines=all").assert_outcomes(passed=5, skipped=1)
        (baseline,) = (project.pytester.path / "baselines").iterdir()
        written.append(baseline.read_bytes())
        baseline.unlink()

    assert written[0] == written[1]


def test_addopts_may_hold_the_option_that_is_blocked(mixed: Project) -> None:
    mixed.pytester.makeini("[pytest]\naddopts = --oppcloud\n")
    result = mixed.run("-p", "no:oppcloud", "-k", "Good")

    result.assert_outcomes(passed=3, deselected=4, skipped=1)
    result.stdout.fnmatch_lines(["*simulations run locally (--oppcloud is overruled by -p no:oppcloud)*"])
    assert "queue" not in result.stdout.str()


def test_nothing_of_the_queue_is_imported_without_the_option(project: Project) -> None:
    project.write("")
    project.record()
    project.pytester.makeconftest(
        """
        import sys

        def pytest_terminal_summary(terminalreporter):
            found = sorted({name.partition(".")[0] for name in sys.modules} & {"rq", "redis", "boto3"})
            terminalreporter.write_line(f"imported: {found}")
        """
    )

    project.run().stdout.fnmatch_lines(["imported: [[]]"])
    project.run("--oppcloud").stdout.fnmatch_lines(["imported: [[]'redis', 'rq']"])


def test_session_fixtures_of_ordinary_tests_are_set_up_once(mixed: Project) -> None:
    mixed.run("--oppcloud")

    assert (mixed.pytester.path / "setups").read_text() == "x"


def test_the_loop_gives_way_to_another_owner_and_says_so(project: Project) -> None:
    project.write("")
    project.record()
    project.pytester.makeconftest(
        """
        def pytest_runtestloop(session):
            for item in session.items:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            return True
        """
    )
    result = project.run("--oppcloud")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*conftest.py owns the run loop; simulations are judged in its order*"])


def test_collecting_alone_starts_nothing(project: Project) -> None:
    project.write("")
    result = project.run("--oppcloud", "--co", "-q")

    result.stdout.fnmatch_lines(["omnetpp.ini::General::#0"])
    assert "redis" not in result.stdout.str()


def test_files_of_failed_runs_come_back(mixed: Project) -> None:
    folder = mixed.pytester.path / ".oppcloud"
    before = set(folder.iterdir())
    result = mixed.run("--oppcloud")

    result.stdout.fnmatch_lines(["files: *.oppcloud/*/omnetpp.ini/Different/#0"])
    # Not the one with the last name: of two sessions of the same second, that may be the first one.
    (session,) = set(folder.iterdir()) - before
    assert sorted(path.parts[-3] for path in session.rglob("stdout.txt")) == ["Crash", "Different"]
    (scalars,) = session.rglob("Different/#0/**/*.sca")
    assert "value 5" in scalars.read_text()


def test_a_failure_tells_the_run_in_the_image_of_its_worker(
    project: Project, server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.start(OPPCLOUD_IMAGE="registry.example.org/worker:1.0")
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    project.write('[Config Crash]\n**.behaviour = "crash /dev/null"\n')
    result = project.run("--oppcloud", "--opp-config=Crash")

    result.assert_outcomes(failed=1)
    # In CI, pytest's short summary says it once more.
    line = next(line for line in result.outlines if line.startswith("in its image: "))
    assert result.outlines[result.outlines.index(line) + 1].startswith("again, alone: pytest -p no:oppcloud ")
    # What a container would be given, run as it would be.
    place = project.pytester.path
    (place / "docker").write_text(
        "#!/bin/sh\n"
        f'test "$1 $2 $3 $4 $5 $6" = "run --rm --user $(id -u):$(id -g) -v {place}:{place}" || exit 9\n'
        'test "$7 $8 $9" = "--entrypoint /bin/sh registry.example.org/worker:1.0" || exit 9\n'
        'shift 10\nexec /bin/sh -c "$1"\n'
    )
    (place / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for name in ("docker", "python3"):
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    run = subprocess.run(line.removeprefix("in its image: "), shell=True, check=False, cwd="/")  # noqa: S602  # pasted
    assert -run.returncode == signal.SIGSEGV or run.returncode == 128 + signal.SIGSEGV


def test_the_summary_tells_what_the_queue_did(project: Project) -> None:
    project.write("[Config Good]\n**.value = ${1..3}\n")
    project.record()
    result = project.run("--oppcloud", "--oppcloud-workers=1")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*4 runs on 1 slot of 1 worker; simulated for * s in * s (*"])
