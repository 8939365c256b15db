"""Simulations that look for the worker's secrets, or take more than they may have: real programs, real workers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.messages import Cause, Limits, RunRequest
from oppcloud_worker.supervision import Guardian

from pytest_oppcloud.cloud.campaign import Submission
from pytest_oppcloud.content import Content

from .conftest import KEY, eventually

if TYPE_CHECKING:
    from .conftest import Client, Processes, Workers

Script = Callable[..., RunRequest]

#: Reads what it can of a process and all that descend from it: environments, command lines, memory, open files. Others
#: are left alone: a worker of another test that has just begun has its key to be seen, until it closes itself.
THIEF = r"""
import os, re, sys
found = []
def look(name, data):
    if re.search(rb"oppcloud-key-1-[0-9a-f]{8}|[0-9a-f]{64}\b.{0}(?<=SECRET)|stolen-[a-z]+", data):
        found.append(name)
me = os.getpid()
look("own environment", open("/proc/self/environ", "rb").read())
def is_of(family, pid):
    while pid not in {0, family}:
        pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    return pid == family
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        if pid == me or not is_of(int(sys.argv[1]), pid):
            continue
    except OSError:
        continue
    try:
        words = open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        continue
    if b"oppcloud_worker" not in words:
        continue
    look(f"command line of {pid}", words)
    print("looked at", words.replace(b"\0", b" ").decode(errors="replace"))
    for part in ("environ", "mem"):
        try:
            with open(f"/proc/{pid}/{part}", "rb", 0) as file:
                if part == "environ":
                    look(f"environment of {words!r}", file.read())
                else:
                    for line in open(f"/proc/{pid}/maps"):
                        start, end = (int(x, 16) for x in line.split()[0].split("-"))
                        if "rw" in line.split()[1] and end - start < 1 << 28:
                            file.seek(start)
                            look(f"memory of {words!r}", file.read(end - start))
        except (OSError, ValueError, OverflowError):
            pass
    try:
        for handle in os.listdir(f"/proc/{pid}/fd"):
            print("open file", os.readlink(f"/proc/{pid}/fd/{handle}"))
    except OSError:
        pass
