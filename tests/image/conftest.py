"""What the image tests need: a container tool that works here, bases to build on, the image, a queue.

They take minutes and fill a gigabyte of disk, so they run only when asked for: `make image-test`. Where the official
images are not to be had, bases are made of Debian's packages (mmdebstrap, as root), with the OMNeT++ of this machine in
one of them if there is one (`opp_run` on the PATH).
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from pytest_oppcloud.cloud.embedded import find_server
from pytest_oppcloud.errors import SettingsError
from pytest_oppcloud.images import Recipe, Reference, find_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
#: Set by `make image-test`.
WANTED = "OPPCLOUD_IMAGE_TESTS"
#: Bases of one's own: a Debian or Ubuntu without and with OMNeT++.
PLAIN_BASE = "OPPCLOUD_TEST_PLAIN_BASE"
OMNETPP_BASE = "OPPCLOUD_TEST_OMNETPP_BASE"
#: Stand-ins where mmdebstrap is not there.
_PLAIN_IMAGE = "docker.io/library/python:3.12-slim-bookworm"
_OMNETPP_IMAGE = "ghcr.io/omnetpp/omnetpp:u24.04-6.1.0"
#: Bases and layers stay from one run to the next.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-oppcloud" / "image-tests"
_SYSTEMD = Path("/run/systemd/system")
PASSWORD = "only-for-the-tests"  # noqa: S105  # of a server that the tests start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.image)
            if not os.environ.get(WANTED):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make image-test"))


@dataclass(frozen=True, kw_only=True)
class Containers:
    """docker or podman, as a user calls them."""

    name: str
    path: str
    started: list[str] = field(default_factory=list)

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([self.path, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            pytest.fail(f"{self.name} {' '.join(arguments)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def inspect(self, what: str, template: str) -> str:
        return self.call("inspect", "--format", template, what).stdout.strip()

    def run(self, image: str, *arguments: str, options: Sequence[str] = (), check: bool = True) -> str:
        """Run a container to its end; return what it printed."""
        done = self.call("run", "--rm", *self.quiet, *options, image, *arguments, check=check)
        return done.stdout + done.stderr

    def start(self, name: str, image: str, *arguments: str, options: Sequence[str] = ()) -> str:
        """Start a container in the background; it is removed after the test."""
        self.call("rm", "--force", "--volumes", name, check=False)
        self.started.append(name)
        self.call("run", "--detach", "--name", name, *self.quiet, *options, image, *arguments)
        return name

    def execute(self, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.call("exec", container, *command, check=False)

    def health_check(self, image: str) -> list[str]:
        """Return the command of an image's health check."""
        details = json.loads(self.call("image", "inspect", image).stdout)[0]
        # podman and docker have it at different places.
        check = details.get("Healthcheck") or details["Config"]["Healthcheck"]
        kind, *words = map(str, check["Test"])
        assert kind == "CMD"
        return words

    def health(self, container: str) -> tuple[int, str]:
        """Run the image's own health check, now, in a container."""
        done = self.execute(container, *self.health_check(self.inspect(container, "{{.Image}}")))
        return done.returncode, done.stdout + done.stderr

    @property
    def quiet(self) -> list[str]:
        """Options for podman where there is no systemd that could call health checks from time to time."""
        return ["--no-healthcheck"] if self.name == "podman" and not _SYSTEMD.exists() else []


#: What simulations in these containers take their host to be called.
HOSTNAME = "in-a-container"
#: How a worker is to be run where its surroundings are not trusted.
HARDENED = (
    "--network=host",
    f"--hostname={HOSTNAME}",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp:mode=1777",
    "--tmpfs=/var/cache/oppcloud:mode=1777,exec",
)


