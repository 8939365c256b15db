"""Option over environment over ini file over `oppcloud.toml`, and mistakes in each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.cloud_options import CLOUD_VARIABLES
from pytest_oppcloud.settings import SETTINGS

if TYPE_CHECKING:
    from .conftest import Folder

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference" / "options.md"

SHOW = """\
from pytest_oppcloud.settings import SETTINGS_KEY

def pytest_report_header(config):
    return f"mode={config.stash[SETTINGS_KEY].mode}"
"""


def test_precedence(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("conftest.py", SHOW)

    def shown(*options: str) -> str:
        return next(line for line in folder.run("--co", *options).outlines if line.startswith("mode="))

    assert shown() == "mode=Value(value='', source='default')"
    folder.write("pytest.ini", "[pytest]\nopp_mode = debug\n")
    assert shown() == "mode=Value(value='debug', source='ini option opp_mode')"
    monkeypatch.setenv("OPPCLOUD_MODE", "release")
    assert shown() == "mode=Value(value='release', source='environment OPPCLOUD_MODE')"
    assert shown("--opp-mode=debug") == "mode=Value(value='debug', source='option --opp-mode')"


def test_the_settings_file_comes_last(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("oppcloud.toml", 'mode = "debug"\n')
    result = folder.run("--co")
    result.stdout.fnmatch_lines([f"* without a program: *there is no {folder.path.name}_dbg*"])
    monkeypatch.setenv("OPPCLOUD_MODE", "release")
    folder.run("--co").stdout.fnmatch_lines([f"* by ./{folder.path.name} (release, built here)"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--opp-mode=fast", "one of release, debug was expected, found 'fast'"),
        ("--opp-timeout=soon", "a number was expected, or a string as \"1.5min\", found 'soon'"),
        ("--opp-sim-time-limit=100", "a time with a unit was expected"),
        ("--opp-set=nothing", "KEY=VALUE was expected"),
        ("--opp-update-baselines=maybe", "one of new, changed, all was expected"),
    ],
)
def test_a_wrong_option_is_told_with_the_right_ones(folder: Folder, option: str, message: str) -> None:
    result = folder.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_a_wrong_variable_or_ini_option_is_told_with_its_name(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("pytest.ini", "[pytest]\nopp_max_runs = many\n")
    result = folder.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ini option opp_max_runs: " in result.stderr.str()
    monkeypatch.setenv("OPPCLOUD_MAX_RUNS", "-1")
    assert "environment OPPCLOUD_MAX_RUNS: " in folder.run().stderr.str()


@pytest.mark.parametrize(
    ("name", "meant"), [("OPPCLOUD_REDIS_ULR", "OPPCLOUD_REDIS_URL"), ("OPPCLOUD_MAX_RUN", "OPPCLOUD_MAX_RUNS")]
)
def test_a_misspelt_variable_is_not_passed_over(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    result = folder.run("--co")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"environment {name}: there is no such setting; is {meant} meant?" in result.stderr.str()
    monkeypatch.delenv(name)
    # Whose it is, nobody knows.
    monkeypatch.setenv("OPPCLOUD_SOMETHING_ELSE", "1")
    assert folder.run("--co").ret == pytest.ExitCode.OK


def test_all_variables_of_the_code_are_known() -> None:
    sources = [file for folder in ("pytest_oppcloud", "worker") for file in (ROOT / folder).rglob("*.py")]
    named = {name for file in sources for name in re.findall(r'_VARIABLE = "(OPPCLOUD_\w+)"', file.read_text())}
    assert len(named) > 5
    assert named == set(CLOUD_VARIABLES)


def test_a_program_is_chosen(folder: Folder) -> None:
    folder.write("oppcloud.toml", f'[program]\nfirst = "./{folder.path.name}"\nsecond = "{{python}} again.py"\n')
    folder.write("again.py", "")
    folder.run("--co").stdout.fnmatch_lines(["* (release, first of oppcloud.toml)"])
    folder.run("--co", "--opp-program=second").stdout.fnmatch_lines(["* by '{python}' ./again.py (second, asked for)"])
    result = folder.run("--opp-program=third", "--opp-config=General")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no program 'third'*", "Programs here: first, second"])


def test_python_is_the_interpreter_that_runs_it(folder: Folder) -> None:
    script = folder.write("again.py", "import runpy, sys\n")
    with script.open("a") as file:
        file.write(f"runpy.run_path({str(Path(__file__).with_name('tiny_model.py'))!r}, run_name='__main__')\n")
    folder.write("oppcloud.toml", 'program = "{python} again.py"\n')
    folder.run("--opp-config=General", "--opp-update-baselines=new").assert_outcomes(passed=1)


def test_arguments_environment_and_what_is_checked(folder: Folder) -> None:
    folder.write(
        "oppcloud.toml",
        """
[environment]
TINY = "1"
[check]
exclude = ["** twice"]
parameters = "values"
attributes = "off"
[config.Study.check]
fingerprints = []
[[config.Study.check.tolerances]]
name = "value"
relative = 0.5
""",
    )
    folder.record()
    text = folder.baselines.read_text()
    general, study = text.split("run General")[1].split("run Study", 1)
    assert "par Tiny value 1" in general
    assert "fingerprint tplx" in general
    assert "fingerprint" not in study
    assert "twice" not in text
    assert "digest attr" not in text
    folder.write("omnetpp.ini", (folder.path / "omnetpp.ini").read_text().replace("=1,2}", "=1,2}\nTiny.unused = 3"))
    folder.run().assert_outcomes(passed=5)


def test_every_setting_stands_on_the_reference_page() -> None:
    page = REFERENCE.read_text()
    missing = [
        name
        for setting in SETTINGS
        for name in (setting.option, setting.ini, setting.environment)
        if name and not re.search(rf"^\| `{re.escape(name)}[` ]", page, re.MULTILINE)
    ]
    assert missing == []


def test_every_option_of_the_group_stands_on_the_reference_page(folder: Folder) -> None:
    page = REFERENCE.read_text()
    shown = set(re.findall(r"^  (--opp[a-z-]*)", folder.run_as_installed("--help").stdout.str(), re.MULTILINE))
    assert {"--oppcloud", "--opp-config"} <= shown
    assert [name for name in sorted(shown) if f"`{name}" not in page] == []
