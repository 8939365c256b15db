"""What the judge makes of exit codes, output and result files that no program of ours can produce."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.console import Console
from oppcloud_worker.judging import Judgement, judge
from oppcloud_worker.messages import Cause, Limits, RunRequest
from oppcloud_worker.supervision import ProcessEnd, Trouble

if TYPE_CHECKING:
    from pathlib import Path

END = "<!> Simulation time limit reached -- at t=30s, event #579\n"
VERIFIED = "\n<!> Fingerprint successfully verified: {}\n\n"
MISMATCH = "\n<!> Fingerprint mismatch! calculated: {}, expected: {}\n\n"
#: As OMNeT++ 7.0 tells it, on standard error and with exit code 1.
MISMATCH_7 = "\n<!> Error: Fingerprint mismatch! calculated: {}, expected: {} -- during finalization\n"
RESULT = """\
version 3
run C-0-20260102-03:04:05-77
attr configname C
attr datetime 20260102-03:04:05
attr datetimef 20260102-030405
attr experiment C
attr inifile omnetpp.ini
attr iterationvars ""
attr iterationvarsd ""
attr iterationvarsf ""
attr measurement ""
attr network N
attr processid 77
attr repetition 0
attr replication #0
attr resultdir /r
attr runnumber 0
attr seedset 0

scalar N n 1

