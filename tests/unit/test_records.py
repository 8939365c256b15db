"""What a run is judged by: keys, order, selection, the record of an outcome."""

from __future__ import annotations

import pytest
from oppcloud_worker.messages import Cause, RecordedValue, RunOutcome

from pytest_oppcloud.records import Inputs, ItemPattern, Record, Recording, RunKey, make_record, natural
from pytest_oppcloud.records.record import ordered, stored_form


def scalar(module: str, name: str, value: str = "1") -> RecordedValue:
    return RecordedValue(kind="scalar", module=module, name=name, value=value)


def outcome(*values: RecordedValue, **attributes: str) -> RunOutcome:
    return RunOutcome(cause=Cause.COMPLETED, values=values, attributes=attributes, provenance={"omnetpp": "6.1"})


def test_natural_order_counts() -> None:
    assert sorted(["host[10]", "host[2]", "host", "a1b10", "a1b9"], key=natural) == [
        "a1b9",
        "a1b10",
        "host",
        "host[2]",
        "host[10]",
    ]
    assert natural("01") != natural("1")
    assert natural("9" * 10_000) < natural("x")


def test_a_run_is_the_same_in_whatever_order_its_variables_are_nested() -> None:
    one = RunKey.of("C", {"b": "1", "a": "2"}, 0)
    other = RunKey.of("C", {"a": "2", "b": "1"}, 0)
    assert one == other
    assert str(one) == "C a=2 b=1 #0"


def test_repetition_and_occurrence_tell_runs_apart() -> None:
    keys = {RunKey.of("C", {}, repetition, occurrence) for repetition in (0, 1) for occurrence in (1, 2)}
    assert sorted(map(str, keys)) == ["C #0", "C #0 ~2", "C #1", "C #1 ~2"]


def test_keys_are_ordered_by_numbers() -> None:
    keys = [RunKey.of("C", {"n": value}, 0) for value in ("10", "9", "100")]
    assert [key.itervars[0][1] for key in sorted(keys, key=lambda key: key.order)] == ["9", "10", "100"]


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.COMPLETED])
def test_nothing_is_recorded_of_a_run_that_did_not_complete(cause: Cause) -> None:
    with pytest.raises(ValueError, match=r"no record of a run"):
        make_record(RunOutcome(cause=cause, values=(scalar("N", "x"),)), {})


def test_values_come_in_the_order_of_a_baseline() -> None:
    fields = [
        RecordedValue(kind="statistic", module="N", name="s", field=field, value="1") for field in ("sum", "count")
    ]
    bins = [
        RecordedValue(kind="bin", module="N", name="s", field=edge, value="1") for edge in ("10", "nan", "9", "-inf")
    ]
    fingerprint = RecordedValue(kind="fingerprint", module="", name="tplx", value="0617-2d8e")
    values = ordered([*bins, *fields, scalar("N.host[10]", "a"), scalar("N.host[2]", "a"), fingerprint])
    assert [(value.kind, value.module, value.field) for value in values] == [
        ("fingerprint", "", ""),
        ("scalar", "N.host[2]", ""),
        ("scalar", "N.host[10]", ""),
        ("statistic", "N", "count"),
        ("statistic", "N", "sum"),
        ("bin", "N", "-inf"),
        ("bin", "N", "9"),
        ("bin", "N", "10"),
        ("bin", "N", "nan"),
    ]


def test_values_of_one_name_keep_their_order() -> None:
    record = make_record(outcome(scalar("N", "x", "2"), scalar("N", "x", "1")), {})
    assert [value.value for value in record.values] == ["2", "1"]


def test_items_are_included_and_excluded_by_pattern() -> None:
    recording = Recording(
        include=(ItemPattern(module="N.*"), ItemPattern(name="total*")), exclude=(ItemPattern(name="*:last"),)
    )
    chosen = {
        ("N.a", "x"): True,
        ("N.a.b", "x"): False,
        ("N.a.b", "total.bytes"): True,
        ("N.a", "x:last"): False,
    }
    assert {item: recording.selects(scalar(*item)) for item in chosen} == chosen


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "a.b", True),
        ("a*", "a.b", True),
        ("**", "", True),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        ("delay:{a-m}*", "delay:max", True),
        ("delay:{a-m}*", "delay:sum", False),
        ("x[3..5]", "x[4]", True),
        ("x[3..5]", "x[6]", False),
    ],
)
def test_patterns_are_those_of_ini_files(pattern: str, name: str, fits: bool) -> None:
    assert ItemPattern(name=pattern).matches("N", name) is fits


def test_what_is_no_pattern_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"Unmatched"):
        ItemPattern(module="N.{a")
    with pytest.raises(ValueError, match=r"Unmatched"):
        ItemPattern(name="{a")


def test_fingerprints_and_attributes_of_the_run_are_always_chosen() -> None:
    nothing = Recording(include=())
    fingerprint = RecordedValue(kind="fingerprint", module="", name="tplx", value="0617-2d8e")
    record = make_record(outcome(fingerprint, scalar("N", "x"), network="N"), {}, nothing)
    assert [value.kind for value in record.values] == ["fingerprint", "attr"]


def test_a_renumbered_run_has_the_same_attributes() -> None:
    one = make_record(outcome(network="N", runnumber="3", seedset="3", replication="#0, seed-set=3"), {})
    other = make_record(outcome(network="N", runnumber="5", seedset="5", replication="#0, seed-set=5"), {})
    assert one.values == other.values
    assert (one.seed_set, other.seed_set) == ("3", "5")


def test_a_lost_attribute_of_the_run_is_seen_even_where_its_value_does_not_count() -> None:
    forms = Recording().forms
    whole = stored_form(make_record(outcome(network="N", runnumber="3"), {}), forms)
    less = stored_form(make_record(outcome(network="N"), {}), forms)
    assert whole.values != less.values


def test_inputs_are_kept_as_values_as_a_digest_or_not() -> None:
    parameters = [RecordedValue(kind="par", module="N", name=name, value="1s") for name in "ab"]
    record = Record(values=ordered([*parameters, scalar("N", "x")]))

    def kinds(form: Inputs) -> list[str]:
        return [value.kind for value in stored_form(record, {"par": form, "attr": Inputs.OFF}).values]

    assert kinds(Inputs.VALUES) == ["par", "par", "scalar"]
    assert kinds(Inputs.DIGEST) == ["digest", "scalar"]
    assert kinds(Inputs.OFF) == ["scalar"]


def test_a_digest_changes_with_every_part_of_every_value() -> None:
    base = RecordedValue(kind="attr", module="N", name="x", field="unit", value="s")
    others = [
        RecordedValue(kind="attr", module="M", name="x", field="unit", value="s"),
        RecordedValue(kind="attr", module="N", name="y", field="unit", value="s"),
        RecordedValue(kind="attr", module="N", name="x", field="title", value="s"),
        RecordedValue(kind="attr", module="N", name="x", field="unit", value="ms"),
    ]
    forms = {"attr": Inputs.DIGEST}
    digests = {stored_form(Record(values=(value,)), forms).values[0].value for value in [base, *others]}
    digests.add(stored_form(Record(values=(base, base)), forms).values[0].value)
    digests.add(stored_form(Record(values=()), forms).values[0].value)
    assert len(digests) == 7
    assert all(text.split()[0] in {"0", "1", "2"} for text in digests)
