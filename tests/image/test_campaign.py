"""Campaigns that are sent from outside and run in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.image.conftest import Containers, RunExamples, StartWorker


def test_examples_run_on_the_embedded_engine(image: str, start_worker: StartWorker, run_examples: RunExamples) -> None:
    worker = start_worker(image)

    cases = run_examples("--opp-program=engine")

    assert len(cases) > 10
    assert worker


def test_examples_run_on_omnetpp(omnetpp_image: str, start_worker: StartWorker, run_examples: RunExamples) -> None:
    worker = start_worker(omnetpp_image)

    cases = run_examples("--opp-program=omnetpp")

    assert len(cases) > 10
    assert worker


@pytest.mark.parametrize(("name", "config"), [("aloha", "Pure"), ("mm1", "Warmup"), ("ring", "Small")])
def test_examples_are_built_in_the_image(fresh: Containers, omnetpp_image: str, name: str, config: str) -> None:
    command = f"cd /opt/example_sims/{name} && ./{name} -u Cmdenv -c {config} --result-dir=/tmp/results"

    text = fresh.run(omnetpp_image, "-c", command, options=["--entrypoint=/bin/sh", "--network=none"])

    assert "End." in text


def test_image_with_omnetpp_is_slim(fresh: Containers, omnetpp_image: str) -> None:
    missing = "import importlib.util as u; print([n for n in ('pytest', 'pytest_oppcloud', 'simpy') if u.find_spec(n)])"

    text = fresh.run(omnetpp_image, "-c", missing, options=["--entrypoint=/opt/oppcloud/bin/python"])

    assert text.strip() == "[]"
