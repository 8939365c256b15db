"""The baseline file: its form, and that no line of it can be lost."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from oppcloud_worker.messages import RecordedValue

import pytest_oppcloud.baselines
from pytest_oppcloud.baselines import BaselineFile
from pytest_oppcloud.comparison import compare
from pytest_oppcloud.errors import BaselineError
from pytest_oppcloud.records import Record, RunKey

PATH = Path("baselines/omnetpp.ini.txt")

EXAMPLE = r"""oppcloud-baselines 1

made-with ed933eb4ac51
compiler "gcc 12.2.0"
mode release
omnetpp 6.1
platform linux-x86_64
program aloha

settings 7f0eb754328f
**.vector-recording false
sim-time-limit 3600s

run PureAloha iaMean=1 numHosts=10 #0
lines 13
made-with ed933eb4ac51
settings 7f0eb754328f
seed-set 0
fingerprint sz ecfd-2d61
fingerprint tplx 0617-2d8e 1234-5678
digest attr 31 7c5dd2f6c9a1b3e4
par Aloha.host[2] name "\"a \\\"b\\\"\""
par Aloha.host[10] name "\xff\n"
scalar Aloha.server duration 3600
statistic Aloha.server "collision length" count 3
statistic Aloha.server "collision length" mean nan
bin Aloha.server "collision length" -inf 0
bin Aloha.server "collision length" 1.5 3

run PureAloha iaMean=1 numHosts=10 #1
lines 5
made-with ed933eb4ac51
settings 7f0eb754328f
seed-set 1
scalar Aloha.server duration 3600
scalar Aloha.server duration -0

