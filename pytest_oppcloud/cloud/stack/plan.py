"""What `oppcloud up` is going to do: pure, from what is wished and what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker import __version__

from pytest_oppcloud.errors import SettingsError

from . import credentials, names, options, prices, template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_oppcloud.cloud.aws.values import Stack

    from .options import Options
    from .prices import Prices

#: What a stack may be in that can only be removed; the first making of it failed.
_BROKEN = frozenset({"CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is there."""

    region: str
    account: str
    stack: Stack | None
    #: Names of the secrets that exist.
    secrets: frozenset[str]
    #: The present image of the operating system, by architecture.
    machine_images: Mapping[str, str]
    prices: Prices
    #: Why nobody could look, so that all of this is supposed; "" for what was seen.
    unseen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSecrets:
    """Make secrets and store them."""

    secrets: tuple[str, ...]

    def __str__(self) -> str:
        return f"write {len(self.secrets)} secrets to SSM: {', '.join(self.secrets)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveBroken:
    """Remove a stack that was never finished."""

    status: str

    def __str__(self) -> str:
        return f"remove what an earlier attempt left behind (it is in {self.status})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Await:
    """Wait until CloudFormation is done with what somebody began."""

    status: str

    def __str__(self) -> str:
        return f"wait for what is under way (it is in {self.status}), then see"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make the stack."""

    parameters: Mapping[str, str]

    def __str__(self) -> str:
        return "create the stack: " + ", ".join(f"{name}={text}" for name, text in self.parameters.items() if text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """That a parameter gets another value."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name}: {self.before or 'nothing'} -> {self.after or 'nothing'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change the stack."""

    parameters: Mapping[str, str]
    changes: tuple[Change, ...]
    #: Whether the template itself is another one.
    new_template: bool

    def __str__(self) -> str:
        what = ["the template of this version of pytest-oppcloud"] * self.new_template + list(map(str, self.changes))
        return "update the stack: " + ", ".join(what)


Step = WriteSecrets | RemoveBroken | Await | Create | Update


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a cluster costs per hour, in USD."""

    #: When nobody uses it.
    rest: float
    #: With the queue running, and no worker.
    head: float
    #: With all workers that are allowed, at the dearest type.
    full: float
    workers: int
    slots: int
    #: Bytes of memory that a run can have at most.
    memory: int
    basis: str

    def text(self) -> str:
        """Return it for people."""
        return (
            f"costs at rest       ${self.rest:.4f} per hour (${self.rest * 730:.2f} per month)\n"
            f"with the queue      ${self.head:.4f} per hour\n"
            f"at full size        ${self.full:.4f} per hour ({self.workers} instances, {self.slots} slots)\n"
            f"a run can have up to {self.memory / 2**30:.1f} GiB of memory\n"
            f"({self.basis}; files in the bucket and what leaves Amazon cost extra)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is going to be done, in this order."""

    name: str
    region: str
    account: str
    steps: tuple[Step, ...]
    parameters: Mapping[str, str]
    estimate: Estimate
    notes: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """Return it for people."""
        what = [f"  {number}. {step}" for number, step in enumerate(self.steps, 1)] or ["  nothing: all is as wished"]
        cost = [f"  {line}" for line in self.estimate.text().splitlines()]
        notes = [f"  note: {note}" for note in self.notes]
        head = f"Cluster {self.name} (stack {names.stack(self.name)}) in {self.region}, account {self.account}:"
        return "\n".join([head, *what, *cost, *notes])


def make(wished: Options, observed: Observed) -> Plan:
    """Return the plan; raise `SettingsError` for what cannot be had."""
    stack = observed.stack
    there = stack is not None and stack.usable
    previous = dict(stack.parameters) if stack is not None and there else {}
    parameters = _parameters(wished, observed, previous)
    absent = credentials.missing(lambda secret: secret in observed.secrets and not wished.renew_secrets)
    secrets: tuple[Step, ...] = (WriteSecrets(secrets=absent),) if absent else ()
    notes = []
    if observed.unseen:
        notes.append(f"it is supposed that nothing is there yet; nobody could look ({observed.unseen})")
    if wished.renew_secrets and there:
        notes.append("the queue takes the new secrets when it is started the next time")
    if parameters["ClientCidr"]:
        notes.append(f"the queue's port is open to {parameters['ClientCidr']}, by TLS and password")
    return Plan(
        name=wished.name,
        region=observed.region,
        account=observed.account,
        steps=_steps(stack, parameters, previous, secrets),
        parameters=parameters,
        estimate=estimate(parameters, observed.prices),
        notes=tuple(notes),
    )


