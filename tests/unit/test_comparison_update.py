"""What an update writes: exactly what its verb says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.comparison import Rule, Rules, Tolerance, Update, compare, record_to_write
from pytest_oppcloud.records import Inputs, ItemPattern, Record, Recording
from pytest_oppcloud.records.record import ordered

RECORDING = Recording(parameters=Inputs.OFF, attributes=Inputs.OFF)


def scalars(**values: str) -> Record:
    recorded = (RecordedValue(kind="scalar", module="N", name=name, value=value) for name, value in values.items())
    return Record(values=ordered(recorded), provenance={"omnetpp": "6.1"}, settings={"t": "1s"}, seed_set="0")


def written(mode: Update, stored: Record | None, obtained: Record, rules: Rules | None = None) -> Record | None:
    comparison = None if stored is None else compare(stored, obtained, RECORDING, rules)
    return record_to_write(mode, obtained, RECORDING, stored=stored, comparison=comparison)


STORED = scalars(a="1", b="2")
OTHER_PLACE = {"omnetpp": "6.2"}


@pytest.mark.parametrize(
    ("what", "stored", "obtained", "writers"),
    [
        ("a run without a baseline", None, STORED, {Update.NEW, Update.ALL}),
        ("the same", STORED, STORED, set()),
        ("the same elsewhere", STORED, replace(STORED, provenance=OTHER_PLACE), {Update.ALL}),
        ("the same with another seed set", STORED, replace(STORED, seed_set="1"), {Update.ALL}),
        ("a changed value", STORED, scalars(a="1", b="3"), {Update.CHANGED, Update.ALL}),
        ("a missing value", STORED, scalars(a="1"), {Update.CHANGED, Update.ALL}),
        ("a new value", STORED, scalars(a="1", b="2", c="3"), set(Update)),
        ("a new and a changed value", STORED, scalars(a="1", b="3", c="3"), {Update.CHANGED, Update.ALL}),
        ("another setting", STORED, replace(STORED, settings={"t": "2s"}), {Update.CHANGED, Update.ALL}),
        ("no results any more", STORED, scalars(), set()),
        ("no results at all", None, scalars(), set()),
    ],
)
def test_each_verb_writes_what_it_says(
    what: str, stored: Record | None, obtained: Record, writers: set[Update]
) -> None:
    assert {mode for mode in Update if written(mode, stored, obtained)} == writers, what


@pytest.mark.parametrize("mode", list(Update))
def test_what_is_written_passes(mode: Update) -> None:
    for obtained in (scalars(a="1", b="3"), scalars(a="1", b="2", c="nan"), scalars(b="x")):
        record = written(mode, STORED, obtained)
        if record is not None:
            assert compare(record, obtained, RECORDING).passed
            assert written(mode, record, obtained) is None


def test_a_damaged_baseline_counts_as_changed() -> None:
    def writes(mode: Update) -> bool:
        return record_to_write(mode, STORED, RECORDING, damaged=True) is not None

    assert [mode for mode in Update if writes(mode)] == [Update.CHANGED, Update.ALL]


def test_new_never_touches_what_is_recorded() -> None:
    """Not even a value that is within its tolerance, nor what the others were recorded with."""
    rules = Rules([Rule(items=ItemPattern(), tolerance=Tolerance(absolute=1.0))])
    obtained = replace(scalars(a="1.0", b="2.5", c="7"), provenance=OTHER_PLACE, seed_set="5")
    record = written(Update.NEW, STORED, obtained, rules)
    assert record == replace(STORED, values=scalars(a="1", b="2", c="7").values)


def test_new_values_of_a_known_name_follow_the_known_ones() -> None:
    def several(*texts: str) -> Record:
        values = (RecordedValue(kind="scalar", module="N", name="a", value=text) for text in texts)
        return replace(STORED, values=tuple(values))

    assert written(Update.NEW, several("9"), several("9", "10", "8")) == several("9", "10", "8")


def test_a_rewritten_run_keeps_the_words_of_what_is_still_true() -> None:
    stored = scalars(a="1", b="nan", c="3")
    record = written(Update.CHANGED, stored, replace(scalars(a="1.0", b="-nan", c="4"), provenance=OTHER_PLACE))
    assert record == replace(scalars(a="1", b="nan", c="4"), provenance=OTHER_PLACE)


def test_accepted_alternatives_stay_until_none_of_them_is_obtained() -> None:
    def fingerprint(value: str, **values: str) -> Record:
        one = RecordedValue(kind="fingerprint", module="", name="tplx", value=value)
        return replace(STORED, values=(one, *scalars(**values).values))

    stored = fingerprint("1111-1111 2222-2222", a="1")
    kept = written(Update.CHANGED, stored, fingerprint("2222-2222", a="2"))
    assert kept == fingerprint("1111-1111 2222-2222", a="2")
    replaced = written(Update.CHANGED, stored, fingerprint("3333-3333", a="1"))
    assert replaced == fingerprint("3333-3333", a="1")


def test_a_value_within_its_tolerance_is_not_rewritten_alone() -> None:
    rules = Rules([Rule(items=ItemPattern(), tolerance=Tolerance(absolute=1.0))])
    assert written(Update.CHANGED, STORED, scalars(a="1", b="2.5"), rules) is None
    assert written(Update.ALL, STORED, scalars(a="1", b="2.5"), rules) == scalars(a="1", b="2.5")


def test_inputs_are_written_in_the_form_that_is_asked_for_now() -> None:
    parameter = RecordedValue(kind="par", module="N", name="p", value="1s")
    obtained = replace(STORED, values=ordered((*STORED.values, parameter)))
    digest = record_to_write(Update.NEW, obtained, Recording())
    assert digest is not None
    assert [value.kind for value in digest.values] == ["digest", "digest", "scalar", "scalar"]
    single = Recording(parameters=Inputs.VALUES)
    again = record_to_write(Update.ALL, obtained, single, stored=digest, comparison=compare(digest, obtained, single))
    assert again is not None
    assert [value.kind for value in again.values] == ["digest", "par", "scalar", "scalar"]
