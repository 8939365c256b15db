"""Properties of reading and expanding that hold for every input."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile import read_ini
from pytest_oppcloud.inifile.characters import QuoteError, decoded, encoded, parse_quoted, quote
from pytest_oppcloud.inifile.expressions import ExpressionError, evaluate
from pytest_oppcloud.inifile.patterns import Pattern, PatternError
from pytest_oppcloud.runs import count_runs, expand
from pytest_oppcloud.runs.conditions import Condition
from pytest_oppcloud.runs.lists import ListError, split_list
from pytest_oppcloud.runs.scenario import IterationVariable, Scenario
from tests.property.ini_generator import generate
from tests.property.working_folder import inside

#: What ini files are made of, so that random texts mean something now and then.
_PIECES = st.sampled_from(
    [
        "[General]",
        "[A]",
        "[B]",
        "extends = A",
        "extends=B,A",
        "**.a = ",
        "${",
        "}",
        "x=",
        "1..3",
        ",",
        "$x",
        "!x",
        " step ",
        '"',
        "'",
        "\n",
        "\n",
        "\n  ",
        "\\\n",
        "#",
        "=",
        "constraint = ",
        "repeat = 2",
        "iteration-nesting-order = ",
        "(",
        ")",
        "*",
        "{",
        "..",
        "\x00",
        "include omnetpp.ini",
        "include ",
        "seed-set = ",
        "${x=1,2}",
        "${1,2}",
        "true",
        "1s",
        "&&",
        "network = ",
        "ÿ",
        "\t",
        "[",
        "]",
    ]
)
_INI_TEXT = st.lists(_PIECES, max_size=40).map("".join)
_EXPRESSION_TEXT = st.lists(
    st.sampled_from(
        [
            "1",
            "2.5",
            "1e3",
            "0x1F",
            "3s",
            "500ms",
            '"a"',
            "'b'",
            "true",
            "false",
            "nan",
            "inf",
            "null",
            "undefined",
            "x",
            "f(",
            "sin(",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            "?",
            "!",
            ".",
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "==",
            "!=",
            "=",
            "<",
            ">",
            "<=",
            ">=",
            "<=>",
            "=~",
            "&&",
            "||",
            "##",
            "&",
            "|",
            "#",
            "~",
            "<<",
            ">>",
            "::",
            " ",
            "\n",
            '"',
            "\\",
            "dBm",
            "9223372036854775807",
            "a",
        ]
    ),
    max_size=12,
).map("".join)


def expand_everything(data: bytes) -> None:
    """Read and expand all that an ini file holds; only `IniError` may be raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "omnetpp.ini")
        path.write_bytes(data)
        try:
            ini = read_ini(path)
        except IniError:
            return
        for name in (*ini.config_names, "General"):
            ini.config(name)
            try:
                runs = expand(ini, name)
                for run in runs[:3]:
                    assert run.entries is not None
                    assert run.variables["configname"] == name
                    run.option("sim-time-limit")
                    run.parameter("Net.host[3].a")
            except IniError:
                continue


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    expand_everything(data)


@given(_INI_TEXT)
@settings(max_examples=400, deadline=None)
def test_any_text_is_expanded_or_refused(text: str) -> None:
    expand_everything(text.encode("utf-8", "surrogateescape"))


@given(st.one_of(st.text(max_size=30), _EXPRESSION_TEXT))
@settings(max_examples=600, deadline=None)
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        evaluate(text)