def _steps(
    stack: Stack | None, parameters: Mapping[str, str], previous: Mapping[str, str], secrets: tuple[Step, ...]
) -> tuple[Step, ...]:
    if stack is None:
        return (*secrets, Create(parameters=parameters))
    if stack.status in _BROKEN:
        return (RemoveBroken(status=stack.status), *secrets, Create(parameters=parameters))
    if stack.busy:
        return (Await(status=stack.status),)
    if not stack.usable:
        raise SettingsError(
            f"the stack {stack.name} is in {stack.status}, from which only CloudFormation's console may help",
            advice="Or remove it with `oppcloud down` and make it anew; files in its bucket go with it.",
        )
    changes = tuple(
        Change(name=name, before=previous.get(name, ""), after=text)
        for name, text in parameters.items()
        if previous.get(name, "") != text
    )
    new_template = stack.tags.get(names.TEMPLATE_TAG) != template.digest()
    if changes or new_template:
        return (*secrets, Update(parameters=parameters, changes=changes, new_template=new_template))
    return secrets


def _parameters(wished: Options, observed: Observed, previous: Mapping[str, str]) -> dict[str, str]:
    """Return all parameters of the template: what is wished, else what is, else the default."""

    def pick(name: str, wish: object, default: object) -> str:
        return previous.get(name, str(default)) if wish is None else str(wish)

    types = wished.worker_types or worker_types(previous) or options.DEFAULT_WORKER_TYPES
    head_type = pick("HeadType", wished.head_type, options.DEFAULT_HEAD_TYPE)
    before = previous.get("HeadType", head_type)
    if prices.architecture(before) != prices.architecture(head_type):
        raise SettingsError(
            f"the queue's instance cannot be changed from {before} to {head_type}",
            advice="They are of different architectures. Remove the cluster with `oppcloud down` and make it anew.",
        )
    found = {
        "Name": wished.name,
        "Image": pick("Image", wished.image, ""),
        "ImageTag": __version__,
        "HeadType": head_type,
        # The head keeps its image of the operating system: another one would mean another instance and an empty queue.
        "HeadAmi": previous.get("HeadAmi", observed.machine_images[prices.architecture(head_type)]),
        "WorkerAmi": observed.machine_images[prices.architecture(types[0])],
        "MaxInstances": pick("MaxInstances", wished.max_instances, options.DEFAULT_MAX_INSTANCES),
        "OnDemandPercentage": pick("OnDemandPercentage", _percentage(wished.on_demand), 0),
        "ClientCidr": pick("ClientCidr", wished.client_cidr, ""),
        "RetentionDays": pick("RetentionDays", wished.retention_days, 30),
        "LeaseMinutes": pick("LeaseMinutes", wished.lease_minutes, options.DEFAULT_LEASE_MINUTES),
    }
    for number, name in enumerate(template.WORKER_TYPES):
        found[name] = types[number] if number < len(types) else ""
    # What nobody can wish for here keeps what somebody gave it elsewhere, such as in the console.
    kept = {name: text for name, text in previous.items() if name not in found}
    return {name: (kept | found)[name] for name in template.PARAMETERS if name in kept or name in found}


def _percentage(on_demand: bool | None) -> int | None:
    return None if on_demand is None else 100 if on_demand else 0


def worker_types(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Return the workers' instance types."""
    return tuple(parameters[name] for name in template.WORKER_TYPES if parameters.get(name))


def estimate(parameters: Mapping[str, str], price_list: Prices) -> Estimate:
    """Return what a cluster of these parameters costs."""
    types = worker_types(parameters)
    spot = parameters["OnDemandPercentage"] != "100"
    count = int(parameters["MaxInstances"])
    head = price_list.rest + price_list.head(parameters["HeadType"])
    return Estimate(
        rest=price_list.rest,
        head=head,
        full=head + count * price_list.dearest(types, spot=spot),
        workers=count,
        slots=count * min(map(prices.vcpus, types)),
        memory=min(map(prices.memory, types)),
        basis=price_list.basis(types, spot=spot),
    )
