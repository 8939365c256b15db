"""Every way in which a simulation can end, with real processes, and the cause that it is told by."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oppcloud_worker.messages import Cause, Limits, RunOutcome, RunRequest
from oppcloud_worker.simulation import Stop, execute

FAULT_MODEL = Path(__file__).resolve().parents[1] / "faultmodel"
MEGABYTE = 1024 * 1024
#: What `none` calculates.
FINGERPRINT = "70e0-5323/tplx"

Run = Callable[..., RunOutcome]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Execute a config of the fault model; keywords are fields of the request and arguments of `execute`."""

    def execute_fault(config: str, *, stop: Stop | None = None, **fields: Any) -> RunOutcome:
        request: dict[str, Any] = {
            "name": config,
            "program": (sys.executable, "faultmodel.py"),
            "arguments": ("-u", "Cmdenv", "-c", config, "-r", "0"),
            "directory": str(FAULT_MODEL),
            "config": config,
            "run_number": 0,
            "repetition": 0,
            "limits": Limits(timeout=60),
        }
        return execute(RunRequest(**{**request, **fields}), tmp_path / "run", stop=stop)

    return execute_fault


def test_a_run_that_completes(run: Run) -> None:
    outcome = run("none", fingerprint="0000-0000/tplx,0000-0000/sz")
    assert outcome.cause is Cause.COMPLETED
    assert not outcome.message
    assert (outcome.exit_code, outcome.events, outcome.sim_time) == (0, 31, "3s")
    assert outcome.end_line == "Simulation time limit reached -- at t=3s, event #31"
    assert outcome.fingerprint_verdict == "mismatch"
    fingerprints = [value for value in outcome.values if value.kind == "fingerprint"]
    assert [value.name for value in fingerprints] == ["tplx", "sz"]
    assert f"{fingerprints[0].value}/tplx" == FINGERPRINT
    values = {value.name: value.value for value in outcome.values if value.kind == "scalar"}
    assert values["a third"] == "0.33333333333333"
    assert values["not a number"] == "nan"
    assert values["infinite"] == "inf"
    assert values['quote " backslash \\ tab \t end'] == "1e-300"
    assert outcome.attributes["network"] == "FaultNet"
    assert not outcome.attributes.keys() & {"datetime", "processid", "resultdir"}
    assert outcome.provenance["platform"]
    assert outcome.wall_time > 0
    assert outcome.cpu_time > 0
    assert outcome.peak_memory > MEGABYTE
    assert outcome.host
    files = [file.path for file in outcome.files]
    assert files == ["results/none-#0.sca", "stderr.txt", "stdout.txt"]
    assert all((Path(outcome.directory) / file.path).stat().st_size == file.size for file in outcome.files)


def test_the_result_folder_in_a_parameter_is_the_same_in_all_runs(run: Run) -> None:
    override = '--*.probe.fault="in ${resultdir}/a.txt"'
    outcome = run("none", arguments=("-u", "Cmdenv", "-c", "none", "-r", "0", override))
    assert [value.value for value in outcome.values if value.name == "fault"] == ['"in {results}/a.txt"']


def test_a_run_number_with_zeros_in_front(run: Run) -> None:
    outcome = run("none", arguments=("-u", "Cmdenv", "-c", "none", "-r", "0", "--runnumber-width=4"))
    assert (outcome.cause, outcome.attributes["runnumber"]) == (Cause.COMPLETED, "0000")


def test_a_fingerprint_that_fits(run: Run) -> None:
    outcome = run("none", fingerprint=FINGERPRINT)
    assert (outcome.cause, outcome.fingerprint_verdict) == (Cause.COMPLETED, "verified")


def test_without_a_fingerprint(run: Run) -> None:
    outcome = run("none")
    assert (outcome.cause, outcome.fingerprint_verdict) == (Cause.COMPLETED, "")
    assert not [value for value in outcome.values if value.kind == "fingerprint"]


@pytest.mark.parametrize(
    ("config", "end"),
    [
        ("end-simulation", "Simulation stopped with endSimulation()"),
        ("own-end", "the battery is empty"),
        ("no-more-events", "No more events, simulation completed"),
        ("odd-bytes", "Simulation time limit reached"),
        ("error-as-text", "Simulation time limit reached"),
        ("no-recording", "Simulation time limit reached"),
    ],
)
def test_unusual_but_good_ends(run: Run, config: str, end: str) -> None:
    outcome = run(config, fingerprint="0000-0000/tplx")
    assert outcome.cause is Cause.COMPLETED, outcome.message
    assert outcome.end_line.startswith(f"{end} -- ")


