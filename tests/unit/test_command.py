"""From a run to its command line."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.command import (
    RunPlan,
    build_request,
    decisive_settings,
    ingredients,
    own_fingerprints,
    plain_command,
    simulated_seconds,
)
from pytest_oppcloud.inifile import read_ini
from pytest_oppcloud.naming import escaped, keywords, run_name
from pytest_oppcloud.project import Program, RunSettings
from pytest_oppcloud.runs import Run, expand

if TYPE_CHECKING:
    from pathlib import Path

INI = "[General]\nnetwork = N\nsim-time-limit = 10s\n"


def first_run(folder: Path, text: str = INI, overrides: tuple[tuple[str, str], ...] = ()) -> Run:
    file = folder / "omnetpp.ini"
    file.write_text(text)
    return expand(read_ini(file, overrides=list(overrides)), "General")[0]


def plan(folder: Path, **settings: object) -> RunPlan:
    program = Program(words=("./p",), ned_path=(".", "../lib"), files=(), mode="release", reason="")
    return RunPlan(
        ini_file=folder / "omnetpp.ini",
        program=program,
        settings=RunSettings(**settings),  # type: ignore[arg-type]  # the caller's types
        timeout=60,
    )


def test_the_command_line(tmp_path: Path) -> None:
    request = build_request(
        plan(tmp_path, arguments=("-x", "a")), first_run(tmp_path), name="n", expected_fingerprints={}
    )
    assert request.program == ("./p",)
    assert request.arguments == (
        *("-x", "a", "-u", "Cmdenv", "-f", "omnetpp.ini", "-c", "General", "-r", "0", "-n", ".:../lib"),
        *("--cmdenv-express-mode=true", "--cmdenv-interactive=false", "--cmdenv-redirect-output=false"),
        "--**.vector-recording=false",
    )
    assert (request.directory, request.content, request.limits.timeout) == (str(tmp_path), None, 60)
    assert request.fingerprint == "0000-0000/tplx"
    assert request.config_keys == (
        *("**.vector-recording", "cmdenv-express-mode", "cmdenv-interactive", "cmdenv-redirect-output", "fingerprint"),
        *("network", "sim-time-limit"),
    )


def test_overrides_are_sorted_in_and_not_told_twice(tmp_path: Path) -> None:
    overrides = (("sim-time-limit", "5s"), ("**.x", "1"), ("**.x", "2"))
    planned = replace(plan(tmp_path), overrides=overrides)
    request = build_request(planned, first_run(tmp_path, overrides=overrides), name="n", expected_fingerprints={})
    assert request.arguments[-2:] == ("--sim-time-limit=5s", "--**.x=2")
    assert request.config_keys == (
        *("**.vector-recording", "**.x", "cmdenv-express-mode", "cmdenv-interactive", "cmdenv-redirect-output"),
        *("fingerprint", "sim-time-limit", "network", "sim-time-limit"),
    )


def test_what_decides_the_values(tmp_path: Path) -> None:
    run = first_run(tmp_path, f'{INI}output-scalar-file = "x.sca"\nwarmup-period = 1s\n')
    settings = decisive_settings(plan(tmp_path), run)
    assert settings["sim-time-limit"] == "10s"
    assert settings["warmup-period"] == "1s"
    assert settings["**.vector-recording"] == "false"
    assert not any(key.startswith(("cmdenv", "output-scalar-file")) for key in settings)
    limited = replace(plan(tmp_path), sim_time_limit="3s", overrides=(("**.x", "1"),))
    assert decisive_settings(limited, run) | {"sim-time-limit": "3s", "**.x": "1"} == decisive_settings(limited, run)


@pytest.mark.parametrize("letters", ["v", "tv"])
def test_vectors_stay_where_they_count(tmp_path: Path, letters: str) -> None:
    request = build_request(
        plan(tmp_path, check_fingerprints=(letters,)), first_run(tmp_path), name="n", expected_fingerprints={}
    )
    assert not any("vector-recording" in word for word in request.arguments)
    request = build_request(plan(tmp_path, check_vectors=True), first_run(tmp_path), name="n", expected_fingerprints={})
    assert not any("vector-recording" in word for word in request.arguments)


def test_result_files_of_the_ini_file_go_to_the_result_folder(tmp_path: Path) -> None:
    run = first_run(tmp_path, f'{INI}output-scalar-file = "x.sca"\n')
    request = build_request(plan(tmp_path), run, name="n", expected_fingerprints={})
    assert "--output-scalar-file={results}/run.sca" in request.arguments
    assert "{results}" not in plain_command(request)


@pytest.mark.parametrize(
    ("value", "given"), [("none", True), ("params config", True), ("config, params", False), ('"none"', False)]
)
def test_result_files_tell_all_entries_unless_omnetpp_refuses_the_value(
    tmp_path: Path, value: str, given: bool
) -> None:
    run = first_run(tmp_path, f"{INI}config-recording = {value}\n")
    request = build_request(plan(tmp_path), run, name="n", expected_fingerprints={})
    assert ("--config-recording=all" in request.arguments) == given
    assert "config-recording" not in decisive_settings(plan(tmp_path), run)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("fingerprint = 1234-5678\n", {"tplx": ("1234-5678",)}),
        ("fingerprint = 1234/tplx\n", {"tplx": ("1234",)}),
        ("fingerprint = 1/t 2/t, 3/sz\n", {"t": ("1", "2"), "sz": ("3",)}),
        ("fingerprint = 1, 2\nfingerprint-ingredients = t,z\n", {"t": ("1",), "z": ("2",)}),
        ('fingerprint = "1," + " 2"\nfingerprint-ingredients = "t,z"\n', {"t": ("1",), "z": ("2",)}),
        ("fingerprint = 1 2/t\n", {"t": ("1", "2")}),
        # What OMNeT++ finds wrong, whatever is calculated.
        ("fingerprint = 1/t 2/z\n", {"t": ("1/t 2/z",)}),
        ("fingerprint = 1/t 2/t,3/t\n", {"t": ("1 or 2 and 3",)}),
        ("fingerprint = 1/t 2/t,0002/t\n", {"t": ("2",)}),
        ("fingerprint = 1,2\n", {"tplx": ("1",), "": ("2",)}),
        ("fingerprint = 1,0000-0000\n", {"tplx": ("1",)}),
        ("fingerprint = 1/t, ,2/z\n", {"t": ("1",), "": ("' '",), "z": ("2",)}),
    ],
)
def test_fingerprints_of_the_ini_file(tmp_path: Path, text: str, expected: dict[str, tuple[str, ...]]) -> None:
    run = first_run(tmp_path, INI + text)
    assert own_fingerprints(run) == expected
    assert {*expected, "tplx"} - {""} >= set(ingredients(plan(tmp_path), run)) >= set(expected) - {""}


def test_stored_fingerprints_are_asked_for(tmp_path: Path) -> None:
    request = build_request(
        plan(tmp_path, check_fingerprints=("tplx", "sz")),
        first_run(tmp_path),
        name="n",
        expected_fingerprints={"tplx": "1111-2222 3333-4444", "old": "5555-6666"},
    )
    assert request.fingerprint == "1111-2222/tplx 3333-4444/tplx,0000-0000/sz"
    assert (
        build_request(
            plan(tmp_path, check_fingerprints=()), first_run(tmp_path), name="n", expected_fingerprints={}
        ).fingerprint
        is None
    )


def test_the_command_for_a_shell(tmp_path: Path) -> None:
    planned = plan(tmp_path, environment={"A": "b c"})
    line = plain_command(build_request(planned, first_run(tmp_path), name="n", expected_fingerprints={}))
    assert line.startswith(f"cd {shlex.quote(str(tmp_path))} && A='b c' ./p -u Cmdenv -f omnetpp.ini -c General -r 0 ")
    assert line.endswith("'--**.vector-recording=false' --fingerprint=0000-0000/tplx")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("numHosts=10,iaMean=1-#0", "numHosts=10,iaMean=1-#0"),
        ("a b", "a b"),
        ("x[1]", "x#5b1]"),
        ("a::b:", "a#3a#3ab#3a"),
        ("a:b", "a:b"),
        ("tab\there", "tab#09here"),
        ("\u00e4", "\u00e4"),
        ("\udcff", "#ff"),
        ("\u2028", "#e2#80#a8"),
    ],
)
def test_names_that_pytest_takes_back(text: str, name: str) -> None:
    assert escaped(text) == name
    assert "::" not in escaped(text)


def test_names_of_runs(tmp_path: Path) -> None:
    file = tmp_path / "omnetpp.ini"
    file.write_text(f"{INI}*.a = ${{a=1,1}}\nrepeat = 2\n")
    runs = expand(read_ini(file), "General")
    assert [run_name(run) for run in runs] == ["a=1-#0", "a=1-#1", "a=1-#0~2", "a=1-#1~2"]
    assert keywords(runs[1]) == {"a:1:", "repetition:1:"}


@pytest.mark.parametrize(
    ("limit", "override", "seconds"),
    [("", (), 10.0), ("1.5min", (), 90.0), ("unlimited", (), 10.0), ("1.5min", (("sim-time-limit", "20ms"),), 0.02)],
)
def test_the_simulated_time_is_that_of_the_command_line(
    tmp_path: Path, limit: str, override: tuple[tuple[str, str], ...], seconds: float
) -> None:
    decided = replace(plan(tmp_path), sim_time_limit=limit, overrides=override)

    assert simulated_seconds(decided, first_run(tmp_path, overrides=override)) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "sim-time-limit = whatever\n"])
def test_a_simulated_time_that_nobody_tells_is_none(tmp_path: Path, text: str) -> None:
    assert simulated_seconds(plan(tmp_path), first_run(tmp_path, f"[General]\nnetwork = N\n{text}")) is None
