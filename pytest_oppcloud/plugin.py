"""Entry point `oppsim`: the options, and the wires from pytest's hooks to the modules that know what to do.

Without `--oppcloud`, and with the cloud part blocked, this is all there is: nothing here imports a queue.
"""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import oppcloud_worker
import pytest

from . import hookspecs

if TYPE_CHECKING:
    from collections.abc import Generator

    from .collection import IniFile
    from .execution import Executor

#: Under this name an xdist worker tells its controller the notes of its session.
_WORKER_OUTPUT = "oppcloud_notes"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options; refuse to work where we cannot, before anything else of ours is imported."""
    own = importlib.metadata.version("pytest-oppcloud")
    if oppcloud_worker.__version__ != own:
        raise pytest.UsageError(
            f"pytest-oppcloud {own} found oppcloud_worker {oppcloud_worker.__version__} in "
            f"{Path(oppcloud_worker.__file__).parent}: uninstall oppcloud-worker, pytest-oppcloud brings its own"
        )
    if os.name == "nt":
        raise pytest.UsageError("pytest-oppcloud runs on Linux and macOS; on Windows use WSL, or -p no:oppsim")
    from .cloud_options import add_cloud_options
    from .settings import add_settings

    group = parser.getgroup("oppcloud", "OMNeT++ simulations")
    add_settings(parser, group)
    add_cloud_options(group)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register our own hooks."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, and register what the session needs."""
    from .cloud_options import CLOUD_VARIABLES
    from .session import INI_FILES_KEY, NOTES_KEY, PROJECTS_KEY, Notes, Projects
    from .settings import SETTINGS_KEY, check_variables, read_settings

    check_variables(os.environ, CLOUD_VARIABLES)
    settings = config.stash[SETTINGS_KEY] = read_settings(config)
    config.stash[NOTES_KEY] = Notes()
    config.stash[PROJECTS_KEY] = Projects()
    config.stash[INI_FILES_KEY] = []
    if settings.update.value and not hasattr(config, "workerinput"):
        from .recording import BaselineRecorder

        config.pluginmanager.register(BaselineRecorder(), BaselineRecorder.NAME)


