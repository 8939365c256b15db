"""No ini file makes the reader hang, recurse without end, or fill the memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile import IniContents, read_ini
from pytest_oppcloud.inifile.expressions import ExpressionError, evaluate
from pytest_oppcloud.inifile.patterns import Pattern
from pytest_oppcloud.runs import expand, expansion, scenario, selection

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_oppcloud.runs import Runs


def read(folder: Path, text: str) -> IniContents:
    path = folder / "omnetpp.ini"
    path.write_text(text)
    return read_ini(path)


def expand_text(folder: Path, text: str, run_filter: str = "") -> Runs:
    return expand(read(folder, text), "General", run_filter)


def message_of(folder: Path, text: str, run_filter: str = "") -> str:
    with pytest.raises(IniError) as caught:
        expand_text(folder, text, run_filter)
    return caught.value.message


def test_deep_parentheses_end_where_those_of_omnetpp_do(tmp_path: Path) -> None:
    deep = "(" * 9996 + "true" + ")" * 9996
    assert len(expand_text(tmp_path, f"constraint = {deep}\n")) == 1
    assert message_of(tmp_path, f"constraint = ({deep})\n").endswith("memory exhausted")


@pytest.mark.parametrize("operator", ["+", "^", "&&", "?", "-"])
def test_long_expressions_need_no_recursion(operator: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(f" {operator} ".join(["1", "x"] * 3000))
    assert evaluate("+".join(["1"] * 5000)) == 5000


def test_towers_of_powers_overflow_at_once() -> None:
    with pytest.raises(ExpressionError, match="Overflow during integer exponentiation"):
        evaluate("2^2^2^2^2^2^2^2")
    with pytest.raises(ExpressionError, match="Overflow during integer exponentiation"):
        evaluate("3^9223372036854775807")
    assert evaluate("1^9223372036854775807") == 1


def test_long_numbers_are_refused_without_being_computed() -> None:
    with pytest.raises(ExpressionError, match="in the target integer type"):
        evaluate("9" * 100_000)
    with pytest.raises(ExpressionError, match="in the target integer type"):
        evaluate("0x" + "f" * 100_000)


@pytest.mark.parametrize("values", ["1..1000002", "0..1e9", "1..1001} ${y=1..1001"])
def test_more_than_a_million_runs_are_refused_before_they_are_made(tmp_path: Path, values: str) -> None:
    message = message_of(tmp_path, f"**.a = ${{x={values}}}\n")
    assert message == (
        "Could not compute number of runs in config General: "
        "Are you sure you want to generate more than one million runs?"
    )


def test_runs_that_depend_on_each_other_are_counted_while_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "MAX_RUNS", 1000)
    assert len(expand_text(tmp_path, "**.a = ${x=1..2} ${y=1..$x*0+500}\n")) == 1000
    assert "more than one million runs" in message_of(tmp_path, "**.a = ${x=1..2} ${y=$x..1e9}\n")


def test_tuples_that_a_constraint_drops_count_as_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "MAX_STEPS", 10_000)
    many = "".join(f"**.a{i} = ${{1..100}}\n" for i in range(6))
    assert "combinations of iteration variables" in message_of(tmp_path, f"{many}constraint = $0 > 1000\n")


def test_loops_without_values_count_as_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "MAX_STEPS", 10_000)
    many = "".join(f"**.a{i} = ${{v{i}x=1..100}}\n" for i in range(6))
    assert "combinations of iteration variables" in message_of(tmp_path, f"{many}**.b = ${{$v5x+1..$v5x}}\n")


def test_repeat_beyond_all_limits(tmp_path: Path) -> None:
    assert "more than one million runs" in message_of(tmp_path, "repeat = 2000000000\n")


def test_run_lists_beyond_all_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is out of range 0..0" in message_of(tmp_path, "", "0..1999999999")
    assert "Run number -2 in run list" in message_of(tmp_path, "", "4294967294")
    monkeypatch.setattr(selection, "_MAX_NUMBERS", 1000)
    assert "names too many runs" in message_of(tmp_path, "repeat = 100\n", ",".join(["0..99"] * 50))


def test_includes_that_grow_without_end(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"{level}.ini").write_text(f"include {level + 1}.ini\n" * 2)
    (tmp_path / "40.ini").write_text("**.a = 1\n")
    with pytest.raises(IniError, match="too deeply or too often"):
        read_ini(tmp_path / "0.ini")


def test_deep_chains_of_includes(tmp_path: Path) -> None:
    for level in range(200):
        (tmp_path / f"{level}.ini").write_text(f"include {level + 1}.ini\n")
    with pytest.raises(IniError, match="too deeply or too often"):
        read_ini(tmp_path / "0.ini")


def test_includes_through_links_to_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "omnetpp.ini").write_text("include again/omnetpp.ini\n")
    with pytest.raises(IniError, match="includes itself, directly or indirectly"):
        read_ini(tmp_path / "omnetpp.ini")


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ini")
    with pytest.raises(IniError, match=r"Cannot read ini file 'pipe.ini'"):
        read(tmp_path, "include pipe.ini\n")
    with pytest.raises(IniError, match=r"Cannot read ini file '/dev/zero'"):
        read(tmp_path, "include /dev/zero\n")
    with pytest.raises(IniError, match="Cannot open ini file"):
        read_ini(tmp_path / ("x" * 5000))


def test_a_file_that_is_not_there_is_told_where_it_is_included(tmp_path: Path) -> None:
    (tmp_path / "more.ini").write_text("# a comment\n\ninclude none.ini\n")
    with pytest.raises(IniError, match=r"Cannot open ini file 'none.ini'") as caught:
        read(tmp_path, "include more.ini\n")
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "more.ini"), 3)
    with pytest.raises(IniError) as caught:
        read_ini(tmp_path / "none.ini")
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "none.ini"), None)


def test_long_chains_of_sections(tmp_path: Path) -> None:
    text = "".join(f"[S{i}]\nextends = S{i - 1}\n" for i in range(1, 1000))
    assert len(read(tmp_path, "[S0]\n" + text).chain("S999")) == 1000
    text = "".join(f"[S{i}]\nextends = S{i - 1}\n" for i in range(1, 20_000))
    with pytest.raises(IniError, match="extend each other in too many ways"):
        read(tmp_path, "[S0]\n" + text)


def test_long_circles_of_sections(tmp_path: Path) -> None:
    text = "".join(f"[S{i}]\nextends = S{(i + 1) % 5000}\n" for i in range(5000))
    with pytest.raises(IniError, match=r"Cycle detected in section fallback chain at \[S0\]"):
        read(tmp_path, text)


def test_patterns_cost_no_more_than_the_product_of_the_lengths() -> None:
    assert not Pattern("*a" * 50 + "b").matches("a" * 2000)
    assert Pattern("**a" * 50).matches("a" * 2000)
    assert not Pattern("{0..9}*" * 50 + "x").matches("1" * 500)


@pytest.mark.parametrize("text", ["\\\n" * 50_000, " \\\n" * 50_000, '"' * 99_999, "a = " + '"\\' * 50_000])
def test_odd_texts_are_read_in_linear_time(tmp_path: Path, text: str) -> None:
    with pytest.raises(IniError):
        read(tmp_path, text + "\nx")


def test_many_references_in_one_value(tmp_path: Path) -> None:
    runs = expand_text(tmp_path, "**.a = ${x=1,2}" + "${x}" * 50_000 + "\n")
    assert runs[1].entries[0][1] == "2" * 50_001
