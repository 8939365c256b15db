"""A cluster for each test; afterwards nothing of it may be left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faultkit.cluster import Cluster, new_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
#: Set by `make faults`.
WANTED = "OPPCLOUD_FAULTS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("faults") and not os.environ.get(WANTED):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make faults"))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with new_cluster() as found:
        yield found
