"""One project in which everything happens, and pytest run in it in every mode.

What a session gave is taken from its reports and its junit file, not from what it prints: node ids, outcomes, texts,
properties, exit code. `make contract` adds interpreters with other versions of Python and pytest.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from oppcloud_worker.signing import ClusterKey

from pytest_oppcloud.cloud.embedded import find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAM = Path(__file__).parents[1] / "plugin" / "tiny_model.py"
#: Where `make install` puts the plugins of others that only these tests load.
PLUGINS = Path(sys.prefix) / "plugins"
#: Their names. In the environments of `make contract` they are always there.
OTHERS = ("asyncio-cooperative", "html", "metadata", "randomly", "rerunfailures", "timeout")
#: Installed with the tests' own tools; each takes longer than a session here, and has no part in it.
SLOW = ("hypothesispytest", "valkey")
#: The interpreters of `make contract`, and what they add to these tests' own.
PYTHONS = tuple(filter(None, os.environ.get("OPPCLOUD_CONTRACT_PYTHONS", "").split(os.pathsep)))

INI = """\
[General]
network = Tiny
sim-time-limit = 10s
Tiny.log = "{folder}/simulated"

[Config Good]
Tiny.value = ${value=1, 2}

[Config Bad]
Tiny.value = 4

[Config Broken]
Tiny.do = "error"

[Config Crash]
Tiny.do = "crash"

[Config Asks]
Tiny.do = "ask"

[Config Known]
Tiny.do = "error"

[Config Surprise]

[Config Later]

[Config Missing]

[Config Hidden]

[Config Recovers]
Tiny.do = "recover {folder}/been there"

[Config Base]
abstract = true
"""

SETTINGS = """\
program = "{python} tiny_model.py"
files.include = ["tiny_model.py", "*.ini"]

[config.Good]
markers = ["slow"]

[config.Known]
xfail = "one day"

[config.Surprise]
xfail = "one day"

[config.Later]
skip = "not today"

[config.Missing]
program = "nowhere"

[config.Hidden]
program = "nowhere"
xfail = "one day"
"""

#: Of each session: what it ran, to be read by the test.
OBSERVER = """\
import json, pathlib


class Observer:
    def __init__(self):
        self.seen = []

    def pytest_runtest_logreport(self, report):
        outcome = "x" + report.outcome if hasattr(report, "wasxfail") else report.outcome
        self.seen.append([report.nodeid, report.when, outcome])

    def pytest_sessionfinish(self):
        pathlib.Path("seen.json").write_text(json.dumps(self.seen))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Observer())
"""

TESTS = """\
import pathlib
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


def note(word):
    with pathlib.Path(__file__).with_name("fixtures").open("a") as file:
        file.write(word + "\\n")


@pytest.fixture(scope="session")
def whole():
    note("session up")
    yield
    note("session down")


@pytest.fixture(scope="module")
def module(whole):
    note("module up")
    yield
    note("module down")


@pytest.fixture
def cannot():
    raise RuntimeError("no such thing")


@pytest.fixture
def untidy():
    yield
    raise RuntimeError("left a mess")


def test_good(module):
    pass


def test_bad(module):
    assert 1 == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_many(number):
    pass


@pytest.mark.skip(reason="not today")
def test_skipped():
    pass


@pytest.mark.xfail(reason="one day")
def test_known():
    assert False


@pytest.mark.xfail(reason="one day")
def test_surprise():
    pass


@pytest.mark.xfail(reason="one day", strict=True)
def test_strict():
    pass


def test_without_fixture(cannot):
    pass


def test_untidy(untidy):
    pass


class TestClass:
    @pytest.fixture(scope="class", autouse=True)
    def around(self, module):
        note("class up")
        yield
        note("class down")

    def test_one(self):
        pass

    def test_two(self):
        pass
"""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A way to have the same session run."""

    name: str
    options: tuple[str, ...] = ()
    python: str = sys.executable
    #: Whether one session submits and leaves, and another one comes back for the outcomes.
    attaches: bool = False

    @property
    def distributes(self) -> bool:
        """Whether xdist owns the run loop."""
        return "-n" in self.options


PLAIN = Mode(name="plain")
OWN_MODES = (
    Mode(name="blocked", options=("--oppcloud", "-p", "no:oppcloud")),
    Mode(name="xdist", options=("-n", "2")),
    Mode(name="cloud", options=("--oppcloud", "--oppcloud-workers=2")),
    Mode(name="cloud, xdist", options=("--oppcloud", "--oppcloud-workers=2", "-n", "2")),
    Mode(name="attached", attaches=True),
)


