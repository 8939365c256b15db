"""What becomes of an item: passed, failed, error, skipped, and what is said about it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from .conftest import Folder


def test_without_a_baseline_an_item_fails_and_says_how_to_record_one(folder: Folder) -> None:
    result = folder.run("--opp-config=General")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*there is no baseline for this run*", "*pytest --opp-update-baselines=new*", "*simulations run locally*"][:2]
    )
    assert not folder.baselines.exists()


def test_recorded_runs_pass_and_say_how_much_they_compared(folder: Folder) -> None:
    recorded = folder.run("--opp-update-baselines=new", "-v")
    recorded.assert_outcomes(passed=5)
    recorded.stdout.fnmatch_lines(
        ["omnetpp.ini::General::#0 RECORDED (*values)*", "wrote 5 baselines to baselines/omnetpp.ini.txt"]
    )
    result = folder.run("-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["omnetpp.ini::General::#0 PASSED (5 values)*", "compared 25 values in 5 passed runs"])


def test_a_difference_fails_worst_first_with_the_command_that_repeats_it(folder: Folder) -> None:
    folder.record()
    recorded = folder.baselines.read_bytes()
    result = folder.run("--opp-set=Tiny.value=5", "--opp-config=General", "--strict-markers")
    result.assert_outcomes(failed=1)
    assert folder.baselines.read_bytes() == recorded
    text = result.stdout.str()
    assert "Traceback" not in text
    # In one line where others read it, wrapped where people do.
    folder.run("--opp-set=Tiny.value=5", "--opp-config=General", "--junitxml=junit.xml")
    junit = (folder.path / "junit.xml").read_text()
    assert 'value="Differs from the baseline: 1 setting' in junit
    assert "values: 1 fingerprint, 2 scalars, 2 digests." in junit
    order = [text.index(word) for word in ("Tiny.value", "changed  fingerprint tplx", "changed  Tiny value")]
    assert order == sorted(order)
    command = re.search(r"^again, alone: pytest (.*)$", text, re.MULTILINE)
    assert command is not None
    assert command[1] == "-p no:oppcloud 'omnetpp.ini::General::#0' --opp-set=Tiny.value=5"
    result.stdout.re_match_lines([r"by hand: cd .* && \./.* -u Cmdenv -f omnetpp.ini -c General -r 0 .*--fingerprint="])
    again = folder.run("-p", "no:oppcloud", "omnetpp.ini::General::#0", "--opp-set=Tiny.value=5")
    again.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "options", [(), ("-c", "../my settings.ini", '--opp-set=Tiny.text="it\'s $1"')], ids=["", "more"]
)
def test_a_report_ends_with_the_line_that_repeats_the_run(
    folder: Folder, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("my settings.ini", "[pytest]\nopp_ini_files = other.ini\n")
    folder.write(
        "other.ini", '[General]\nnetwork = Tiny\nsim-time-limit = 1s\nTiny.v = ${v="a b", "it\'s"}\nTiny.do = "error"\n'
    )
    elsewhere = folder.path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("OPPCLOUD_SIM_TIME_LIMIT", "3s")
    result = folder.run(*options, "../other.ini::General", "-p", "no:cacheprovider")

    result.assert_outcomes(failed=2)
    reports = re.findall(r"^_{5,} General .*?(?=^_{5,} |^={5,} )", result.stdout.str(), re.MULTILINE | re.DOTALL)
    assert len(reports) == 2
    monkeypatch.delenv("OPPCLOUD_SIM_TIME_LIMIT")
    for report in reports:
        *_, last = report.rstrip().splitlines()
        assert last.startswith("again, alone: pytest -p no:oppcloud ")
        words = last.removeprefix("again, alone: pytest")
        again = subprocess.run(  # noqa: S602  # as people paste it
            f"{shlex.quote(sys.executable)} -m pytest {words}",
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        assert "1 failed" in again, again
        assert f"by hand: {by_hand(report)}" in again
        assert "--sim-time-limit=3s" in by_hand(report)


def by_hand(report: str) -> str:
    """Return the command line of the simulation."""
    found = re.search(r"^by hand: (.*)$", report, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("deed", "outcome", "said"),
    [
        ("error", "failed", "*model error: *Something is wrong*"),
        ("crash", "failed", "*crash: *SIGSEGV*"),
        ("leave", "failed", "*ended without an end line*"),
        ("ask", "skipped", "*SKIPPED*omnetpp.ini:1: *prompt for user input*"),
    ],
)
def test_how_a_simulation_ends(folder: Folder, deed: str, outcome: str, said: str) -> None:
    result = folder.run("--opp-config=General", f'--opp-set=Tiny.do="{deed}"', "-rs")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines([said])


def test_a_run_with_a_baseline_that_asks_now_fails(folder: Folder) -> None:
    folder.record()
    folder.write("omnetpp.ini", '[General]\nnetwork = Tiny\nsim-time-limit = 10s\nTiny.do = "ask"\n')
    folder.run().assert_outcomes(failed=1)


def test_a_timeout_is_a_failure(folder: Folder) -> None:
    result = folder.run("--opp-config=General", '--opp-set=Tiny.do="wait"', "--opp-timeout=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*timeout*"])


def test_a_missing_program_is_an_error_that_says_what_to_do(folder: Folder) -> None:
    (folder.path / folder.path.name).unlink()
    result = folder.run("--opp-config=General", "--junitxml=junit.xml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*there is no {folder.path.name}*", "Build it there (opp_makemake*"])
    assert "Traceback" not in result.stdout.str()
    case = ET.parse(folder.path / "junit.xml").find(".//testcase")  # noqa: S314  # our own files
    assert case is not None
    assert case.find("error") is not None
    assert case.find("failure") is None


def test_a_broken_machinery_stays_an_error_under_xfail(folder: Folder) -> None:
    folder.write("oppcloud.toml", '[config."*"]\nxfail = "one day"\n')
    folder.run("--opp-config=General").assert_outcomes(xfailed=1)
    (folder.path / folder.path.name).unlink()
    result = folder.run("--opp-config=General")
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_unexpected_pass_is_not_counted_among_those_that_passed(folder: Folder) -> None:
    folder.record()
    folder.write("oppcloud.toml", '[config.General]\nxfail = "one day"\n')
    result = folder.run()
    result.assert_outcomes(passed=4, xpassed=1)
    result.stdout.fnmatch_lines(["compared 20 values in 4 passed runs"])


def test_the_ini_files_own_fingerprint_counts(folder: Folder) -> None:
    folder.record("--opp-config=General")
    folder.write("omnetpp.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 10s\nfingerprint = 1234-5678/tplx\n")
    result = folder.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the ini file itself expects*", "*tplx: expected 1234-5678, calculated *"])
    folder.run("--opp-update-baselines=all").assert_outcomes(failed=1)


def test_fingerprint_letters_come_from_the_settings(folder: Folder) -> None:
    folder.write("oppcloud.toml", '[check]\nfingerprints = ["tplx", "sz"]\n')
    folder.record("--opp-config=General")
    text = folder.baselines.read_text()
    assert "fingerprint sz " in text
    assert "fingerprint tplx " in text
    folder.run("--opp-config=General").assert_outcomes(passed=1)


def test_result_files_that_the_ini_file_names_are_found(folder: Folder) -> None:
    with (folder.path / "omnetpp.ini").open("a") as ini:
        ini.write("\n[Own]\noutput-scalar-file = mine.sca\n")
    folder.record("--opp-config=Own")
    folder.run("--opp-config=Own").assert_outcomes(passed=1)
    assert not (folder.path / "mine.sca").exists()


def test_reports_carry_durations_and_properties(folder: Folder) -> None:
    folder.record()
    folder.run("--opp-config=General", "--junitxml=junit.xml", "--durations=3", "-vv").stdout.fnmatch_lines(
        ["*s call     omnetpp.ini::General::#0"]
    )
    found = {
        item.get("name"): item.get("value")
        for item in ET.parse(folder.path / "junit.xml").iterfind(".//property")  # noqa: S314  # our own files
    }
    assert found["opp_cause"] == "completed"
    assert found["opp_events"] == "7"
    assert found["opp_compared"] == "5"
    assert str(found["opp_judgement"]).startswith("compared 5 of 5 values")
    assert re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}/tplx", str(found["opp_fingerprint"]))
    assert float(str(found["opp_wall_time"])) > 0


def test_files_of_failed_runs_are_kept_where_the_report_says(folder: Folder) -> None:
    folder.record("--opp-config=General")
    result = folder.run()
    result.assert_outcomes(passed=1, failed=4)
    places = re.findall(r"^files: (.*)$", result.stdout.str(), re.MULTILINE)
    assert len(places) == 4
    for place in places:
        assert (folder.path / place / "results" / "Study.sca").is_file()
        assert (folder.path / place / "stdout.txt").is_file()
    assert not list(folder.path.glob(".oppcloud/*/omnetpp.ini/General"))
    assert (folder.path / ".oppcloud" / ".gitignore").read_text().endswith("*\n")


def test_files_of_old_sessions_go(folder: Folder) -> None:
    old = [folder.path / ".oppcloud" / f"20200101-00000{number}-1" for number in range(5)]
    for place in old:
        place.mkdir(parents=True)
    folder.run("--opp-config=General").assert_outcomes(failed=1)
    assert [place.name for place in old if place.exists()] == [
        "20200101-000002-1",
        "20200101-000003-1",
        "20200101-000004-1",
    ]


def test_ctrl_c_stops_the_simulation(folder: Folder) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--opp-config=General", '--opp-set=Tiny.do="wait"'],
        cwd=folder.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (folder.path / "waiting").exists() or not (folder.path / "waiting").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    simulation = int((folder.path / "waiting").read_text())
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert not alive(simulation)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_header_says_what_runs_where_and_why(folder: Folder) -> None:
    result = folder.run("--opp-config=General")
    result.stdout.fnmatch_lines(
        ["simulations run locally (no --oppcloud)", f"1 simulation by ./{folder.path.name} (release, built here)"]
    )
    assert "simulation" not in folder.run("-q", "--co", "pytest.ini", "-p", "no:oppsim").stdout.str()


def test_other_tests_hear_nothing_of_it(folder: Folder) -> None:
    (folder.path / "omnetpp.ini").unlink()
    folder.write("test_it.py", "def test_it(): pass\n")
    text = folder.run().stdout.str()
    assert "simulation" not in text
    assert not (folder.path / ".oppcloud").exists()


def test_nothing_imports_a_queue(folder: Folder) -> None:
    folder.record("--opp-config=General")
    folder.write(
        "test_modules.py",
        "import sys\n\ndef test_it():\n    assert not {'redis', 'rq', 'boto3'} & set(sys.modules)\n",
    )
    folder.run("--opp-config=General").assert_outcomes(passed=2)


def test_another_version_of_the_worker_package_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("other/oppcloud_worker/__init__.py", '__version__ = "9.9"\n')
    monkeypatch.setenv("PYTHONPATH", str(folder.path / "other"))
    result = folder.run_as_installed("--co")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*found oppcloud_worker 9.9 in *uninstall oppcloud-worker*"])