@pytest.mark.parametrize(
    ("config", "cause", "message"),
    [
        ("error", Cause.MODEL_ERROR, r"wrong in handle_message\(\),\nsecond line of the message -- in module .* at t="),
        ("exception", Cause.MODEL_ERROR, "ValueError: not an error of the simulation's own -- in module"),
        ("error-at-start", Cause.MODEL_ERROR, r"wrong in initialize\(\), code 7 -- .* during network initialization"),
        ("error-in-finish", Cause.MODEL_ERROR, r"wrong in finish\(\) -- .* during finalization"),
        ("unknown-network", Cause.MODEL_ERROR, "Network 'NoSuchNet' not found"),
        ("no-such-config", Cause.MODEL_ERROR, "No such config: no-such-config"),
        ("asked", Cause.NOT_RUNNABLE, "attempted to prompt for user input"),
        ("no-network", Cause.NOT_RUNNABLE, "No network specified"),
        ("segv", Cause.CRASH, "SIGSEGV"),
        ("segv-in-finish", Cause.CRASH, "SIGSEGV"),
        ("abort", Cause.CRASH, "SIGABRT"),
        ("killed", Cause.CRASH, "SIGKILL"),
        ("hung-up", Cause.CRASH, "SIGHUP"),
        ("terminated", Cause.CRASH, "a signal that we did not send"),
        ("exit-139", Cause.CRASH, "as a shell tells SIGSEGV"),
        ("exit-0", Cause.NO_END, "exit code 0, but OMNeT"),
        ("exit-3", Cause.NO_END, "exit code 3"),
        ("exit-0-in-finish", Cause.NO_END, "before OMNeT"),
        ("cpu-time-limit", Cause.TIME_LIMIT_REACHED, "CPU time limit reached"),
        ("real-time-limit", Cause.TIME_LIMIT_REACHED, "Realtime limit reached"),
        ("no-result-file", Cause.RESULT_DAMAGED, "no .sca file"),
        ("empty-result-file", Cause.RESULT_DAMAGED, "the file is empty"),
        ("half-result-file", Cause.RESULT_DAMAGED, r"half-result-file-#0\.sca:\d+: "),
        ("result-file-without-its-end", Cause.RESULT_DAMAGED, "the file ends too early"),
        ("result-of-another-run", Cause.RESULT_DAMAGED, "runnumber '1' instead of '0'"),
        ("result-of-another-config", Cause.RESULT_DAMAGED, "configname 'some-other-config'"),
        ("result-with-another-iteration", Cause.RESULT_DAMAGED, "iteration variables"),
        ("result-twice", Cause.RESULT_DAMAGED, "2 runs instead of one"),
        ("two-result-files", Cause.RESULT_DAMAGED, "2 runs instead of one"),
        ("result-file-as-link", Cause.RESULT_DAMAGED, "not a regular file"),
    ],
)
def test_bad_ends(run: Run, config: str, cause: Cause, message: str) -> None:
    outcome = run(config)
    assert outcome.cause is cause, outcome.message
    assert re.search(message, outcome.message, re.DOTALL), outcome.message


def test_the_result_of_another_variable_without_a_name(run: Run) -> None:
    outcome = run("none", itervars={"0": "7"})
    assert outcome.cause is Cause.RESULT_DAMAGED
    assert "iteration variables {} instead of {'0': '7'}" in outcome.message


def test_exit_in_finish_without_banner_shows_in_the_result_file(run: Run) -> None:
    arguments = ("-s", "-u", "Cmdenv", "-c", "exit-0-in-finish", "-r", "0")
    outcome = run("exit-0-in-finish", arguments=arguments)
    assert outcome.cause is Cause.RESULT_DAMAGED
    assert "the file ends too early" in outcome.message


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ("forged-end", Cause.RESULT_DAMAGED),
        ("forged-rest", Cause.RESULT_DAMAGED),
        ("forged-verdict-in-finish", Cause.MODEL_ERROR),
        ("forged-verdict-in-destructor", Cause.MODEL_ERROR),
        ("forged-end-in-destructor", Cause.MODEL_ERROR),
        ("forged-verdicts-behind-a-flood", Cause.MODEL_ERROR),
        ("many-forged-verdicts", Cause.MODEL_ERROR),
    ],
)
@pytest.mark.parametrize("silent", [False, True])
def test_a_forged_verdict_is_not_believed(run: Run, config: str, cause: Cause, silent: bool) -> None:
    arguments = (*(["-s"] if silent else []), "-u", "Cmdenv", "-c", config, "-r", "0")
    outcome = run(config, arguments=arguments, fingerprint="dead-beef/tplx")
    assert outcome.cause is cause, outcome.message
    assert outcome.fingerprint_verdict != "verified"


