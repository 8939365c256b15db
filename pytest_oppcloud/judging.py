"""From an outcome to a judgement: whether the run did what its baseline says, and what is to be written.

Pure: no pytest, no files. What a cause means is decided in `oppcloud_worker.messages`, what differs in `comparison`;
here both come together.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Verdict

from .comparison import (
    Rule,
    Rules,
    Tolerance,
    Update,
    compare,
    headline,
    record_to_write,
    render,
    same_fingerprint,
    summary,
)
from .records import Inputs, ItemPattern, Recording, make_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oppcloud_worker.messages import RunOutcome

    from .errors import LocatedError
    from .project import RunSettings
    from .records import Record

#: How much of a simulation's output stands in the failure text; the whole of it is among the kept files.
_TAIL = 2000


class Result(enum.Enum):
    """What becomes of the item."""

    PASSED = "passed"
    #: It passes because its baseline is recorded now.
    RECORDED = "recorded"
    FAILED = "failed"
    #: It is no test, as the run told.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a run is judged."""

    result: Result
    #: For people: what was compared, or what is wrong.
    text: str
    #: The same in one line; "": it is the first of the text.
    headline: str = ""
    #: How many values were held against the baseline, or recorded.
    compared: int = 0
    #: What the baseline becomes; None if it stays as it is.
    record: Record | None = None
    #: The tolerance rules that values were compared by, in words, and those among them that judged no value.
    rules: tuple[str, ...] = ()
    unused_rules: tuple[str, ...] = ()


def recording_of(settings: RunSettings) -> Recording:
    """Return which values are recorded and checked."""
    include = settings.check_include
    return Recording(
        include=(ItemPattern(),) if include is None else tuple(map(ItemPattern.read, include)),
        exclude=tuple(map(ItemPattern.read, settings.check_exclude)),
        parameters=Inputs(settings.check_parameters),
        attributes=Inputs(settings.check_attributes),
    )


def rules_of(settings: RunSettings, source: str) -> Rules:
    """Return how far values may be from their baseline; `source` tells where that is said."""
    return Rules(
        Rule(
            items=ItemPattern(module=rule.module, name=rule.name),
            field=rule.field,
            tolerance=Tolerance(absolute=rule.absolute, relative=rule.relative),
            source=source,
        )
        for rule in settings.check_tolerances
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a run is held against."""

    #: The settings that decide what is recorded; they stand in the baseline and must be equal.
    decisive: Mapping[str, str]
    recording: Recording
    rules: Rules
    #: What the ini file itself expects: accepted fingerprints by ingredients.
    own_fingerprints: Mapping[str, tuple[str, ...]]
    #: The baseline; None if there is none.
    stored: Record | None
    #: Why the baseline could not be read.
    damage: LocatedError | None = None
    #: Whether that is the run's own section, so that it can be recorded anew; a whole file cannot.
    mendable: bool = True


def judge(outcome: RunOutcome, expected: Expectation, update: Update | None = None) -> Judgement:
    """Judge a run whose outcome is no failure of the machinery, and tell what `update` makes of its baseline."""
    verdict = outcome.cause.verdict
    if verdict is Verdict.NOT_A_TEST and expected.stored is None and expected.damage is None:
        return Judgement(result=Result.SKIPPED, text=f"{outcome.cause.text}: {outcome.message}")
    if verdict is not Verdict.PASSED:
        return Judgement(result=Result.FAILED, text=describe_end(outcome))
    obtained = make_record(outcome, expected.decisive, expected.recording)
    unexpected = _own_mismatch(obtained, expected.own_fingerprints)
    if unexpected:
        return Judgement(result=Result.FAILED, text=unexpected)
    comparison = None
    if expected.stored is not None:
        comparison = compare(expected.stored, obtained, expected.recording, expected.rules)
    if update is not None and expected.mendable:
        record = record_to_write(
            update,
            obtained,
            expected.recording,
            stored=expected.stored,
            comparison=comparison,
            damaged=expected.damage is not None,
        )
        if record is not None:
            count = len(record.values)
            return Judgement(result=Result.RECORDED, text=f"recorded {count} values", compared=count, record=record)
    if comparison is None:
        text = _nothing_to_compare(obtained) if expected.damage is None else str(expected.damage)
        return Judgement(result=Result.FAILED, text=text)
    return Judgement(
        result=Result.PASSED if comparison.passed else Result.FAILED,
        text=summary(comparison) if comparison.passed else render(comparison),
        headline="" if comparison.passed else headline(comparison),
        compared=sum(comparison.compared.values()),
        rules=tuple(map(str, expected.rules)),
        unused_rules=tuple(map(str, expected.rules.unused(comparison.rules_used))),
    )


def with_complaints(judgement: Judgement, complaints: str) -> Judgement:
    """Return the judgement of a run that a project's own checks complain of: it fails, and is not recorded."""
    if not complaints:
        return judgement
    text = f"{judgement.text}\n\n{complaints}" if judgement.result is Result.FAILED else complaints
    return replace(judgement, result=Result.FAILED, text=text, record=None)


def _nothing_to_compare(obtained: Record) -> str:
    if not obtained.has_results:
        return "the run recorded no results: there is nothing to compare, and nothing to record"
    return "there is no baseline for this run\nrecord one: pytest --opp-update-baselines=new"


def _own_mismatch(obtained: Record, expected: Mapping[str, tuple[str, ...]]) -> str:
    """Return what is wrong with the fingerprints that the ini file itself expects, "" if nothing is."""
    calculated = {value.name: value.value for value in obtained.values if value.kind == "fingerprint"}
    lines = [
        f"  {letters or '(no ingredients)'}: expected {' or '.join(accepted)}, "
        f"calculated {calculated.get(letters, 'none')}"
        for letters, accepted in expected.items()
        if letters not in calculated or not any(same_fingerprint(value, calculated[letters]) for value in accepted)
    ]
    return "\n".join(["the fingerprint that the ini file itself expects is another one", *lines]) if lines else ""


def describe_end(outcome: RunOutcome) -> str:
    """Return what is to be said about a run that did not end as it should."""
    lines = [f"{outcome.cause.text}: {outcome.message}" if outcome.message else outcome.cause.text]
    facts = []
    if outcome.exit_code is not None:
        facts.append(f"exit code {outcome.exit_code}")
    if outcome.end_line:
        facts.append(f"end line: {outcome.end_line}")
    if outcome.attempt > 1:
        facts.append(f"attempt {outcome.attempt}")
    if outcome.host:
        facts.append(f"on {outcome.host}")
    if facts:
        lines.append(", ".join(facts))
    return "\n".join(lines)


def tail(text: str) -> str:
    """Return the end of a simulation's output, whole lines."""
    if len(text) <= _TAIL:
        return text
    return "[...]\n" + text[-_TAIL:].partition("\n")[2]
