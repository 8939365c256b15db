"""A session of pytest, from its collection to its junit file, while workers, network and Redis are hurt."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faultkit.processes import eventually, send
from oppcloud_worker.remote import sessions

if TYPE_CHECKING:
    from faultkit.cluster import Cluster

MODEL = Path(__file__).parents[1] / "integration" / "plugin" / "tiny_model.py"
INI = """\
[General]
network = Tiny
sim-time-limit = 10s

[Study]
repeat = 2
Tiny.value = ${value=1..5}

[Broken]
Tiny.do = "error"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(MODEL, tmp_path / "model.py")
    (tmp_path / "omnetpp.ini").write_text(INI)
    (tmp_path / "oppcloud.toml").write_text('program = "{python} model.py"\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def session(cluster: Cluster, project: Path, *options: str) -> subprocess.Popen[str]:
    environment = cluster.processes.environment(
        OPPCLOUD_REDIS_URL=cluster.network.url, OPPCLOUD_KEY=cluster.key.to_text()
    )
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    "fault",
    ["slot", pytest.param("redis", marks=pytest.mark.faults), pytest.param("client", marks=pytest.mark.faults)],
)
def test_a_session_judges_each_run_once_and_rightly(cluster: Cluster, project: Path, fault: str) -> None:
    recording = session(cluster, project, "-q", "-p", "no:oppcloud", "--opp-update-baselines=all")
    recording.communicate(timeout=120)
    host = cluster.host(slots=2)
    judging = session(cluster, project, "--oppcloud", "--junit-xml=junit.xml")
    log = cluster.server.connection
    eventually(lambda: list(log.scan_iter("oppcloud:*:outcome:*")), 60, "the first outcome")
    if fault == "slot":
        send(host.slot_processes()[0], signal.SIGKILL)
        cluster.network.tear()
    elif fault == "redis":
        cluster.server.kill()
        cluster.server.forget()
        cluster.server.start()
    else:
        judging.kill()
        judging.communicate()
        (left,) = sessions.listed(log)
        judging = session(cluster, project, "--oppcloud-attach", left, "--junit-xml=junit.xml")
    output, _ = judging.communicate(timeout=120)

    suite = ET.parse(project / "junit.xml").getroot()[0]  # noqa: S314  # our own
    cases = {f"{case.get('classname')} {case.get('name')}": case for case in suite.iter("testcase")}
    assert len(cases) == len(list(suite.iter("testcase"))) == 12, output
    bad = [name for name, case in cases.items() if case.findall("failure") + case.findall("error")]
    assert bad == [name for name in cases if "Broken" in name], output
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0"), output
