"""Amazon, as far as moto knows it, as a process of its own; prints its port.

Beyond moto it has what moto lacks and our commands call:
- a stack's route tables, gateways and ECS cluster go with it (else its removal fails with DependencyViolation);
- `ssm start-session` and `terminate-session`, which answer as the documentation says and keep a list of sessions.

Ends when its standard input closes.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.route_tables import RouteTable
from moto.ecs.models import Cluster, ecs_backends
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse


def _delete_route_table(
    cls: object, resource_name: str, cloudformation_json: object, account_id: str, region_name: str
) -> None:
    del cls, cloudformation_json
    backend = ec2_backends[account_id][region_name]
    for association in list(backend.get_route_table(resource_name).associations):
        backend.disassociate_route_table(association)
    backend.delete_route_table(resource_name)


def _delete_gateway(
    cls: object, resource_name: str, cloudformation_json: object, account_id: str, region_name: str
) -> None:
    del cls, cloudformation_json
    backend = ec2_backends[account_id][region_name]
    gateway = backend.get_internet_gateway(resource_name)
    if gateway.vpc is not None:
        backend.detach_internet_gateway(resource_name, gateway.vpc.id)
    backend.delete_internet_gateway(resource_name)


def _delete_cluster(
    cls: object, resource_name: str, cloudformation_json: object, account_id: str, region_name: str
) -> None:
    del cls, cloudformation_json
    ecs_backends[account_id][region_name].delete_cluster(resource_name)


def _start_session(self: Any) -> ActionResult:
    asked = json.loads(self.body)
    number = len(_start_session.asked) + 1  # type: ignore[attr-defined]
    _start_session.asked.append(asked)  # type: ignore[attr-defined]
    url = f"wss://ssmmessages.{self.region}.amazonaws.com/v1/data-channel/session-{number}"
    return ActionResult({"SessionId": f"session-{number}", "TokenValue": f"token-{number}", "StreamUrl": url})


def _terminate_session(self: Any) -> ActionResult:
    return ActionResult({"SessionId": json.loads(self.body)["SessionId"]})


def main() -> None:
    """Serve until standard input closes."""
    warnings.simplefilter("ignore")
    RouteTable.delete_from_cloudformation_json = classmethod(_delete_route_table)
    InternetGateway.delete_from_cloudformation_json = classmethod(_delete_gateway)
    Cluster.delete_from_cloudformation_json = classmethod(_delete_cluster)
    _start_session.asked = []  # type: ignore[attr-defined]
    SimpleSystemManagerResponse.start_session = _start_session
    SimpleSystemManagerResponse.terminate_session = _terminate_session
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
