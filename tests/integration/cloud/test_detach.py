"""Sessions that go on without pytest, and pytest that comes back to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from oppcloud_worker.remote import keys, sessions

from .conftest import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Project, Server, Workers

WaitFor = Callable[[Callable[[], object], float, str], None]

#: Three that pass, one that differs from its baseline, one that crashes.
BODY = """
[Config Passes]
**.value = ${{1..3}}
[Config Differs]
**.value = {value}
[Config Crashes]
**.behaviour = "crash {mark}"
"""
CONFIGS = ("--opp-config=Passes", "--opp-config=Differs", "--opp-config=Crashes")


@pytest.fixture(autouse=True)
def shared_queue(server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # its key
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)


@pytest.fixture
def model(project: Project, tmp_path: Path) -> Project:
    """Give a project whose five runs end in three ways."""
    project.pytester.makeini("[pytest]\n")
    project.write(BODY.format(value=1, mark=tmp_path / "mark"))
    project.record()
    project.write(BODY.format(value=2, mark=tmp_path / "mark"))
    return project


def detach(project: Project, *arguments: str) -> str:
    """Detach a session, and return its id."""
    result = project.run("--oppcloud-detach", *arguments)
    assert result.ret == 0, result.stdout.str()
    match = re.search(r"pytest --oppcloud-attach (\w+)", result.stdout.str())
    assert match is not None
    return match[1]


def finished(server: Server, session: str) -> int:
    runs = sessions.read_runs(server.connection, session, key=KEY)
    return sessions.finished(server.connection, session, runs)


def kinds_of_keys(server: Server) -> set[str]:
    return {name.decode().split(":")[1] for name in server.connection.scan_iter("oppcloud:*")}


def verdicts(junit: Path) -> dict[str, str]:
    """Return what a junit file tells of each item, without times, hosts and properties."""
    found = {}
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314  # pytest wrote it
        parts = [f"{part.tag}: {part.get('message')} {part.text}" for part in case if part.tag != "properties"]
        text = re.sub(r"\.oppcloud/\S+|runID=\S+", "...", "\n".join(parts))
        found[f"{case.get('classname')} {case.get('name')}"] = text
    return found


def test_a_detached_session_is_judged_as_if_pytest_had_stayed(
    model: Project, server: Server, workers: Workers, wait_for: WaitFor
) -> None:
    workers.start(slots=2)
    folder = model.pytester.path
    ordinary = model.run("--oppcloud", *CONFIGS, "--junitxml=ordinary.xml")
    failed = json.loads((folder / ".pytest_cache" / "v" / "cache" / "lastfailed").read_text())
    (folder / ".pytest_cache" / "v" / "cache" / "lastfailed").unlink()

    result = model.run("--oppcloud-detach", *CONFIGS)
    assert result.ret == 0
    assert result.parseoutcomes() == {}
    result.stdout.fnmatch_lines(
        ["5 runs submitted as session *, none judged yet", "judge them: *", "*no tests ran in*"]
    )
    words = re.search(r"judge them:  pytest (.*)", result.stdout.str())
    assert words is not None
    session = words[1].split()[1]
    wait_for(lambda: finished(server, session) == 5, 30, "all runs end while no pytest is there")
    assert not (folder / ".pytest_cache" / "v" / "cache" / "lastfailed").exists()

    attached = model.run(*words[1].split(), "--junitxml=attached.xml")
    assert attached.ret == ordinary.ret == pytest.ExitCode.TESTS_FAILED
    assert attached.parseoutcomes() == ordinary.parseoutcomes() == {"passed": 3, "failed": 2}
    assert verdicts(folder / "attached.xml") == verdicts(folder / "ordinary.xml")
    assert json.loads((folder / ".pytest_cache" / "v" / "cache" / "lastfailed").read_text()) == failed
    attached.stdout.fnmatch_lines(["session * 5 of 5 runs had ended before*"])
    kept = [path.name for path in (folder / ".oppcloud").rglob("stdout.txt")]
    assert len(kept) == 5
    # Nothing of it is left where all was judged.
    assert kinds_of_keys(server) <= {"content", "slot", "slots", "bell", "duty", "idle", "turn"}
    again = model.run("--oppcloud-attach", session, *CONFIGS)
    assert again.ret == pytest.ExitCode.USAGE_ERROR
    again.stderr.fnmatch_lines([f"ERROR: --oppcloud-attach: there is no session {session} at this queue*"])


def test_a_detached_session_waits_for_workers_and_may_be_judged_in_parts(
    model: Project, server: Server, workers: Workers, wait_for: WaitFor
) -> None:
    model.pytester.makepyfile(test_ordinary="def test_ordinary(): pass")
    result = model.run("--oppcloud-detach", ".")
    result.stdout.fnmatch_lines(["6 runs submitted as session *", "no worker serves the queue 'oppcloud' now: *"])
    (session,) = sessions.listed(server.connection)
    workers.start(slots=2)
    part = model.run("--oppcloud-attach", session, "--opp-config=Passes", "omnetpp.ini")
    part.assert_outcomes(passed=3)
    part.stdout.fnmatch_lines([f"session {session} goes on without pytest; 3 of its runs were not judged"])
    wait_for(lambda: finished(server, session) == 6, 30, "all runs end")

    whole = model.run("--oppcloud-attach", session, ".", "-n", "2")
    whole.assert_outcomes(passed=5, failed=2)
    assert sessions.listed(server.connection) == []
    assert "outcome" not in {name.decode().split(":")[2] for name in server.connection.scan_iter(f"*{session}*")}


WAIT = '[Config Wait]\n**.value = ${{1..4}}\n**.behaviour = "wait {path}"\n'


@pytest.fixture
def waiting(project: Project, tmp_path: Path) -> Project:
    """Give a project whose four runs pass when there is a file `go`."""
    project.write(WAIT.format(path=tmp_path / "go"))
    (tmp_path / "go").touch()
    project.record()
    (tmp_path / "go").unlink()
    (tmp_path / "go.started").unlink()
    return project


def starts(tmp_path: Path) -> int:
    path = tmp_path / "go.started"
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.parametrize("after_its_lease", [False, True])
def test_a_killed_pytest_is_gone_on_with(
    waiting: Project, server: Server, workers: Workers, tmp_path: Path, wait_for: WaitFor, after_its_lease: bool
) -> None:
    workers.start()
    killed = waiting.start("--oppcloud", "--opp-config=Wait")
    wait_for(lambda: starts(tmp_path) == 1, 30, "the first run runs")
    killed.kill()
    killed.communicate()
    (session,) = sessions.listed(server.connection)
    if after_its_lease:
        lease = keys.lease(session)
        wait_for(lambda: not server.connection.exists(lease), 30, "the lease ends")
        wait_for(lambda: server.connection.llen("rq:queue:oppcloud") == 0, 60, "nothing is served without a lease")
    (tmp_path / "go").touch()

    result = waiting.run("--oppcloud-attach", session, "--opp-config=Wait")
    result.assert_outcomes(passed=4)
    if not after_its_lease:
        result.stdout.fnmatch_lines([f"oppcloud: * watches session {session}, or was lost: waiting up to 18 s"])
    assert sessions.listed(server.connection) == []
