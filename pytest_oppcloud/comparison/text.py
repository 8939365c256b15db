"""What people read about a comparison: one line for a pass, a short table for a failure. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from .compare import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .compare import Comparison, Difference

#: Rows of the table, unless told otherwise.
ROWS = 20
WIDTH = 80
#: Longer values (they are strings) are cut; their ends tell more than a broken table.
_VALUE_WIDTH = 24

_HEADINGS = ("", "what", "baseline", "obtained", "absolute", "relative")
_PLURALS = {
    "fingerprint": "fingerprints",
    "scalar": "scalars",
    "statistic": "fields of statistics",
    "bin": "bins",
    "par": "parameters",
    "attr": "attributes",
    "digest": "digests",
}
_DIGESTS = {"par": "all parameters", "attr": "all attributes"}


def summary(comparison: Comparison) -> str:
    """Return how much was compared: "compared 41 of 41 values: 1 fingerprint, 40 scalars"."""
    compared = sum(comparison.compared.values())
    kinds = [
        f"{count} {kind if count == 1 and kind != 'statistic' else plural}"
        for kind, plural in _PLURALS.items()
        if (count := comparison.compared.get(kind, 0))
    ]
    notes = [f"{comparison.tolerated} within their tolerance"] if comparison.tolerated else []
    notes += [f"{comparison.excluded} of the baseline left out by the settings"] if comparison.excluded else []
    text = f"compared {compared} of {comparison.stored} values"
    return "; ".join([": ".join([text, ", ".join(kinds)]) if kinds else text, *notes])


def render(comparison: Comparison, *, width: int = WIDTH, rows: int | None = ROWS) -> str:
    """Return what differs, for a terminal of `width` columns; the table has at most `rows` rows (None: all).

    First what explains it (circumstances, settings), then the values, worst first. Nothing is ever left out without
    being counted. Without differences, return why the run does not pass, or the summary.
    """
    table = [difference for difference in comparison.differences if difference.state is not State.SETTING]
    shown = table if rows is None else table[:rows]
    parts = [
        _wrapped(headline(comparison), width),
        _circumstances(comparison),
        _table(shown, width),
        _rest(table[len(shown) :]),
        _notes(shown),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def printable(text: str) -> str:
    """Return the text with everything escaped that a terminal would obey rather than show."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def headline(comparison: Comparison) -> str:
    """Return in one line whether the run differs, and how much was compared."""
    if comparison.differences:
        states = Counter(difference.state for difference in comparison.differences)
        counted = _counted(states)
        return f"Differs from the baseline: {counted}; {summary(comparison)}."
    if not comparison.passed:
        return f"No result was compared with the baseline, so this is no pass; {summary(comparison)}."
    return f"As the baseline says; {summary(comparison)}."


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _counted(states: Counter[State]) -> str:
    words = []
    for state in State:
        if states[state]:
            text = "settings differ" if state is State.SETTING and states[state] > 1 else state.value
            words.append(f"{states[state]} {text}")
    return ", ".join(words)


def _circumstances(comparison: Comparison) -> list[str]:
    """Return what is not as it was when the baseline was recorded."""
    lines: list[tuple[str, str | None, str | None, str]] = [
        (change.name, change.baseline or "(unknown)", change.obtained or "(unknown)", "")
        for change in comparison.changes
    ]
    lines += [
        (difference.name, difference.baseline, difference.obtained, "   (a setting: must be equal)")
        for difference in comparison.differences
        if difference.state is State.SETTING
    ]
    if not lines:
        return []
    longest = max(len(printable(name)) for name, *_ in lines)
    return [
        "Since it was recorded:",
        *(f"  {printable(name):{longest}}  {_told(old)} -> {_told(new)}{note}" for name, old, new, note in lines),
    ]


def _told(value: str | None) -> str:
    return "(not set)" if value is None else printable(value) or "(empty)"


def _table(differences: Sequence[Difference], width: int) -> list[str]:
    if not differences:
        return []
    rows = [_HEADINGS, *map(_row, differences)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        return [_aligned(row, widths) for row in rows]
    # Names are never cut: where they leave no room for the numbers, those get a line of their own.
    lines = []
    for state, what, *numbers in rows:
        lines += [f"{state}  {what}" if state else what, "    " + _aligned(("", "", *numbers), [0, 0, *widths[2:]])]
    return lines


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    state, what, *numbers = row
    cells = [state.ljust(widths[0]), what.ljust(widths[1])] if widths[1] else []
    cells += [number.rjust(width) for number, width in zip(numbers, widths[2:], strict=True)]
    return "  ".join(cells).rstrip()


def _row(difference: Difference) -> tuple[str, ...]:
    return (
        difference.state.value,
        _what(difference),
        _cut(difference.baseline),
        _cut(difference.obtained),
        "" if difference.absolute is None else f"{difference.absolute:.2g}",
        "" if difference.relative is None else f"{difference.relative:.2g}",
    )


def _what(difference: Difference) -> str:
    """Return the name of a value, near to how result files have it."""
    if difference.kind == "digest":
        return _DIGESTS.get(difference.name, difference.name)
    occurrence = f"~{difference.occurrence}" if difference.occurrence > 1 else ""
    # A bin is known by its lower edge.
    field = f"[{difference.field}..]" if difference.kind == "bin" else difference.field
    words = (_PREFIXES.get(difference.kind, ""), difference.module, difference.name, field, occurrence)
    return " ".join(printable(word) for word in words if word)


#: Kinds that the name alone does not tell.
_PREFIXES = {"fingerprint": "fingerprint", "par": "par", "attr": "attr"}


def _cut(value: str | None) -> str:
    if value is None:
        return "-"
    text = printable(value)
    return text if len(text) <= _VALUE_WIDTH else text[: _VALUE_WIDTH - 3] + "..."


def _rest(differences: Sequence[Difference]) -> list[str]:
    if not differences:
        return []
    return [f"and {len(differences)} more: {_counted(Counter(difference.state for difference in differences))}"]


def _notes(differences: Sequence[Difference]) -> list[str]:
    lines = []
    for rule, count in Counter(difference.rule for difference in differences if difference.rule).items():
        lines.append(f"Rule {rule} judged {count} of these.")
    renames = {(one.module, one.name): one.renamed for one in differences if one.renamed}
    for old, new in renames.items():
        lines.append(f"Perhaps renamed, its values are the same: {_item(old)} -> {_item(new)}")
    digests = {one.name for one in differences if one.kind == "digest"}
    lines += [
        f"The baseline has one digest for {_DIGESTS[kind]}; recorded as values, they would be shown one by one."
        for kind in sorted(digests & _DIGESTS.keys())
    ]
    return lines


def _item(names: Iterable[str]) -> str:
    return " ".join(printable(name) for name in names)
