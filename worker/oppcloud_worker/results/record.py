"""What a result file says about one run. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from oppcloud_worker.messages import RecordedValue

#: Attributes that OMNeT++ 6 gives every run (src/envir/resultfileutils.cc); versions may add to them.
RUN_ATTRIBUTES = frozenset(
    {
        "configname",
        "datetime",
        "datetimef",
        "experiment",
        "inifile",
        "iterationvars",
        "iterationvarsd",
        "iterationvarsf",
        "measurement",
        "network",
        "processid",
        "repetition",
        "replication",
        "resultdir",
        "runnumber",
        "seedset",
    }
)
#: Fields of every statistic in their order, and those that follow for unweighted and weighted ones.
COMMON_FIELDS = ("count", "mean", "stddev", "min", "max")
UNWEIGHTED_FIELDS = ("sum", "sqrsum")
WEIGHTED_FIELDS = ("weights", "weightedSum", "sqrSumWeights", "weightedSqrSum")


class ResultError(Exception):
    """A result file is damaged, or none."""

    def __init__(self, message: str, path: Path, line: int = 0) -> None:
        self.path = path
        #: 1-based; 0 where no line is to blame.
        self.line = line
        super().__init__(f"{path.name}:{line}: {message}" if line else f"{path.name}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of a result file."""

    #: "Fifo1-0-20261121-21:23:13-10316".
    run_id: str
    attributes: Mapping[str, str]
    itervars: Mapping[str, str]
    #: Key and value of the effective configuration, in order of precedence; a key may occur more than once.
    config: tuple[tuple[str, str], ...]
    #: Everything recorded, in the order of the file.
    values: tuple[RecordedValue, ...]


def head_trouble(record: RunRecord) -> str:
    """Return what the head of a run lacks or contradicts, "" if it is in order."""
    missing = sorted(RUN_ATTRIBUTES - record.attributes.keys())
    if missing:
        return f"run attribute {missing[0]!r} is missing"
    attributes = record.attributes
    told = "{configname}-{runnumber}-{datetime}-{processid}".format_map(dict(attributes))
    if record.run_id != told:
        return f"run id {record.run_id!r} does not fit its attributes, which say {told!r}"
    return ""
