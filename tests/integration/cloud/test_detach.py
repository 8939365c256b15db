"""Sessions that go on without pytest, and pytest that comes back to them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from oppcloud_worker.remote import keys, sessions
from oppcloud_worker.signing import ClusterKey

from pytest_oppcloud.cli import main

from .conftest import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Processes, Project, Server, Workers

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
    part = model.run("--oppcloud-attach", session, "--opp-config=Passes", "omnetpp.ini", "--oppcloud-results=first")
    part.assert_outcomes(passed=3)
    part.stdout.fnmatch_lines([f"session {session} goes on without pytest: 3 runs not judged yet"])
    wait_for(lambda: finished(server, session) == 6, 30, "all runs end")

    # What was judged before is judged again, its files are still there.
    whole = model.run("--oppcloud-attach", session, ".", "-n", "2", "--oppcloud-results=second")
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


@pytest.fixture
def begun(
    waiting: Project, server: Server, workers: Workers, tmp_path: Path, wait_for: WaitFor
) -> tuple[subprocess.Popen[bytes], str]:
    """Start pytest in the waiting project; return it, and the id of its session, when the first run is at work."""
    workers.start()
    process = waiting.start("--oppcloud", "--opp-config=Wait")
    wait_for(lambda: starts(tmp_path) == 1, 30, "the first run runs")
    (session,) = sessions.listed(server.connection)
    return process, session


def test_a_killed_pytest_is_gone_on_with(
    waiting: Project, begun: tuple[subprocess.Popen[bytes], str], server: Server, tmp_path: Path
) -> None:
    killed, session = begun
    following = waiting.start("--oppcloud-attach", session, "--opp-config=Wait")
    assert following.stdout is not None
    told = b""
    while b"watches session" not in told:
        told = following.stdout.readline()
        assert told, "it ends"
    killed.kill()
    killed.communicate()
    # Instead of the 18 seconds that its place is kept.
    server.connection.delete(keys.client(session))
    (tmp_path / "go").touch()
    output, _ = following.communicate(timeout=60)

    assert following.returncode == 0, output.decode()
    assert b"4 passed" in output
    assert starts(tmp_path) == 4
    assert sessions.listed(server.connection) == []


def test_a_session_is_gone_on_with_after_its_runs_were_stopped(
    waiting: Project,
    begun: tuple[subprocess.Popen[bytes], str],
    server: Server,
    processes: Processes,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    killed, session = begun
    killed.kill()
    killed.communicate()
    # Instead of the 18 seconds that they last.
    server.connection.delete(keys.lease(session), keys.client(session))
    wait_for(lambda: not processes.running("tiny.py"), 30, "the run is stopped")
    (tmp_path / "go").touch()

    waiting.run("--oppcloud-attach", session, "--opp-config=Wait").assert_outcomes(passed=4)


def test_ctrl_c_leaves_a_detached_session_going(
    waiting: Project, server: Server, workers: Workers, tmp_path: Path, wait_for: WaitFor
) -> None:
    workers.start()
    session = detach(waiting, "--opp-config=Wait")
    attached = waiting.start("--oppcloud-attach", session, "--opp-config=Wait")
    assert attached.stdout is not None
    told = b""
    while b"runs had ended before" not in told:
        told = attached.stdout.readline()
        assert told, "it ends"
    wait_for(lambda: starts(tmp_path) == 1, 30, "the first run runs")
    attached.send_signal(signal.SIGINT)
    output, _ = attached.communicate(timeout=60)
    assert attached.returncode == pytest.ExitCode.INTERRUPTED
    assert f"session {session} goes on without pytest: 4 runs not judged yet".encode() in output
    assert f"pytest --oppcloud-attach {session} --opp-config=Wait".encode() in output
    (tmp_path / "go").touch()
    wait_for(lambda: finished(server, session) == 4, 30, "it goes on")

    waiting.run("--oppcloud-attach", session, "--opp-config=Wait").assert_outcomes(passed=4)
    assert starts(tmp_path) == 4


def test_runs_of_a_dead_worker_go_to_another_while_no_pytest_is_there(
    waiting: Project, server: Server, workers: Workers, processes: Processes, tmp_path: Path, wait_for: WaitFor
) -> None:
    session = detach(waiting, "--opp-config=Wait")
    workers.start()
    wait_for(lambda: starts(tmp_path) == 1, 30, "the first run runs")
    processes.kill("-m oppcloud_worker")
    (tmp_path / "go").touch()
    workers.start()

    wait_for(lambda: finished(server, session) == 4, 60, "all runs end")
    assert starts(tmp_path) == 5


def test_what_is_judged_is_what_was_submitted(
    model: Project, server: Server, workers: Workers, tmp_path: Path, wait_for: WaitFor
) -> None:
    workers.start(slots=2)
    session = detach(model, *CONFIGS)
    attach = ("--oppcloud-attach", session)
    strange = model.run(*attach, "--opp-config=General", "--opp-config=Passes")
    assert strange.ret == pytest.ExitCode.USAGE_ERROR
    strange.stderr.fnmatch_lines([f"*omnetpp.ini::General::#0 is not part of session {session}: select what*"])
    options = model.run(*attach, "--opp-config=Differs", "--opp-timeout=77s")
    assert options.ret == pytest.ExitCode.USAGE_ERROR
    options.stderr.fnmatch_lines(["*omnetpp.ini::Differs::#0: settings have changed since session*"])
    wait_for(lambda: finished(server, session) == 5, 30, "all runs end")

    # Another machine: the same files elsewhere. Baselines are no part of what was submitted.
    elsewhere = tmp_path / "other" / "place"
    shutil.copytree(model.pytester.path, elsewhere, ignore=shutil.ignore_patterns(".oppcloud"))
    command = [sys.executable, "-m", "pytest", *attach, *CONFIGS]
    update = subprocess.run([*command, "-k", "Differs", "--opp-update-baselines=changed"], cwd=elsewhere, check=False)
    assert update.returncode == 0
    ini = (elsewhere / "omnetpp.ini").read_text()
    (elsewhere / "omnetpp.ini").write_text(ini + "# changed\n")
    changed = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert changed.returncode == pytest.ExitCode.USAGE_ERROR
    assert "and 0 more" not in changed.stderr
    assert "omnetpp.ini::Crashes::#0: files have changed since session" in changed.stderr
    (elsewhere / "omnetpp.ini").write_text(ini)
    same = subprocess.run([*command, "-n", "2"], cwd=elsewhere, capture_output=True, text=True, check=False)
    assert "1 failed, 4 passed" in same.stdout
    assert sessions.listed(server.connection) == []


def test_a_changed_model_is_refused_with_xdist_as_well(model: Project) -> None:
    session = detach(model, *CONFIGS)
    model.write("[Config Passes]\n")
    result = model.run("--oppcloud-attach", session, "--opp-config=Passes", "-n", "1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.parseoutcomes() == {}
    result.stdout.fnmatch_lines(["--oppcloud-attach: omnetpp.ini::Passes::#0 is not part of session*"])


def test_sessions_are_listed_and_cancelled(
    waiting: Project,
    server: Server,
    workers: Workers,
    processes: Processes,
    tmp_path: Path,
    wait_for: WaitFor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers.start()
    session = detach(waiting, "--opp-config=Wait")
    wait_for(lambda: starts(tmp_path) == 1, 30, "the first run runs")
    capsys.readouterr()
    assert main(["sessions"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "who", "since", "finished", "running", "state", "what"]
    assert re.search(rf"^{session}  \S+@\S+  .*  0/4  +1  +detached until .*: pytest .*--oppcloud-detach", line)

    assert main(["cancel", session]) == 0
    assert processes.running("tiny.py") == {}
    assert list(server.connection.scan_iter(f"oppcloud:*{session}*")) == []
    assert "taken" not in kinds_of_keys(server)
    capsys.readouterr()
    assert main(["sessions"]) == 0
    assert capsys.readouterr().out == "no sessions\n"
    assert main(["cancel", session]) == 1
    assert f"there is no session {session} at this queue" in capsys.readouterr().err


def test_pytest_hears_that_its_session_was_cancelled(
    begun: tuple[subprocess.Popen[bytes], str], server: Server
) -> None:
    watching, session = begun
    assert main(["cancel", session]) == 0
    output, _ = watching.communicate(timeout=60)

    assert watching.returncode == pytest.ExitCode.TESTS_FAILED
    # The run that was under way tells it, too.
    assert output.count(f"session {session} was taken away by `oppcloud cancel` of ".encode()) >= 4
    assert b"4 errors" in output
    assert list(server.connection.scan_iter(f"oppcloud:*{session}*")) == [keys.client(session).encode()]


def test_results_are_fetched_as_runs_leave_them(
    model: Project,
    server: Server,
    workers: Workers,
    tmp_path: Path,
    wait_for: WaitFor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers.start(slots=2)
    session = detach(model, *CONFIGS)
    wait_for(lambda: finished(server, session) == 5, 30, "all runs end")
    capsys.readouterr()
    (tmp_path / "file").touch()
    assert main(["results", session, "--to", str(tmp_path / "file")]) == 1
    told = f"oppcloud results: result files cannot be put into {tmp_path}/file: File exists\n"
    assert capsys.readouterr().err == told
    assert main(["results", session, "--to", str(tmp_path / "fetched")]) == 0
    assert capsys.readouterr().out == f"results of 5 runs in {tmp_path}/fetched\n"
    model.run("--oppcloud-attach", session, *CONFIGS, f"--oppcloud-results={tmp_path}/attached")

    names = [
        sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        for folder in (tmp_path / "fetched", tmp_path / "attached")
    ]
    assert names[0] == names[1]
    assert {"results/Differs-#0.sca", "results/Crashes-#0.out"} <= set(names[0])


def test_what_keeps_people_from_their_sessions_is_told(
    model: Project, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = detach(model, "--opp-config=Passes")
    capsys.readouterr()
    monkeypatch.setenv("OPPCLOUD_KEY", ClusterKey.generate().to_text())
    for command in (["sessions"], ["cancel", session], ["results", session]):
        assert main(command) == 1
        assert f"the record of session {session} cannot be trusted: it is signed with" in capsys.readouterr().err
    refused = model.run("--oppcloud-attach", session, "--opp-config=Passes")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["ERROR: --oppcloud-attach: the record of session * cannot be trusted*"])
    server.stop()
    assert main(["sessions"]) == 1
    assert "cannot be used" in capsys.readouterr().err
    monkeypatch.delenv("OPPCLOUD_REDIS_URL")
    assert main(["sessions"]) == 1
    assert "OPPCLOUD_REDIS_URL is not set" in capsys.readouterr().err
