"""The test item: one run of one simulation.

An item knows its run; everything else is worked out when somebody asks for it, because a session may hold ten thousand
items and run ten. `setup` has the run simulated (what fails there is the machinery: ERROR), `runtest` judges the
outcome (FAILED), and reports are completed here with what they tell about the simulation.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker import machine
from oppcloud_worker.messages import Cause, Limits, Verdict

from . import asking, reproduction, timeouts
from .baselines import BaselineFile, baseline_path
from .command import build_request, decisive_settings, own_fingerprints
from .comparison import Update
from .errors import BaselineError, LocatedError, MachineryError, OppcloudError
from .execution import executor_of, simulates
from .judging import (
    Expectation,
    Judgement,
    Result,
    describe_end,
    judge,
    recording_of,
    rules_of,
    tail,
    with_complaints,
)
from .keeping import kept_folder
from .naming import keywords
from .project import provenance
from .records import RunKey
from .session import PROJECTS_KEY
from .settings import SETTINGS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oppcloud_worker.messages import RunOutcome, RunRequest

    from .collection import ConfigCollector, IniFile
    from .command import RunPlan
    from .content import Content
    from .records import Record
    from .runs import Run

#: Why a run is skipped that might never end.
NO_LIMIT = (
    "nothing limits the simulated time of this run: set sim-time-limit in the ini file, --opp-sim-time-limit=100s, or "
    'limits.sim_time_limit in oppcloud.toml ("unlimited" if it ends by itself)'
)
#: Attribute of a report that holds a baseline to be written: its file, and the text of a baseline file with it alone.
RECORD_ATTRIBUTE = "opp_record"
#: Attribute of a report: the tolerance rules that the run was compared by, and those that judged none of its values.
RULES_ATTRIBUTE = "opp_rules"


class SimulationFailed(OppcloudError):  # noqa: N818  # it is a verdict
    """The simulation failed, or differs from its baseline."""


class SimulationItem(pytest.Item):
    """One run of one simulation."""

    parent: ConfigCollector

    def __init__(self, *, run: Run, **kwargs: Any) -> None:
        """Take the run; nothing else is done here, as there may be many."""
        super().__init__(**kwargs)
        self.run = run
        #: Why the run is not simulated although it has a baseline, "" if it is: it fails, as nothing is compared.
        self.refusal = ""
        #: How the run ended; None until `setup` knows.
        self.outcome: RunOutcome | None = None
        #: How it was judged; None until `runtest` has done so.
        self.judgement: Judgement | None = None
        #: Where the files of the run are, if a check of the project wants to see them.
        self._files = Path()
        #: The container image of the worker that ran it, "" if there was none.
        self._image = ""

    # -- what the item is -----------------------------------------------------------------------------------------

    @property
    def ini_file(self) -> IniFile:
        """The collector of the ini file."""
        return self.parent.parent

    @property
    def key(self) -> RunKey:
        """What identifies the run in the baselines."""
        return run_key(self.run)

    @cached_property
    def baseline(self) -> Record | None:
        """What is stored for the run, None if nothing is; raise `BaselineError` if it is damaged."""
        return self.ini_file.baselines.record(self.key)

    @cached_property
    def request(self) -> RunRequest:
        """The request that has the run simulated, its folder absolute.

        Raise `ProgramMissingError` if nothing can run it.
        """
        try:
            baseline = self.baseline
        except BaselineError:
            # Judging will tell. The simulation is wanted all the same: it may be there to record a new baseline.
            baseline = None
        values = baseline.values if baseline else ()
        expected = {value.name: value.value for value in values if value.kind == "fingerprint"}
        plan, run = self.planned
        request = build_request(plan, run, name=self.nodeid, expected_fingerprints=expected)
        return replace(request, limits=request.limits.within(Limits(timeout=timeouts.seconds_of(self))))

    @cached_property
    def planned(self) -> tuple[RunPlan, Run]:
        """What is decided for the run, and the run under it; raise `SettingsError` for what a hook cannot decide."""
        return self.parent.planned(self.run, asking.words_of(self))

    @property
    def content(self) -> Content:
        """The files that the run needs on another machine; the same object for all runs of a config."""
        ini = self.ini_file
        return self.config.stash[PROJECTS_KEY].content(ini.project, self.parent.program, ini.path)

    @property
    def is_wanted(self) -> bool:
        """Whether the run is to be simulated, as far as can be known before: no skip mark, and a program is there."""
        if self.refusal or any(True for _ in self.iter_markers("skip")):
            return False
        try:
            return bool(self.parent.program.words)
        except LocatedError:
            return False

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return where the config is defined, and what the item is called in headlines."""
        path, line = self.parent.heading
        return path, line - 1, f"{self.parent.name} {self.name}"

    def listextrakeywords(self) -> set[str]:
        """Add the iteration variables to what `-k` looks at."""
        return super().listextrakeywords() | keywords(self.run)

    # -- what it does ---------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Have the run simulated; raise `MachineryError` if that could not be done."""
        # Where another plugin repeats an item, it tells what its last round gave.
        self.user_properties[:] = [entry for entry in self.user_properties if not entry[0].startswith("opp_")]
        if self.refusal or not simulates(self.config):
            return
        request, executor = self.request, executor_of(self.config)
        if not executor.announces:
            asking.tell_submitted(self)
            asking.tell_started(self, machine.name())
        outcome = executor.result(request)
        made_with = dict(outcome.provenance)
        # What a build made is told beside the values: it is another after each change of the sources.
        product = made_with.pop("product", "")
        self._image = made_with.pop("image", "")
        made_with |= provenance(self.parent.program, built_elsewhere=bool(product))
        outcome = self.outcome = replace(outcome, provenance=made_with)
        self._tell(cause=outcome.cause.text, host=outcome.host, wall_time=f"{outcome.wall_time:.6f}")
        self._tell(**{name: value for name, value in (("product", product), ("image", self._image)) if value})
        if outcome.events is not None:
            self._tell(events=str(outcome.events))
        fingerprints = [f"{value.value}/{value.name}" for value in outcome.values if value.kind == "fingerprint"]
        if fingerprints:
            self._tell(fingerprint=" ".join(fingerprints))
        if outcome.cause.verdict is Verdict.ERROR:
            asking.tell_finished(self, outcome)
            raise MachineryError(self._with_help(describe_end(outcome)))
        if outcome.cause.verdict is Verdict.PASSED and asking.wants_files(self):
            self._files = executor.files_of(outcome)
        asking.tell_finished(self, outcome)

    def runtest(self) -> None:
        """Judge the outcome; raise `SimulationFailed` with the text for people."""
        if self.refusal:
            raise SimulationFailed(self._refused())
        if self.outcome is None:
            raise SimulationFailed("there is no outcome to judge: the item was not set up")
        update = self.config.stash[SETTINGS_KEY].update.value
        judgement = judge(self.outcome, self.expectation(), Update(update) if update else None)
        if self.outcome.cause.verdict is Verdict.PASSED:
            judgement = with_complaints(judgement, asking.complaints(self, self.outcome, self._files))
        self.judgement = judgement
        self._tell(compared=str(judgement.compared), judgement=judgement.headline or judgement.text.partition("\n")[0])
        if judgement.result is Result.SKIPPED:
            pytest.skip(judgement.text)
        if judgement.result is Result.FAILED:
            raise SimulationFailed(self._with_help(judgement.text))

    def _refused(self) -> str:
        """Return what is said of a run that is no test any more, but whose baseline says that it was one."""
        path = baseline_path(self.ini_file.path).relative_to(self.ini_file.path.parent)
        return (
            f"not simulated, so that nothing is compared with its baseline: {self.refusal}\n"
            f"If that is meant, remove the section `run {self.key}` from {path.as_posix()}, or skip the config in "
            "oppcloud.toml."
        )

    def expectation(self) -> Expectation:
        """Return what the outcome is held against."""
        stored, damage, readable = None, None, False
        try:
            baselines = self.ini_file.baselines
            readable = True
            stored = baselines.record(self.key)
        except BaselineError as error:
            damage = error.seen_from(self.config.invocation_params.dir)
        plan, run = self.planned
        return Expectation(
            decisive=decisive_settings(plan, run),
            recording=recording_of(plan.settings),
            rules=rules_of(plan.settings, self.ini_file.project.source(self.run.config, "check.tolerances")),
            own_fingerprints=own_fingerprints(run),
            stored=stored,
            damage=damage,
            mendable=readable,
        )

    def teardown(self) -> None:
        """Forget the files of a run that did not fail; those of others were moved away."""
        if self.outcome is not None:
            executor_of(self.config).discard_files(self.outcome)
            # Ten thousand outcomes need not stay in memory.
            self.outcome = self.judgement = None

    def _tell(self, **properties: str) -> None:
        self.user_properties.extend((f"opp_{name}", _printable(value)) for name, value in properties.items())

    # -- what is said about it ------------------------------------------------------------------------------------

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the text of an error that people are meant to read; anything else keeps its traceback."""
        if isinstance(excinfo.value, OppcloudError):
            return shown(excinfo.value, self.config)
        return super().repr_failure(excinfo, style)

    def _with_help(self, text: str) -> str:
        """Add what the run said, where its files are, and, at the end, how to see it again at the desk."""
        lines = [text, *self._output(), "", f"by hand: {reproduction.by_hand(self)}"]
        kept = self._keep_files()
        if kept:
            lines.append(f"files: {kept}")
        if self._image:
            lines.append(f"in its image: {reproduction.in_image(self, self._image)}")
        return "\n".join([*lines, f"again, alone: {reproduction.with_pytest(self)}"])

    def _output(self) -> Iterator[str]:
        """Yield the end of what a run printed that did not end well, as far as pytest is to show output."""
        outcome = self.outcome
        if outcome is None or outcome.cause.verdict is Verdict.PASSED:
            return
        whose = "build" if outcome.cause is Cause.BUILD_FAILED else "simulation"
        for name, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
            if text.strip() and self.config.option.showcapture in {name, "all"}:
                yield f"\n{f' {name} of the {whose} ':-^80}\n{tail(text).rstrip()}"

    def _keep_files(self) -> str:
        """Move the files of the run to where people find them; return that place, or why they are lost."""
        if self.outcome is None or not (self.outcome.files or self.outcome.directory):
            return ""
        try:
            folder = kept_folder(self.config, self.nodeid)
            executor_of(self.config).keep_files(self.outcome, folder)
        except (MachineryError, OSError) as error:
            return f"lost: {error}"
        place = os.path.relpath(folder, self.config.invocation_params.dir)
        self._tell(files=place)
        return place

    def complete(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Give the report the simulation's own duration, its output, and what is to be recorded.

        A failure of the machinery stays one, whatever an xfail mark made of it.
        """
        error = None if call.excinfo is None else call.excinfo.value
        if report.when == "setup" and isinstance(error, OppcloudError):
            report.outcome = "failed"
            report.longrepr = shown(error, self.config)
            vars(report).pop("wasxfail", None)
        elif report.skipped and isinstance(report.longrepr, tuple):
            path, line, _ = self.reportinfo()
            report.longrepr = (str(path), (line or 0) + 1, report.longrepr[2])
        outcome = self.outcome
        if outcome is None:
            return
        if report.when == "setup":
            report.duration = max(0.0, report.duration - outcome.wall_time)
        elif report.when == "call":
            report.duration = outcome.wall_time
        if report.when == "call" and self.judgement is not None:
            self._attach(report, self.judgement)

    def _attach(self, report: pytest.TestReport, judgement: Judgement) -> None:
        """Give the report what the end of the session needs of the judgement: builtins, for the way through xdist."""
        if judgement.rules:
            setattr(report, RULES_ATTRIBUTE, {"all": judgement.rules, "unused": judgement.unused_rules})
        if report.passed and judgement.record is not None:
            path = baseline_path(self.ini_file.path)
            data = BaselineFile(path).updated({self.key: judgement.record}).data
            # Latin-1 makes a string of any bytes, and every string survives the way to xdist's controller.
            setattr(report, RECORD_ATTRIBUTE, {"path": str(path), "data": data.decode("latin-1")})


def run_key(run: Run) -> RunKey:
    """Return what identifies the run in the baselines."""
    return RunKey.of(run.config, run.itervars, run.repetition, run.occurrence)


def shown(error: OppcloudError, config: pytest.Config) -> str:
    """Return the text of the error, with its file as seen from where pytest was started."""
    return _printable(str(error.seen_from(config.invocation_params.dir) if isinstance(error, LocatedError) else error))


def _printable(text: str) -> str:
    """Return `text` as every report can hold it: a byte that was not UTF-8 becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def simulation_items(session: pytest.Session) -> list[SimulationItem]:
    """Return the items of the session that are simulations, in pytest's order."""
    return [item for item in session.items if isinstance(item, SimulationItem)]
