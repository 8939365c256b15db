"""Which baseline to write for a run, if any."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.records.record import ordered, stored_form

from .compare import State, accepted

if TYPE_CHECKING:
    from pytest_oppcloud.records import Record, Recording

    from .compare import Comparison


class Update(enum.Enum):
    """What may be written; the values are those of `--opp-update-baselines`."""

    #: Runs without a baseline, and values without one in runs that are otherwise as their baseline says. What is
    #: recorded already never changes.
    NEW = "new"
    #: Runs that differ from their baseline, or whose baseline is damaged: the whole run anew. Runs without a baseline
    #: stay without.
    CHANGED = "changed"
    #: Every run, what it was recorded with included; where that and all values are the same, the file stays as it is.
    ALL = "all"


def record_to_write(  # noqa: PLR0913  # three of them say what there is so far
    mode: Update,
    obtained: Record,
    recording: Recording,
    *,
    stored: Record | None = None,
    comparison: Comparison | None = None,
    damaged: bool = False,
) -> Record | None:
    """Return what the baseline of a run becomes; None if it stays as it is.

    `stored` and `comparison` belong together; neither is given for a run without a baseline, nor for one whose
    baseline is `damaged`. A run that recorded no results is never written: nothing could ever be compared with it.
    """
    if not obtained.has_results:
        return None
    if stored is None or comparison is None:
        allowed = mode is not Update.NEW if damaged else mode is not Update.CHANGED
        return stored_form(obtained, recording.forms) if allowed else None
    if mode is Update.NEW:
        return _extended(stored, comparison)
    if mode is Update.CHANGED and not comparison.differences:
        return None
    merged = _merged(stored, stored_form(obtained, recording.forms))
    return None if merged == stored else merged


def _extended(stored: Record, comparison: Comparison) -> Record | None:
    """Return the stored record with the values that it lacks, if nothing else is different."""
    differences = comparison.differences
    if not differences or any(difference.state is not State.NEW for difference in differences):
        return None
    new = (
        RecordedValue(kind=one.kind, module=one.module, name=one.name, field=one.field, value=one.obtained or "")
        for one in sorted(differences, key=lambda difference: difference.occurrence)
    )
    return replace(stored, values=ordered((*stored.values, *new)))


def _merged(stored: Record, obtained: Record) -> Record:
    """Return the obtained record in the words of the stored one where both say the same.

    So 1 does not become 1.0, nor nan -nan, and a fingerprint keeps its accepted alternatives.
    """
    before: dict[tuple[str, str, str, str], list[RecordedValue]] = defaultdict(list)
    for value in reversed(stored.values):
        before[value.key].append(value)
    values = []
    for value in obtained.values:
        # Several values of one name correspond in their order.
        old = before[value.key].pop() if before[value.key] else None
        values.append(old if old and accepted(old, value.value) else value)
    return replace(obtained, values=tuple(values))
