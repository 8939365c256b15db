"""`oppcloud up`: make a cluster, or change it to what is wished."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import deploy, template
from pytest_oppcloud.cloud.stack.deploy import DisplayExecutor, LiveExecutor
from pytest_oppcloud.cloud.stack.options import DEFAULT_MAX_INSTANCES, DEFAULT_WORKER_TYPES, Options
from pytest_oppcloud.cloud.stack.plan import Await, Plan
from pytest_oppcloud.errors import SettingsError

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

#: Amazon's service that answers with the address that it is asked from.
ADDRESS_SERVICE = "https://checkip.amazonaws.com/"


def up_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(given)
    return amazon.guarded(
        "up", lambda: _up(options), "Amazon goes on with what was begun; call it again to see, or `oppcloud down`"
    )


def _parser() -> argparse.ArgumentParser:
    result = amazon.parser("up", "Make a cluster for campaigns, or change it. What is not given stays as it is.")
    result.add_argument(
        "--workers",
        type=amazon.number(1),
        metavar="MAX",
        help=f"how many worker instances there may be at a time (new: {DEFAULT_MAX_INSTANCES})",
    )
    result.add_argument(
        "--instance-types",
        type=_types,
        metavar="TYPE,...",
        help=f"up to {len(template.WORKER_TYPES)} types of worker instances (new: {','.join(DEFAULT_WORKER_TYPES)})",
    )
    kind = result.add_mutually_exclusive_group()
    kind.add_argument("--spot", dest="on_demand", action="store_false", default=None, help="spot instances (new)")
    kind.add_argument("--on-demand", dest="on_demand", action="store_true", help="instances that nobody takes away")
    result.add_argument("--head-type", metavar="TYPE", help="the instance that holds the queue")
    result.add_argument(
        "--image", metavar="IMAGE", help="the workers' image; 'own' for the cluster's own repository (new)"
    )
    result.add_argument(
        "--client-cidr",
        metavar="ADDRESS",
        help="let one address reach the queue directly, 'auto' for the one you have now, 'none' for nobody (new)",
    )
    result.add_argument("--retention-days", type=amazon.number(1), metavar="DAYS", help="files go after so long")
    result.add_argument(
        "--lease-minutes", type=amazon.number(10), metavar="MINUTES", help="a campaign that is silent so long is dead"
    )
    result.add_argument("--renew-secrets", action="store_true", help="make new passwords and certificates")
    result.add_argument(
        "--dry-run", action="store_true", help="print plan, price and template, and change nothing; needs no login"
    )
    amazon.add_approval(result)
    return result


def _types(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _up(options: argparse.Namespace) -> int:
    wished = Options(
        name=options.name,
        max_instances=options.workers,
        worker_types=options.instance_types,
        on_demand=options.on_demand,
        head_type=options.head_type,
        image="" if options.image == "own" else options.image,
        client_cidr=client_cidr(options.client_cidr),
        retention_days=options.retention_days,
        lease_minutes=options.lease_minutes,
        renew_secrets=options.renew_secrets,
    )
    aws = amazon.account(options)
    refused = False

    def approve(plan: Plan) -> bool:
        nonlocal refused
        amazon.say(plan.text())
        waits = any(isinstance(step, Await) for step in plan.steps)
        refused = not (options.dry_run or waits or not plan.steps or amazon.agreed(options, "Go ahead?"))
        return not refused

    executor = (
        DisplayExecutor(amazon.say) if options.dry_run else LiveExecutor(aws, options.name, amazon.CLOCK, amazon.say)
    )
    plan = deploy.run(aws, wished, executor, approve, deploy.suppose if options.dry_run else deploy.observe)
    if options.dry_run:
        amazon.say(template.text())
    elif not refused:
        amazon.say(_next(plan))
    return amazon.REFUSED if refused else 0


def _next(plan: Plan) -> str:
    """Return what to do with the cluster now."""
    lines = [f"The cluster {plan.name} is there."]
    if not plan.parameters["Image"]:
        tag = plan.parameters["ImageTag"]
        lines.append(f"Its workers run the image {tag} of its repository: `oppcloud doctor` tells whether it is there.")
    lines.append(f"Use it:    pytest --oppcloud --oppcloud-stack {plan.name}")
    lines.append(f"Remove it: oppcloud down --name {plan.name}")
    return "\n".join(lines)


def client_cidr(text: str | None, service: str = ADDRESS_SERVICE) -> str | None:
    """Return the one address that is meant, as a /32; "" for none; None if nothing was said."""
    if text is None:
        return None
    if text == "none":
        return ""
    address = _own_address(service) if text == "auto" else text.removesuffix("/32")
    try:
        return f"{ipaddress.IPv4Address(address)}/32"
    except ValueError as error:
        raise SettingsError(
            f"--client-cidr {text}: {error}", advice="One IPv4 address was expected, or 'auto', or 'none'."
        ) from error


def _own_address(service: str) -> str:
    try:
        with urllib.request.urlopen(service, timeout=10) as answer:  # noqa: S310  # a fixed address
            text: str = answer.read(100).decode("ascii", "replace").strip()
            return text
    except OSError as error:
        raise SettingsError(
            f"{service} did not tell this machine's address: {error}", advice="Give it as --client-cidr ADDRESS."
        ) from error