def test_a_verdict_forged_before_the_end_does_not_matter(run: Run) -> None:
    outcome = run("forged-verdict", fingerprint="dead-beef/tplx")
    assert (outcome.cause, outcome.fingerprint_verdict) == (Cause.COMPLETED, "mismatch")


def test_an_unknown_ingredient_is_an_error(run: Run) -> None:
    assert run("none", fingerprint="0000-0000/~").cause is Cause.MODEL_ERROR


@pytest.mark.parametrize("config", ["hang", "hang-deaf", "sleep", "zero-time"])
def test_timeout(run: Run, config: str) -> None:
    outcome = run(config, limits=Limits(timeout=1.5))
    assert outcome.cause is Cause.TIMEOUT
    assert "no end within 1.5 s" in outcome.message


@pytest.mark.parametrize("config", ["hang", "hang-deaf"])
def test_cpu_time_limit(run: Run, config: str) -> None:
    outcome = run(config, limits=Limits(timeout=60, cpu_time=1))
    assert outcome.cause is Cause.TIMEOUT
    assert "no end within 1 s of CPU time" in outcome.message


def test_memory_limit(run: Run) -> None:
    outcome = run("hoard", limits=Limits(timeout=60, memory=300 * MEGABYTE))
    assert outcome.cause is Cause.OUT_OF_MEMORY
    assert outcome.peak_memory <= 300 * MEGABYTE


@pytest.mark.parametrize("config", ["fill-file", "fill-file-by-signal"])
def test_file_size_limit(run: Run, config: str) -> None:
    outcome = run(config, limits=Limits(timeout=60, file_size=8 * MEGABYTE))
    assert outcome.cause is Cause.OUT_OF_SPACE
    assert max(file.size for file in outcome.files) <= 8 * MEGABYTE


def test_a_flood_of_output_takes_neither_memory_nor_disk(run: Run) -> None:
    outcome = run("flood", limits=Limits(timeout=60, output=100_000), fingerprint="0000-0000/tplx")
    assert outcome.cause is Cause.COMPLETED, outcome.message
    (size,) = (file.size for file in outcome.files if file.path == "stdout.txt")
    assert size < 200_000
    kept = (Path(outcome.directory) / "stdout.txt").read_text()
    assert "bytes left out" in kept
    assert "Setting up Cmdenv" in kept
    assert kept.endswith("End.\n")


def test_any_bytes_are_shown(run: Run) -> None:
    assert "bytes: \\xff\\xfe\\x80\n" in run("odd-bytes").stdout


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (("./no-such-program",), "No such file"),
        (("no-such-program",), "No such file"),
        (("./omnetpp.ini",), "Permission denied"),
        (("sh", "-c", "exec ./no-such-program"), "exit code 127"),
        (("sh", "-c", "exec ./omnetpp.ini"), "exit code 126"),
    ],
)
def test_a_program_that_is_missing(run: Run, program: tuple[str, ...], text: str) -> None:
    outcome = run("none", program=program)
    assert outcome.cause is Cause.PROGRAM_MISSING
    assert text in outcome.message


def test_a_directory_that_is_missing(run: Run, tmp_path: Path) -> None:
    assert run("none", directory=str(tmp_path / "nowhere")).cause is Cause.REQUEST_DAMAGED
    assert "nowhere" not in str(list(tmp_path.iterdir()))


def test_a_relative_directory_needs_content(run: Run) -> None:
    assert run("none", directory="faultmodel").cause is Cause.REQUEST_DAMAGED


def test_a_directory_within_content(tmp_path: Path) -> None:
    request = RunRequest(
        name="n",
        program=(sys.executable, "faultmodel.py"),
        arguments=("-u", "Cmdenv", "-c", "none", "-r", "0"),
        directory="faultmodel",
        config="none",
        run_number=0,
        repetition=0,
    )
    assert execute(request, tmp_path, content=FAULT_MODEL.parent).cause is Cause.COMPLETED


def test_a_run_needs_an_empty_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old.sca").write_text("version 3\n")
    with pytest.raises(FileExistsError):
        run("none")


def test_results_can_be_named(run: Run) -> None:
    arguments = ("-u", "Cmdenv", "-c", "none", "-r", "0", "--output-scalar-file={results}/mine.sca")
    outcome = run("none", arguments=arguments)
    assert outcome.cause is Cause.COMPLETED, outcome.message
    assert "results/mine.sca" in [file.path for file in outcome.files]


