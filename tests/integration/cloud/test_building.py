"""Programs that workers build: once, where they run, for all who need them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker import machine
from oppcloud_worker.manifest import build as measure
from oppcloud_worker.manifest import upload
from oppcloud_worker.messages import Cause, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, products
from oppcloud_worker.remote.connection import as_text
from oppcloud_worker.remote.stores import content_store
from oppcloud_worker.signing import ClusterKey

from pytest_oppcloud.cloud.campaign import Submission
from pytest_oppcloud.content import Content, Recipe, content_of
from pytest_oppcloud.project import Program, Project, read_project

if TYPE_CHECKING:
    from .conftest import Client, Processes, Server, Workers
    from .conftest import Project as Folder

WaitFor = Callable[[Callable[[], object], float, str], None]
MakeClient = Callable[..., "Client"]

#: "Compiles" a script; each build leaves a mark outside of what travels, and waits as long as another file is there.
COMPILER = """
echo x >> {marks}
echo compiling source.sh
while [ -e {marks}.wait ]; do sleep 0.02; done
if grep -q error source.sh; then echo "source.sh:1: this is an error" >&2; exit 2; fi
mkdir -p out && touch out/sim.o && cp source.sh out/sim && chmod +x out/sim && ln -s out/sim sim
"""


class Model:
    """A folder with sources, of which a build makes the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "model"
        self.marks = folder / "marks"
        self.folder.mkdir()
        (self.folder / "compile.sh").write_text(COMPILER.format(marks=self.marks))
        (self.folder / "other.txt").write_text("something that stays as it is")
        self.write("#!/bin/sh\necho hello\n")

    def write(self, source: str) -> None:
        (self.folder / "source.sh").write_text(source)

    @property
    def content(self) -> Content:
        """What travels, told anew: files may have changed."""
        return Content(
            root=self.folder,
            files=tuple((name, self.folder / name) for name in ("compile.sh", "other.txt", "source.sh")),
            recipe=Recipe(command=("sh", "compile.sh"), directory=".", mode="", makes=("sim",), timeout=60.0),
        )

    @property
    def builds(self) -> int:
        """How many builds were begun."""
        return len(self.marks.read_text().splitlines()) if self.marks.exists() else 0

    def request(self, name: str) -> RunRequest:
        return RunRequest(
            name=name,
            program=("./sim",),
            arguments=(),
            directory=str(self.folder),
            config="General",
            run_number=0,
            repetition=0,
        )

    def submit(self, client: Client, count: int, prefix: str = "run") -> list[RunRequest]:
        content, requests = self.content, [self.request(f"{prefix}-{number}") for number in range(count)]
        client.executor.submit([Submission(request=request, content=content) for request in requests])
        return requests

    def run(self, client: Client, count: int = 1) -> list[RunOutcome]:
        return [client.executor.result(request) for request in self.submit(client, count)]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def told(client: Client) -> str:
    """Return what people were told, once there is nothing more to come."""
    client.executor.arrived(timeout=0)
    return "\n".join(client.notices)


def said(outcomes: list[RunOutcome]) -> set[str]:
    return {outcome.stdout for outcome in outcomes}


def test_forty_runs_on_two_workers_take_one_build(make_client: MakeClient, workers: Workers, model: Model) -> None:
    workers.start()
    workers.start()
    client = make_client()
    outcomes = model.run(client, 40)

    assert said(outcomes) == {"hello\n"}
    assert model.builds == 1
    (product,) = {outcome.provenance["product"] for outcome in outcomes}
    assert product.endswith(f"built for {machine.system()}")
    assert "oppcloud: built sim on " in told(client)
    assert " s, 2 files" in told(client)
    assert client.dispatcher.statistics.finished == 40
    assert any(line.startswith("built sim on ") for line in client.dispatcher.statistics.lines())

    later = make_client()
    assert said(model.run(later, 2)) == {"hello\n"}
    assert model.builds == 1
    assert "was built before on" in told(later)
    assert later.dispatcher._sender._shipping.sent_bytes == 0

    model.write("#!/bin/sh\necho changed\n")
    changed = make_client()
    assert said(model.run(changed)) == {"changed\n"}
    assert model.builds == 2
    # The one file, the manifest of the sources, and the manifest of sources and product.
    source = (model.folder / "source.sh").stat().st_size
    sources = measure(model.content.files)
    sent = changed.dispatcher._sender._shipping.sent_bytes
    assert source + len(sources.to_bytes()) < sent < source + 4 * len(sources.to_bytes())


