"""What the rest of the project sees of ini files: places of errors, configurations, values of options."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile import VERSIONS, IniContents, Quantity, quantity, read_ini
from pytest_oppcloud.inifile.expressions import ExpressionError, Special, Value, evaluate
from pytest_oppcloud.inifile.patterns import Pattern
from pytest_oppcloud.runs import Run, expand

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str, **further: object) -> IniContents:
    path = folder / "omnetpp.ini"
    path.write_text(text)
    return read_ini(path, **further)  # type: ignore[arg-type]  # handed through


def error_of(folder: Path, text: str, config: str = "") -> IniError:
    with pytest.raises(IniError) as caught:
        expand(read(folder, text), config or "General")
    return caught.value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[General]\n\nno equals\n", 3),
        ("[General]\n[General]\n", 2),
        ("[A]\n**.x = 1\nno-such = 1\n", 3),
        ("[A]\nextends = B\n", 2),
        ("[A]\nextends = A\n", 2),
        ("[General]\n**.a{b = 1\n", 2),
        ("**.a = 1\n**.b = ${x=(1}\n", 2),
        ("**.a = 1\n**.b = ${x=1}\n**.c = ${x=2}\n", 3),
        ("**.a = 1\n**.b = \\\n ${x=$nosuch}\n", 2),
        ("**.a = ${x=1,2}\nconstraint = $x\n", 2),
        ("**.a = ${x=1,2}\niteration-nesting-order = q\n", 2),
        ("**.a = 1\nrepeat = x\n", 2),
        ("**.a = 1\n**.b = ${nosuch}\n", 2),
        ("**.a = 1\nseed-set = x\n", 2),
        ("**.a = ${x=1,2}\n**.b = ${y=1!x}\n", 2),
    ],
)
def test_errors_tell_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    error = error_of(tmp_path, text)
    assert (error.file, error.line) == (str(tmp_path / "omnetpp.ini"), line)
    assert str(error).startswith(f"{tmp_path / 'omnetpp.ini'}:{line}: {error.message}")


def test_errors_in_included_files_tell_a_path_that_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "part.ini").write_text("[A]\nno equals\n")
    error = error_of(tmp_path, "include sub/part.ini\n")
    assert error.message == "Line must be in the form key=value, 'sub/part.ini' line 2"
    assert (error.file, error.line) == (str(tmp_path / "sub" / "part.ini"), 2)


def test_configurations(tmp_path: Path) -> None:
    ini = read(
        tmp_path,
        '[General]\ndescription = "all" + " of them"\n[B]\nextends = A\nabstract = true\n[A]\n'
        '[C]\nabstract = yes\ndescription = "x" y\n',
    )
    assert ini.config_names == ("General", "B", "A", "C")
    b = ini.config("B")
    assert (b.description, b.abstract, b.extends, b.chain) == ("all of them", True, ("A",), ("B", "A", "General"))
    assert (b.file, b.line) == (str(tmp_path / "omnetpp.ini"), 3)
    assert not ini.config("A").abstract
    c = ini.config("C")
    assert not c.abstract
    assert c.abstract_error == "Error getting value of config option 'abstract': No such variable: 'yes'"
    assert c.description_error == "syntax error"
    with pytest.raises(IniError, match="No such config: D") as caught:
        ini.config("D")
    assert "General, B, A, C" in caught.value.advice


def test_general_exists_without_a_section(tmp_path: Path) -> None:
    ini = read(tmp_path, "[A]\n")
    assert ini.config("General").chain == ()
    assert len(expand(ini, "General")) == 1


@pytest.fixture
def run(tmp_path: Path) -> Run:
    text = """
        [General]
        sim-time-limit = 10s
        sim-time-limit = 20s
        Net.host[0..3].app.rate = ${rate=1, 2}Mbps
        Net.host[*].app.rate = 5Mbps
        Net.server.*Time = default
        **.delay = 3ms
        **.queue**.length = 7
        **.sink.vector-recording = false
        **.* = true
        [A]
        Net.source.delay = 1ms
    """
    ini = read(tmp_path, "\n".join(line.strip() for line in text.splitlines()), overrides=[("**.power", "9W")])
    return expand(ini, "A")[1]


def test_options(run: Run) -> None:
    assert run.option("sim-time-limit") == "10s"
    assert run.option("result-dir") == "results"
    assert run.option("output-scalar-file") == "results/A-rate=2-#0.sca"
    assert run.option("network") is None
    assert run.option("no-such-option") is None


def test_parameters(run: Run) -> None:
    assert run.parameter("Net.host[3].app.rate") == "2Mbps"
    assert run.parameter("Net.host[4].app.rate") == "5Mbps"
    assert run.parameter("Net.source.delay") == "1ms"
    assert run.parameter("Net.sink.delay") == "3ms"
    assert run.parameter("Net.server.serviceTime") == "default"
    assert run.parameter("Net.server.serviceTime", has_default=False) == "true"
    assert run.parameter("Net.queue[2].inner.length") == "7"
    assert run.parameter("Net.x.power") == "9W"
    assert run.parameter("Net.anything") == "true"


def test_per_object_options(run: Run) -> None:
    assert run.object_option("Net.sink", "vector-recording") == "false"
    assert run.object_option("Net.other", "vector-recording") == "true"
    assert run.object_option("Net.sink", "scalar-recording") == "true"
    assert run.object_option("Net.sink", "display-name") is None


def test_equal_runs_are_told_apart(tmp_path: Path) -> None:
    runs = expand(read(tmp_path, "**.a = ${x=1,1,2}\nrepeat = 2\n"), "General")
    assert [(run.itervars["x"], run.repetition, run.occurrence) for run in runs] == [
        ("1", 0, 1),
        ("1", 1, 1),
        ("1", 0, 2),
        ("1", 1, 2),
        ("2", 0, 1),
        ("2", 1, 1),
    ]


def test_selected_runs_keep_their_numbers(tmp_path: Path) -> None:
    runs = expand(read(tmp_path, "**.a = ${x=1,1,2}\n"), "General", "2,1")
    assert [run.number for run in runs] == [2, 1]
    assert [run.occurrence for run in runs] == [1, 2]
    assert [run.number for run in runs[1:]] == [1]
    assert runs[-1].iterationvarsf == "x=1-"


def test_options_of_libraries(tmp_path: Path) -> None:
    text = "rng-grouping = 1\n**.thing-3-x = 2\n"
    with pytest.raises(IniError, match="Unknown configuration option: rng-grouping") as caught:
        read(tmp_path, text)
    assert "extra options" in caught.value.advice
    assert read(tmp_path, text, extra_options=["rng-grouping", "thing-%-x"]).config_names == ("General",)


def test_options_of_parts_that_a_build_may_be_without(tmp_path: Path) -> None:
    read(tmp_path, "parsim-namedpipecommunications-prefix = x\n[A]\nqtenv-default-config = B\n")


def test_other_versions(tmp_path: Path) -> None:
    text = "[General]\n**.a = ${my_var=1,2}\n"
    assert expand(read(tmp_path, text), "General")[0].itervars == {"0": "my_var=1"}
    assert expand(read(tmp_path, text, version=VERSIONS["6.2"]), "General")[0].itervars == {"my_var": "1"}
    for other in ("[General]  \n", "abstract = true\n", "seed-{..5}-mt = 1\n"):
        read(tmp_path, other)
        with pytest.raises(IniError):
            read(tmp_path, other, version=VERSIONS["6.0"])
    read(tmp_path, "[General]  # comment\n", version=VERSIONS["6.0"])


def test_several_ini_files_are_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "more.ini").write_text("**.b = 2\n[A]\n**.c = 3\n")
    ini = read(tmp_path, "[A]\n**.a = 1\n", more=[tmp_path / "more.ini"])
    assert expand(ini, "A")[0].entries == (("**.a", "1"), ("**.c", "3"), ("**.b", "2"))
    assert expand(ini, "A")[0].variables["inifile"] == "more.ini"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2^2", 4),
        ("2^3^2", 512),
        ("7 / 2", 3.5),
        ("-7 % 3", -1),
        ("1s + 500ms", Quantity(1500, "ms")),
        ("2 * 1.5min", Quantity(3.0, "min")),
        ("1h 30min", Quantity(90, "min")),
        ("ms(1.5s)", Quantity(1500.0, "ms")),
        ("10s / 4s", 2.5),
        ('"a" + "b"', "ab"),
        ("1 < 2 && 2 < 3 || undefined", True),
        ("true ## true", False),
        ("false ? 1 : 2 ? 3 : 4", None),
        ("1 <=> 2", -1.0),
        ("1KiB == 8192b", True),
        ("'x' =~ \"?\"", True),
        ("0x10 | 1", 17),
        ("1 << 63", -(2**63)),
        ("~0", -1),
        ("undefined + 1", Special.UNDEFINED),
        ("null == nullptr", True),
        ("-1 / 0", -math.inf),
        ("fmod(7, 4) + hypot(3, 4)", 8.0),
        ("30dBm < 2W", True),
        ("5dB / 0", Quantity(math.inf, "dB")),
    ],
)
def test_expressions(text: str, value: Value | None) -> None:
    if value is None:
        with pytest.raises(ExpressionError, match="Boolean argument expected, got integer"):
            evaluate(text)
        return
    result = evaluate(text)
    assert result == value
    assert type(result) is type(value)


def test_expressions_with_variables_and_functions() -> None:
    assert evaluate("n * double(k)", variables={"n": 2, "k": 3}, functions={"double": lambda x: x * 2}) == 12
    assert evaluate("n", variables=lambda name: f"<{name}>") == "<n>"
    with pytest.raises(ExpressionError, match="No such variable: 'm'"):
        evaluate("m", variables={"n": 2})
    with pytest.raises(ExpressionError, match=r"No 'triple' function accepting 1 argument\(s\) was found"):
        evaluate("triple(1)")


def test_quantities() -> None:
    assert quantity("1.5min") == 90.0
    assert quantity("2*5s") == 10.0
    assert quantity("8KiB", "B") == 8192.0
    with pytest.raises(ValueError, match=r"Cannot convert unit none to 's' \(second\)"):
        quantity("10")
    with pytest.raises(ValueError, match='Cannot cast "10s" from type string to double'):
        quantity('"10s"')
    with pytest.raises(ValueError, match=r"Cannot convert unit 'm' \(meter\) to 's' \(second\)"):
        quantity("10m")


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("**.a", ["x.a", "x.y.a", ".a"], ["a", "x.ab"]),
        ("*.a", ["x.a"], ["x.y.a"]),
        ("x?z", ["xyz"], ["x.z", "xz"]),
        ("h[2..4].x", ["h[2].x", "h[4].x", "h[003].x"], ["h[1].x", "h[5].x", "h[].x"]),
        ("h[..4]", ["h[0]"], ["h[5]"]),
        ("{8..10}*", ["8", "10x"], ["7", "11", "x"]),
        ("{a-cx}", ["a", "b", "x"], ["d", "-"]),
        ("{^a-c}", ["d"], ["a"]),
        ("{}a}", ["}", "a"], ["b"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("h?st", ["host"], ["h\u00f6st"]),
        ("h??st", ["h\u00f6st"], []),
    ],
)
def test_patterns(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    compiled = Pattern(pattern)
    assert [text for text in fits if not compiled.matches(text)] == []
    assert [text for text in fits_not if compiled.matches(text)] == []