@pytest.fixture(scope="session")
def plain() -> Mode:
    """Return the mode that all others are held against."""
    return PLAIN


@pytest.fixture(scope="session")
def modes() -> list[Mode]:
    """Return all other modes."""
    others = [
        Mode(name=f"{mode.name}, {Path(python).parents[1].name}", options=mode.options, python=python)
        for python in PYTHONS
        for mode in (PLAIN, *OWN_MODES)
        if mode.name != "blocked" and not mode.attaches
    ]
    return [*OWN_MODES, *others]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a session gave, without what tells only when and where it ran."""

    exit_code: int
    #: Node id, and its reports: "call passed", "setup skipped", ...; as often as it ran.
    verdicts: dict[str, list[str]]
    #: The test cases of the junit file, sorted.
    junit: tuple[str, ...]
    #: What it counts, and who ran it: versions of pytest count an item with two reports in another way.
    counts: dict[str, str]
    python: str
    #: How often each simulation ran.
    simulated: Counter[str]
    #: What the fixtures of ordinary tests did, in order.
    fixtures: tuple[str, ...]
    output: str

    def agrees_with(self, other: Seen) -> None:
        """Fail unless both sessions gave the same; the message holds what pytest printed."""
        assert self.verdicts == other.verdicts, self.output
        mine, theirs = set(self.junit), set(other.junit)
        difference = "\n\n".join([self.output, *sorted(mine ^ theirs)])
        if self.python == other.python:
            assert (self.junit, self.counts) == (other.junit, other.counts), difference
        else:
            # Whether the first try of an item that was run again is a case of its own depends on the versions.
            assert mine <= theirs or mine >= theirs, difference
        assert self.simulated == other.simulated, self.output
        assert self.exit_code == other.exit_code, self.output


#: Properties that tell where and when a simulation ran, not what it gave.
_OF_THE_MACHINE = {"opp_host", "opp_wall_time", "opp_files", "opp_image"}
_MOVING = (
    (re.compile(r"\.oppcloud/\d{8}-\d{6}-\d+/"), ".oppcloud/SESSION/"),
    (re.compile(r"^\[gw\d+\] .*\n", re.MULTILINE), ""),
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"\b\d+\.\d+s\b"), "TIME"),
)


class Contract:
    """The project, and pytest in it."""

    def __init__(self, folder: Path, queue: Callable[[], dict[str, str]] = dict) -> None:
        """Take the folder, and who tells the variables of a queue that others serve."""
        self.folder = folder
        self._queue = queue

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fresh(self) -> None:
        """Forget what earlier sessions left."""
        for name in (".pytest_cache", ".oppcloud"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "been there").unlink(missing_ok=True)

    def run(self, mode: Mode, *arguments: str, plugins: Sequence[str] = ()) -> Seen:
        """Run pytest once, with these of the plugins of others; twice where it leaves and attaches."""
        if not mode.attaches:
            return self._run(mode, arguments, plugins, {})
        queue = self._queue()
        left = self._run(mode, (*arguments, "--oppcloud-detach"), plugins, queue)
        assert not left.verdicts
        found = re.search(r"--oppcloud-attach (\w+)", left.output)
        assert found is not None, left.output
        return self._run(mode, (*arguments, "--oppcloud-attach", found[1]), plugins, queue, goes_on=True)

    def _run(
        self,
        mode: Mode,
        arguments: Sequence[str],
        plugins: Sequence[str],
        variables: dict[str, str],
        *,
        goes_on: bool = False,
    ) -> Seen:
        for name in ("simulated", "fixtures", "seen.json", "junit.xml")[goes_on:]:
            (self.folder / name).unlink(missing_ok=True)
        foreign = ("OPPCLOUD_", "PYTEST_", "AWS_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        # With it, pytest prints and reports in another way.
        environment.pop("CI", None)
        environment |= variables
        if plugins and mode.python == sys.executable:
            assert PLUGINS.is_dir(), f"{PLUGINS} is missing: make install"
            environment["PYTHONPATH"] = str(PLUGINS)
        others = [word for name in (*OTHERS, *SLOW) if name not in plugins for word in ("-p", f"no:{name}")]
        done = subprocess.run(
            [mode.python, "-m", "pytest", "--junitxml=junit.xml", *others, *mode.options, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert (self.folder / "seen.json").exists(), done.stdout
        verdicts: dict[str, list[str]] = {}
        for nodeid, when, outcome in json.loads((self.folder / "seen.json").read_text()):
            if (when, outcome) not in {("setup", "passed"), ("teardown", "passed")}:
                verdicts.setdefault(nodeid, []).append(f"{when} {outcome}")
        (suite,) = ET.parse(self.folder / "junit.xml").getroot().iter("testsuite")  # noqa: S314  # written by pytest
        return Seen(
            exit_code=done.returncode,
            verdicts={name: sorted(reports) for name, reports in sorted(verdicts.items())},
            junit=_junit(suite, mode.python),
            counts={name: suite.get(name, "") for name in ("errors", "failures", "skipped", "tests")},
            python=mode.python,
            simulated=Counter(self._lines("simulated")),
            fixtures=tuple(self._lines("fixtures")),
            output=done.stdout,
        )

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


def _junit(suite: ET.Element, python: str) -> tuple[str, ...]:
    """Return a junit file without times, hosts, and what an interpreter says in its own words."""
    lines = []
    for case in suite.iter("testcase"):
        assert set(case.keys()) == {"classname", "name", "time"}
        is_simulation = ".ini" in f"{case.get('classname')}"
        told = [f"{case.get('classname')} | {case.get('name')}"]
        properties = [(item.get("name"), item.get("value")) for item in case.iter("property")]
        told += [f"{name}={value}" for name, value in properties if name not in _OF_THE_MACHINE]
        for child in case:
            if child.tag != "properties":
                # The traceback of an ordinary test is Python's business, how a text is cut to a message pytest's.
                text = f"{child.text}" if is_simulation else f"{child.get('message')}".partition("\n")[0]
                told.append(f"{child.tag}: {_settled(text, python)}")
        lines.append("\n".join(told))
    return tuple(sorted(lines))


def _settled(text: str, python: str) -> str:
    for pattern, word in _MOVING:
        text = pattern.sub(word, text)
    return text.replace(python, "PYTHON")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project with its baselines, to be copied; what differs from them is changed afterwards."""
    contract = Contract(tmp_path_factory.mktemp("recorded"))
    contract.write("tiny_model.py", PROGRAM.read_text())
    contract.write("omnetpp.ini", INI.replace("{folder}", str(contract.folder)).replace('"error"', '"work"'))
    contract.write("oppcloud.toml", SETTINGS)
    contract.write("conftest.py", OBSERVER)
    contract.write("pytest.ini", "[pytest]\n")
    (contract.folder / "been there").touch()
    seen = contract.run(PLAIN, "--opp-update-baselines=new")
    recorded = [name for name, reports in seen.verdicts.items() if reports in (["call passed"], ["call xpassed"])]
    assert len(recorded) == 8, seen.output
    return contract.folder


