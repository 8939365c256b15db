"""Text result files: what is read, and that every damage is noticed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from oppcloud_worker.messages import RecordedValue
from oppcloud_worker.results import ResultError, read_results
from oppcloud_worker.results.text import split_words

HEAD = """\
version 3
run Load-3-20260102-03:04:05-77
attr configname Load
attr datetime 20260102-03:04:05
attr datetimef 20260102-030405
attr experiment Load
attr inifile omnetpp.ini
attr iterationvars "$rho=0.5, $0=a b"
attr iterationvarsd "rho=0.5/a b"
attr iterationvarsf rho=0.5,a_b-
attr measurement "$rho=0.5, $0=a b"
attr network Queue
attr processid 77
attr repetition 1
attr replication #1
attr resultdir /tmp/results
attr runnumber 3
attr seedset 3
itervar 0 "a b"
itervar rho 0.5
config result-dir /tmp/results
config sim-time-limit 10s
config **.q.text "say \\"hi\\""
config sim-time-limit 90s

"""
ITEMS = """\
par Queue.q text "\\"ok\\""
attr unit s
scalar Queue.q "mean delay" 0.034293117667
attr title "delay, mean"
attr unit s
scalar Queue.q bad nan
scalar Queue.q worse -nan
scalar Queue.q huge inf
scalar Queue.q tiny -inf
scalar Queue.q zero -0
scalar Queue.q small 1e-300
scalar Queue.q twice 1
scalar Queue.q twice 2
scalar Queue "tab \\t \\x01 \\\\ end" 1
statistic Queue.q plain
field count 2
field mean 1.5
field stddev 0.70710678118655
field min 1
field max 2
field sum 3
field sqrsum 5
attr unit s
statistic Queue.q weighted
field count 0
field mean nan
field stddev nan
field min nan
field max nan
field weights 0
field weightedSum 0
field sqrSumWeights 0
field weightedSqrSum 0
bin\t-inf\t0
bin\t0\t1
bin\t0.5\t0

