"""The record of a run: all that its baseline holds, made of the outcome."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Cause, RecordedValue

from .key import natural
from .selection import Inputs, Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oppcloud_worker.messages import RunOutcome

#: Kinds of values that tell what went into a run, and of those that tell what came out of it.
INPUT_KINDS = ("par", "attr")
RESULT_KINDS = ("fingerprint", "scalar", "statistic", "bin")

#: Run attributes whose values say which run it is, or when and where it ran. They are expected to be there, but
#: adding a value to a loop renumbers runs, and that alone must not make them differ. The seed set is a field of
#: its own; OMNeT++ repeats it in `replication`.
_IDENTITY = frozenset(
    {
        *("configname", "inifile", "resultdir", "runnumber", "repetition", "replication", "seedset"),
        *("iterationvars", "iterationvarsd", "iterationvarsf", "datetime", "datetimef", "processid"),
    }
)

_KIND_ORDER = {"fingerprint": 0, "digest": 1, "par": 2, "scalar": 3, "statistic": 4, "bin": 4, "attr": 5}
#: OMNeT++'s own order of the fields (src/envir/omnetppscalarfilewriter.cc); bins come after them.
_FIELDS = ("count", "mean", "stddev", "min", "max", "sum", "sqrsum")
_WEIGHTED_FIELDS = ("weights", "weightedSum", "sqrSumWeights", "weightedSqrSum")
_FIELD_ORDER = {name: index for index, name in enumerate((*_FIELDS, *_WEIGHTED_FIELDS))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of one run: the stored half and the obtained half of a comparison have this form."""

    #: Values in `value_order`; several of one key in the order of the result file. Beside the kinds of
    #: `RecordedValue`, a stored record may hold "digest" with the name "par" or "attr" and the value "COUNT HEX".
    #: A stored fingerprint may list several accepted values, separated by blanks.
    values: tuple[RecordedValue, ...]
    #: What it was recorded with: "omnetpp", "compiler", "mode", "platform", "program". Explains differences.
    provenance: Mapping[str, str] = field(default_factory=dict)
    #: What decides the values: time limit, recording options, precision, overrides. Must be equal.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: OMNeT++'s ${seedset} of the run. Explains differences.
    seed_set: str = ""

    @property
    def has_results(self) -> bool:
        """Whether there is anything in it that came out of the run."""
        return any(value.kind in RESULT_KINDS for value in self.values)


def make_record(outcome: RunOutcome, settings: Mapping[str, str], recording: Recording | None = None) -> Record:
    """Return the record of a completed run, its inputs as single values (`stored_form` condenses them).

    Raise `ValueError` for a run that did not complete: nothing may be compared with it or recorded from it.
    """
    if outcome.cause is not Cause.COMPLETED:
        raise ValueError(f"no record of a run that ended with {outcome.cause.text!r}")
    recording = recording or Recording()
    attributes = (
        RecordedValue(kind="attr", module="", name="", field=key, value="" if key in _IDENTITY else value)
        for key, value in outcome.attributes.items()
    )
    return Record(
        values=ordered(value for value in (*outcome.values, *attributes) if recording.selects(value)),
        provenance=dict(outcome.provenance),
        settings=dict(settings),
        seed_set=outcome.attributes.get("seedset", ""),
    )


def ordered(values: Iterable[RecordedValue]) -> tuple[RecordedValue, ...]:
    """Return the values in the order of a baseline; values of the same key keep theirs."""
    return tuple(sorted(values, key=value_order))


def value_order(value: RecordedValue) -> tuple[object, ...]:
    """Sort key of a value within its run: by kind, module, name, then fields, then bins from left to right."""
    return (
        _KIND_ORDER.get(value.kind, len(_KIND_ORDER)),
        natural(value.module),
        natural(value.name),
        *(_bin_order(value.field) if value.kind == "bin" else _field_order(value.field)),
    )


def _field_order(name: str) -> tuple[int, float, str]:
    return (0, _FIELD_ORDER.get(name, len(_FIELD_ORDER)), name)


def _bin_order(edge: str) -> tuple[int, float, str]:
    try:
        number = float(edge)
    except ValueError:
        return (2, 0.0, edge)
    # A nan would compare as neither smaller nor larger, and leave the order to chance.
    return (1, number, edge) if number == number else (2, 0.0, edge)  # noqa: PLR0124


def stored_form(record: Record, forms: Mapping[str, Inputs]) -> Record:
    """Return the record with its parameters and attributes as `forms` has them: as they are, as digest, or not."""
    values = [value for value in record.values if forms.get(value.kind, Inputs.VALUES) is Inputs.VALUES]
    values.extend(digest(kind, record.values) for kind in INPUT_KINDS if forms.get(kind) is Inputs.DIGEST)
    return replace(record, values=ordered(values))


def digest(kind: str, values: Iterable[RecordedValue]) -> RecordedValue:
    """Return one value that stands for all values of a kind: their number, and a hash over them."""
    lines = sorted("\0".join((*value.key, value.value)) for value in values if value.kind == kind)
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    text = f"{len(lines)} {hashlib.sha256(content).hexdigest()[:16]}"
    return RecordedValue(kind="digest", module="", name=kind, value=text)