def test_clients_at_the_same_time_share_a_build(
    make_client: MakeClient, workers: Workers, model: Model, wait_for: WaitFor
) -> None:
    model.marks.with_suffix(".wait").touch()
    workers.start(slots=2)
    first, second = make_client(), make_client()
    asked = model.submit(first, 3)
    wait_for(lambda: model.builds, 30, "the build begins")
    also = model.submit(second, 3)
    wait_for(lambda: "being built for another session" in told(second), 30, "the other client waits")
    model.marks.with_suffix(".wait").unlink()

    assert said([first.executor.result(request) for request in asked]) == {"hello\n"}
    assert said([second.executor.result(request) for request in also]) == {"hello\n"}
    assert model.builds == 1


def test_a_build_that_fails_is_told_once(client: Client, workers: Workers, model: Model, tmp_path: Path) -> None:
    model.write("error\n")
    workers.start()
    first, *others = model.run(client, 5)

    assert model.builds == 1
    assert first.cause is Cause.BUILD_FAILED
    assert first.message == "`sh compile.sh` failed"
    assert first.exit_code == 2
    assert first.stdout == "compiling source.sh\nsource.sh:1: this is an error\n"
    assert {(other.cause, other.message, other.stdout) for other in others} == {
        (Cause.BUILD_FAILED, "`sh compile.sh` failed (in full at run-0)", "")
    }
    client.executor.keep_files(first, tmp_path / "kept")
    assert (tmp_path / "kept" / "build.log").read_text() == first.stdout
    # Whoever comes later hears the same, and nothing is built again.
    assert model.run(client)[0].message == "`sh compile.sh` failed (in full at run-0)"
    assert model.builds == 1


def test_a_build_that_makes_something_else_is_told(client: Client, workers: Workers, model: Model) -> None:
    (model.folder / "compile.sh").write_text("touch another")
    workers.start()
    (outcome,) = model.run(client)

    assert outcome.cause is Cause.BUILD_FAILED
    assert outcome.message.startswith("the build command made no sim; it made: another.")


def test_a_build_that_takes_too_long_is_ended(
    client: Client, workers: Workers, model: Model, processes: Processes
) -> None:
    model.marks.with_suffix(".wait").touch()
    workers.start()
    content = model.content
    assert content.recipe is not None
    hurried = replace(content, recipe=replace(content.recipe, timeout=0.5))
    client.executor.submit([Submission(request=model.request("run"), content=hurried)])
    outcome = client.executor.result(model.request("run"))

    assert outcome.cause is Cause.BUILD_FAILED
    assert "did not end within 0.5 s" in outcome.message
    assert not processes.running("compile.sh")


def test_a_builder_that_is_killed_is_replaced(
    client: Client, workers: Workers, model: Model, processes: Processes, wait_for: WaitFor
) -> None:
    model.marks.with_suffix(".wait").touch()
    workers.start()
    requests = model.submit(client, 3)
    wait_for(lambda: model.builds == 1, 30, "the build begins")
    # What begins and ends between two looks is told as built, or as lost, only.
    wait_for(lambda: "building sim on " in told(client), 30, "people are told")
    moment = client.dispatcher.board.moment()
    assert ([build.name for build in moment.building], moment.stages[-1]) == (["build of sim"], ("build", 0, 1))
    (slot,) = processes.running("oppcloud_worker.remote.slot")
    os.kill(slot, signal.SIGKILL)
    wait_for(lambda: model.builds == 2, 30, "the build begins again")
    model.marks.with_suffix(".wait").unlink()
    outcomes = [client.executor.result(request) for request in requests]

    assert said(outcomes) == {"hello\n"}
    assert {outcome.attempt for outcome in outcomes} == {1}
    assert "build of sim: attempt 2 after worker lost" in told(client)


def test_a_worker_that_is_told_to_end_hands_its_build_back(
    client: Client, workers: Workers, model: Model, processes: Processes, wait_for: WaitFor
) -> None:
    model.marks.with_suffix(".wait").touch()
    worker = workers.start()
    requests = model.submit(client, 1)
    wait_for(lambda: model.builds == 1, 30, "the build begins")
    worker.terminate()
    worker.wait(60)
    assert not processes.running("compile.sh")
    workers.start()
    wait_for(lambda: model.builds == 2, 30, "the build begins again")
    model.marks.with_suffix(".wait").unlink()

    assert client.executor.result(requests[0]).stdout == "hello\n"


