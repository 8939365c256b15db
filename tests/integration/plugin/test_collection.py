"""What is collected, under which names, and what is left out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Folder

STUDY = [f"omnetpp.ini::Study::value={value}-#{repetition}" for value in (1, 2) for repetition in (0, 1)]


def test_ids_tell_variables_and_repetition(folder: Folder) -> None:
    assert folder.ids() == ["omnetpp.ini::General::#0", *STUDY]
    assert folder.ids("omnetpp.ini") == ["omnetpp.ini::General::#0", *STUDY]


def test_ids_can_be_pasted_back(folder: Folder) -> None:
    folder.write(
        "omnetpp.ini",
        "[General]\nnetwork = Tiny\nsim-time-limit = 10s\n"
        '[Odd]\n*.a = ${a=x[1], x[2], "a::b", "\u00e4 b", 1, 1}\n*.b = ${"c", "d/e"}\n',
    )
    ids = folder.ids()
    assert len(ids) == len(set(ids)) == 13
    assert sum(name.endswith("~2") for name in ids) == 2
    assert all(name.isascii() for name in ids)
    assert folder.ids(*ids[4:9]) == ids[4:9]
    for name in (ids[1], ids[-1]):
        assert folder.ids(name) == [name]


def test_a_config_can_be_named(folder: Folder) -> None:
    assert folder.ids("omnetpp.ini::Study") == STUDY


def test_a_forgotten_make_is_told(folder: Folder) -> None:
    program = folder.build()
    folder.write("Makefile", f"TARGET = {program.name}\n")
    source = folder.write("Tiny.cc", "// changed\n")
    os.utime(program, (0, 0))
    result = folder.run("--co", "-q")
    result.stdout.fnmatch_lines([f"{program.name} is older than {source.name}: *`make` builds it anew"])


def test_any_ini_file_that_is_named(folder: Folder) -> None:
    folder.write("sub/other.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 1s\n")
    assert folder.ids("sub") == []
    assert folder.ids("sub/other.ini") == ["sub/other.ini::General::#0"]
    assert folder.ids("sub/other.ini::General::#0") == ["sub/other.ini::General::#0"]
    assert folder.ids("-o", "opp_ini_files=oth*.ini other.conf") == ["sub/other.ini::General::#0"]


def test_settings_of_other_tools_are_left_alone(folder: Folder) -> None:
    folder.write("tox.ini", "[tox]\nenvlist = py\n")
    folder.write("test_it.py", "def test_it(): pass\n")
    result = folder.run("-o", "opp_ini_files=*.ini", "--co", "-q")
    assert result.ret == pytest.ExitCode.OK
    assert "tox.ini::" not in result.stdout.str()
    result.stdout.fnmatch_lines(["omnetpp.ini::General::#0", "test_it.py::test_it"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[Left]\nabstract = true\n", "config Left is abstract*"),
        ("[Left]\nrepeat = 0\n", "config Left has no runs*"),
        ('[Left]\nscheduler-class = "omnetpp::cRealTimeScheduler"\n', "config Left is an emulation*"),
        ('[Left]\nnetwork = ""\n', "config Left has no network*"),
    ],
)
def test_what_is_no_test_is_left_out_with_its_line(folder: Folder, text: str, reason: str) -> None:
    folder.write("omnetpp.ini", f"[General]\nnetwork = Tiny\nsim-time-limit = 1s\n\n{text}")
    result = folder.run("--co", "-rs")
    result.stdout.fnmatch_lines([f"SKIPPED [[]1[]] omnetpp.ini:5: {reason}"])
    assert folder.ids() == ["omnetpp.ini::General::#0"]


def test_a_fragment_is_no_error(folder: Folder) -> None:
    folder.write("part.ini", "*.x = 3\n")
    result = folder.run("part.ini", "-rs")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["*config General has no network*"])


def test_a_run_without_a_limit_is_skipped_with_a_hint(folder: Folder) -> None:
    folder.write("omnetpp.ini", "[General]\nnetwork = Tiny\n")
    result = folder.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*omnetpp.ini: nothing limits the simulated time*--opp-sim-time-limit=100s*"])
    told = "1 run skipped: nothing limits the simulated time of this run: *--opp-sim-time-limit=100s*"
    for mode in ([], ["-n", "1"]):
        folder.run(*mode).stdout.fnmatch_lines([told])
    folder.run("--opp-sim-time-limit=5s", "--opp-update-baselines=new").assert_outcomes(passed=1)
    assert "sim-time-limit 5s" in folder.baselines.read_text()
    folder.write("oppcloud.toml", 'limits.sim_time_limit = "unlimited"\n')
    folder.run("--opp-update-baselines=all").assert_outcomes(passed=1)
    assert "sim-time-limit unlimited" in folder.baselines.read_text()


def test_an_error_in_an_ini_file_has_its_line_and_the_others_go_on(folder: Folder) -> None:
    folder.write("bad/omnetpp.ini", "[General]\nnetwork = Tiny\n\n[Config A\n")
    result = folder.run("--co", "-q")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["omnetpp.ini::General::#0", "*ERROR collecting bad/omnetpp.ini*", "bad/omnetpp.ini:4: *"]
    )
    assert "Traceback" not in result.stdout.str()


def test_an_error_in_the_settings_file_has_its_line(folder: Folder) -> None:
    folder.write("oppcloud.toml", "\n[limits]\ntimeouts = 3\n")
    result = folder.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["oppcloud.toml:3: unknown key 'limits.timeouts'", "Known keys: limits.timeout, *"])


def test_keywords_and_markers(folder: Folder) -> None:
    folder.write("oppcloud.toml", '[config."Stu*"]\nmarkers = ["slow"]\n')
    folder.write("pytest.ini", "[pytest]\naddopts = --strict-markers\nmarkers = slow: takes long\n")
    assert folder.ids("-k", "Study") == STUDY
    assert folder.ids("-k", "value:2: and repetition:1:") == [STUDY[3]]
    assert folder.ids("-m", "slow") == STUDY
    assert folder.ids("-m", "not slow") == ["omnetpp.ini::General::#0"]


def test_skip_and_deselect_and_last_failed(folder: Folder) -> None:
    folder.record("--opp-config=General")
    folder.write("oppcloud.toml", '[config.General]\nskip = "not today"\n')
    result = folder.run("-rs", "-x", "--deselect", STUDY[0])
    result.assert_outcomes(skipped=1, failed=1, deselected=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] omnetpp.ini: not today"])
    assert folder.ids("--lf") == [STUDY[1]]
    folder.run("--maxfail=2", "--opp-config=Study").assert_outcomes(failed=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--opp-config=S*"], STUDY),
        (["--opp-config=General", "--opp-config=Nothing"], ["omnetpp.ini::General::#0"]),
        (["--opp-config=Study", "--opp-runs=0,2..3"], [STUDY[0], *STUDY[2:]]),
        (["--opp-runs=$value==2 && $repetition==0"], [STUDY[2]]),
        (
            ["--opp-set=Tiny.value=7", "--opp-set=sim-time-limit=1s", "--opp-config=General"],
            ["omnetpp.ini::General::#0"],
        ),
    ],
)
def test_selection(folder: Folder, options: list[str], expected: list[str]) -> None:
    assert folder.ids(*options) == expected


@pytest.mark.parametrize("extra", [[], ["-q"], ["-n", "1"]])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--opp-config=Stuudy", "no config to run matches --opp-config Stuudy; there are: General, Study"),
        ("--opp-runs=$value==9", "  Study: none of its 4 runs"),
    ],
)
def test_an_empty_selection_is_an_error(folder: Folder, option: str, said: str, extra: list[str]) -> None:
    folder.write("test_it.py", "def test_it(): pass\n")
    result = folder.run(option, *extra)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert said in result.outlines


def test_collection_can_be_switched_off(folder: Folder) -> None:
    assert folder.ids("-o", "opp_collect=false") == []


@pytest.mark.parametrize("extra", [[], ["-m", "not slow"], ["-n", "1"], ["-n", "1", "-q"]])
def test_too_many_runs_are_not_started_unasked(
    folder: Folder, extra: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPPCLOUD_MAX_RUNS", "4")
    result = folder.run("-o", "markers=slow", *extra)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "5 simulations were collected, more than the 4" in said
    assert "environment OPPCLOUD_MAX_RUNS" in said
    assert "--opp-all" in said
    result.assert_outcomes()


@pytest.mark.parametrize("selection", ["--opp-all", "--opp-config=*", "-kStudy", "omnetpp.ini", "--co"])
def test_a_selection_asks_for_what_it_selects(folder: Folder, selection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPCLOUD_MAX_RUNS", "1")
    folder.write("oppcloud.toml", '[config."*"]\nskip = "only counted here"\n')
    assert folder.run(selection).ret == pytest.ExitCode.OK


def test_names_that_are_not_utf8_survive(folder: Folder) -> None:
    (folder.path / "omnetpp.ini").write_bytes(
        b'[General]\nnetwork = Tiny\nsim-time-limit = 10s\n*.a = ${a="\xff\xfe", "x\ty"}\n'
    )
    ids = folder.ids("-n", "1") or folder.ids()
    assert len(ids) == 2
    assert folder.ids(ids[0]) == [ids[0]]
    assert folder.run("--junitxml=junit.xml", "-n", "1").ret in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}


def test_the_folder_above_is_looked_into(folder: Folder) -> None:
    folder.write("simulations/omnetpp.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 1s\n")
    result = folder.run("simulations", "--co")
    result.stdout.fnmatch_lines([f"1 simulation by ../{folder.path.name} (release, built in ./..)"])


def test_patterns_that_no_config_matches_are_told(folder: Folder) -> None:
    folder.write("oppcloud.toml", '[config."Stu*"]\nmarkers = ["slow"]\n[config.Studdy]\nskip = "x"\n')
    folder.write("pytest.ini", "[pytest]\nmarkers = slow: takes long\n")
    folder.write("sub/omnetpp.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 1s\n")
    noted = 'no config matches [config."Studdy"] of oppcloud.toml'
    for mode in ([], ["-n", "1"]):
        result = folder.run(*mode)
        result.stdout.fnmatch_lines([noted.replace("[", "[[]", 1)])
        assert "Stu*" not in result.stdout.str()
    # Not where only a part was looked at.
    for part in ("sub", "omnetpp.ini"):
        assert noted not in folder.run(part).stdout.str()
    folder.run("--opp-config=General", "--opp-config=Gen").stdout.fnmatch_lines(["no config matches --opp-config Gen"])


@pytest.mark.parametrize("text", ["1..", "0,,2", "$value ==", "(1 && 2", "$a b c d"])
def test_a_filter_that_cannot_be_is_a_wrong_option(folder: Folder, text: str) -> None:
    result = folder.run(f"--opp-runs={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*error: argument --opp-runs: *"])


def test_a_placeholder_that_nobody_knows(folder: Folder) -> None:
    folder.write("oppcloud.toml", '\nprogram = "{pyhton} model.py"\n')
    result = folder.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["oppcloud.toml:2: program: unknown placeholder {pyhton}: {folder}, {name}, {python} *"]
    )
