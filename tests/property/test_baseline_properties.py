"""Baselines of any content: what is written is read, nothing is lost unnoticed, and comparing is fair."""

from __future__ import annotations

import math
import string
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st
from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.baselines import BaselineFile
from pytest_oppcloud.baselines.words import join, split
from pytest_oppcloud.comparison import Rule, Rules, State, Tolerance, Update, compare, record_to_write, render
from pytest_oppcloud.errors import BaselineError
from pytest_oppcloud.records import Inputs, ItemPattern, Record, Recording, RunKey
from pytest_oppcloud.records.record import ordered

PATH = Path("omnetpp.ini.txt")
VALUES_ONLY = Recording(parameters=Inputs.OFF, attributes=Inputs.OFF)
EVERYTHING = Recording(parameters=Inputs.VALUES, attributes=Inputs.VALUES)

#: Any bytes, as the reader of result files hands them over: what is not UTF-8 is escaped into surrogates.
texts = st.one_of(
    st.text(string.ascii_letters + string.digits + ' .:[]"\\', max_size=12),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace").decode()),
    st.binary(max_size=8).map(lambda data: data.decode("utf-8", "surrogateescape")),
)
names = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=6)
doubles = st.floats().map(lambda number: f"{number:.14g}")
numbers = st.one_of(st.integers(-(10**6), 10**6).map(str), doubles, st.sampled_from(["-nan", "nan", "inf", "-0"]))
modules = st.one_of(st.sampled_from(["N", "N.host[2]", "N.host[10]"]), texts.filter(bool))
fingerprints = st.lists(st.from_regex(r"[0-9a-f]{4}-[0-9a-f]{4}", fullmatch=True), min_size=1, max_size=3)

values = st.one_of(
    st.builds(RecordedValue, kind=st.just("scalar"), module=modules, name=texts, value=numbers),
    st.builds(RecordedValue, kind=st.just("par"), module=modules, name=texts, value=texts),
    st.builds(RecordedValue, kind=st.just("statistic"), module=modules, name=texts, field=names, value=numbers),
    st.builds(RecordedValue, kind=st.just("bin"), module=modules, name=texts, field=numbers, value=numbers),
    st.builds(RecordedValue, kind=st.just("attr"), module=modules, name=texts, field=texts, value=texts),
    st.builds(
        RecordedValue, kind=st.just("fingerprint"), module=st.just(""), name=texts, value=fingerprints.map(" ".join)
    ),
)
records = st.builds(
    Record,
    values=st.lists(values, min_size=1, max_size=8).map(ordered),
    provenance=st.dictionaries(texts, texts, max_size=3),
    settings=st.dictionaries(texts, texts, max_size=3),
    seed_set=texts,
)
keys = st.builds(RunKey.of, texts, st.dictionaries(names, texts, max_size=3), st.integers(0, 12), st.integers(1, 3))
files = st.dictionaries(keys, records, max_size=4)


def written(content: dict[RunKey, Record]) -> BaselineFile:
    return BaselineFile(PATH).updated(content)


@given(st.lists(texts, min_size=1, max_size=5))
def test_words_come_back(words: list[str]) -> None:
    line = join(words)
    assert "\n" not in line
    assert split(line) == words
    line.encode()


@given(st.text(max_size=30))
def test_reading_words_ends_in_words_or_in_a_value_error(line: str) -> None:
    try:
        words = split(line)
    except ValueError:
        return
    assert split(join(words)) == words


@given(files)
def test_what_is_written_is_read(content: dict[RunKey, Record]) -> None:
    file = written(content)
    assert file.records() == content
    file.data.decode()


@given(files)
def test_the_same_content_has_the_same_bytes(content: dict[RunKey, Record]) -> None:
    file = written(content)
    assert written(dict(reversed(content.items()))).data == file.data
    one_by_one = BaselineFile(PATH)
    for key, record in content.items():
        one_by_one = one_by_one.updated({key: record})
    assert one_by_one.data == file.data
    assert BaselineFile(PATH, file.data).updated(file.records()).data == file.data


@given(st.data(), files, records)
def test_an_update_touches_only_what_it_names(
    data: st.DataObject, content: dict[RunKey, Record], record: Record
) -> None:
    key = data.draw(st.sampled_from(sorted(content, key=str)) if content else keys)
    file = written(content)
    changed = file.updated({key: record})
    assert changed.records() == {**content, key: record}
    before = content.get(key)
    assert changed.updated({key: before}).data == file.data