print("FOUND", sorted(set(found)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps processes of the same user from each other")
def test_a_simulation_finds_no_secret(client: Client, workers: Workers, script: Script, tmp_path: Path) -> None:
    (tmp_path / "thief.py").write_text(THIEF)
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "stolen-aws",
        "MY_TOKEN": "stolen-token",
        "BROKER": "amqp://u:stolen-broker@host/",
    }
    worker = workers.start(slots=1, **secrets)
    outcome = client.run(script(f"exec {sys.executable} {tmp_path}/thief.py {worker.pid}"))

    assert "looked at" in outcome.stdout, outcome.stderr
    assert "oppcloud_worker.remote.slot" in outcome.stdout
    # The thief is marked, and sees the guardian, which knows nothing; of the worker it sees nothing.
    assert "FOUND []" in outcome.stdout
    assert KEY.secret.hex() not in outcome.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_the_thief_would_find_them(tmp_path: Path) -> None:
    (tmp_path / "thief.py").write_text(THIEF)
    victim = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "oppcloud_worker"],
        env={"A_TOKEN": "stolen-token"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert victim.stdout is not None
    victim.stdout.readline()
    said = subprocess.run(
        [sys.executable, str(tmp_path / "thief.py"), str(victim.pid)], capture_output=True, text=True, check=True
    )
    victim.communicate()

    assert "environment of" in said.stdout
    assert "memory of" in said.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has prctl(2)")
def test_a_simulation_gets_no_further_rights(client: Client, workers: Workers, script: Script) -> None:
    workers.start()
    status = client.run(script("grep -E 'NoNewPrivs|CapBnd' /proc/self/status")).stdout.split()

    assert status[status.index("NoNewPrivs:") + 1] == "1"
    if os.geteuid() == 0:
        assert not int(status[status.index("CapBnd:") + 1], 16) & 1 << 19, "it may trace others"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts them")
@pytest.mark.parametrize("asked", [0, 10_000])
def test_a_simulation_that_breeds_is_ended(
    client: Client, workers: Workers, processes: Processes, script: Script, asked: int
) -> None:
    workers.start("--limit-processes", "20")
    request = script(
        "for i in $(seq 60); do sleep 60 & done; wait", limits=Limits(processes=asked, timeout=60), name="breeder"
    )
    outcome = client.run(request)

    assert outcome.cause is Cause.OUT_OF_SPACE
    assert "more than the 20 processes" in outcome.message
    assert not processes.running("sleep")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts them")
def test_a_tree_that_takes_too_much_memory_is_ended(client: Client, workers: Workers, script: Script) -> None:
    workers.start("--limit-memory", "0.1")
    # Each for itself is within the limit.
    hog = f"{sys.executable} -c \"x = b'x' * 50_000_000; import time; time.sleep(60)\""
    outcome = client.run(script(f"{hog} & {hog} & {hog} & wait", limits=Limits(timeout=60)))

    assert outcome.cause is Cause.OUT_OF_MEMORY
    assert "bytes of memory allowed" in outcome.message


def test_the_limits_of_a_worker_hold_whatever_is_asked_for(client: Client, workers: Workers, script: Script) -> None:
    workers.start("--limit-time", "1")
    slow = client.run(script("sleep 60", limits=Limits(timeout=600), name="slow"))
    workers.end()
    # Another one: on a busy machine, what is too large may also take more than a second.
    workers.start("--limit-file-size", "0.001")
    large = client.run(script("exec head -c 5000000 /dev/zero > ${1#--result-dir=}/x", name="large"))

    assert slow.cause is Cause.TIMEOUT
    assert large.cause is Cause.OUT_OF_SPACE


def test_a_simulation_within_its_limits_is_left_alone(client: Client, workers: Workers, script: Script) -> None:
    workers.start("--limit-processes", "20", "--limit-memory", "1")

    assert client.run(script("for i in 1 2 3; do sleep 0.6 & done; wait; echo done")).stdout == "done\n"


#: Becomes an ordinary user, closes itself if it is told to, and waits.
VICTIM = """
import ctypes, os, sys
from oppcloud_worker.confinement import close_to_others
if os.geteuid() == 0:
    os.setuid(65534)
    # To become somebody else closes a process as well; here that is not what is tested.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "closed":
    assert close_to_others()
print(flush=True)
sys.stdin.read()
"""

#: Becomes the same user, and tries to read the environment of another process.
LOOK = """
import os, sys
if os.geteuid() == 0:
    os.setuid(65534)
try:
    print("A_TOKEN" in open(f"/proc/{sys.argv[1]}/environ").read())
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has prctl(2)")
@pytest.mark.parametrize(("state", "seen"), [("open", "True"), ("closed", "Permission denied")])
def test_a_closed_process_is_closed_to_others_of_the_same_user(state: str, seen: str) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, state],
        env={**os.environ, "A_TOKEN": "x"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert victim.stdout is not None
    victim.stdout.readline()
    look = subprocess.run([sys.executable, "-c", LOOK, str(victim.pid)], capture_output=True, text=True, check=True)
    victim.communicate()

    assert look.stdout.strip() == seen


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_what_watches_a_simulation_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "x")
    guardian = Guardian()
    environment = Path(f"/proc/{guardian.pid}/environ")
    # A process that has just begun has none for a moment.
    eventually(environment.read_bytes, 30, "the guardian has an environment")
    known = environment.read_bytes()
    guardian.close()

    assert b"PATH=" in known
    assert b"A_TOKEN" not in known


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Give a folder that everybody can enter."""
    with tempfile.TemporaryDirectory(prefix="opp-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start simulations as another user")
def test_a_simulation_of_another_user_reads_its_content_and_nothing_of_the_worker(
    client: Client, workers: Workers, public_folder: Path, tmp_path: Path
) -> None:
    workers.start("--run-as", "nobody", "--cache", str(public_folder / "cache"), TMPDIR=str(public_folder))
    key_file = public_folder / "key"
    key_file.write_text("stolen-key")
    key_file.chmod(0o600)
    program = tmp_path / "program"
    program.write_text(
        f"""#!/bin/sh
        results=${{1#--result-dir=}}
        id -un; echo $USER; cat data.txt; ls {public_folder}/cache/*/files >&2
        cat {key_file}; ls $results/..; echo changed > data.txt; touch $results/../stdout.txt
        echo "a result" > $results/own.txt
        """
    )
    program.chmod(0o755)
    (tmp_path / "data.txt").write_text("some data\n")
    content = Content(root=tmp_path, files=(("data.txt", tmp_path / "data.txt"), ("program", program)))
    request = RunRequest(
        name="run", program=("./program",), arguments=(), directory=str(tmp_path), config="", run_number=0, repetition=0
    )
    client.executor.submit([Submission(request=request, content=content)])
    outcome = client.executor.result(request)

    assert outcome.stdout == "nobody\nnobody\nsome data\n"
    assert outcome.stderr.count("ermission denied") == 4, outcome.stderr
    assert "data.txt" in outcome.stderr
    assert {file.path: file.size for file in outcome.files}["results/own.txt"] == len("a result\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start simulations as another user")
def test_a_simulation_of_another_user_ends_with_its_worker(
    client: Client, workers: Workers, processes: Processes, script: Script, public_folder: Path
) -> None:
    worker = workers.start("--run-as", "nobody", "--cache", str(public_folder), TMPDIR=str(public_folder))
    client.submit(script("setsid sleep 60 & sleep 60"))
    eventually(lambda: len(processes.running("sleep")) >= 2, 60, "it runs")
    worker.kill()

    eventually(lambda: not processes.running("sleep"), 30, "it is gone")


@pytest.mark.parametrize(
    ("user", "complaint"),
    [
        ("no-such-user", "this machine has no user 'no-such-user'"),
        ("root", "root is root: name a user that owns nothing of the worker's"),
    ],
)
def test_an_account_that_cannot_be_is_refused(workers: Workers, user: str, complaint: str) -> None:
    worker = workers.start("--run-as", user)
    _, said = worker.communicate(timeout=60)

    assert worker.returncode == 2
    assert complaint in said.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start simulations as another user")
def test_a_cache_that_the_account_cannot_enter_is_refused(workers: Workers, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    worker = workers.start("--run-as", "nobody", "--cache", str(tmp_path / "cache"))
    _, said = worker.communicate(timeout=60)

    assert worker.returncode == 2
    assert f"nobody cannot enter {tmp_path}" in said.decode()
    assert "choose another folder with --cache" in said.decode()
