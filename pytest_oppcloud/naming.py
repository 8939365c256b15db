"""Names of configs and runs in node ids: readable, stable, and such that pytest takes them back.

A run's name is the stem of its result files (`numHosts=10,iaMean=1-#0`, OMNeT++'s `${iterationvarsf}#${repetition}`).
pytest splits ids at `::` and at the first `[`, and reports must be printable text, so these few things are written as
`#hh`, as OMNeT++ itself writes what a file name cannot hold. Pure: no pytest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_oppcloud.runs import Run

_AWKWARD = re.compile(r"[\[\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff]|:(?=:)|(?<=:):|:$|^:")


def escaped(text: str) -> str:
    """Return `text` as it stands in a node id."""
    if text.isprintable() and "[" not in text and ":" not in text:
        return text
    return _AWKWARD.sub(_hex, "".join(part if part.isprintable() else _hex_of(part) for part in text))


def _hex(match: re.Match[str]) -> str:
    return _hex_of(match[0])


def _hex_of(character: str) -> str:
    # A byte that was not UTF-8 comes as a lone surrogate and goes as that byte.
    return "".join(
        f"#{byte:02x}"
        for byte in character.encode(
            "utf-8", "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
        )
    )


def run_name(run: Run) -> str:
    """Return the last part of the run's node id; equal runs are told apart by `~2`, `~3`, ... in run order."""
    name = f"{run.iterationvarsf}#{run.repetition}"
    if run.occurrence > 1:
        name = f"{name}~{run.occurrence}"
    return escaped(name)


def keywords(run: Run) -> set[str]:
    """Return what `-k` finds a run by: "numHosts:10" (pytest allows no "="), with a colon at its end for "exactly"."""
    return {f"{name}:{escaped(value)}:" for name, value in run.itervars.items()} | {f"repetition:{run.repetition}:"}
