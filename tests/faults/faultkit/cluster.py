"""All machines of a test, and what starts and ends them."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker.remote import presence
from oppcloud_worker.signing import ClusterKey

from .client import Client
from .machines import Host, RedisServer
from .model import Tiny, write_content
from .network import Network
from .processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        # What --oppcloud-wait is by default.
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

    def present(self) -> list[str]:
        """Return the slots that are there."""
        return sorted(presence.present(self.server.connection, "oppcloud"))

    def another_network(self) -> Network:
        """Return a network for some of the machines only."""
        self.networks.append(Network(self.server.port))
        return self.networks[-1]

    def end(self) -> None:
        """End all as an operator would: whatever is left then is a fault. May be called twice."""
        self.server.resume()
        for network in self.networks:
            network.mend()
        for client in self.clients:
            client.end()
        for host in self.hosts:
            host.end()
        self.server.end()
        for network in self.networks:
            network.close()


@contextlib.contextmanager
def new_cluster() -> Iterator[Cluster]:
    """Start server and network; at the end all is told to end, and then nothing may be left."""
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
            cluster.end()
            processes.none_left()
