"""What people read: which programs run, how much was compared, what became of the baselines.

Lines are made by pure functions of reports and notes; the reports carry all they need as `opp_*` user properties, so
that they are the same under xdist.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Cause, Verdict

from .items import NO_LIMIT, RULES_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pytest

    from .collection import ConfigCollector
    from .items import SimulationItem
    from .recording import BaselineRecorder
    from .session import Notes

_MACHINERY = frozenset(cause.text for cause in Cause if cause.verdict is Verdict.ERROR)


def properties(report: pytest.TestReport) -> dict[str, str]:
    """Return what a report tells about its simulation, without the prefix; empty for other tests."""
    return {name[4:]: str(value) for name, value in report.user_properties if name.startswith("opp_")}


def program_lines(items: Iterable[SimulationItem]) -> list[str]:
    """Return which programs simulate the items, and why these: one line per program; then which ones are outdated."""
    counts: Counter[str] = Counter()
    # One config of each program: to look at its sources takes time.
    programs: dict[tuple[Path, str], ConfigCollector] = {}
    for config, count in Counter(item.parent for item in items).items():
        counts[config.program_line] += count
        programs.setdefault((config.parent.path.parent, config.program_line), config)
    outdated = dict.fromkeys(filter(None, (config.outdated for config in programs.values())))
    return [*(f"{_plural(count, 'simulation')} {line}" for line, count in counts.items()), *outdated]


def pass_word(report: pytest.TestReport) -> str:
    """Return the word for a pass in the verbose listing, "" for tests that are no simulations."""
    told = properties(report)
    if "compared" not in told:
        return ""
    word = "RECORDED" if told["judgement"].startswith("recorded") else "PASSED"
    return f"{word} ({_plural(int(told['compared']), 'value')})"


def summary_lines(
    reports: Sequence[pytest.TestReport],
    notes: Notes,
    recorder: BaselineRecorder | None,
    folder: Path,
    *,
    whole: bool,
) -> Iterator[str]:
    """Yield what the summary has to say; nothing if there were no simulations.

    Paths are seen from `folder`. What no run needed is told only where `whole` says that nothing was left out.
    """
    passed = [report for report in reports if report.when == "call" and report.passed]
    # pytest itself does not count an unexpected pass among the passed ones.
    told = [found for report in passed if not hasattr(report, "wasxfail") and (found := properties(report))]
    compared = [int(item["compared"]) for item in told if not item["judgement"].startswith("recorded")]
    if compared:
        yield f"compared {_plural(sum(compared), 'value')} in {_plural(len(compared), 'passed run')}"
    yield from _machinery_lines(reports)
    yield from _unlimited_lines(reports)
    if whole:
        yield from _unused_rule_lines(reports)
    if recorder is not None:
        yield from _recorder_lines(recorder, folder)
    for file, runs in notes.unused_baselines if recorder is None or not recorder.removed else ():
        shown = ", ".join(map(str, runs[:3])) + (", ..." if len(runs) > 3 else "")
        yield f"{_plural(len(runs), 'unused baseline')} in {os.path.relpath(file, folder)}: {shown}"


def pattern_lines(notes: Notes, configs: Sequence[str], folder: Path, searched: Sequence[Path]) -> Iterator[str]:
    """Yield patterns that no config matches: those of `--opp-config`, and those of an `oppcloud.toml` in `searched`."""
    if notes.patterns_matched:
        for pattern in dict.fromkeys(configs):
            if pattern not in notes.patterns_matched:
                yield f"no config matches --opp-config {pattern}"
    for file, patterns in notes.tables.items():
        if any(Path(file).is_relative_to(place) for place in searched):
            for pattern in patterns:
                if pattern not in notes.tables_matched[file]:
                    yield f'no config matches [config."{pattern}"] of {os.path.relpath(file, folder)}'


def _machinery_lines(reports: Iterable[pytest.TestReport]) -> Iterator[str]:
    failed = Counter(
        found["cause"]
        for report in reports
        if report.when == "setup" and (found := properties(report)).get("cause") in _MACHINERY
    )
    if failed:
        causes = ", ".join(f"{cause} ({count})" for cause, count in failed.most_common())
        yield f"{_plural(sum(failed.values()), 'run')} failed in the machinery, not in the simulation: {causes}"


def _unlimited_lines(reports: Iterable[pytest.TestReport]) -> Iterator[str]:
    """Yield why runs were skipped that a new user expects to see: pytest itself tells it with `-rs` only."""
    count = sum(
        isinstance(report.longrepr, tuple) and report.longrepr[2].endswith(NO_LIMIT)
        for report in reports
        if report.skipped
    )
    if count:
        yield f"{_plural(count, 'run')} skipped: {NO_LIMIT}"


def _unused_rule_lines(reports: Iterable[pytest.TestReport]) -> Iterator[str]:
    told = [carried for report in reports if (carried := getattr(report, RULES_ATTRIBUTE, None)) is not None]
    used = {rule for carried in told for rule in carried["all"] if rule not in carried["unused"]}
    for rule in dict.fromkeys(rule for carried in told for rule in carried["all"]):
        if rule not in used:
            yield f"tolerance {rule} judged no value"


def _recorder_lines(recorder: BaselineRecorder, folder: Path) -> Iterator[str]:
    for path, count in recorder.written:
        yield f"wrote {_plural(count, 'baseline')} to {os.path.relpath(path, folder)}"
    for path in recorder.unchanged:
        yield f"{os.path.relpath(path, folder)} stays as it was"
    for path, count in recorder.removed:
        yield f"removed {_plural(count, 'unused baseline')} from {os.path.relpath(path, folder)}"
    yield from unwritten_lines(recorder, folder)
    if not (recorder.written or recorder.unchanged or recorder.errors):
        yield "no baseline was to be written"


def unwritten_lines(recorder: BaselineRecorder, folder: Path) -> Iterator[str]:
    """Yield which baselines could not be written, and why. Paths are seen from `folder`."""
    for error in recorder.errors:
        yield f"not written: {error.seen_from(folder)}"


def empty_selection_lines(notes: Notes, configs: tuple[str, ...], runs: str) -> Iterator[str]:
    """Yield why the options selected no simulation, and what there was to select."""
    if configs and notes.configs_passed_over and not notes.runs_passed_over:
        names = ", ".join(dict.fromkeys(notes.configs_passed_over))
        yield f"no config to run matches --opp-config {' '.join(configs)}; there are: {names}"
    elif runs:
        yield f"no run matches --opp-runs {runs}"
        for config, why in notes.runs_passed_over:
            yield f"  {config}: {why}"
    else:
        yield "there is no simulation to select from"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