"""

Writer = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write_file(text: str | bytes) -> Path:
        path = tmp_path / "run.sca"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def value_of(values: tuple[RecordedValue, ...], *key: str) -> list[str]:
    return [value.value for value in values if value.key == key]


def test_everything_of_a_run_is_read(write: Writer) -> None:
    (record,) = read_results(write(HEAD + ITEMS))
    assert record.run_id == "Load-3-20260102-03:04:05-77"
    assert record.attributes["iterationvars"] == "$rho=0.5, $0=a b"
    assert record.attributes["replication"] == "#1"
    assert record.itervars == {"0": "a b", "rho": "0.5"}
    assert [key for key, _ in record.config] == ["result-dir", "sim-time-limit", "**.q.text", "sim-time-limit"]
    assert record.config[2][1] == 'say "hi"'


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (("par", "Queue.q", "text", ""), ['"ok"']),
        (("attr", "Queue.q", "text", "unit"), ["s"]),
        (("scalar", "Queue.q", "mean delay", ""), ["0.034293117667"]),
        (("attr", "Queue.q", "mean delay", "title"), ["delay, mean"]),
        (("scalar", "Queue.q", "bad", ""), ["nan"]),
        (("scalar", "Queue.q", "worse", ""), ["-nan"]),
        (("scalar", "Queue.q", "huge", ""), ["inf"]),
        (("scalar", "Queue.q", "tiny", ""), ["-inf"]),
        (("scalar", "Queue.q", "zero", ""), ["-0"]),
        (("scalar", "Queue.q", "small", ""), ["1e-300"]),
        (("scalar", "Queue.q", "twice", ""), ["1", "2"]),
        (("scalar", "Queue", "tab \t \x01 \\ end", ""), ["1"]),
        (("statistic", "Queue.q", "plain", "count"), ["2"]),
        (("statistic", "Queue.q", "plain", "sqrsum"), ["5"]),
        (("attr", "Queue.q", "plain", "unit"), ["s"]),
        (("statistic", "Queue.q", "weighted", "mean"), ["nan"]),
        (("statistic", "Queue.q", "weighted", "weightedSqrSum"), ["0"]),
        (("bin", "Queue.q", "weighted", "-inf"), ["0"]),
        (("bin", "Queue.q", "weighted", "0"), ["1"]),
    ],
)
def test_values_come_as_they_were_recorded(write: Writer, key: tuple[str, ...], values: list[str]) -> None:
    (record,) = read_results(write(HEAD + ITEMS))
    assert value_of(record.values, *key) == values


def test_several_runs_in_one_file(write: Writer) -> None:
    second = HEAD.removeprefix("version 3\n").replace("Load-3", "Load-4").replace("runnumber 3", "runnumber 4")
    first, other = read_results(write(HEAD + ITEMS + second + "scalar Queue.q only 4\n\n"))
    assert (first.attributes["runnumber"], other.attributes["runnumber"]) == ("3", "4")
    assert other.values == (RecordedValue(kind="scalar", module="Queue.q", name="only", value="4"),)


def test_a_run_that_records_nothing(write: Writer) -> None:
    (record,) = read_results(write(HEAD + "\n"))
    assert record.values == ()


def test_text_that_is_not_utf8_survives(write: Writer) -> None:
    (record,) = read_results(write(HEAD.encode() + b"scalar Queue.\xff n 1\n\n"))
    assert record.values[0].module == "Queue.\udcff"


HEAD_LINES = HEAD.splitlines(keepends=True)


@pytest.mark.parametrize(
    "missing", [i for i, line in enumerate(HEAD_LINES) if line.split()[:1] not in (["itervar"], ["config"])]
)
def test_a_missing_line_of_the_head_is_noticed(write: Writer, missing: int) -> None:
    lines = HEAD_LINES[:missing] + HEAD_LINES[missing + 1 :]
    with pytest.raises(ResultError):
        read_results(write("".join(lines) + ITEMS))


@pytest.mark.parametrize("items", ["", ITEMS.rstrip("\n") + "\n"])
def test_a_missing_last_line_is_noticed(write: Writer, items: str) -> None:
    with pytest.raises(ResultError, match="ends too early"):
        read_results(write(HEAD + items))


ITEM_LINES = ITEMS.splitlines(keepends=True)


@pytest.mark.parametrize("missing", range(len(ITEM_LINES)))
def test_a_missing_line_of_the_items_is_damage_or_another_set_of_values(write: Writer, missing: int) -> None:
    (whole,) = read_results(write(HEAD + ITEMS))
    lines = ITEM_LINES[:missing] + ITEM_LINES[missing + 1 :]
    try:
        (record,) = read_results(write(HEAD + "".join(lines)))
    except ResultError:
        return
    assert sorted(map(repr, record.values)) != sorted(map(repr, whole.values))


@pytest.mark.parametrize("size", range(0, len(HEAD + ITEMS), 7))
def test_a_file_that_is_cut_off_is_noticed(write: Writer, size: int) -> None:
    with pytest.raises(ResultError):
        read_results(write((HEAD + ITEMS)[:size]))


@pytest.mark.parametrize(
    ("items", "line", "text"),
    [
        ("scalar Queue.q n\n", 1, "an item was expected"),
        ("scalar Queue.q n 1 2\n", 1, "an item was expected"),
        ("scalar Queue.q n 0x10\n", 1, "a number was expected"),
        ("scalar Queue.q n 1,5\n", 1, "a number was expected"),
        ("scalar Queue.q n NaN\n", 1, "a number was expected"),
        ('scalar Queue.q "n 1\n', 1, "does not end"),
        ('scalar Queue.q "n"x 1\n', 1, "does not end"),
        ('scalar Queue.q "\\q" 1\n', 1, "unknown escape"),
        ("vector 0 Queue.q n ETV\n", 1, "an item was expected"),
        ("attr unit s\n", 1, "an item was expected"),
        ("field count 1\n", 1, "an item was expected"),
        ("bin\t-inf\t0\n", 1, "an item was expected"),
        ("scalar Queue.q n 1\nattr unit\n", 2, "'attr' has 1 words"),
        ("statistic Queue.q n\nfield mean 1\n", 2, "'field count' was expected"),
        ("statistic Queue.q n\nscalar Queue.q n 1\n", 2, "'field count' was expected"),
        ("version 3\n", 1, "an item was expected"),
        ("# a remark\n", 1, "an item was expected"),
    ],
)
def test_damage_is_told_with_its_line(write: Writer, items: str, line: int, text: str) -> None:
    with pytest.raises(ResultError, match=text) as caught:
        read_results(write(HEAD + items + "\n"))
    assert caught.value.line == len(HEAD_LINES) + line
    assert f"run.sca:{caught.value.line}: " in str(caught.value)


STATISTIC = ITEMS[ITEMS.index("statistic Queue.q weighted") :].rstrip("\n").splitlines(keepends=True)


@pytest.mark.parametrize(
    "bins",
    [
        ["0\t1", "0.5\t0"],
        ["-inf\t0", "0.5\t1", "0\t1"],
        ["-inf\t0", "0\t1", "nan\t1"],
        ["-inf\t0", "0\tx"],
        ["-inf\t0", "0"],
    ],
)
def test_bins_out_of_order_are_noticed(write: Writer, bins: list[str]) -> None:
    statistic = "".join(line for line in STATISTIC if not line.startswith("bin"))
    with pytest.raises(ResultError):
        read_results(write(HEAD + statistic + "".join(f"bin\t{line}\n" for line in bins) + "\n"))


def test_edges_may_be_printed_alike(write: Writer) -> None:
    # Edges that a cPSquare put closer together than 16 digits show (OMNeT++ 6.1, samples/histograms, IntUniform).
    statistic = "".join(line for line in STATISTIC if not line.startswith("bin"))
    text = HEAD + statistic + "bin\t-inf\t0\nbin\t2\t10000\nbin\t2\t9999\n\n"
    (record,) = read_results(write(text))
    bins = [(value.field, value.value) for value in record.values if value.kind == "bin"]
    assert bins == [("-inf", "0"), ("2", "10000"), ("2", "9999")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version 3", "version 2"),
        ("run Load-3", "run Load-4"),
        ("attr seedset 3", "attr seedset 3\nattr seedset 3"),
        ("itervar rho 0.5", "itervar rho 0.5\nitervar rho 0.6"),
        ("itervar 0 ", "config x y\nitervar 0 "),
        ("attr network Queue", "attr network"),
        ("attr network Queue", "param network Queue"),
        ("run Load", "scalar a b 1\nrun Load"),
        ("processid 77", "processid 78"),
    ],
)
def test_a_wrong_head_is_noticed(write: Writer, old: str, new: str) -> None:
    with pytest.raises(ResultError):
        read_results(write(HEAD.replace(old, new, 1) + ITEMS))


@pytest.mark.parametrize("content", ["", "\n", "version 3\n", "hello\n", "version 3\nrun x\n", "\0\0\0\n"])
def test_what_is_no_result_file_is_refused(write: Writer, content: str) -> None:
    with pytest.raises(ResultError):
        read_results(write(content))


def test_a_link_is_refused(write: Writer, tmp_path: Path) -> None:
    link = tmp_path / "link.sca"
    link.symlink_to(write(HEAD + ITEMS))
    with pytest.raises(ResultError, match="not a regular file"):
        read_results(link)


def test_words() -> None:
    assert split_words('a "b c" "" d\t"e\\n"') == ["a", "b c", "", "d", "e\n"]
    for text in itertools.chain.from_iterable(itertools.permutations(['"', "\\", "x"], n) for n in (2, 3)):
        # Whatever stands there, it is either split or refused.
        with contextlib.suppress(ValueError):
            split_words(" ".join(text))
