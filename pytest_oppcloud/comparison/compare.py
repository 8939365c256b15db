"""One record against another: what differs, and how much was compared."""

from __future__ import annotations

import enum
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_oppcloud.records import Inputs, Record, Recording, natural
from pytest_oppcloud.records.record import INPUT_KINDS, RESULT_KINDS, stored_form

from .numbers import EXACT, distance, equal, number
from .rules import Rule, Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from oppcloud_worker.messages import RecordedValue

_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")

#: Kind, module, name, field, and which of several values with the same four it is (1, 2, ...).
_Key = tuple[str, str, str, str, int]


class State(enum.Enum):
    """In which way a value is not what the baseline says."""

    SETTING = "setting differs"
    #: The baseline has it, the run did not record it.
    MISSING = "missing"
    #: The run recorded it, the baseline does not know it.
    NEW = "new"
    NAN_APPEARED = "nan appeared"
    NAN_VANISHED = "nan vanished"
    INFINITE_APPEARED = "infinite appeared"
    INFINITE_VANISHED = "infinite vanished"
    CHANGED = "changed"


_SEVERITY = {state: index for index, state in enumerate(State)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that is not what the baseline says."""

    state: State
    #: A kind of `RecordedValue`, "digest" (all "par" or "attr" at once; that is its name), or "setting".
    kind: str
    module: str
    name: str
    field: str
    #: 1, or 2, 3, ... where the run recorded several values under the same name.
    occurrence: int
    #: As recorded; None where there is none.
    baseline: str | None
    obtained: str | None
    #: Distance of two finite numbers, else None.
    absolute: float | None = None
    #: The same as a share of the baseline; infinite where that is 0.
    relative: float | None = None
    #: The rule that judged the value; None if it had to be equal.
    rule: Rule | None = None
    #: For a missing value: module and name of a new item that has the very values of this one.
    renamed: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that explains differences and is none itself: another compiler, another seed set."""

    name: str
    baseline: str
    obtained: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of comparing a run with its baseline."""

    #: Worst first: fingerprints, settings, missing, new, nan and infinite, then changed by relative distance.
    differences: tuple[Difference, ...]
    #: How many values of each kind were held against a value of the baseline.
    compared: Mapping[str, int]
    #: How many values the baseline has, without those that are excluded now.
    stored: int
    #: How many values of the baseline are excluded now.
    excluded: int
    #: How many values were not equal, but near enough for their rule.
    tolerated: int
    #: Indices of the rules that judged something.
    rules_used: frozenset[int]
    #: In what the circumstances differ from those of the recording.
    changes: tuple[Change, ...]

    @property
    def compared_results(self) -> int:
        """How many of the compared values came out of the run, rather than went in."""
        return sum(self.compared.get(kind, 0) for kind in RESULT_KINDS)

    @property
    def passed(self) -> bool:
        """Whether the run is what the baseline says. Where no result was compared, it is not."""
        return not self.differences and self.compared_results > 0


def compare(
    stored: Record, obtained: Record, recording: Recording | None = None, rules: Rules | None = None
) -> Comparison:
    """Compare the record of a run (`make_record`) with that of its baseline.

    `recording` must be the one that `obtained` was made with. Whether parameters and attributes are compared one by
    one or as a digest is decided by what the baseline has.
    """
    recording = recording or Recording()
    judge = _Judge(rules or Rules())
    forms = _forms(stored, recording)
    checked = [
        value
        for value in stored.values
        if recording.selects(value) and forms.get(_described_kind(value)) is not Inputs.OFF
    ]
    before = _indexed(checked)
    now = _indexed(value for value in stored_form(obtained, forms).values if recording.selects(value))
    for key, value in before.items():
        judge.value(key, value, now.get(key))
    for key, value in now.items():
        if key not in before:
            judge.new(key, value)
    differences = [*_setting_differences(stored.settings, obtained.settings), *judge.differences]
    return Comparison(
        differences=tuple(sorted(_with_renames(differences), key=_severity)),
        compared=dict(judge.compared),
        stored=len(checked),
        excluded=len(stored.values) - len(checked),
        tolerated=judge.tolerated,
        rules_used=frozenset(judge.rules_used),
        changes=_changes(stored, obtained),
    )


def accepted(value: RecordedValue, obtained: str) -> bool:
    """Tell whether the obtained text is what a value of the baseline says, without any tolerance."""
    if value.kind == "fingerprint":
        return any(same_fingerprint(choice, obtained) for choice in value.value.split(" "))
    return equal(value.value, obtained)


def same_fingerprint(first: str, second: str) -> bool:
    """Compare as OMNeT++ does: numbers, whatever dashes, colons, case and leading zeros (src/sim/cfingerprint.cc)."""
    return _fingerprint_number(first) == _fingerprint_number(second)


def _fingerprint_number(text: str) -> int | str:
    """Return the number that a fingerprint stands for; the text itself if it is none."""
    digits = text.replace("-", "").replace(":", "")
    return int(digits, 16) if _HEXADECIMAL.fullmatch(digits) else text


class _Judge:
    """Collects what becomes of the values."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.differences: list[Difference] = []
        self.compared: Counter[str] = Counter()
        self.rules_used: set[int] = set()
        self.tolerated = 0

    def value(self, key: _Key, baseline: RecordedValue, obtained: RecordedValue | None) -> None:
        """Judge a value of the baseline."""
        if obtained is None:
            self.differences.append(_difference(State.MISSING, key, baseline=baseline.value))
            return
        self.compared[baseline.kind] += 1
        index = self._rules.first(baseline)
        rule = None
        if index is not None:
            self.rules_used.add(index)
            rule = self._rules[index]
        if baseline.value == obtained.value or accepted(baseline, obtained.value):
            return
        first, second = number(baseline.value), number(obtained.value)
        if first is None or second is None or baseline.kind == "fingerprint":
            state, absolute, relative = State.CHANGED, None, None
        elif first.is_finite() and second.is_finite():
            if rule and rule.tolerance.allows(first, second):
                self.tolerated += 1
                return
            state, absolute, relative = State.CHANGED, *_distances(first, second)
        else:
            state, absolute, relative = _special(first, second), None, None
        self.differences.append(
            replace(
                _difference(state, key, baseline=baseline.value, obtained=obtained.value),
                absolute=absolute,
                relative=relative,
                rule=rule,
            )
        )

    def new(self, key: _Key, obtained: RecordedValue) -> None:
        """Judge a value that the baseline does not have."""
        # A baseline that was recorded in another form has no digest of what never was there.
        if obtained.kind != "digest" or not obtained.value.startswith("0 "):
            self.differences.append(_difference(State.NEW, key, obtained=obtained.value))


def _forms(stored: Record, recording: Recording) -> dict[str, Inputs]:
    """Return in which form the inputs of a run are compared: that of the baseline, unless they are left out now."""
    forms = recording.forms
    kinds = {(value.kind, value.name if value.kind == "digest" else "") for value in stored.values}
    for kind in INPUT_KINDS:
        if forms[kind] is Inputs.OFF:
            continue
        if ("digest", kind) in kinds:
            forms[kind] = Inputs.DIGEST
        elif (kind, "") in kinds:
            forms[kind] = Inputs.VALUES
    return forms


def _described_kind(value: RecordedValue) -> str:
    return value.name if value.kind == "digest" else value.kind


def _indexed(values: Iterable[RecordedValue]) -> dict[_Key, RecordedValue]:
    """Return the values by key, several of the same name told apart by their order."""
    seen: Counter[tuple[str, str, str, str]] = Counter()
    indexed: dict[_Key, RecordedValue] = {}
    for value in values:
        kind, module, name, field = key = value.key
        seen[key] += 1
        indexed[kind, module, name, field, seen[key]] = value
    return indexed


def _difference(state: State, key: _Key, *, baseline: str | None = None, obtained: str | None = None) -> Difference:
    kind, module, name, field, occurrence = key
    return Difference(
        state=state,
        kind=kind,
        module=module,
        name=name,
        field=field,
        occurrence=occurrence,
        baseline=baseline,
        obtained=obtained,
    )


def _distances(baseline: Decimal, obtained: Decimal) -> tuple[float, float]:
    absolute = distance(baseline, obtained)
    return float(absolute), float(EXACT.divide(absolute, EXACT.abs(baseline)))


def _special(baseline: Decimal, obtained: Decimal) -> State:
    """Return the state of two different numbers of which one at least is not finite."""
    if baseline.is_nan():
        return State.NAN_VANISHED
    if obtained.is_nan():
        return State.NAN_APPEARED
    if baseline.is_finite():
        return State.INFINITE_APPEARED
    # From inf to -inf, nothing appeared or vanished.
    return State.INFINITE_VANISHED if obtained.is_finite() else State.CHANGED


def _setting_differences(stored: Mapping[str, str], obtained: Mapping[str, str]) -> list[Difference]:
    return [
        _difference(State.SETTING, ("setting", "", name, "", 1), baseline=stored.get(name), obtained=obtained.get(name))
        for name in sorted(stored.keys() | obtained.keys())
        if stored.get(name) != obtained.get(name)
    ]


def _changes(stored: Record, obtained: Record) -> tuple[Change, ...]:
    before = {**stored.provenance, "seed-set": stored.seed_set}
    now = {**obtained.provenance, "seed-set": obtained.seed_set}
    return tuple(
        Change(name=name, baseline=before.get(name, ""), obtained=now.get(name, ""))
        for name in sorted(before.keys() | now.keys())
        if before.get(name, "") != now.get(name, "")
    )


def _severity(difference: Difference) -> tuple[object, ...]:
    """Sort key: worst first."""
    relative = math.inf if difference.relative is None else difference.relative
    absolute = math.inf if difference.absolute is None else difference.absolute
    return (
        difference.kind != "fingerprint",
        _SEVERITY[difference.state],
        -relative,
        -absolute,
        natural(difference.module),
        natural(difference.name),
        natural(difference.field),
        difference.occurrence,
    )


def _with_renames(differences: list[Difference]) -> list[Difference]:
    """Return the differences, with the new name of missing items where exactly one new item has their values."""
    gone = _contents(differences, State.MISSING)
    come = _contents(differences, State.NEW)
    renamed = {
        items[0]: come[content][0]
        for content, items in gone.items()
        if len(items) == 1 and len(come.get(content, ())) == 1
    }
    return [
        replace(difference, renamed=renamed[item])
        if difference.state is State.MISSING and (item := (difference.module, difference.name)) in renamed
        else difference
        for difference in differences
    ]


def _contents(differences: list[Difference], state: State) -> dict[tuple[object, ...], list[tuple[str, str]]]:
    """Return the items that are missing, or new, by what they hold."""
    items: dict[tuple[str, str], list[tuple[object, ...]]] = defaultdict(list)
    for difference in differences:
        if difference.state is state and difference.module:
            value = difference.obtained if difference.baseline is None else difference.baseline
            held = (difference.kind, difference.field, difference.occurrence, value)
            items[difference.module, difference.name].append(held)
    contents: dict[tuple[object, ...], list[tuple[str, str]]] = defaultdict(list)
    for item, held_values in items.items():
        contents[tuple(held_values)].append(item)
    return contents
