"""What travels between the plugin and a worker: a request to run, and the outcome of it.

Standard library only: this module is read on both ends of the wire. The wire format is JSON
(see `wire`); a value that does not fit raises `MessageError`, which names the field and what was found there.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping  # noqa: TC003  # read at run time by wire.decode
from dataclasses import dataclass, field, replace

from .wire import MessageError, decode, encode

__all__ = [
    "PROTOCOL",
    "Cause",
    "Limits",
    "MessageError",
    "RecordedValue",
    "ResultFile",
    "RunOutcome",
    "RunRequest",
    "Verdict",
]

#: Changes when an old worker can no longer serve a new client or the reverse.
PROTOCOL = 2


class Verdict(enum.Enum):
    """What a cause means for the item."""

    PASSED = "passed"
    #: The simulation itself is to blame; junit shows a failure.
    FAILED = "failed"
    #: The machinery is to blame; junit shows an error.
    ERROR = "error"
    #: The ini file alone could not tell that this is no test (an open parameter, no network).
    NOT_A_TEST = "not a test"


class Cause(enum.Enum):
    """Why a run ended; each member carries its verdict and how often it may be tried again.

    This is the outcome table: no other place decides what is a failure, an error, or worth a retry.
    """

    COMPLETED = ("completed", Verdict.PASSED, 0)
    #: OMNeT++ printed `<!> Error: ...`.
    MODEL_ERROR = ("model error", Verdict.FAILED, 0)
    #: Ended by a signal that we did not send.
    CRASH = ("crash", Verdict.FAILED, 0)
    #: Longer than our wall-clock or CPU-time limit.
    TIMEOUT = ("timeout", Verdict.FAILED, 0)
    #: OMNeT++'s own cpu-time-limit or real-time-limit: results of a random moment.
    TIME_LIMIT_REACHED = ("time limit of the model reached", Verdict.FAILED, 0)
    #: The process ended without OMNeT++'s end line (the model called exit()), or with an unknown exit code.
    NO_END = ("ended without an end line", Verdict.FAILED, 0)
    #: OMNeT++ asks for a parameter, or there is no network to simulate.
    NOT_RUNNABLE = ("not runnable by itself", Verdict.NOT_A_TEST, 0)
    OUT_OF_MEMORY = ("out of memory", Verdict.ERROR, 1)
    #: More files or output than allowed.
    OUT_OF_SPACE = ("out of space", Verdict.ERROR, 1)
    RESULT_DAMAGED = ("result file damaged", Verdict.ERROR, 1)
    PROGRAM_MISSING = ("program missing", Verdict.ERROR, 0)
    #: The build command of the project failed, or did not make the program.
    BUILD_FAILED = ("build failed", Verdict.ERROR, 0)
    #: Ended because we were asked to: Ctrl-C, `-x`, a cancelled session.
    STOPPED = ("stopped", Verdict.ERROR, 0)
    REQUEST_DAMAGED = ("request damaged", Verdict.ERROR, 0)
    VERSION_MISMATCH = ("version mismatch", Verdict.ERROR, 0)
    CONTENT_MISSING = ("content missing or damaged", Verdict.ERROR, 2)
    WORKER_LOST = ("worker lost", Verdict.ERROR, 3)
    NO_WORKER = ("no worker", Verdict.ERROR, 0)
    QUEUE_LOST = ("queue lost", Verdict.ERROR, 3)
    #: A mistake in the worker's own code.
    WORKER_BROKEN = ("worker broken", Verdict.ERROR, 1)

    def __init__(self, text: str, verdict: Verdict, retries: int) -> None:
        self.text = text
        self.verdict = verdict
        #: How many times such a run may be started again before it is reported.
        self.retries = retries


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one simulation may use, its whole process tree included; 0 means no limit."""

    #: Wall-clock seconds from start to end.
    timeout: float = 0.0
    #: CPU seconds of one process.
    cpu_time: int = 0
    #: Bytes of address space of one process.
    memory: int = 0
    #: Bytes of one file that is written.
    file_size: int = 0
    #: Processes at a time, and bytes of memory that they have for themselves (Linux only).
    processes: int = 0
    tree_memory: int = 0
    #: Bytes of console output that are kept; the middle of a longer one is dropped.
    output: int = 4 * 1024 * 1024

    def within(self, bounds: Limits) -> Limits:
        """Return these limits, none of them above that of `bounds`."""
        names = ("timeout", "cpu_time", "memory", "file_size", "processes", "tree_memory")
        stricter = {}
        for name in names:
            both = [value for value in (getattr(self, name), getattr(bounds, name)) if value]
            if both:
                stricter[name] = min(both)
        return replace(self, **stricter)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run of one simulation: everything that `simulation.execute` needs, and nothing else."""

    #: Who asks: the node id; part of messages, never interpreted.
    name: str
    #: First words of the command line. A first word with a slash is a path, relative to `directory`; "{python}" is the
    #: interpreter of whoever executes the request.
    program: tuple[str, ...]
    #: The rest of the command line, without `--fingerprint` and `--result-dir`: `execute` adds those. `{results}`
    #: stands for the folder of the result files.
    arguments: tuple[str, ...]
    #: Working directory: absolute, or relative to the unpacked content where `content` is given.
    directory: str
    #: Config, run number and repetition as OMNeT++ will report them in the result files.
    config: str
    run_number: int
    repetition: int
    #: Iteration variables in loop order, unnamed ones as "0", "1", ..., without the repetition.
    itervars: Mapping[str, str] = field(default_factory=dict)
    #: Keys of the `config` lines that the result file must hold, in order, that of `fingerprint` included, without
    #: the `result-dir` that `execute` adds; None: not checked.
    config_keys: tuple[str, ...] | None = None
    #: Fingerprints to ask OMNeT++ for, as `--fingerprint` takes them ("0000-0000/tplx" to have it computed).
    fingerprint: str | None = None
    #: Variables added to, or put in place of, those of the environment.
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    #: Digest of the manifest of the files to unpack first; None where the folder itself is used.
    content: str | None = None
    #: Folders of the content whose shared libraries are loaded before any others of the same name.
    libraries: tuple[str, ...] = ()
    #: Which build made the program, in words for the outcome's provenance; "" where none of ours did.
    product: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the message as JSON values."""
        return encode(self)

    @classmethod
    def from_json(cls, data: object) -> RunRequest:
        """Read the message; raise `MessageError` where it does not fit."""
        return decode(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedValue:
    """One value of a result file, as text exactly as it was recorded."""

    #: "scalar", "statistic" (a field of one), "bin", "par", "attr" (of any item) or "fingerprint".
    kind: str
    #: Full path of the module; "" for a fingerprint.
    module: str
    #: Name of the scalar, statistic or parameter; ingredients of a fingerprint ("tplx").
    name: str
    #: Field of a statistic ("mean"), lower edge of a bin ("-inf"), key of an attribute ("unit"), else "".
    field: str = ""
    #: "0.17", "nan", "0617-2d8e".
    value: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies the value within its run; a file may hold the same key twice."""
        return (self.kind, self.module, self.name, self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A file that a run left behind."""

    #: Path relative to the run's own directory, with slashes.
    path: str
    #: Bytes.
    size: int
    #: SHA-256 in hexadecimal, "" where the file did not go to a store.
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended, and what it recorded."""

    cause: Cause
    #: What happened, for people: OMNeT++'s own words where it has some.
    message: str = ""
    #: Exit code of the process, negative for a signal; None if it never started.
    exit_code: int | None = None
    #: OMNeT++'s end line without `<!> `: "Simulation time limit reached -- at t=30s, event #579".
    end_line: str = ""
    #: Last event number and simulated time of the end line ("30s").
    events: int | None = None
    sim_time: str = ""
    #: OMNeT++'s own verdict: "verified", "mismatch" or "" (none was asked for, or none came).
    fingerprint_verdict: str = ""
    #: All recorded values, in the order of the result file, fingerprints first.
    values: tuple[RecordedValue, ...] = ()
    #: Attributes of the run ("network", "seedset", ...), without the volatile ones (run id, dates, paths).
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: What it was made with, as far as it is known: "omnetpp", "compiler", "mode", "platform", "program".
    provenance: Mapping[str, str] = field(default_factory=dict)
    #: Seconds of wall-clock and CPU time (whole tree), and peak memory in bytes.
    wall_time: float = 0.0
    cpu_time: float = 0.0
    peak_memory: int = 0
    #: The end of standard output and of standard error, undecodable bytes as backslash escapes.
    stdout: str = ""
    stderr: str = ""
    #: The command as it was started, for reports.
    command: tuple[str, ...] = ()
    host: str = ""
    #: Result files and console output of the run.
    files: tuple[ResultFile, ...] = ()
    #: Where `files` lie on this machine; "" where they do not.
    directory: str = ""
    #: 1 for the first try.
    attempt: int = 1
    #: Digest of the manifest of what a build made, which lies in the store of content; "" for a simulation.
    product: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the message as JSON values."""
        return encode(self)

    @classmethod
    def from_json(cls, data: object) -> RunOutcome:
        """Read the message; raise `MessageError` where it does not fit."""
        return decode(cls, data)
