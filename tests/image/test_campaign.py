"""Campaigns that are sent from outside and run in containers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.image.conftest import Campaign, Containers, Queue, StartCampaign, StartWorker

EXAMPLES = Path(__file__).parents[2] / "example_sims"


def _check(campaign: Campaign) -> None:
    """Make sure that all simulations passed, and ran in containers."""
    results = campaign.results()
    assert len(results) > 10
    assert {properties["host"] for properties in results.values()} == {"in-a-container"}


def test_examples_run_on_the_embedded_engine(
    image: str, start_worker: StartWorker, start_campaign: StartCampaign
) -> None:
    start_worker(image)

    _check(start_campaign("--opp-program=engine"))


def test_stopped_worker_hands_its_runs_to_the_next(
    fresh: Containers, image: str, queue: Queue, start_worker: StartWorker, start_campaign: StartCampaign
) -> None:
    first = start_worker(image)
    campaign = start_campaign("--opp-program=engine", "mm1")
    with queue.connect() as connection:
        while not any(connection.xlen(key) > 2 for key in connection.scan_iter("oppcloud:*:events")):
            assert campaign.process.poll() is None
    fresh.call("stop", "--time", "20", first)

    assert campaign.process.poll() is None, "it was over before the worker was stopped"
    start_worker(image)

    _check(campaign)
    assert fresh.inspect(first, "{{.State.ExitCode}}") == "0"


def test_programs_built_at_the_desk_run_on_omnetpp(
    omnetpp_image: str, start_worker: StartWorker, start_campaign: StartCampaign, tmp_path: Path
) -> None:
    makemake = shutil.which("opp_makemake")
    if makemake is None:
        pytest.skip("no OMNeT++ here (opp_makemake on the PATH)")
    desk = tmp_path / "examples"
    shutil.copytree(EXAMPLES, desk)
    for name in ("aloha", "mm1", "ring"):
        subprocess.run([makemake, "-f", "--deep"], cwd=desk / name, check=True)
        subprocess.run(["make", "MODE=release"], cwd=desk / name, check=True)  # noqa: S607  # whichever is there
    start_worker(omnetpp_image)

    _check(start_campaign("--opp-program=omnetpp", folder=desk))


def test_programs_built_in_the_image_run_on_omnetpp(
    fresh: Containers, omnetpp_image: str, start_worker: StartWorker, start_campaign: StartCampaign, tmp_path: Path
) -> None:
    worker = start_worker(omnetpp_image)
    fresh.call("cp", f"{worker}:/opt/example_sims", str(tmp_path / "examples"))

    _check(start_campaign("--opp-program=omnetpp", folder=tmp_path / "examples"))


@pytest.mark.parametrize(("name", "config"), [("aloha", "Pure"), ("mm1", "Warmup"), ("ring", "Small")])
def test_examples_are_built_in_the_image(fresh: Containers, omnetpp_image: str, name: str, config: str) -> None:
    command = f"cd /opt/example_sims/{name} && ./{name} -u Cmdenv -c {config} --result-dir=/tmp/results"

    text = fresh.run(omnetpp_image, "-c", command, options=["--entrypoint=/bin/sh", "--network=none"])

    assert "End." in text


def test_image_with_omnetpp_is_slim(fresh: Containers, omnetpp_image: str) -> None:
    missing = "import importlib.util as u; print([n for n in ('pytest', 'pytest_oppcloud', 'simpy') if u.find_spec(n)])"

    text = fresh.run(omnetpp_image, "-c", missing, options=["--entrypoint=/opt/oppcloud/bin/python"])

    assert text.strip() == "[]"