@pytest.hookimpl(trylast=True)
def pytest_oppcloud_make_executor(config: pytest.Config) -> Executor:
    """Run simulations here, if nobody else does."""
    from .execution import LocalExecutor, local_reason

    return LocalExecutor(local_reason(config))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remove what older sessions left."""
    from .keeping import remove_old_sessions

    if not hasattr(session.config, "workerinput"):
        remove_old_sessions(session.config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> IniFile | None:
    """Collect ini files."""
    if file_path.suffix == ".py":
        return None
    from .collection import collect_file

    return collect_file(file_path, parent)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a config that was left out be reported at its own line, not at one of this plugin."""
    report = yield
    heading = getattr(collector, "heading", None)
    if report.skipped and heading is not None:
        path, line = heading
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.longrepr = (str(path), line, reason)
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to start more runs than anybody asked for."""
    from .session import NOTES_KEY

    if not config.stash[NOTES_KEY].simulations:
        return
    from .items import simulation_items
    from .settings import SETTINGS_KEY, names_simulations

    settings = config.stash[SETTINGS_KEY]
    count = len(simulation_items(session))
    # `addopts` may hold a -k or -m that has nothing to do with simulations: one that leaves some out counts.
    chosen = count < config.stash[NOTES_KEY].simulations or getattr(config.option, "lf", False)
    asked = settings.all.value or config.option.collectonly or chosen or names_simulations(config, settings)
    if count > settings.max_runs.value and not asked:
        refusal = (
            f"{count:,} simulations were collected, more than the {settings.max_runs.value} that a session starts "
            f"unasked (opp_max_runs, {settings.max_runs.source})\nselect some (--opp-config, --opp-runs, -k, a file "
            "name), or say --opp-all"
        )
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(refusal)
        # An xdist worker cannot raise it; with nothing to do it ends, and the controller says so.
        config.stash[NOTES_KEY].refusal = refusal
        items.clear()


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Tell which programs run the simulations, and where."""
    from .session import NOTES_KEY

    if not config.stash[NOTES_KEY].simulations:
        return []
    from .execution import executor_of, simulates
    from .items import SimulationItem
    from .reporting import program_lines

    simulations = [item for item in items if isinstance(item, SimulationItem)]
    if not simulations:
        return []
    where = [executor_of(config).description] if simulates(config) else []
    return [*where, *program_lines(simulations)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Complete the reports of simulations; the outermost wrapper, so that no xfail mark hides a broken machinery."""
    report = yield
    from .session import NOTES_KEY

    if item.config.stash[NOTES_KEY].simulations:
        from .items import SimulationItem

        if isinstance(item, SimulationItem):
            item.complete(report, call)
    return report


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item) -> bool | None:
    """Leave the limit of pytest-timeout to the simulation itself, which has it in its request."""
    from .session import NOTES_KEY

    if not item.config.stash[NOTES_KEY].simulations:
        return None
    from .items import SimulationItem

    return True if isinstance(item, SimulationItem) else None


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Let a pass say how much it compared."""
    if (
        isinstance(report, pytest.TestReport)
        and report.when == "call"
        and report.passed
        and not hasattr(report, "wasxfail")
    ):
        from .reporting import pass_word

        word = pass_word(report)
        return ("passed", ".", word) if word else None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Complete the notes; an empty selection is an error, whatever other tests there were."""
    from .baselines import baseline_path
    from .session import INI_FILES_KEY, NOTES_KEY
    from .settings import SETTINGS_KEY

    config = session.config
    settings, notes = config.stash[SETTINGS_KEY], config.stash[NOTES_KEY]
    for ini_file in config.stash[INI_FILES_KEY]:
        unused = ini_file.unused_baselines()
        if unused:
            notes.unused_baselines.append((str(baseline_path(ini_file.path)), unused))
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_OUTPUT] = notes.to_text()
    if notes.refusal:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
    selected = settings.configs.given or settings.runs.given
    if selected and not notes.simulations and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker the name of the session."""
    from .keeping import WORKER_INPUT, session_name

    node.workerinput[WORKER_INPUT] = session_name(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the notes of an xdist worker; all of them collected the same."""
    from .session import NOTES_KEY, Notes

    text = getattr(node, "workeroutput", {}).get(_WORKER_OUTPUT)
    if text is not None:
        node.config.stash[NOTES_KEY] = Notes.from_text(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Tell how much was compared and what was written; with `-q` only why a session without failures failed."""
    from .recording import BaselineRecorder
    from .reporting import empty_selection_lines, pattern_lines, summary_lines, unwritten_lines
    from .session import NOTES_KEY
    from .settings import SETTINGS_KEY, has_selection

    settings, notes = config.stash[SETTINGS_KEY], config.stash[NOTES_KEY]
    if notes.refusal:
        terminalreporter.section("simulations")
        terminalreporter.line(notes.refusal)
        return
    reports = [
        item for group in terminalreporter.stats.values() for item in group if isinstance(item, pytest.TestReport)
    ]
    recorder, folder = config.pluginmanager.get_plugin(BaselineRecorder.NAME), config.invocation_params.dir
    to_the_end = exitstatus == pytest.ExitCode.OK or (
        exitstatus == pytest.ExitCode.TESTS_FAILED and not config.option.maxfail
    )
    whole = to_the_end and not has_selection(config, settings)
    if config.get_verbosity() >= 0:
        lines = list(summary_lines(reports, notes, recorder, folder, whole=whole))
        places = [folder / argument for argument in config.args] if whole else []
        lines += pattern_lines(notes, settings.configs.value, folder, places)
    else:
        lines = list(unwritten_lines(recorder, folder)) if recorder is not None else []
    nothing_selected = (settings.configs.given or settings.runs.given) and not notes.simulations
    if nothing_selected and exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        lines += empty_selection_lines(notes, settings.configs.value, settings.runs.value)
    if lines:
        terminalreporter.section("simulations")
        for line in lines:
            terminalreporter.line(line)
