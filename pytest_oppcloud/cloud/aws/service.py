"""One service of Amazon's, with our errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .errors import from_answer, no_answer

_Answer = Mapping[str, Any]
_T = TypeVar("_T")


class Service:
    """A boto3 client whose calls raise `AwsError`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._name = client.meta.service_model.service_name

    def call(self, operation: str, **arguments: object) -> _Answer:
        """Call one operation, by botocore's name (`describe_stacks`)."""
        answer: _Answer = self._translated(operation, lambda: getattr(self._client, operation)(**arguments))
        return answer

    def items(self, operation: str, key: str, **arguments: object) -> Iterator[Any]:
        """Call an operation page by page; yield what lies under `key` in each."""
        pages = iter(self._client.get_paginator(operation).paginate(**arguments))
        end: _Answer = {}
        while (page := self._translated(operation, lambda: next(pages, end))) is not end:
            yield from page.get(key, ())

    def _translated(self, operation: str, call: Callable[[], _T]) -> _T:
        # Here and not above: botocore takes a third of a second to import, and whoever has a client has it anyway.
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        action = f"{self._name}:{''.join(word.capitalize() for word in operation.split('_'))}"
        try:
            return call()
        except ClientError as error:
            answer = error.response.get("Error", {})
            raise from_answer(action, answer.get("Code", ""), answer.get("Message", str(error))) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise no_answer(action, error) from error