@pytest.fixture(scope="session")
def queue() -> Iterator[Callable[[], dict[str, str]]]:
    """Return who tells the variables of a queue with a worker; both are started when they are first asked for."""
    with ExitStack() as stack:

        @functools.cache
        def started() -> dict[str, str]:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opp-test-", dir="/tmp")))
            server = subprocess.Popen(
                [find_server().path, "--port", "0", "--unixsocket", f"{folder}/s", "--save", "", "--dir", str(folder)],
                stdout=subprocess.DEVNULL,
            )
            stack.callback(server.wait)
            stack.callback(server.terminate)
            variables = {"OPPCLOUD_REDIS_URL": f"unix://{folder}/s", "OPPCLOUD_KEY": ClusterKey.generate().to_text()}
            worker = subprocess.Popen(
                [sys.executable, "-m", "oppcloud_worker", "-n", "2", "--cache", f"{folder}/cache"],
                env={**os.environ, **variables},
                stderr=subprocess.DEVNULL,
            )
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
            return variables

        yield started


@pytest.fixture
def contract(recorded: Path, queue: Callable[[], dict[str, str]], tmp_path: Path) -> Contract:
    """Return the project, whose simulations differ from their baselines where their names say so."""
    shutil.copytree(recorded, tmp_path / "p", ignore=shutil.ignore_patterns(".*", "been there"))
    found = Contract(tmp_path / "p", queue)
    found.write("omnetpp.ini", INI.replace("{folder}", str(found.folder)).replace("Tiny.value = 4", "Tiny.value = 5"))
    found.write("test_ordinary.py", TESTS)
    return found
