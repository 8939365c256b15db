"""Faults by chance: what may happen to a cluster in a campaign, when it happens, and how it is mended.

The sequence of faults follows from the seed alone. At which moments of the runs they happen does not: machines are
not that exact.
"""

from __future__ import annotations

import heapq
import itertools
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker import guardian

from .outsider import Outsider
from .processes import is_running, send

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from .client import Client
    from .cluster import Cluster
    from .machines import Host
    from .network import Network


@dataclass
class RandomFaults:
    """What hurts a campaign."""

    cluster: Cluster
    client: Client
    client_network: Network
    #: The hosts, and the network of each.
    hosts: list[tuple[Host, Network]]
    random: random.Random
    #: Seconds that a cut, a pause or a frozen host may last.
    longest: float
    tell: Callable[[str], None]
    count: int = 0
    #: How often each kind happened.
    kinds: dict[str, int] = field(default_factory=dict)
    #: What is to be done later, and when (monotonic).
    _mending: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    #: Those that are away, and must not be hurt again before they are back.
    _away: set[str] = field(default_factory=set)
    #: Runs whose outcomes were forged: each once, as a second time would be the end of it.
    _forged: set[str] = field(default_factory=set)

    def one(self) -> None:
        """Have one fault happen; which one is chance."""
        kinds = [kind for kind, weight in _WEIGHTS.items() for _ in range(weight)]
        kind = self.random.choice(kinds)
        # Drawn for all kinds, so that the next fault does not depend on what this one is.
        host, seconds = self.random.randrange(len(self.hosts)), self.random.uniform(0.2, 1.0) * self.longest
        said = kind(self, host, seconds)
        if said:
            name = kind.__name__.strip("_").replace("_", " ")
            self.count += 1
            self.kinds[name] = self.kinds.get(name, 0) + 1
            self.tell(f"{name}: {said}")

    def mend(self, *, all_of_it: bool = False) -> None:
        """Do what is due."""
        while self._mending and (all_of_it or self._mending[0][0] <= time.monotonic()):
            heapq.heappop(self._mending)[2]()

    def _later(self, seconds: float, who: str, what: Callable[[], None]) -> None:
        self._away.add(who)

        def back() -> None:
            self._away.discard(who)
            what()

        heapq.heappush(self._mending, (time.monotonic() + seconds, next(self._numbers), back))

    def _is_away(self, *who: str) -> bool:
        return bool(self._away.intersection(who))

    # The kinds of faults; each tells what it did, "" for nothing.

    def _slot_killed(self, number: int, _: float) -> str:
        host, _network = self.hosts[number]
        slots = host.slot_processes()
        if not slots or self._is_away(f"host {number}"):
            return ""
        send(self.random.choice(slots), signal.SIGKILL)
        return f"host {number}"

    def _guardian_killed(self, number: int, _: float) -> str:
        host, _network = self.hosts[number]
        guardians = [process for process in host.all_processes() if is_running(process, guardian.__file__)]
        if not guardians or self._is_away(f"host {number}"):
            return ""
        send(self.random.choice(guardians), signal.SIGKILL)
        return f"host {number}"

    def _host_without_power(self, number: int, seconds: float) -> str:
        host, _network = self.hosts[number]
        if self._is_away(f"host {number}"):
            return ""
        host.lose_power()
        self._later(seconds, f"host {number}", host.start)
        return f"host {number}, back after {seconds:.1f} s"

    def _worker_told_to_end(self, number: int, seconds: float) -> str:
        host, _network = self.hosts[number]
        if self._is_away(f"host {number}"):
            return ""
        assert host.worker is not None
        host.worker.terminate()

        def again() -> None:
            host.end()
            host.start()

        self._later(max(seconds, 5), f"host {number}", again)
        return f"host {number}, another after {max(seconds, 5):.1f} s"

    def _host_frozen(self, number: int, seconds: float) -> str:
        host, _network = self.hosts[number]
        if self._is_away(f"host {number}"):
            return ""
        host.freeze()
        self._later(seconds * 1.5, f"host {number}", host.thaw)
        return f"host {number} for {seconds * 1.5:.1f} s"

    def _redis_killed(self, _: int, seconds: float) -> str:
        if self._is_away("redis"):
            return ""
        self.cluster.server.kill()
        self._later(seconds / 3, "redis", self.cluster.server.start)
        return f"back with its data after {seconds / 3:.1f} s"

    def _redis_loses_everything(self, _: int, seconds: float) -> str:
        if self._is_away("redis"):
            return ""
        self.cluster.server.kill()
        self.cluster.server.forget()
        self._later(seconds / 3, "redis", self.cluster.server.start)
        return f"back without its data after {seconds / 3:.1f} s"

    def _redis_paused(self, _: int, seconds: float) -> str:
        if self._is_away("redis"):
            return ""
        self.cluster.server.pause()
        self._later(seconds, "redis", self.cluster.server.resume)
        return f"for {seconds:.1f} s"

    def _network_of_a_host_cut(self, number: int, seconds: float) -> str:
        _host, network = self.hosts[number]
        network.cut()
        self._later(seconds, f"network {number}", network.mend)
        return f"host {number} for {seconds:.1f} s"

    def _network_of_the_client_cut(self, _: int, seconds: float) -> str:
        self.client_network.cut()
        self._later(seconds, "network of the client", self.client_network.mend)
        return f"for {seconds:.1f} s"

    def _networks_torn(self, number: int, seconds: float) -> str:
        network = self.client_network if seconds < self.longest / 2 else self.hosts[number][1]
        network.tear()
        return "client" if network is self.client_network else f"host {number}"

    def _network_slow(self, number: int, seconds: float) -> str:
        _host, network = self.hosts[number]
        network.delay, network.rate = 0.1, 200_000

        def fast() -> None:
            network.delay, network.rate = 0.0, 0.0

        self._later(seconds, f"network {number}", fast)
        return f"host {number} for {seconds:.1f} s"

    def _content_damaged(self, number: int, _: float) -> str:
        if self._is_away("redis"):
            return ""
        how = ("truncated", "changed", "removed")[number % 3]
        found = Outsider(self.cluster.server).damage_content(how)
        return f"{found} files {how}" if found else ""

    def _outcome_forged(self, number: int, _: float) -> str:
        if self._is_away("redis") or not self.client.session:
            return ""
        outsider = Outsider(self.cluster.server)
        runs = [run for run in outsider.runs_of(self.client.session)[-5:] if run not in self._forged]
        if not runs:
            return ""
        self._forged.add(runs[-1])
        outsider.forge_outcome(self.client.session, runs[-1], None if number % 2 else b"half of an outc")
        return runs[-1]

    def _runs_forged(self, _: int, __: float) -> str:
        if self._is_away("redis") or not self.client.session:
            return ""
        Outsider(self.cluster.server).forge(self.client.session, self.cluster.folder / "mark")
        return "two"

    def _runs_replayed(self, _: int, __: float) -> str:
        if self._is_away("redis"):
            return ""
        return f"{Outsider(self.cluster.server).replay(50)} of them"

    def _client_killed(self, _: int, seconds: float) -> str:
        if self._is_away("client"):
            return ""
        self.client.kill()
        comes_back = self.kinds.get("client killed", 0) % 2 == 0
        self._later(seconds / 4, "client", self.client.attach if comes_back else self.client.start)
        return f"{'attached' if comes_back else 'started'} again after {seconds / 4:.1f} s"


_WEIGHTS: dict[Callable[[RandomFaults, int, float], str], int] = {
    RandomFaults._slot_killed: 8,
    RandomFaults._guardian_killed: 4,
    RandomFaults._host_without_power: 4,
    RandomFaults._worker_told_to_end: 4,
    RandomFaults._host_frozen: 4,
    RandomFaults._redis_killed: 3,
    RandomFaults._redis_loses_everything: 2,
    RandomFaults._redis_paused: 3,
    RandomFaults._network_of_a_host_cut: 4,
    RandomFaults._network_of_the_client_cut: 3,
    RandomFaults._networks_torn: 5,
    RandomFaults._network_slow: 3,
    RandomFaults._content_damaged: 3,
    RandomFaults._outcome_forged: 3,
    RandomFaults._runs_forged: 2,
    RandomFaults._runs_replayed: 3,
    RandomFaults._client_killed: 2,
}
