"""Hooks under `--oppcloud`: the queue of a run, files for checks, and who hears of runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.remote import runs

if TYPE_CHECKING:
    from .conftest import Project, Server, Workers

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "hooks.md"


def example(hook: str) -> str:
    """Return the example of the documentation that implements `hook`."""
    found = re.findall(r"^```python\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if f"def {hook}(" in text)
    return str(text)


TWO = "[Config licensed]\n[Config free]\n"


def test_runs_go_to_the_queues_that_the_hook_names(
    project: Project, server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(TWO)
    project.record()
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    (project.pytester.path / "conftest.py").write_text(example("pytest_oppcloud_queue"))
    # It is there before anybody waits for it, who would not wait for long.
    workers.serve("--queue", "licensed")
    alone = project.run("--oppcloud", "--opp-config=[lf]*", "--oppcloud-wait=2")

    alone.assert_outcomes(passed=1, errors=1)
    alone.stdout.fnmatch_lines(["*no worker has served the queue 'oppcloud' at *"])
    workers.start()
    for mode in ((), ("-n", "2")):
        project.run("--oppcloud", "--opp-config=[lf]*", *mode).assert_outcomes(passed=2)
    # What was sent is gone from both queues, and from the memory of the server.
    assert all(runs.queued(server.connection, name) == set() for name in ("licensed", "oppcloud"))
    left = {name.decode().split(":")[1] for name in server.connection.scan_iter("oppcloud:*")}
    assert left <= {"content", "slot", "slots", "idle", "turn", "duty", "bell"}


def test_what_waits_in_another_queue_is_cancelled_too(
    project: Project, server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(TWO)
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    (project.pytester.path / "conftest.py").write_text(example("pytest_oppcloud_queue"))
    workers.start()
    result = project.run("--oppcloud", "-x", "--opp-config=[lf]*")

    # The other one has no baseline.
    result.assert_outcomes(failed=1)
    assert runs.queued(server.connection, "licensed") == set()


@pytest.mark.parametrize("mode", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_checks_and_listeners_are_called_where_the_session_is(project: Project, mode: tuple[str, ...]) -> None:
    project.write("[Config Bad]\n**.value = -1\n")
    project.record()
    hooks = [example(name) for name in ("pytest_oppcloud_check", "pytest_oppcloud_run_finished")]
    (project.pytester.path / "conftest.py").write_text("\n\n".join(hooks))
    result = project.run("--oppcloud", *mode)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*value is negative: -1*"])
    told = (project.pytester.path / "protocol.txt").read_text().splitlines()
    for name in ("omnetpp.ini::General::#0", "omnetpp.ini::Bad::#0"):
        assert [line for line in told if name in line] == [
            f"submitted {name}",
            f"started {name}",
            f"finished {name}: completed",
        ]


def test_files_for_a_check_that_cannot_travel_are_an_error(project: Project) -> None:
    project.write("")
    project.record()
    program = project.pytester.path / "tiny.py"
    large = (
        'folder = next(word for word in sys.argv if word.startswith("--result-dir=")).partition("=")[2]\n'
        '        open(os.path.join(folder, "large.vec"), "wb").truncate(65 * 2**20)\n        '
    )
    program.write_text(program.read_text().replace("self.record_scalar", f"{large}self.record_scalar"))
    (project.pytester.path / "conftest.py").write_text(example("pytest_oppcloud_check"))
    project.run("-p", "no:oppcloud").assert_outcomes(passed=1)
    result = project.run("--oppcloud")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*a check wants to see the files of the run, but too large*large.vec (68157440 bytes)*"]
    )
