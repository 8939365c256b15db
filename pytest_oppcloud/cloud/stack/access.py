"""How a client gets to the queue of a cluster: wakes it, opens the way, and knows who answers."""

from __future__ import annotations

import socket
import ssl
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from oppcloud_worker.signing import ClusterKey, KeyUnusableError

from pytest_oppcloud.cloud.aws import AwsError

from . import control, credentials, names
from .tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_oppcloud.cloud.aws import Aws, Instance

    from .clock import Clock
    from .cluster import Cluster

#: Seconds for a stopped instance to run and for its queue to answer; a minute is usual.
PATIENCE = 420.0
_PACE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Everything that a session needs to use a cluster."""

    cluster: Cluster
    #: URL of the queue, with the password in it.
    url: str = field(repr=False)
    #: File with the certificate of the one authority that the queue's certificate is from.
    authority: Path
    #: What requests are signed with.
    key: ClusterKey = field(repr=False)
    #: None where the queue is reached directly.
    tunnel: Tunnel | None = None


@contextmanager
def opened(aws: Aws, cluster: Cluster, clock: Clock, say: Callable[[str], None]) -> Iterator[Access]:
    """Start the queue's instance if it is stopped, wait for the queue, and give the way to it.

    A lease must be held, or the timer stops the instance again. Raise `AwsError` if it cannot be reached.
    """
    password, authority, key = secrets(aws, cluster)
    instance = _awake(aws, cluster, clock, say)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oppcloud-")))
        file = folder / "ca.pem"
        file.write_text(authority, encoding="ascii")
        tunnel = None
        if cluster.direct:
            host, port = instance.public_address, cluster.port
        else:
            tunnel = _tunnelled(aws, cluster, clock, stack)
            host, port = "127.0.0.1", tunnel.port
        _await_queue(host, port, authority, tunnel, clock)
        yield Access(cluster=cluster, url=url(host, port, password, file), authority=file, key=key, tunnel=tunnel)


def secrets(aws: Aws, cluster: Cluster) -> tuple[str, str, ClusterKey]:
    """Return the client's password, the authority's certificate and the cluster key."""
    wanted = (credentials.CLIENT_PASSWORD, credentials.AUTHORITY, credentials.KEY)
    paths = [credentials.path(cluster.name, secret) for secret in wanted]
    found = aws.parameters.read(paths)
    if missing := [path for path in paths if path not in found]:
        advice = f"`oppcloud up --name {cluster.name}` writes them anew."
        raise AwsError(f"secrets are gone: {', '.join(missing)}", action="ssm:GetParameters", advice=advice)
    password, authority, key = (found[path] for path in paths)
    try:
        return password, authority, ClusterKey.from_text(key)
    except KeyUnusableError as error:
        advice = f"`oppcloud up --name {cluster.name} --renew-secrets` writes a new one."
        raise AwsError(f"{paths[2]}: {error}", action="ssm:GetParameters", advice=advice) from None


def url(host: str, port: int, password: str, authority: Path) -> str:
    """Return the URL of the queue for a client.

    The name in the certificate is not compared with `host`, which may be any address that Amazon gave the instance:
    the authority has signed one certificate only (see `certificates`), so that there is nobody to take it for.
    """
    return (
        f"rediss://client:{quote(password, safe='')}@{host}:{port}/0"
        f"?ssl_ca_certs={quote(str(authority), safe='/')}&ssl_check_hostname=false"
    )


def _awake(aws: Aws, cluster: Cluster, clock: Clock, say: Callable[[str], None]) -> Instance:
    """Start the queue's instance and wait until it runs."""
    deadline = clock.now() + PATIENCE
    told = False
    while True:
        found = {one.id: one for one in aws.instances.tagged(names.TAG, cluster.name)}
        instance = found.get(cluster.head)
        if instance is None:
            advice = f"Take the cluster down and up again: oppcloud down --name {cluster.name}"
            raise AwsError(f"the queue's instance {cluster.head} was terminated", advice=advice)
        if instance.state == "running":
            return instance
        if not told:
            say(f"starting the queue's instance {instance.id} (it is {instance.state})")
            told = True
        if instance.state == "stopped":
            control.start_head(aws, cluster)
        if clock.now() > deadline:
            raise AwsError(f"the queue's instance {instance.id} is still {instance.state} after {PATIENCE:.0f} s")
        clock.sleep(_PACE)


def _tunnelled(aws: Aws, cluster: Cluster, clock: Clock, stack: ExitStack) -> Tunnel:
    """Open the tunnel; the instance takes a while until SSM knows it again after a start."""
    tunnel = Tunnel(aws, cluster.head, cluster.port, clock)
    stack.callback(tunnel.close)
    deadline = clock.now() + PATIENCE
    while not _open(tunnel, last=clock.now() > deadline):
        clock.sleep(_PACE)
    return tunnel


def _open(tunnel: Tunnel, *, last: bool) -> bool:
    """Try to open the tunnel; return False if SSM does not know the instance yet, unless it is the last try."""
    try:
        tunnel.open()
    except AwsError as error:
        if error.code != "TargetNotConnected" or last:
            raise
        return False
    return True


def _await_queue(host: str, port: int, authority: str, tunnel: Tunnel | None, clock: Clock) -> None:
    """Wait until the queue answers, by a certificate of its authority."""
    context = ssl.create_default_context(cadata=authority)
    deadline = clock.now() + PATIENCE
    while True:
        try:
            # The certificate is valid for "localhost", too, wherever the queue is.
            with (
                socket.create_connection((host, port), timeout=10.0) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                return
        except ssl.SSLCertVerificationError as error:
            raise AwsError(
                f"the queue at {host}:{port} has a certificate that is not its own: {error.verify_message}",
                advice="If its secrets were renewed, it takes them when its instance is started the next time.",
            ) from error
        except OSError as error:
            if clock.now() > deadline:
                advice = "`oppcloud logs queue` shows what it said, `oppcloud doctor` what may be missing."
                raise AwsError(f"the queue at {host}:{port} does not answer: {error}", advice=advice) from error
        if tunnel is not None:
            tunnel.keep()
        clock.sleep(_PACE)
