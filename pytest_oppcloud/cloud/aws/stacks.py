"""CloudFormation stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import AwsError
from .values import Stack, StackEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .service import Service


def _wanted(name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, Any]:
    """Return how a stack is to be, as Amazon is told."""
    return {
        "StackName": name,
        "TemplateBody": template,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "Capabilities": ["CAPABILITY_IAM"],
    }


def _stack(answer: Mapping[str, Any]) -> Stack:
    return Stack(
        id=answer["StackId"],
        name=answer["StackName"],
        status=answer["StackStatus"],
        reason=answer.get("StackStatusReason", ""),
        parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in answer.get("Parameters", ())},
        outputs={item["OutputKey"]: item["OutputValue"] for item in answer.get("Outputs", ())},
        tags={item["Key"]: item["Value"] for item in answer.get("Tags", ())},
        created=answer["CreationTime"].timestamp(),
    )


class Stacks:
    """CloudFormation."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self, name: str) -> Stack | None:
        """Return the stack of this name, or None if there is none."""
        try:
            found = self._service.call("describe_stacks", StackName=name)["Stacks"]
        except AwsError as error:
            if error.code == "ValidationError" and "does not exist" in error.message:
                return None
            raise
        return next((_stack(answer) for answer in found if answer["StackStatus"] != "DELETE_COMPLETE"), None)

    def tagged(self, key: str) -> tuple[Stack, ...]:
        """Return all stacks that carry a tag, whatever its value."""
        stacks = (_stack(answer) for answer in self._service.items("describe_stacks", "Stacks"))
        return tuple(stack for stack in stacks if key in stack.tags and stack.status != "DELETE_COMPLETE")

    def events(self, name: str) -> Iterator[StackEvent]:
        """Yield what happened, the latest first; take only as many as are needed."""
        for answer in self._service.items("describe_stack_events", "StackEvents", StackName=name):
            yield StackEvent(
                id=answer["EventId"],
                time=answer["Timestamp"].timestamp(),
                resource=answer["LogicalResourceId"],
                type=answer["ResourceType"],
                status=answer["ResourceStatus"],
                reason=answer.get("ResourceStatusReason", ""),
            )

    def create(self, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Begin to make a stack; when that fails, what was made is removed again."""
        self._service.call("create_stack", **_wanted(name, template, parameters, tags), OnFailure="ROLLBACK")

    def update(self, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> bool:
        """Begin to change a stack; return False if there is nothing to change."""
        try:
            self._service.call("update_stack", **_wanted(name, template, parameters, tags))
        except AwsError as error:
            if error.code == "ValidationError" and "No updates are to be performed" in error.message:
                return False
            raise
        return True

    def delete(self, name: str) -> None:
        """Begin to remove a stack; no error if there is none."""
        self._service.call("delete_stack", StackName=name)
