"""A cluster for each test: a Redis server, hosts, a network, a client; afterwards nothing of it may be left."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faultkit.client import Client
from faultkit.machines import Host, RedisServer
from faultkit.model import Tiny, write_content
from faultkit.network import Network
from faultkit.processes import Processes
from oppcloud_worker.signing import ClusterKey

HERE = Path(__file__).parent
#: Set by `make faults`.
WANTED = "OPPCLOUD_FAULTS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("faults") and not os.environ.get(WANTED):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make faults"))


@dataclass
class Cluster:
    """All machines of a test."""

    folder: Path
    processes: Processes
    key: ClusterKey
    server: RedisServer
    #: The one network of those that are given no other.
    network: Network
    networks: list[Network] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def host(
        self,
        *changes: str,
        slots: int = 1,
        network: Network | None = None,
        options: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> Host:
        """Start a host, whose folder is on a disk of its own if one is given."""
        host = Host(
            processes=self.processes,
            folder=folder or self.folder / f"host-{next(self._numbers)}",
            url=(network or self.network).url,
            key=self.key,
            slots=slots,
            changes=changes,
            options=options,
        )
        host.start()
        self.hosts.append(host)
        return host

    def client(
        self,
        *changes: str,
        runs: list[Tiny],
        shipped: bool = False,
        patience: float = 60.0,
        network: Network | None = None,
        linger: bool = False,
    ) -> Client:
        """Start a client."""
        folder = self.folder / f"client-{next(self._numbers)}"
        (folder / "model").mkdir(parents=True)
        write_content(folder / "model")
        client = Client(
            processes=self.processes,
            folder=folder,
            url=(network or self.network).url,
            key=self.key,
            runs=runs,
            content=folder / "model" if shipped else None,
            patience=patience,
            changes=changes,
            linger=linger,
        )
        client.start()
        self.clients.append(client)
        return client

    def another_network(self) -> Network:
        """Return a network for some of the machines only."""
        self.networks.append(Network(self.server.port))
        return self.networks[-1]

    def end(self) -> None:
        """End all as an operator would: whatever is left then is a fault."""
        self.server.resume()
        for network in self.networks:
            network.mend()
        for client in self.clients:
            client.end()
        for host in self.hosts:
            host.end()
        self.server.kill()
        for network in self.networks:
            network.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Start server and network; at the end of the test all is told to end, and then nothing may be left."""
    processes = Processes()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        server = RedisServer(processes=processes, folder=Path(folder) / "redis")
        server.start()
        network = Network(server.port)
        cluster = Cluster(
            folder=Path(folder),
            processes=processes,
            key=ClusterKey.generate(),
            server=server,
            network=network,
            networks=[network],
        )
        try:
            yield cluster
        finally:
            for host in cluster.hosts:
                print(host.log())
            cluster.end()
            processes.none_left()
