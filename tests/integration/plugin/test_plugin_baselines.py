"""Writing baselines, and never without being asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Folder


def test_verbs(folder: Folder) -> None:
    folder.run("--opp-config=General", "--opp-update-baselines=new").assert_outcomes(passed=1)
    before = folder.baselines.read_text()
    ini = folder.path / "omnetpp.ini"
    ini.write_text(ini.read_text() + "\n[More]\n")
    ini.write_text(ini.read_text().replace("sim-time-limit = 10s", "sim-time-limit = 20s"))

    changed = folder.run("--opp-config=General", "--opp-config=More", "--opp-update-baselines=new")
    changed.assert_outcomes(passed=1, failed=1)
    assert "sim-time-limit 10s" in folder.baselines.read_text()
    changed = folder.run("--opp-config=General", "--opp-config=Study", "--opp-update-baselines=changed")
    changed.assert_outcomes(passed=1, failed=4)
    changed.stdout.fnmatch_lines(["wrote 1 baseline to baselines/omnetpp.ini.txt"])
    assert "sim-time-limit 10s" not in folder.baselines.read_text()
    assert folder.baselines.read_text() != before
    folder.run("--opp-update-baselines=all").assert_outcomes(passed=6)
    everything = folder.baselines.read_bytes()
    folder.run("--opp-update-baselines=all").stdout.fnmatch_lines(["no baseline was to be written"])
    assert folder.baselines.read_bytes() == everything


def test_xdist_writes_the_same_bytes(folder: Folder) -> None:
    folder.record()
    alone = folder.baselines.read_bytes()
    folder.baselines.unlink()
    folder.run("-n", "2", "--opp-update-baselines=new").stdout.fnmatch_lines(
        ["wrote 5 baselines to baselines/omnetpp.ini.txt"]
    )
    assert folder.baselines.read_bytes() == alone


def test_nothing_is_written_from_a_run_that_erred(folder: Folder) -> None:
    result = folder.run("--opp-update-baselines=all", '--opp-set=Tiny.do="error"')
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(["no baseline was to be written"])
    assert not folder.baselines.parent.exists()


def test_a_file_that_cannot_be_written_fails_the_session(folder: Folder) -> None:
    (folder.path / "baselines").symlink_to("/proc/no-such-folder")
    # However quiet it is to be.
    result = folder.run("--opp-config=General", "--opp-update-baselines=new", "-q")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not written: *"])


@pytest.mark.parametrize("extra", [[], ["-n", "1"]])
def test_unused_baselines_are_told_and_go_only_when_all_is_rewritten(folder: Folder, extra: list[str]) -> None:
    folder.record()
    ini = folder.path / "omnetpp.ini"
    ini.write_text(ini.read_text().replace("=1,2}", "=1}"))
    told = "2 unused baselines in baselines/omnetpp.ini.txt: Study value=2 #0, Study value=2 #1"
    result = folder.run(*extra)
    result.assert_outcomes(passed=3)
    assert told in result.outlines
    for partial in ("--opp-config=Study", "omnetpp.ini::Study", "-kStudy"):
        folder.run(partial, "--opp-update-baselines=all")
        assert "value=2" in folder.baselines.read_text()
    assert told not in folder.run("omnetpp.ini::Study").outlines
    result = folder.run("--opp-update-baselines=all", *extra)
    assert "removed 2 unused baselines from baselines/omnetpp.ini.txt" in result.outlines
    assert "value=2" not in folder.baselines.read_text()


def test_every_line_of_a_baseline_counts(folder: Folder) -> None:
    folder.record("--opp-config=General")
    lines = folder.baselines.read_text().splitlines(keepends=True)
    assert len(lines) > 15
    for number in range(0, len(lines), 4):
        folder.baselines.write_text("".join(lines[:number] + lines[number + 1 :]))
        result = folder.run("--opp-config=General", "-q")
        assert result.ret == pytest.ExitCode.TESTS_FAILED, lines[number]


def test_a_damaged_baseline_is_told_with_its_line_and_can_be_recorded_anew(folder: Folder) -> None:
    folder.record("--opp-config=General")
    folder.baselines.write_text(folder.baselines.read_text().replace("scalar Tiny twice 2\n", ""))
    result = folder.run("--opp-config=General")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"baselines/omnetpp\.ini\.txt:\d+: .*damaged"])
    folder.run("--opp-config=General", "--opp-update-baselines=changed").assert_outcomes(passed=1)
    folder.run("--opp-config=General").assert_outcomes(passed=1)


@pytest.mark.parametrize("update", ["new", "changed", "all"])
def test_a_file_that_cannot_be_understood_fails_its_runs_whatever_is_to_be_written(folder: Folder, update: str) -> None:
    folder.record("--opp-config=General")
    folder.baselines.write_text(folder.baselines.read_text() + "<<<<<<< HEAD\n")
    result = folder.run("--opp-config=General", f"--opp-update-baselines={update}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["baselines/omnetpp.ini.txt:*: a merge conflict"])
    assert folder.baselines.read_text().endswith("<<<<<<< HEAD\n")


@pytest.mark.parametrize("mode", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_tolerance_that_judged_nothing_in_the_whole_session_is_told(folder: Folder, mode: tuple[str, ...]) -> None:
    folder.record()
    folder.write(
        "oppcloud.toml",
        """\
[[check.tolerances]]
name = "gone"
absolute = 1

[[check.tolerances]]
name = "value"
relative = 0.5
""",
    )
    told = "tolerance `** gone` absolute 1, relative 0 (oppcloud.toml:1) judged no value"
    result = folder.run(*mode)
    result.assert_outcomes(passed=5)
    assert [line for line in result.outlines if " judged no value" in line] == [told]
    assert "judged no value" not in folder.run(*mode, "--opp-config=General").stdout.str()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sim-time-limit = 10s\n", "nothing limits the simulated time of this run: *"),
        ("network = Tiny\n", "config General has no network: nothing to simulate"),
    ],
)
def test_a_recorded_run_that_is_no_test_any_more_fails(folder: Folder, line: str, why: str) -> None:
    folder.record("--opp-config=General")
    ini = folder.path / "omnetpp.ini"
    ini.write_text(ini.read_text().replace(line, ""))
    for update in ((), ("--opp-update-baselines=all",)):
        result = folder.run("--opp-config=General", "--opp-config=Study", *update)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.assert_outcomes(failed=1, skipped=result.parseoutcomes()["skipped"])
        result.stdout.fnmatch_lines(
            [
                f"not simulated, so that nothing is compared with its baseline: {why}",
                "If that is meant, remove the section `run General #0` from baselines/omnetpp.ini.txt, *",
            ]
        )
    text = folder.baselines.read_text()
    folder.baselines.write_text(text[: text.index("\nrun General #0")])
    assert folder.run("--opp-config=General", "--opp-config=Study", "--opp-all").ret != pytest.ExitCode.TESTS_FAILED
