"""The live display as text: a moment, a width and a height go in, lines come out. Knows no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .progress import Moment, RunningRun

#: Cells of the name of a run that must be left before anything else of it is shown.
_NAME = 18
_BAR = 12


def heartbeat(moment: Moment, failed: int) -> str:
    """Return the line that tells all in short: "120 of 400 done, 8 running on 2 workers, about 3 min left"."""
    return ", ".join(_summary(moment, failed))


def _summary(moment: Moment, failed: int) -> list[str]:
    """Return what there is to tell, in the order of its place on the line."""
    of_all = f" of {moment.ordered:,}" if moment.ordered else ""
    parts = [f"{moment.finished:,}{of_all} done"]
    if moment.workers:
        parts.append(f"{len(moment.running):,} running on {_count(moment.workers, 'worker')}")
    elif moment.waiting or moment.running:
        parts.append("waiting for a worker")
    if failed:
        parts.append(f"{failed:,} failed")
    if moment.left is not None:
        parts.append(f"about {duration(moment.left)} left")
    return parts


def picture(moment: Moment, failed: int, *, width: int, height: int, ascii_only: bool = False) -> list[Text]:
    """Return at most `height` lines of at most `width` cells."""
    if height < 1 or width < 1:
        return []
    lines = [_summary_line(moment, failed, width)]
    if height > 1:
        lines.insert(0, _stages_line(moment, width))
    room = height - len(lines)
    busy = moment.building + moment.running
    shown = busy[:room]
    if len(shown) < len(busy) and room > 0:
        shown = shown[: room - 1]
        more = len(busy) - len(shown)
        rest = [Text(f"  and {more:,} more", style="dim")]
    else:
        rest = []
    longest = max((cell_len(run.name) for run in shown), default=0)
    lines += [_run_line(run, width, longest, ascii_only=ascii_only) for run in shown] + rest
    for line in lines:
        line.truncate(width, overflow="crop")
    return lines


def _stages_line(moment: Moment, width: int) -> Text:
    """Return the stages with their counts; where there is no room for all, those that are over go first."""
    stages = [(name, _share(name, done, total), done >= total) for name, done, total in moment.stages]
    of_slots = f" of {_count(moment.slots, 'slot')}" if moment.slots else ""
    running = f"{len(moment.running):,}"
    tail = [
        ("queue", f"{moment.waiting:,}", not moment.waiting),
        ("running", running + of_slots, not moment.running),
        ("fetched", f"{moment.fetched or moment.finished:,}", False),
    ]
    while stages and _length([*stages, *tail]) > width:
        stages.pop(0)
    if _length(tail) > width:
        tail[1] = ("running", running, not moment.running)
    line = Text()
    for name, told, over in (*stages, *tail):
        line.append("  " if line else "")
        line.append(f"{name} {told}", style="dim" if over else "")
    return line


def _length(stages: Iterable[tuple[str, str, bool]]) -> int:
    return sum(len(name) + len(told) + 3 for name, told, _ in stages) - 2


def _share(name: str, done: int, total: int) -> str:
    if name == "bundle":
        return size(total) if done >= total else f"{size(done)} of {size(total)}"
    return f"{done:,} of {total:,}"


def _summary_line(moment: Moment, failed: int, width: int) -> Text:
    """Return the summary, without what is least important where there is no room."""
    parts = _summary(moment, failed)
    while len(parts) > 1 and len(", ".join(parts)) > width:
        # The end is what people wait for; who works on it also stands in the line above.
        parts.pop(1)
    line = Text(", ".join(parts), style="bold")
    if failed:
        line.highlight_words([f"{failed:,} failed"], style="red")
    return line


def _run_line(run: RunningRun, width: int, longest: int, *, ascii_only: bool) -> Text:
    """Return name, bar, percentage, simulated time, speed and time left of a run, as far as there is room.

    All names take the cells of the `longest`, if there is room.
    """
    progress = run.progress
    percent = f"{progress.percent:3d}%" if progress is not None and progress.percent >= 0 else " " * 4
    left = f"{duration(run.left)} left" if run.left is not None else f"for {duration(run.elapsed)}"
    columns = [Text(percent), Text(f"{left:>12}")]
    if progress is not None:
        speed = f"{_short(progress.speed)} ev/s" if progress.speed else ""
        details = [Text(f"{speed:>10}"), Text(f"t={_seconds(progress.sim_time)}s".rjust(14))]
    else:
        details = [Text(" " * 10), Text(" " * 14)]
    if width >= _NAME + _cells(columns) + _cells(details[:1]):
        columns.insert(1, details[0])
    if width >= 2 * _NAME + _cells(columns) + _cells(details[1:]):
        columns.insert(1, details[1])
    if width >= 3 * _NAME + _cells(columns) + _BAR + 1:
        columns.insert(0, _bar(-1 if progress is None else progress.percent, ascii_only=ascii_only))
    line = Text(_cropped(run.name, max(0, min(longest, width - _cells(columns) - 2)), ascii_only=ascii_only))
    for column in columns:
        line.append(" ")
        line.append_text(column)
    return Text("  ") + line


def _cells(columns: Sequence[Text]) -> int:
    return sum(column.cell_len + 1 for column in columns)


def _bar(percent: int, *, ascii_only: bool) -> Text:
    done, rest = ("#", ".") if ascii_only else ("━", "─")
    filled = max(0, percent) * _BAR // 100
    return Text(done * filled, style="green") + Text(rest * (_BAR - filled), style="dim")


def _cropped(name: str, room: int, *, ascii_only: bool) -> str:
    """Return a name in `room` cells: its end is what tells it from others."""
    dots = ".." if ascii_only else "…"
    if cell_len(name) > room:
        while name and cell_len(name) > room - cell_len(dots):
            name = name[1:]
        name = dots + name
    return set_cell_size(name, room)


def duration(seconds: float) -> str:
    """Return a time for people: "8 s", "3 min", "2 h 05 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count} B"
    return (
        f"{count / 1e3:.3g} kB"
        if count < 999_500
        else f"{count / 1e6:,.3g} MB"
        if count < 1e9
        else f"{count / 1e9:,.1f} GB"
    )


def _short(number: float) -> str:
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1e3:.3g}k" if number < 999_500 else f"{number / 1e6:.3g}M"


def _seconds(text: str) -> str:
    """Return simulated seconds with as many digits as are of use to people."""
    try:
        number = float(text)
    except ValueError:
        return text[:10]
    return f"{number:.6g}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
