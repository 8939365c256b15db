"""The command `oppcloud runs`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker import __version__

from pytest_oppcloud.cli import main

if TYPE_CHECKING:
    from pathlib import Path

_INI = """\
[General]
network = Net
**.a = ${x=1, "b c"}
repeat = 2
[Config Fast]
sim-time-limit = ${t=1s}
abstract = true
[Bad]
constraint = $x
"""


@pytest.fixture
def ini(tmp_path: Path) -> str:
    path = tmp_path / "omnetpp.ini"
    path.write_text(_INI)
    return str(path)


def test_a_table_for_people(ini: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "-c", "Fast", "-r", "0..1,3", ini]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "config  run  iteration variables  repetition",
        "Fast      0  t=1s, x=1            0",
        "Fast      1  t=1s, x=1            1",
        'Fast      3  t=1s, x="b c"        1',
    ]


def test_errors_name_their_place_and_do_not_hide_the_rest(ini: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", ini]) == 1
    captured = capsys.readouterr()
    assert "Bad        -  (error)" in captured.out
    assert captured.out.count("General") == 4
    assert captured.err == (
        f"{ini}:9: Could not compute number of runs in config Bad: Cannot evaluate constraint expression: "
        "bool expected, but integer (1) found in the expression '$x'\n"
    )


def test_json_for_programs(ini: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json", ini, "--repeat=1", "--**.b", "${x}"]) == 1
    data = json.loads(capsys.readouterr().out)
    general, fast, bad = data["configs"]
    assert data["error"] is None
    assert bad["error"].startswith("Could not compute number of runs in config Bad")
    assert (bad["error_line"], bad["runs"]) == (9, [])
    assert (fast["abstract"], fast["chain"], fast["nesting"]) == (True, ["Fast", "General"], ["t", "x", "repetition"])
    assert len(general["runs"]) == 2
    run = fast["runs"][1]
    assert run["summary"] == 'Run 1: $t=1s, $x="b c", $repetition=0'
    assert run["itervars"] == {"t": "1s", "x": '"b c"'}
    assert run["entries"][:2] == [["**.b", '"b c"'], ["repeat", "1"]]
    assert run["options"]["sim-time-limit"] == "1s"
    assert run["vars"]["iterationvarsf"] == "t=1s,x=b_c-"
    assert run["details"] == 'sim-time-limit = 1s\n**.a = "b c"\n'


def test_json_holds_the_error_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.ini"
    path.write_text("no equals\n")
    assert main(["runs", "--json", str(path)]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["error"] == f"Line must be in the form key=value, '{path}' line 1"
    assert (data["error_file"], data["error_line"], data["configs"]) == (str(path), 1, [])
    assert main(["runs", str(path)]) == 1
    assert capsys.readouterr().err == f"{path}:1: {data['error']}\n"


def test_bytes_that_no_terminal_can_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "omnetpp.ini"
    path.write_bytes(b"**.a = ${x=\xff,\x1b31m}\n")
    assert main(["runs", str(path)]) == 0
    out = capsys.readouterr().out
    assert r"x=\udcff" in out
    assert r"x=\x1b31m" in out


def test_further_files_are_looked_for_beside_the_first(
    ini: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more.ini").write_text("[Fast]\n**.m = ${m=7}\n")
    assert main(["runs", "-c", "Fast", "-r", "0", ini, "-f", "more.ini"]) == 0
    assert "t=1s, m=7, x=1" in capsys.readouterr().out
    assert main(["runs", ini, "none.ini"]) == 1
    assert capsys.readouterr().err.startswith("none.ini: Cannot open ini file 'none.ini'\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: oppcloud COMMAND"),
        (["walks"], "no such command: walks"),
        (["runs"], "an ini file is missing"),
        (["runs", "-x", "a.ini"], "unknown option -x"),
        (["runs", "a.ini", "-c"], "option -c needs a value"),
        (["runs", "a.ini", "--omnetpp=5.7"], "OMNeT++ 5.7 is not known, only 6.0, 6.1, 6.2"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.out + captured.err


@pytest.mark.parametrize("arguments", [["--help"], ["runs", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "usage: oppcloud" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pytest-oppcloud {__version__}\n"


def test_the_command_does_without_pytest(ini: str) -> None:
    script = (
        "import sys; from pytest_oppcloud.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'pytest', '_pytest', 'redis', 'rq', 'json', 'argparse'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "runs", "-c", "Fast", ini]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
