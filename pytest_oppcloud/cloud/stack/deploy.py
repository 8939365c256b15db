"""Carries a plan out: secrets, stack, and what CloudFormation tells meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from oppcloud_worker import __version__

from pytest_oppcloud.cloud.aws import Aws, AwsError, CredentialsError, Stack, StackEvent

from . import credentials, names, plan, template
from .options import DEFAULT_WORKER_TYPES
from .plan import Await, Create, Observed, Plan, RemoveBroken, Step, Update, WriteSecrets
from .prices import Prices

if TYPE_CHECKING:
    from .clock import Clock
    from .options import Options

#: Seconds between two looks at what CloudFormation does.
PACE = 3.0

_MACHINE_IMAGES = {
    "x86_64": "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
    "arm64": "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id",
}

Say = Callable[[str], None]


class StackFailedError(AwsError):
    """CloudFormation could not do it, and has undone what it did."""


class Executor(Protocol):
    """Whoever carries out steps."""

    def perform(self, step: Step) -> None:
        """Carry out one step; raise `AwsError` if that fails."""
        ...


def observe(aws: Aws, wished: Options) -> Observed:
    """Return what is there."""
    identity = aws.account.identity()
    paths = {credentials.path(wished.name, secret): secret for secret in credentials.ALL}
    stack = aws.stacks.describe(names.stack(wished.name))
    types = wished.worker_types or plan.worker_types(stack.parameters if stack else {}) or DEFAULT_WORKER_TYPES
    return Observed(
        region=aws.region,
        account=identity.account,
        stack=stack,
        secrets=frozenset(paths[name] for name in aws.parameters.read(list(paths))),
        machine_images={kind: aws.parameters.public(name) for kind, name in _MACHINE_IMAGES.items()},
        prices=present_prices(aws, types),
    )


def suppose(aws: Aws, wished: Options) -> Observed:
    """Return what is there; where nobody is logged in, suppose that it is nothing, at the prices of the table."""
    try:
        return observe(aws, wished)
    except CredentialsError as error:
        return Observed(
            region=aws.region,
            account="unknown",
            stack=None,
            secrets=frozenset(),
            machine_images=dict.fromkeys(_MACHINE_IMAGES, "the newest of Amazon's for ECS"),
            prices=Prices(region=aws.region),
            unseen=error.message,
        )


def present_prices(aws: Aws, types: Iterable[str]) -> Prices:
    """Return the prices in the region, with what spot instances cost now where Amazon says it."""
    wanted = tuple(types)
    return Prices(region=aws.region, spot=aws.instances.spot_prices(wanted) if wanted else {})


def tags(name: str) -> dict[str, str]:
    """Return the tags of everything in a cluster."""
    return {names.TAG: name}


class LiveExecutor:
    """Does it."""

    def __init__(self, aws: Aws, name: str, clock: Clock, say: Say) -> None:
        self._aws = aws
        self._name = name
        self._clock = clock
        self._say = say

    def perform(self, step: Step) -> None:
        """Carry out one step."""
        if isinstance(step, WriteSecrets):
            self._write_secrets(step.secrets)
        elif isinstance(step, RemoveBroken):
            self.remove()
        elif isinstance(step, Await):
            self._succeed(follow(self._aws, self._stack(), None, self._clock, self._say))
        elif isinstance(step, Create):
            stack_tags = self._stack_tags()
            self._aws.stacks.create(names.stack(self._name), template.text(), step.parameters, stack_tags)
            self._succeed(follow(self._aws, self._stack(), None, self._clock, self._say))
        else:
            self._update(step)

    def remove(self) -> Stack | None:
        """Remove the stack; return what is left of it, None for nothing."""
        stack = self._aws.stacks.describe(names.stack(self._name))
        if stack is None:
            return None
        mark = latest(self._aws, stack)
        self._aws.stacks.delete(stack.name)
        return follow(self._aws, stack, mark, self._clock, self._say)

    def _update(self, step: Update) -> None:
        stack = self._stack()
        mark = latest(self._aws, stack)
        if self._aws.stacks.update(stack.name, template.text(), step.parameters, self._stack_tags()):
            self._succeed(follow(self._aws, stack, mark, self._clock, self._say))

    def _stack(self) -> Stack:
        stack = self._aws.stacks.describe(names.stack(self._name))
        if stack is None:
            raise StackFailedError(f"the stack {names.stack(self._name)} is gone: somebody removed it")
        return stack

    def _stack_tags(self) -> dict[str, str]:
        return tags(self._name) | {names.VERSION_TAG: __version__, names.TEMPLATE_TAG: template.digest()}

    def _write_secrets(self, secrets: tuple[str, ...]) -> None:
        for secret, value in credentials.make(self._name, secrets).items():
            path = credentials.path(self._name, secret)
            self._aws.parameters.write(path, value, tags=tags(self._name), secret=True)
            self._say(f"wrote {path}")

    def _succeed(self, stack: Stack | None) -> None:
        """Raise `StackFailedError` unless the stack is as it should be."""
        if stack is not None and stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            return
        status = "gone" if stack is None else stack.status
        reason = "" if stack is None else why(self._aws.stacks.events(stack.id)) or stack.reason
        raise StackFailedError(
            f"the stack {names.stack(self._name)} is {status}: {reason or 'CloudFormation does not say why'}",
            advice="What had been made was removed again. Mend the cause and call `oppcloud up` again.",
        )


class DisplayExecutor:
    """Says what would be done."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def perform(self, step: Step) -> None:
        """Show one step."""
        self._say(f"would {step}")