run "Two words" #0 ~2
lines 4
made-with ed933eb4ac51
settings 7f0eb754328f
seed-set ""
fingerprint tplx 0617-2d8e
"""

FIRST = RunKey.of("PureAloha", {"numHosts": "10", "iaMean": "1"}, 0)
SECOND = RunKey.of("PureAloha", {"numHosts": "10", "iaMean": "1"}, 1)
THIRD = RunKey.of("Two words", {}, 0, 2)
LINES = EXAMPLE.splitlines(keepends=True)


def read(text: str) -> BaselineFile:
    return BaselineFile(PATH, text.encode())


def error_of(text: str) -> BaselineError:
    with pytest.raises(BaselineError) as caught:
        read(text).records()
    return caught.value


def is_red(text: str, originals: dict[RunKey, Record]) -> bool:
    """Tell whether one run at least no longer passes, where all runs give what they gave."""
    try:
        file = read(text)
        stored = {key: file.record(key) for key in originals}
    except BaselineError:
        return True
    return any(record is None or not compare(record, originals[key]).passed for key, record in stored.items())


def test_reads_every_kind_of_line() -> None:
    file = read(EXAMPLE)
    assert list(file) == [FIRST, SECOND, THIRD]
    record = file.record(FIRST)
    assert record is not None
    assert record.provenance["compiler"] == "gcc 12.2.0"
    assert record.settings == {"**.vector-recording": "false", "sim-time-limit": "3600s"}
    assert record.seed_set == "0"
    values = {value.key: value.value for value in record.values}
    assert values["fingerprint", "", "tplx", ""] == "0617-2d8e 1234-5678"
    assert values["digest", "", "attr", ""] == "31 7c5dd2f6c9a1b3e4"
    assert values["par", "Aloha.host[2]", "name", ""] == r'"a \"b\""'
    assert values["par", "Aloha.host[10]", "name", ""] == "\udcff\n"
    assert values["statistic", "Aloha.server", "collision length", "mean"] == "nan"
    assert values["bin", "Aloha.server", "collision length", "-inf"] == "0"


def test_values_of_one_name_are_kept_apart() -> None:
    record = read(EXAMPLE).record(SECOND)
    assert record is not None
    assert [value.value for value in record.values] == ["3600", "-0"]


def test_writes_the_bytes_that_it_reads() -> None:
    file = read(EXAMPLE)
    assert BaselineFile(PATH).updated(file.records()).data.decode() == EXAMPLE
    assert file.updated(file.records()).data.decode() == EXAMPLE


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_deleting_any_line_is_noticed(number: int) -> None:
    originals = read(EXAMPLE).records()
    assert is_red("".join(LINES[: number - 1] + LINES[number:]), originals)


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_doubling_any_line_is_noticed(number: int) -> None:
    originals = read(EXAMPLE).records()
    assert is_red("".join(LINES[:number] + LINES[number - 1 :]), originals)


@pytest.mark.parametrize("number", range(1, len(LINES)))
def test_swapping_any_two_neighbours_is_noticed(number: int) -> None:
    originals = read(EXAMPLE).records()
    swapped = [*LINES[: number - 1], LINES[number], LINES[number - 1], *LINES[number + 1 :]]
    assert is_red("".join(swapped), originals)


def test_the_example_itself_is_green() -> None:
    assert not is_red(EXAMPLE, read(EXAMPLE).records())


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_cutting_the_file_anywhere_is_noticed(number: int) -> None:
    text = "".join(LINES[: number - 1]) + LINES[number - 1][:-1]
    assert is_red(text, read(EXAMPLE).records())


def test_damage_to_one_run_leaves_the_others_alone() -> None:
    file = read(EXAMPLE.replace("seed-set 1\n", ""))
    assert file.record(FIRST)
    with pytest.raises(
        BaselineError, match=r"the baseline of `PureAloha iaMean=1 numHosts=10 #1` is damaged"
    ) as caught:
        file.record(SECOND)
    assert caught.value.line == LINES.index("lines 5\n") + 1
    assert "--opp-update-baselines=changed" in str(caught.value)
    assert "baselines/omnetpp.ini.txt:31: " in str(caught.value)


def test_a_damaged_run_can_be_recorded_again_and_the_others_keep_their_bytes() -> None:
    originals = read(EXAMPLE).records()
    damaged = read(EXAMPLE.replace("seed-set 1\n", ""))
    assert damaged.updated({SECOND: originals[SECOND]}).data.decode() == EXAMPLE


def test_another_damaged_run_keeps_its_bytes() -> None:
    damaged = EXAMPLE.replace("seed-set 1\n", "")
    assert read(damaged).updated({FIRST: read(EXAMPLE).record(FIRST)}).data.decode() == damaged


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("oppcloud-baselines 1\n", "oppcloud-baselines 2\n", r"baselines of format 2, .* reads format 1"),
        ("oppcloud-baselines 1\n", "\ufeffoppcloud-baselines 1\n", r":1: a byte order mark before the first line"),
        ("oppcloud-baselines 1\n", "oppcloud-baselines 1\r\n", r":1: a carriage return"),
        ("mode release\n", "mode debug\n", r"not those that were recorded"),
        ("mode release\n", "mode release\r\n", r"carriage return"),
        ("sim-time-limit 3600s\n", "sim-time-limit 360s\n", r"not those that were recorded"),
        ("lines 5\n", "lines 4\n", r"recorded with 4 lines, and has 5"),
        ("lines 5\n", "line 5\n", r"`lines 5` was expected"),
        ("seed-set 1\n", "<<<<<<< HEAD\nseed-set 1\n=======\nseed-set 2\n>>>>>>> other\n", r"a merge conflict"),
        ("=1 numHosts=10 #1\n", "=1 numHosts=10 #0\n", r"a second baseline of .* the first is in line 14"),
        ("=1 numHosts=10 #1\n", "=1 numHosts=10\n", r"not a heading"),
        ("run PureAloha iaMean=1 numHosts=10 #1\n", "run PureAloha numHosts=10 iaMean=1 #1\n", r"should read"),
        ("3600s\n\nrun", "3600s\n\n\nrun", r":14: an empty line too many\nRemove it"),
        ("3\n\nrun PureAloha", "3\nrun PureAloha", r":29: a heading without an empty line before it"),
        ("\n\nmade-with", "\nmade-with", r":2: an empty line was expected"),
        ("run PureAloha iaMean=1 numHosts=10 #0\n", "settings ff\n", r":14: the lines below are not those"),
        ("run PureAloha iaMean=1 numHosts=10 #0\n", "", r":14: `run`, `made-with` or `settings` was expected"),
        ("duration -0\n", "duration  -0\n", r"two blanks"),
        ("duration -0\n", "duration\n", r"not a line of a baseline"),
        ("duration -0\n", 'duration "-0\n', r"a word was expected"),
        ("duration -0\n", 'duration "\\q"\n', r"unknown escape"),
        ("scalar Aloha.server duration -0\n", "vector Aloha.server duration -0\n", r"not a line of a baseline"),
        ('bin Aloha.server "collision length" 1.5 3\n', 'bin Aloha.server "a" 1.5 3\n', r"out of order"),
        ("seed-set 1\n", "seedset 1\n", r"`seed-set NUMBERS` was expected"),
        (
            "made-with ed933eb4ac51\nsettings 7f0eb754328f\nseed-set 1\n",
            "made-with ab\nsettings cd\nseed-set 1\n",
            r"no block",
        ),
    ],
)
def test_says_what_is_wrong_and_where(old: str, new: str, words: str) -> None:
    assert old in EXAMPLE
    error = error_of(EXAMPLE.replace(old, new))
    assert error.file == str(PATH)
    assert error.line is not None
    assert error.advice
    with pytest.raises(BaselineError, match=words):
        raise error


def test_a_shared_block_stands_once() -> None:
    head, block, rest = EXAMPLE.split("\n\n", 2)
    error = error_of(f"{head}\n\n{block}\n\n{block}\n\n{rest}")
    assert (error.line, error.message.rpartition(" ")[0]) == (10, "a second block `made-with")


def test_a_later_minor_version_is_read() -> None:
    assert read(EXAMPLE.replace("oppcloud-baselines 1\n", "oppcloud-baselines 1.4\n")).records()


def test_a_file_of_zero_bytes_is_not_an_empty_one() -> None:
    with pytest.raises(BaselineError, match=r"first line"):
        BaselineFile(PATH, b"")
    assert len(BaselineFile(PATH)) == 0


def test_sections_may_stand_in_any_order_and_are_written_in_one() -> None:
    head, first, second, third = EXAMPLE.removesuffix("\n").replace("\n\nrun ", "\0run ").split("\0")
    shuffled = f"{head}\n\n{third}\n\n{second}\n\n{first}\n"
    assert read(shuffled).updated({}).data.decode() == EXAMPLE


def test_removing_runs_removes_what_only_they_needed() -> None:
    file = read(EXAMPLE)
    other = Record(values=(RecordedValue(kind="scalar", module="N", name="x", value="1"),), settings={"a": "b"})
    added = file.updated({RunKey.of("Z", {}, 0): other})
    assert b"\na b\n" in added.data
    assert added.updated({RunKey.of("Z", {}, 0): None}).data.decode() == EXAMPLE
    assert len(file.updated(dict.fromkeys(file))) == 0


def test_unused_sections_are_those_that_no_run_asks_for() -> None:
    assert read(EXAMPLE).unused([FIRST, THIRD, RunKey.of("New", {}, 0)]) == (SECOND,)


def test_knows_the_line_of_a_run() -> None:
    file = read(EXAMPLE)
    assert (file.line(FIRST), file.line(RunKey.of("New", {}, 0))) == (14, None)
    assert FIRST in file
    assert file.record(RunKey.of("New", {}, 0)) is None


def test_merges_of_independent_changes_are_read() -> None:
    """Two branches change one run each; git joins them line by line."""
    file = read(EXAMPLE)
    record = file.record(SECOND)
    assert record is not None
    other = Record(values=record.values, provenance={"omnetpp": "6.2"}, settings=record.settings)
    one = file.updated({SECOND: other}).data.decode()
    merged = one.replace("3600\nstatistic", "3601\nstatistic")
    assert read(merged).records().keys() == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize(
    "text",
    [
        (Path(__file__).parents[2] / "docs" / "reference" / "baselines.md").read_text(encoding="utf-8"),
        inspect.getdoc(pytest_oppcloud.baselines) or "",
    ],
    ids=["reference", "docstring"],
)
def test_the_example_that_people_read_is_a_baseline_file(text: str) -> None:
    lines = text[text.index("oppcloud-baselines 1\n\n") :].splitlines()
    end = next(number for number, line in enumerate(lines) if line.startswith(("```", "A section")))
    example = "\n".join(line.strip() for line in lines[:end]).rstrip("\n") + "\n"
    file = read(example)
    assert file.updated(file.records()).data.decode() == example