def test_what_an_argument_may_hold(run: Run, tmp_path: Path) -> None:
    arguments = ("a b", "{results}", "${results}", "", "\udcff")
    outcome = run("none", program=("sh", "-c", 'printf "[%s]" "$@"', "sh"), arguments=arguments, fingerprint="0 1/t")
    results = tmp_path / "run" / "results"
    assert outcome.stdout == f"[a b][{results}][${{results}}][][\\xff][--fingerprint=0 1/t][--result-dir={results}]"


KEYS = ("network", "sim-time-limit", "*.probe.delay", "*.probe.asked", "description")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the configuration keys of `none` as they are recorded, without that of the result folder."""
    request = RunRequest(
        name="n",
        program=(sys.executable, "faultmodel.py"),
        arguments=("-u", "Cmdenv", "-c", "none", "-r", "0"),
        directory=str(FAULT_MODEL),
        config="none",
        run_number=0,
        repetition=0,
    )
    outcome = execute(request, tmp_path_factory.mktemp("keys") / "run")
    text = (Path(outcome.directory) / "results/none-#0.sca").read_text()
    found = re.findall(r"^config (\S+) ", text, re.MULTILINE)
    assert sorted(found) == sorted(("result-dir", *KEYS))
    return tuple(key for key in found if key != "result-dir")


def test_the_configuration_keys_fit(run: Run, keys: tuple[str, ...]) -> None:
    assert run("none", config_keys=keys).cause is Cause.COMPLETED


@pytest.mark.parametrize("change", ["missing", "more", "order", "other"])
def test_configuration_keys_that_do_not_fit(run: Run, keys: tuple[str, ...], change: str) -> None:
    expected = {
        "missing": (*keys, "num-rngs"),
        "more": keys[1:],
        "order": keys[::-1],
        "other": ("num-rngs", *keys[1:]),
    }[change]
    outcome = run("none", config_keys=expected)
    assert outcome.cause is Cause.RESULT_DAMAGED
    assert "configuration keys" in outcome.message


def test_variables_of_the_environment(run: Run) -> None:
    script = 'echo "[$ONE]" "[$TWO]"; exit 3'
    outcome = run("none", program=("sh", "-c", script), environment={"ONE": "1 $x"})
    assert "[1 $x] []" in outcome.stdout


def test_the_environment_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPCLOUD_TEST_SECRET", "hidden")
    request = RunRequest(
        name="n",
        program=("/bin/sh", "-c", "env; exit 3"),
        arguments=(),
        directory="/",
        config="c",
        run_number=0,
        repetition=0,
    )
    assert "hidden" in execute(request, tmp_path / "a").stdout
    assert "hidden" not in execute(request, tmp_path / "b", environment={}).stdout


def test_stop_before_the_start(run: Run) -> None:
    stop = Stop()
    stop.set()
    outcome = run("none", stop=stop)
    assert (outcome.cause, outcome.exit_code) == (Cause.STOPPED, None)


@pytest.mark.parametrize("config", ["hang-deaf", "zero-time"])
def test_stop_while_running(tmp_path: Path, config: str) -> None:
    stop = Stop()
    request = RunRequest(
        name="n",
        program=(sys.executable, "faultmodel.py"),
        arguments=("-u", "Cmdenv", "-c", config, "-r", "0"),
        directory=str(FAULT_MODEL),
        config=config,
        run_number=0,
        repetition=0,
    )

    def stop_at_the_first_event(data: bytes) -> None:
        if b"** Event" in data:
            stop.set()

    outcome = execute(request, tmp_path, stop=stop, on_output=stop_at_the_first_event)
    assert outcome.cause is Cause.STOPPED


def test_one_switch_stops_several(tmp_path: Path) -> None:
    stop = Stop()
    started = threading.Barrier(3)
    outcomes: list[RunOutcome] = []

    def wait(_data: bytes) -> None:
        started.wait()

    def work(name: str) -> None:
        request = RunRequest(
            name=name,
            program=("sh", "-c", "echo ready; exec sleep 600"),
            arguments=(),
            directory="/",
            config="c",
            run_number=0,
            repetition=0,
        )
        outcomes.append(execute(request, tmp_path / name, stop=stop, on_output=wait))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    started.wait()
    stop.set()
    for thread in threads:
        thread.join()
    assert [outcome.cause for outcome in outcomes] == [Cause.STOPPED] * 2