def run(
    aws: Aws,
    wished: Options,
    executor: Executor,
    approve: Callable[[Plan], bool],
    look: Callable[[Aws, Options], Observed] = observe,
) -> Plan:
    """Plan and carry out until all is as wished; return the last plan.

    `approve` is shown each plan that does something; where it says no, nothing more is done. A second round comes
    after having waited for somebody else.
    """
    while True:
        planned = plan.make(wished, look(aws, wished))
        if not approve(planned):
            return planned
        for step in planned.steps:
            executor.perform(step)
        if not any(isinstance(step, Await) for step in planned.steps) or isinstance(executor, DisplayExecutor):
            return planned


def latest(aws: Aws, stack: Stack) -> str | None:
    """Return the id of the last thing that happened to a stack."""
    return next((event.id for event in aws.stacks.events(stack.id)), None)


def follow(aws: Aws, stack: Stack, mark: str | None, clock: Clock, say: Say) -> Stack | None:
    """Say what CloudFormation does, after the event `mark`, until it is done; return what there is then."""
    while True:
        # The state first: what happens between the two calls then belongs to the next round, not to none.
        present = aws.stacks.describe(stack.id)
        for event in _news(aws.stacks.events(stack.id), mark):
            say(line(event))
            mark = event.id
        if present is None or not present.busy:
            return present
        clock.sleep(PACE)


def _news(events: Iterable[StackEvent], mark: str | None) -> list[StackEvent]:
    news = []
    for event in events:
        if event.id == mark:
            break
        news.append(event)
    return news[::-1]


def line(event: StackEvent) -> str:
    """Return an event for people."""
    time = dt.datetime.fromtimestamp(event.time).astimezone().strftime("%H:%M:%S")
    reason = f"  {event.reason}" if event.reason else ""
    return f"{time}  {event.status.lower().replace('_', ' '):<20}  {event.resource} ({event.type}){reason}"


def why(events: Iterable[StackEvent]) -> str:
    """Return why the latest operation failed: the first failure in it that is not a consequence of another."""
    found = ""
    for event in events:
        if event.failed and "cancelled" not in event.reason:
            found = f"{event.resource} ({event.type}): {event.reason}"
        if event.reason == "User Initiated" and event.status in {
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
            "DELETE_IN_PROGRESS",
        }:
            break
    return found