def test_a_session_that_ends_stops_its_build(
    client: Client,
    make_client: MakeClient,
    workers: Workers,
    model: Model,
    processes: Processes,
    server: Server,
    wait_for: WaitFor,
) -> None:
    model.marks.with_suffix(".wait").touch()
    workers.start()
    model.submit(client, 3)
    wait_for(lambda: model.builds == 1, 30, "the build begins")
    client.dispatcher.finish()

    wait_for(lambda: not processes.running("compile.sh"), 30, "the build ends")
    assert not list(server.connection.scan_iter(keys.builder("*")))
    assert not list(server.connection.scan_iter(keys.product("*")))
    model.marks.with_suffix(".wait").unlink()
    # It is the next one's turn at once.
    assert model.run(make_client())[0].stdout == "hello\n"


@pytest.mark.parametrize("key", [None, ClusterKey.generate()], ids=["unsigned", "a stranger's"])
def test_what_somebody_else_remembers_is_not_used(
    make_client: MakeClient, workers: Workers, model: Model, server: Server, tmp_path: Path, key: ClusterKey | None
) -> None:
    workers.start()
    assert said(model.run(make_client())) == {"hello\n"}
    (tmp_path / "evil").write_text("#!/bin/sh\necho evil\n")
    (tmp_path / "evil").chmod(0o755)
    files = [("sim", tmp_path / "evil")]
    evil = measure(files)
    upload(evil, files, content_store("", server.connection))
    (name,) = server.connection.scan_iter(keys.product("*"))
    product = products.Product(digest=evil.digest, host="evil", seconds=1.0)
    products.remember(server.connection, as_text(name).rpartition(":")[2], product, key=key)

    assert said(model.run(make_client())) == {"hello\n"}
    assert model.builds == 2


def test_a_product_that_the_store_lost_is_built_again(
    make_client: MakeClient, workers: Workers, model: Model, server: Server
) -> None:
    workers.start()
    model.run(make_client())
    for name in server.connection.scan_iter(keys.content() + "*"):
        server.connection.delete(name)

    assert said(model.run(make_client())) == {"hello\n"}
    assert model.builds == 2


def test_a_product_that_the_store_forgets_meanwhile_is_sent_again(
    client: Client, workers: Workers, model: Model, server: Server, tmp_path: Path, wait_for: WaitFor
) -> None:
    workers.start()
    assert said(model.run(client)) == {"hello\n"}
    shipping = client.dispatcher._sender._shipping
    # It is fetched after the runs were sent, and the first one may be back before it is whole.
    size = (model.folder / "source.sh").stat().st_size
    wait_for(
        lambda: (
            shipping._copies is not None
            and [path.stat().st_size for path in Path(shipping._copies.name).iterdir()] == [size]
        ),
        30,
        "a copy of the product is here",
    )
    for name in server.connection.scan_iter(keys.content() + "*"):
        server.connection.delete(name)
    for path in (tmp_path / "cache").glob("[0-9a-f]" * 64):
        shutil.rmtree(path)

    assert said(model.run(client)) == {"hello\n"}
    assert model.builds == 1


# -- programs that are built already ---------------------------------------------------------------------------------


def needs_a_compiler() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no C compiler (gcc)")


def compiled(folder: Path, name: str, text: str, *options: str) -> Path:
    needs_a_compiler()
    (folder / f"{name}.c").write_text(text)
    command = ["gcc", f"{name}.c", "-o", name, *options]
    subprocess.run(command, cwd=folder, check=True)
    return folder / name


def program(path: Path, *files: Path, ned_path: tuple[str, ...] = ()) -> Program:
    return Program(words=(f"./{path.name}",), ned_path=ned_path, files=(path, *files), mode="release", reason="")


def run_program(client: Client, content: Content, path: Path) -> RunOutcome:
    request = RunRequest(
        name="run",
        program=(f"./{path.name}",),
        arguments=(),
        directory=str(path.parent),
        config="General",
        run_number=0,
        repetition=0,
    )
    client.executor.submit([Submission(request=request, content=content)])
    return client.executor.result(request)