def _configure_podman() -> None:
    """Make podman work as root in plain virtual machines: without systemd, without the right to raise limits."""
    CACHE.mkdir(parents=True, exist_ok=True)
    storage, containers = CACHE / "storage.conf", CACHE / "containers.conf"
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{CACHE}/storage"\nrunroot = "{CACHE}/run"\n')
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    # What this process has, where it may not be raised; podman would try to.
    known = {name: resource.getrlimit(number) for name, number in limits.items()}
    given = [f'"{name}={min(soft, 4096)}:{min(hard, 4096)}"' for name, (soft, hard) in known.items() if hard > 0]
    engine = ['events_logger = "file"']
    if not _SYSTEMD.exists():
        engine.append('cgroup_manager = "cgroupfs"')
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists() and shutil.which("runc"):
        # Its other runtime, crun, refuses the first version of control groups mixed with the second.
        engine.append('runtime = "runc"')
    containers.write_text(
        f"[containers]\ndefault_ulimits = [{', '.join(given)}]\n"
        f'[network]\nnetwork_config_dir = "{CACHE}/networks"\n'
        "[engine]\n" + "\n".join(engine) + "\n"
    )
    os.environ.update(CONTAINERS_STORAGE_CONF=str(storage), CONTAINERS_CONF=str(containers), BUILDAH_ISOLATION="chroot")


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """Give a tool that builds and runs containers on this machine."""
    if platform.system() != "Linux":
        pytest.skip("only Linux has containers in the network of the host, through which the tests reach them")
    before = dict(os.environ)
    try:
        tool = find_tool()
        if tool.name == "buildah":
            pytest.skip("buildah builds images, but docker or podman must run them")
    except SettingsError as error:
        pytest.skip(str(error))
    if tool.name == "podman" and os.geteuid() == 0:
        _configure_podman()
    yield Containers(name=tool.name, path=tool.path)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def fresh(containers: Containers) -> Iterator[Containers]:
    """Give the tool; what the test started is removed after it."""
    containers.started.clear()
    yield containers
    for name in containers.started:
        containers.call("rm", "--force", "--volumes", name, check=False)


# -- bases ------------------------------------------------------------------------------------------------------------


def _exists(containers: Containers, image: str) -> bool:
    return containers.call("image", "inspect", image, check=False).returncode == 0


def _suite() -> str:
    """Return the Debian to make: that of this machine if it is one, so that its programs run there."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    return release.get("VERSION_CODENAME", "bookworm") if release.get("ID") == "debian" else "bookworm"


def _build(containers: Containers, folder: Path, name: str) -> str:
    """Build a base with the tool that the project itself uses."""
    find_tool(containers.name).build(Recipe(context=folder, name=Reference.parse(name)))
    return name


def _make_plain(containers: Containers, folder: Path) -> str:
    """Make a Debian with Python; behind a proxy of its own, pip finds what it needs to trust it."""
    name = f"localhost/oppcloud-test-{_suite()}:1"
    if _exists(containers, name):
        return name
    archive = folder / "base.tar"
    packages = "ca-certificates,python3-venv"
    subprocess.run(
        [_mmdebstrap(), "--quiet", "--variant=minbase", f"--include={packages}", _suite(), str(archive)], check=True
    )
    containers.call("import", str(archive), f"{name}-raw")
    archive.unlink()
    lines = [f"FROM {name}-raw", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    certificates = os.environ.get("PIP_CERT")
    if certificates:
        shutil.copy(certificates, folder / "certificates.crt")
        lines += [
            "COPY certificates.crt /etc/ssl/certs/ca-certificates.crt",
            "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
        ]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return _build(containers, folder, name)


def _make_with_omnetpp(containers: Containers, plain: str, root: Path, folder: Path) -> str:
    """Put the OMNeT++ of this machine where the official images have it."""
    name = f"localhost/oppcloud-test-omnetpp-{_suite()}:1"
    if _exists(containers, name):
        return name
    for part in ("bin", "include", "lib", "Makefile.inc", "configure.user", "Version", "images"):
        source = root / part
        if source.is_dir():
            shutil.copytree(source, folder / "omnetpp" / part, symlinks=True)
        elif source.exists():
            shutil.copy(source, folder / "omnetpp" / part)
    (folder / "Dockerfile").write_text(
        f"FROM {plain}\n"
        "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"
        " g++ make libsqlite3-0 libxml2 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*\n"
        "COPY omnetpp /root/omnetpp\n"
    )
    return _build(containers, folder, name)


def _pulled(containers: Containers, image: str) -> str:
    if not _exists(containers, image) and containers.call("pull", image, check=False).returncode != 0:
        pytest.skip(f"neither mmdebstrap (as root) to make a base, nor {image} to be had")
    return image


def _mmdebstrap() -> str:
    """Return the program that makes a Debian, "" where it is not or cannot be used."""
    return (os.geteuid() == 0 and shutil.which("mmdebstrap")) or ""


@pytest.fixture(scope="session")
def plain_base(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a base without OMNeT++."""
    given = os.environ.get(PLAIN_BASE)
    if given:
        return given
    if _mmdebstrap():
        return _make_plain(containers, tmp_path_factory.mktemp("plain"))
    return _pulled(containers, _PLAIN_IMAGE)


