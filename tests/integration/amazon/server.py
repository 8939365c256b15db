"""Amazon, as far as moto knows it, as a process of its own; prints its port.

Beyond moto it has what moto lacks and our commands call:
- a stack's route tables, gateways and ECS cluster go with it (else its removal fails with DependencyViolation);
- `ssm start-session` and `terminate-session`, which answer as the documentation says.

Ends when its standard input closes.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.route_tables import RouteTable
from moto.ecs.models import Cluster, ecs_backends
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse

if TYPE_CHECKING:
    from collections.abc import Callable


def _delete_route_table(backend: Any, name: str) -> None:
    table = backend.get_route_table(name)
    for association in list(table.associations):
        table.associations.pop(association)
    backend.delete_route_table(name)


def _delete_gateway(backend: Any, name: str) -> None:
    gateway = backend.get_internet_gateway(name)
    if gateway.vpc is not None:
        backend.detach_internet_gateway(name, gateway.vpc.id)
    backend.delete_internet_gateway(name)


def _delete_cluster(backend: Any, name: str) -> None:
    backend.delete_cluster(name)


def _teach_deletion(resource: Any, backends: Any, delete: Callable[[Any, str], None]) -> None:
    """Let moto's CloudFormation delete a kind of resource."""

    def entry(cls: object, resource_name: str, template: object, account_id: str, region_name: str) -> None:
        del cls, template
        delete(backends[account_id][region_name], resource_name)

    resource.delete_from_cloudformation_json = classmethod(entry)


class Sessions:
    """The part of SSM that moto lacks, as methods of its responses."""

    count = 0

    def start_session(self: Any) -> ActionResult:
        Sessions.count += 1
        name = f"session-{Sessions.count}"
        url = f"wss://ssmmessages.{self.region}.amazonaws.com/v1/data-channel/{name}"
        return ActionResult({"SessionId": name, "TokenValue": f"token of {name}", "StreamUrl": url})

    def terminate_session(self: Any) -> ActionResult:
        return ActionResult({"SessionId": json.loads(self.body)["SessionId"]})


def main() -> None:
    """Serve until standard input closes."""
    warnings.simplefilter("ignore")
    _teach_deletion(RouteTable, ec2_backends, _delete_route_table)
    _teach_deletion(InternetGateway, ec2_backends, _delete_gateway)
    _teach_deletion(Cluster, ecs_backends, _delete_cluster)
    for name in ("start_session", "terminate_session"):
        setattr(SimpleSystemManagerResponse, name, getattr(Sessions, name))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
