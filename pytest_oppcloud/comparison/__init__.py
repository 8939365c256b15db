"""Comparison: a run against its baseline, the text about it, and what an update writes.

    rules = Rules([Rule(items=ItemPattern(module="**.server"), tolerance=Tolerance(relative=1e-9))])
    comparison = compare(stored, make_record(outcome, settings, recording), recording, rules)
    comparison.passed            # nothing differs, and at least one result was compared
    summary(comparison)          # "compared 41 of 41 values: 1 fingerprint, 38 scalars, 2 digests"
    render(comparison)           # the failure text
    record_to_write(Update.CHANGED, obtained, recording, stored=stored, comparison=comparison)

Pure: no files, no pytest, and nothing of `baselines`. Both halves are `records.Record`.
"""

from __future__ import annotations

from .compare import Change, Comparison, Difference, State, compare, same_fingerprint
from .rules import Rule, Rules, Tolerance
from .text import headline, render, summary
from .update import Update, record_to_write

__all__ = [
    "Change",
    "Comparison",
    "Difference",
    "Rule",
    "Rules",
    "State",
    "Tolerance",
    "Update",
    "compare",
    "headline",
    "record_to_write",
    "render",
    "same_fingerprint",
    "summary",
]