@pytest.fixture(scope="session")
def omnetpp_base(
    containers: Containers, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Give a base with OMNeT++."""
    given = os.environ.get(OMNETPP_BASE)
    if given:
        return given
    program = shutil.which("opp_run")
    if _mmdebstrap():
        if program is None:
            pytest.skip(f"no OMNeT++ here (opp_run on the PATH) to make a base of, and {OMNETPP_BASE} names none")
        root = Path(program).resolve().parents[1]
        plain: str = request.getfixturevalue("plain_base")
        return _make_with_omnetpp(containers, plain, root, tmp_path_factory.mktemp("omnetpp"))
    return _pulled(containers, _OMNETPP_IMAGE)


# -- images -----------------------------------------------------------------------------------------------------------


def _oppcloud_image_build(name: str, base: str, *options: str) -> str:
    """Build the image with the command that users have; return its name."""
    oppcloud = str(Path(sys.executable).with_name("oppcloud"))
    command = [oppcloud, "image", "build", str(ROOT), "--tag", name, "--base", base]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"the image was not built:\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
    return name


@pytest.fixture(scope="session")
def image(plain_base: str) -> str:
    """Build the worker's image without OMNeT++."""
    return _oppcloud_image_build("localhost/oppcloud-test-worker:1", plain_base)


@pytest.fixture(scope="session")
def omnetpp_image(omnetpp_base: str) -> str:
    """Build the worker's image with OMNeT++."""
    return _oppcloud_image_build("localhost/oppcloud-test-worker-omnetpp:1", omnetpp_base)


# -- the queue --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A Redis on this machine."""

    port: int

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def connect(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Give a real Redis with a password, reached through this machine's loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = f"bind 127.0.0.1\nport {port}\nrequirepass {PASSWORD}\nsave ''\ndir {tmp_path}\n"
    server = subprocess.Popen([find_server().path, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert server.stdin is not None
    server.stdin.write(settings.encode())
    server.stdin.close()
    found = Queue(port=port)
    eventually(lambda: _answers(found))
    yield found
    server.terminate()
    server.wait()


def _answers(queue: Queue) -> bool:
    try:
        with queue.connect() as connection:
            return bool(connection.ping())
    except redis.ConnectionError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"did not become true within {seconds:g} s")
        time.sleep(0.1)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., None]:
    return eventually


StartWorker = Callable[..., str]


@pytest.fixture
def start_worker(fresh: Containers, queue: Queue) -> StartWorker:
    """Give what starts a confined worker, waits until it serves the queue, and returns the container's name."""

    def start(image: str, *, slots: int = 2) -> str:
        name = f"oppcloud-test-{len(fresh.started)}"
        fresh.start(name, image, "-n", str(slots), options=[*HARDENED, f"--env=OPPCLOUD_REDIS_URL={queue.url}"])
        eventually(lambda: fresh.health(name)[0] == 0)
        return name

    return start


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A `pytest --oppcloud` on the examples, outside of any container."""

    process: subprocess.Popen[str]
    report: Path

    def results(self) -> dict[str, dict[str, str]]:
        """Wait for its end, which must be a good one; return what junit tells of each run."""
        output, _ = self.process.communicate()
        assert self.process.returncode == 0, output
        return {
            f"{case.get('classname')} {case.get('name')}": {
                item.get("name", "").removeprefix("opp_"): item.get("value", "") for item in case.iter("property")
            }
            for case in ET.parse(self.report).iter("testcase")  # noqa: S314  # our own file
        }


StartCampaign = Callable[..., Campaign]


@pytest.fixture
def start_campaign(tmp_path: Path, queue: Queue) -> Iterator[StartCampaign]:
    """Give what starts a campaign on the examples."""
    started: list[Campaign] = []

    def start(*arguments: str, url: str = queue.url, key: str = "", folder: Path = ROOT / "example_sims") -> Campaign:
        report = tmp_path / "report.xml"
        command = [sys.executable, "-m", "pytest", "--oppcloud", f"--junitxml={report}", "-q", "-p", "no:cacheprovider"]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env={**os.environ, "OPPCLOUD_REDIS_URL": url, "OPPCLOUD_KEY": key},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(Campaign(process=process, report=report))
        return started[-1]

    yield start
    for campaign in started:
        if campaign.process.poll() is None:
            campaign.process.kill()
            campaign.process.communicate()
