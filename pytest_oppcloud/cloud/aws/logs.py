"""CloudWatch Logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .values import LogLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .service import Service


class Logs:
    """What queue, workers and timer wrote."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def lines(self, group: str, *, since: float, prefix: str = "", containing: str = "") -> Iterator[LogLine]:
        """Yield the lines since a time, in their order, of the streams whose names begin with `prefix`."""
        arguments: dict[str, object] = {"logGroupName": group, "startTime": int(since * 1000)}
        if prefix:
            arguments["logStreamNamePrefix"] = prefix
        if containing:
            arguments["filterPattern"] = '"' + containing.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for item in self._service.items("filter_log_events", "events", **arguments):
            yield LogLine(
                id=item["eventId"],
                time=item["timestamp"] / 1000,
                stream=item["logStreamName"],
                text=item["message"].rstrip("\n"),
            )

    def groups(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the groups whose names begin with `prefix`."""
        found = self._service.items("describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
        return tuple(sorted(item["logGroupName"] for item in found))
