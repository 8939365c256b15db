"""Which sections a section falls back to: `extends`, and C3 linearization.

The rules are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (getBaseConfigIds, computeSectionChain,
validate). Neither cycles nor long chains of bases lead to deep recursion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NoReturn

from pytest_oppcloud.errors import IniError

from .reader import Entry, Section

GENERAL: Final = "General"


def first_entry(section: Section, key: str) -> Entry | None:
    """Return the first entry of that key, the one that counts."""
    return next((entry for entry in section.entries if entry.key == key), None)


def named_bases(value: str) -> list[str]:
    """Return the names in the value of an `extends` entry."""
    return [name for name in re.split("[, \t]", value) if name]


def direct_bases(section: Section, sections: Mapping[str, Section]) -> list[str]:
    """Return the sections that `section` names as its bases, or [General] where it names none.

    Raise `IniError` if one of them does not exist.
    """
    if section.name == GENERAL:
        return []
    entry = first_entry(section, "extends")
    if entry is None or not entry.value:
        return [GENERAL] if GENERAL in sections else []
    bases = named_bases(entry.value)
    for base in bases:
        if base not in sections:
            raise IniError(f"Section not found: {base}", file=entry.file, line=entry.line)
    return bases


def reject_cycles(sections: Mapping[str, Section]) -> None:
    """Raise `IniError` at the first section, in file order, from which the search for bases meets itself.

    All `extends` entries count here, not only the first of each section.
    """
    done: set[str] = set()
    for root in sections.values():
        if root.name in done:
            continue
        path = {root.name: iter(_all_bases(root, sections))}
        while path:
            name = next(reversed(path))
            base = next(path[name], None)
            if base is None:
                del path[name]
                done.add(name)
            elif base in path:
                _fail("Cycle detected in section fallback chain", root)
            elif base not in done:
                path[base] = iter(_all_bases(sections[base], sections))


def _all_bases(section: Section, sections: Mapping[str, Section]) -> list[str]:
    return [
        base
        for entry in section.entries
        if entry.key == "extends"
        for base in named_bases(entry.value)
        if base in sections
    ]


def section_chains(sections: Mapping[str, Section]) -> dict[str, tuple[str, ...]]:
    """Return the fallback chain of every section, itself first; there must be no cycles.

    Raise `IniError` for the first section, in file order, whose bases contradict each other.
    """
    chains: dict[str, tuple[str, ...]] = {}
    for root in sections.values():
        pending = [root.name]
        while pending:
            name = pending[-1]
            bases = direct_bases(sections[name], sections)
            missing = [] if name in chains else [base for base in bases if base not in chains]
            if missing:
                # One at a time: OMNeT++ reports the first base that has no chain, before it looks at the next.
                pending.append(missing[0])
                continue
            pending.pop()
            if name not in chains:
                chains[name] = _linearized(sections[name], bases, chains)
    return chains


def _linearized(section: Section, bases: list[str], chains: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Merge the chains of the bases, and the bases themselves, as Python does with classes."""
    remaining = [list(reversed(sequence)) for sequence in (*(chains[base] for base in bases), bases) if sequence]
    # How often a name stands behind the head of a sequence; such a name has to wait.
    waiting: dict[str, int] = {}
    for sequence in remaining:
        for name in sequence[:-1]:
            waiting[name] = waiting.get(name, 0) + 1
    chain = [section.name]
    while remaining:
        chosen = next((sequence[-1] for sequence in remaining if not waiting.get(sequence[-1])), None)
        if chosen is None:
            _fail("Detected section fallback chain inconsistency", section)
        chain.append(chosen)
        for sequence in remaining:
            if sequence[-1] == chosen:
                sequence.pop()
                if sequence:
                    waiting[sequence[-1]] -= 1
        remaining = [sequence for sequence in remaining if sequence]
    return tuple(chain)


def _fail(what: str, section: Section) -> NoReturn:
    entry = first_entry(section, "extends")
    raise IniError(
        f"{what} at [{section.name}]",
        file=entry.file if entry else section.file,
        line=entry.line if entry else section.line,
    )