@pytest.mark.parametrize("seed", range(40))
def test_generated_projects_keep_the_promises_of_runs(seed: int, tmp_path: Path) -> None:
    case = generate(seed)
    with inside(tmp_path):
        case.write()
        try:
            ini = read_ini("omnetpp.ini")
        except IniError:
            return
        for name in ini.config_names:
            try:
                runs = expand(ini, name)
            except IniError:
                continue
            assert [run.number for run in runs] == list(range(len(runs)))
            assert len(runs) == count_runs(ini, name)
            identities = {(*run.itervars.items(), run.repetition, run.occurrence) for run in runs}
            assert len(identities) == len(runs)
            assert [run.number for run in expand(ini, name, "$repetition == 0")] == [
                run.number for run in runs if run.repetition == 0
            ]
            if runs:
                assert [run.number for run in expand(ini, name, f"{len(runs) - 1},0")] == [len(runs) - 1, 0]


@given(st.text())
@settings(deadline=None)
def test_quoting_comes_back(text: str) -> None:
    text = text.replace("\0", "")
    assert parse_quoted(quote(text)) == text


@given(st.text())
@settings(deadline=None)
def test_any_text_is_a_quoted_string_or_refused(text: str) -> None:
    with contextlib.suppress(QuoteError):
        parse_quoted(text)


@given(st.binary())
@settings(deadline=None)
def test_decoding_loses_nothing(data: bytes) -> None:
    assert encoded(decoded(data)) == data


@given(st.text(alphabet="ab,(){}[]\"'\\ ", max_size=25))
@settings(max_examples=300, deadline=None)
def test_lists_are_split_or_refused(text: str) -> None:
    try:
        items = split_list(text)
    except ListError:
        return
    assert all(item and item == item.strip() for item in items)
    assert re.sub("[ ,]", "", "".join(items)) == re.sub("[ ,]", "", text)


@given(st.text(alphabet="ab.?*", max_size=8), st.text(alphabet="ab.", max_size=10))
@settings(max_examples=500, deadline=None)
def test_patterns_are_regular_expressions_in_disguise(pattern: str, text: str) -> None:
    translated = "".join(
        {"**": ".*", "*": "[^.]*", "?": "[^.]", ".": r"\."}.get(piece, piece)
        for piece in re.findall(r"\*\*|.", pattern)
    )
    assert Pattern(pattern).matches(text) == bool(re.fullmatch(translated, text))


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    with contextlib.suppress(PatternError):
        Pattern(pattern).matches(text)


_VALUES = st.sampled_from(
    [
        "1",
        "2",
        "-1",
        "0.5",
        "1s",
        "500ms",
        '"a"',
        "'b'",
        "true",
        "abc",
        "1+1",
        "(3)",
        "5 dBm",
        "",
        " 7 ",
        "#",
        '"x',
        "--2",
    ]
)
_CONDITION = st.lists(
    st.sampled_from(
        [
            "$x",
            "${x}",
            "$y",
            '"$x"',
            "1",
            "2s",
            '"a"',
            "==",
            "<",
            " > ",
            "&&",
            " || ",
            "!",
            "-",
            "+",
            "^",
            "(",
            ")",
            " ",
            "=",
            "ms(",
            ".",
        ]
    ),
    min_size=1,
    max_size=9,
).map("".join)


@given(_CONDITION, _VALUES, _VALUES)
@settings(max_examples=800, deadline=None)
def test_conditions_mean_the_same_compiled_or_not(text: str, x: str, y: str) -> None:
    values = {"x": x, "y": y}
    compiled = Condition(text)
    plain = Condition(text)
    plain._program = None

    def outcome(condition: Condition) -> object:
        try:
            return condition.holds(lambda name: values.get(name, "0"))
        except ExpressionError as error:
            return str(error)

    assert outcome(compiled) == outcome(plain)


@given(st.lists(st.lists(st.sampled_from(["1", "2", "a", "1..3", "5..1"]), max_size=3), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_independent_loops_and_stepped_loops_agree(lists: list[list[str]]) -> None:
    variables = [
        IterationVariable(name=f"v{index}", values=", ".join(values) or " ", master="", entry=None)
        for index, values in enumerate(lists)
    ]
    fast = list(Scenario(variables, None, None).tuples())
    assert fast == list(Scenario(variables, None, None)._stepped())