"""
REQUEST = RunRequest(
    name="n", program=("./m",), arguments=(), directory="/", config="C", run_number=0, repetition=0,
    limits=Limits(timeout=9, cpu_time=5),
)  # fmt: skip
DONE = ProcessEnd(
    trouble=None, exit_code=0, ended_by="", out_of_memory=False, wall_time=1.0, cpu_time=1.0, peak_memory=1,
    descendants_ended=0, descendants_left=0,
)  # fmt: skip

Judge = Callable[..., Judgement]


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    def make(
        stdout: str = END, stderr: str = "", *, fingerprint: str | None = None, result: str = RESULT, **end: Any
    ) -> Judgement:
        results = tmp_path / "results"
        results.mkdir()
        (results / "C-#0.sca").write_text(result)
        out = Console(tmp_path / "out", 0)
        err = Console(tmp_path / "err", 0, after_end=False)
        out.feed(stdout.encode())
        err.feed(stderr.encode())
        out.close()
        err.close()
        request = replace(REQUEST, fingerprint=fingerprint)
        return judge(request, replace(DONE, **end), out, err, results)

    return make


def test_a_good_end(judged: Judge) -> None:
    judgement = judged()
    assert (judgement.cause, judgement.message) == (Cause.COMPLETED, "")


@pytest.mark.parametrize(
    ("asked", "told", "verified"),
    [
        ("0617-2d8e/tplx", VERIFIED.format("0617-2d8e/tplx"), True),
        ("0617-2d8e/tplx", MISMATCH.format("1111-2222/tplx", "0617-2d8e/tplx"), False),
        ("06172D8E/tplx", VERIFIED.format("0617-2d8e/tplx"), True),
        ("617:2d8e", VERIFIED.format("0617-2d8e/tplx"), True),
        ("0", MISMATCH.format("0617-2d8e/tplx", "0"), False),
        ("0", VERIFIED.format("0000-0000/tplx"), True),
        ("1/tplx 2/tplx", VERIFIED.format("0000-0002/tplx"), True),
        ("1/tplx 2/tplx", MISMATCH.format("0000-0003/tplx", "1/tplx 2/tplx"), False),
        ("1/tplx,2/sz", VERIFIED.format("0000-0001/tplx, 0000-0002/sz"), True),
        ("1/tplx,2/sz", MISMATCH.format("0000-0001/tplx, 0000-0003/sz", "1/tplx,2/sz"), False),
    ],
)
def test_fingerprints_as_they_were_asked_for(judged: Judge, asked: str, told: str, verified: bool) -> None:
    judgement = judged(END + told, fingerprint=asked)
    assert judgement.cause is Cause.COMPLETED, judgement.message
    assert judgement.verdict is not None
    assert judgement.verdict.verified == verified


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("1/tplx", VERIFIED.format("0000-0002/tplx")),
        ("1/tplx", MISMATCH.format("0000-0001/tplx", "1/tplx")),
        ("1/tplx", VERIFIED.format("0000-0001/sz")),
        ("1/tplx", VERIFIED.format("0000-0001/tplx, 0000-0002/sz")),
        ("1/tplx,2/sz", VERIFIED.format("0000-0001/tplx")),
        ("1/tplx,2/sz", VERIFIED.format("0000-0002/sz, 0000-0001/tplx")),
        ("1/tplx,2/sz", MISMATCH.format("0000-0001/tplx, 0000-0002/sz", "1/tplx,2/sz")),
        ("1/tplx", VERIFIED.format("0000-0001/tplx") + MISMATCH.format("0000-0002/tplx", "1/tplx")),
        ("1/tplx", VERIFIED.format("0000-0001/tplx") + VERIFIED.format("0000-0002/tplx")),
    ],
)
def test_fingerprints_that_contradict_the_request_or_each_other(judged: Judge, asked: str, told: str) -> None:
    assert judged(END + told, fingerprint=asked).cause is Cause.MODEL_ERROR


def test_a_fingerprint_that_was_not_answered(judged: Judge) -> None:
    assert judged(VERIFIED.format("0000-0001/tplx") + END, fingerprint="1/tplx").cause is Cause.RESULT_DAMAGED


def test_a_mismatch_of_omnetpp_7(judged: Judge) -> None:
    judgement = judged(END, MISMATCH_7.format("0617-2d8e/tplx", "1/tplx"), fingerprint="1/tplx", exit_code=1)
    assert judgement.cause is Cause.COMPLETED, judgement.message
    assert judgement.verdict is not None
    assert not judgement.verdict.verified
    assert [value.value for value in judgement.fingerprints] == ["0617-2d8e"]


def test_a_mismatch_of_omnetpp_7_with_errors_on_standard_output(judged: Judge) -> None:
    judgement = judged(END + MISMATCH_7.format("0617-2d8e/tplx", "1/tplx"), fingerprint="1/tplx", exit_code=1)
    assert judgement.cause is Cause.COMPLETED, judgement.message


def test_a_forged_verdict_does_not_beat_a_mismatch_of_omnetpp_7(judged: Judge) -> None:
    told = VERIFIED.format("0000-0001/tplx")
    error = MISMATCH_7.format("0617-2d8e/tplx", "1/tplx")
    assert judged(END + told, error, fingerprint="1/tplx", exit_code=1).cause is Cause.MODEL_ERROR


def test_a_mismatch_beside_another_error_is_an_error(judged: Judge) -> None:
    error = MISMATCH_7.format("0617-2d8e/tplx", "1/tplx") + "\n<!> Error: and more\n"
    assert judged(END, error, fingerprint="1/tplx", exit_code=1).cause is Cause.MODEL_ERROR


@pytest.mark.parametrize(
    ("stdout", "stderr", "end", "cause"),
    [
        ("", "\n<!> Error: std::bad_alloc: std::bad_alloc -- in module\n", {"exit_code": 1}, Cause.OUT_OF_MEMORY),
        ("", "terminate called\n  what():  std::bad_alloc\n", {"exit_code": -6}, Cause.OUT_OF_MEMORY),
        ("", "Traceback\nMemoryError\n", {"exit_code": 1}, Cause.OUT_OF_MEMORY),
        ("", "", {"exit_code": -9, "out_of_memory": True}, Cause.OUT_OF_MEMORY),
        ("", "", {"exit_code": -9}, Cause.CRASH),
        ("", "", {"exit_code": -9, "cpu_time": 5.5}, Cause.TIMEOUT),
        ("", "", {"exit_code": -24}, Cause.TIMEOUT),
        ("", "", {"exit_code": -25}, Cause.OUT_OF_SPACE),
        ("", "OSError: [Errno 28] No space left on device\n", {"exit_code": 1}, Cause.OUT_OF_SPACE),
        ("", "\n<!> Error: Cannot write x: No space left on device\n", {"exit_code": 1}, Cause.OUT_OF_SPACE),
        ("", "./m: error while loading shared libraries: x.so\n", {"exit_code": 127}, Cause.PROGRAM_MISSING),
        ("", "dyld[1]: Library not loaded: x.dylib\n", {"exit_code": -6}, Cause.PROGRAM_MISSING),
        ("text", "dyld[1]: Library not loaded: x.dylib\n", {"exit_code": -6}, Cause.CRASH),
        ("", "\n<!> Error: Cannot load library 'libx.so': no\n", {"exit_code": 1}, Cause.PROGRAM_MISSING),
        ("\n<!> Error: wrong option -- see help\n", "", {"exit_code": 1}, Cause.MODEL_ERROR),
        (END, "", {"exit_code": 1}, Cause.NO_END),
        (END, "", {"exit_code": 127}, Cause.NO_END),
        (END, "", {"exit_code": -11}, Cause.CRASH),
        (END, "\n<!> Error: shutdown went wrong\n", {}, Cause.MODEL_ERROR),
        (END, "", {"exit_code": None}, Cause.WORKER_BROKEN),
        (END, "", {"ended_by": "stop"}, Cause.STOPPED),
        (END, "", {"ended_by": "timeout"}, Cause.TIMEOUT),
        ("<!> Scheduler interrupted while waiting -- at t=1s, event #2\n", "", {}, Cause.CRASH),
        ("<!> SIGINT or SIGTERM received, exiting -- at t=1s, event #2\n", "", {"exit_code": 2}, Cause.CRASH),
        ("", "\n<!> Error: Cannot set up network: 'X' is not a network type\n", {"exit_code": 1}, Cause.NOT_RUNNABLE),
        (
            "",
            (
                "\n<!> Error: Unable to determine type name for submodule rx, missing entry N.rx.typename "
                "and no default value, at N.ned:28 -- in module (omnetpp::cModule) N (id=10), during network setup\n"
            ),
            {"exit_code": 1},
            Cause.NOT_RUNNABLE,
        ),
    ],
)
def test_causes(judged: Judge, stdout: str, stderr: str, end: dict[str, Any], cause: Cause) -> None:
    judgement = judged(stdout, stderr, **end)
    assert judgement.cause is cause, judgement.message
    assert judgement.message


def test_asking_for_a_parameter_beside_another_error_is_an_error(judged: Judge) -> None:
    error = '\n<!> Error: The simulation attempted to prompt for user input, set x: "y"\n\n<!> Error: other\n'
    assert judged("", error, exit_code=1).cause is Cause.MODEL_ERROR


@pytest.mark.parametrize("other", [END.replace("579", "580"), END.replace("30s", "31s"), END.replace("S", "s")])
def test_several_ends_that_differ(judged: Judge, other: str) -> None:
    assert judged(END + other).cause is Cause.MODEL_ERROR


def test_the_same_end_told_twice(judged: Judge) -> None:
    assert judged(END + END).cause is Cause.COMPLETED


@pytest.mark.parametrize(
    ("phase", "cause"),
    [
        ("program", Cause.PROGRAM_MISSING),
        ("directory", Cause.REQUEST_DAMAGED),
        ("limit", Cause.WORKER_BROKEN),
        ("prepare", Cause.WORKER_BROKEN),
    ],
)
def test_what_never_started(judged: Judge, phase: str, cause: Cause) -> None:
    trouble = Trouble(phase=phase, errno=2, text="No such file or directory")
    judgement = judged(trouble=trouble, exit_code=None)
    assert judgement.cause is cause
    assert "No such file or directory" in judgement.message


def test_a_verbose_output_needs_its_last_word(judged: Judge) -> None:
    begin = "\nPreparing for running configuration C, run #0...\n"
    assert judged(f"{begin}{END}").cause is Cause.NO_END


def test_a_last_word_before_the_verdict_does_not_count(judged: Judge) -> None:
    begin = "\nPreparing for running configuration C, run #0...\n"
    told = VERIFIED.format("0000-0001/tplx")
    assert judged(f"{begin}{END}\nEnd.\n{told}", fingerprint="1/tplx").cause is Cause.NO_END


@pytest.mark.parametrize("line", RESULT.splitlines(keepends=True))
def test_any_line_less_in_the_result_file_shows(judged: Judge, line: str) -> None:
    """The head of a run by its judge, the rest by the values that are compared."""
    index = RESULT.rindex(line) if line == "\n" else RESULT.index(line)
    judgement = judged(result=RESULT[:index] + RESULT[index + len(line) :])
    if line.startswith("scalar"):
        assert judgement.record is not None
        assert not judgement.record.values
    else:
        assert judgement.cause is Cause.RESULT_DAMAGED