def is_red(damaged: bytes, content: dict[RunKey, Record]) -> bool:
    try:
        file = BaselineFile(PATH, damaged)
        stored = {key: file.record(key) for key in content}
    except BaselineError as error:
        # A message without its line and advice is a failure of its own.
        return bool(error.line and error.advice)
    return any(
        record is None or compare(record, content[key], EVERYTHING).differences for key, record in stored.items()
    )


@given(st.data(), st.dictionaries(keys, records, min_size=1, max_size=3))
def test_no_line_can_be_lost_or_doubled_unnoticed(data: st.DataObject, content: dict[RunKey, Record]) -> None:
    file = written(content)
    assert not is_red(file.data, content)
    lines = file.data.splitlines(keepends=True) if b"\r" not in file.data else []
    assert lines
    number = data.draw(st.integers(0, len(lines) - 1))
    assert is_red(b"".join(lines[:number] + lines[number + 1 :]), content)
    assert is_red(b"".join(lines[: number + 1] + lines[number:]), content)


@given(st.data(), st.dictionaries(keys, records, min_size=1, max_size=2), st.binary(max_size=4))
def test_garbage_is_one_clear_error_or_a_file(
    data: st.DataObject, content: dict[RunKey, Record], garbage: bytes
) -> None:
    original = written(content).data
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 20)))
    damaged = original[:start] + garbage + original[end:]
    assert is_red(damaged, content) or BaselineFile(PATH, damaged).records().keys() >= content.keys()


@given(records, records)
def test_comparing_accounts_for_every_value(stored: Record, obtained: Record) -> None:
    comparison = compare(stored, obtained, EVERYTHING)
    states = [difference.state for difference in comparison.differences]
    compared = sum(comparison.compared.values())
    assert compared + states.count(State.MISSING) == comparison.stored == len(stored.values)
    assert compared + states.count(State.NEW) == len(obtained.values)
    text = render(comparison, rows=None)
    text.encode()
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    render(comparison, rows=1, width=30)


@given(records)
def test_a_run_agrees_with_itself(record: Record) -> None:
    obtained = Record(
        values=tuple(
            RecordedValue(kind=v.kind, module=v.module, name=v.name, field=v.field, value=v.value.split(" ")[-1])
            if v.kind == "fingerprint"
            else v
            for v in record.values
        ),
        settings=record.settings,
    )
    assert not compare(record, obtained, EVERYTHING).differences


@given(records, records, st.sampled_from(Update))
def test_after_an_update_the_run_passes_and_a_second_changes_nothing(
    stored: Record, obtained: Record, mode: Update
) -> None:
    comparison = compare(stored, obtained, EVERYTHING)
    record = record_to_write(mode, obtained, EVERYTHING, stored=stored, comparison=comparison)
    assume(record is not None)
    assert record is not None
    again = compare(record, obtained, EVERYTHING)
    assert again.passed
    assert record_to_write(mode, obtained, EVERYTHING, stored=record, comparison=again) is None
    key = RunKey.of("C", {}, 0)
    assert written({key: record}).record(key) == record


@given(doubles, doubles, st.floats(0, 1e6), st.floats(0, 10))
def test_tolerances_agree_with_arithmetic(baseline: str, obtained: str, absolute: float, relative: float) -> None:
    rules = Rules([Rule(items=ItemPattern(), tolerance=Tolerance(absolute=absolute, relative=relative))])

    def one(value: str) -> Record:
        return Record(values=(RecordedValue(kind="scalar", module="N", name="x", value=value),))

    passed = compare(one(baseline), one(obtained), VALUES_ONLY, rules).passed
    first, second = float(baseline), float(obtained)
    if not (math.isfinite(first) and math.isfinite(second)):
        assert passed is (first == second or (math.isnan(first) and math.isnan(second)))
        return
    distance, allowed = abs(second - first), absolute + relative * abs(first)
    # At the very edge, binary arithmetic is not the judge.
    assume(not math.isclose(distance, allowed, rel_tol=1e-9) or distance == allowed == 0)
    assert passed is (distance <= allowed)


@given(st.lists(names), keys)
def test_a_key_does_not_depend_on_the_order_of_variables(order: list[str], key: RunKey) -> None:
    itervars = dict(key.itervars)
    shuffled = {name: itervars[name] for name in [*order, *itervars] if name in itervars}
    assert RunKey.of(key.config, shuffled, key.repetition, key.occurrence) == key