def test_on_the_same_system_the_built_files_travel(client: Client, workers: Workers, tmp_path: Path) -> None:
    path = compiled(tmp_path, "sim", 'int puts(const char*);\nint main() { return puts("built here") < 0; }\n')
    settings = tmp_path / "oppcloud.toml"
    settings.write_text('program = "./sim"\nbuild = "false"\n')
    content = content_of(read_project(settings), program(path), tmp_path)
    workers.start()

    assert content.recipe is not None
    assert run_program(client, content, path).stdout == "built here\n"


def test_elsewhere_they_are_built_anew(client: Client, workers: Workers, tmp_path: Path) -> None:
    path = compiled(tmp_path, "sim", 'int puts(const char*);\nint main() { return puts("built here") < 0; }\n')
    settings = tmp_path / "oppcloud.toml"
    settings.write_text('program = "./sim"\nbuild = ["sh", "-c", "sed -i s/here/there/ sim.c; gcc sim.c -o sim"]\n')
    content = content_of(read_project(settings), program(path), tmp_path)
    # As if it had been built here for another C library.
    client.dispatcher._sender._provider._system = "linux-x86_64-glibc-2.1"
    workers.start()

    assert run_program(client, content, path).stdout == "built there\n"


def test_a_program_for_another_machine_is_refused_before_it_runs(
    client: Client, workers: Workers, tmp_path: Path
) -> None:
    path = compiled(tmp_path, "sim", "int main() { return 0; }\n")
    data = bytearray(path.read_bytes())
    # e_machine: EM_S390.
    data[18:20] = (22).to_bytes(2, "little")
    path.write_bytes(data)
    workers.start()
    outcome = run_program(client, content_of(Project(), program(path), tmp_path), path)

    assert outcome.cause is Cause.VERSION_MISMATCH
    assert outcome.message.startswith(f"sim was built for s390x, but the workers of the queue are: {machine.system()}")
    assert outcome.command == ()


def test_a_library_of_a_neighbouring_project_travels(client: Client, workers: Workers, tmp_path: Path) -> None:
    library, home = tmp_path / "library", tmp_path / "model"
    library.mkdir()
    home.mkdir()
    (library / "Library.ned").touch()
    shared = ("-shared", "-fPIC")
    file = compiled(library, "liblibrary.so", 'const char* words() { return "the neighbour"; }\n', *shared)
    path = compiled(
        home,
        "sim",
        "int puts(const char*); const char* words();\nint main() { return puts(words()) < 0; }\n",
        f"-L{library}",
        "-llibrary",
        # As opp_makemake does: where it was built.
        f"-Wl,-rpath,{library}",
    )
    (home / "oppcloud.toml").write_text('program = "./sim"\nned_path = [".", "../library"]\n')
    content = content_of(read_project(home / "oppcloud.toml"), program(path, ned_path=(".", "../library")), home)
    assert ("library/liblibrary.so", file) in content.files
    assert "library/Library.ned" in dict(content.files)
    # What is run is what was sent, not what happens to lie there.
    client.dispatcher._sender._shipping.send(content)
    file.unlink()
    workers.start()

    assert run_program(client, content, path).stdout == "the neighbour\n"


# -- as people see it ------------------------------------------------------------------------------------------------


def test_a_session_with_a_build(
    project: Folder, server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    folder = project.pytester.path
    project.write("repeat = 3\n")
    project.record()
    build = "printf '#!%s\\\\n' {python} > sim; cat tiny.py >> sim; chmod +x sim; test ! -e broken.ini"
    build = build.replace("{python}", sys.executable)
    settings = f'program = "./sim"\nbuild = ["sh", "-c", "{build}"]\n[files]\ninclude = ["tiny.py", "*.ini"]\n'
    (folder / "oppcloud.toml").write_text(settings)
    missing = project.run("-p", "no:oppcloud")
    missing.assert_outcomes(errors=3)
    missing.stdout.fnmatch_lines(["*none of these programs exists: ./sim*"])
    workers.start()

    result = project.run("--oppcloud", "--junitxml=junit.xml")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["3 simulations by ./sim (release, sim of oppcloud.toml, to be built by its worker)", "built sim on *"]
    )
    assert (folder / "junit.xml").read_text().count('name="opp_product"') == 3

    (folder / "broken.ini").touch()
    broken = project.run("--oppcloud", "omnetpp.ini")
    broken.assert_outcomes(errors=3)
    broken.stdout.fnmatch_lines(
        [
            "build failed: `sh -c *` failed",
            "build failed: `sh -c *` failed (in full at omnetpp.ini::General::#0)",
            "3 runs failed in the machinery, not in the simulation: build failed (3)",
        ]
    )
