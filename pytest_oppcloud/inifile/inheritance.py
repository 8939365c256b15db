"""Which sections a section falls back to: `extends`, and C3 linearization.

The rules are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (getBaseConfigIds, computeSectionChain,
validate). Neither cycles nor long chains of bases lead to deep recursion.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_oppcloud.errors import IniError

from .characters import SPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .reader import Entry, Section

GENERAL: Final = "General"

#: As many names are merged for all chains of a file together.
MAX_CHAIN_WORK: Final = 1_000_000


def first_entry(section: Section, key: str) -> Entry | None:
    """Return the first entry of that key, the one that counts."""
    return next((entry for entry in section.entries if entry.key == key), None)


def named_bases(value: str) -> list[str]:
    """Return the names in the value of an `extends` entry."""
    return [name for part in re.split("[, \t]", value) if (name := part.strip(SPACE))]


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

    Raise `IniError` for the first section, in file order, whose bases do not exist or contradict each other.
    """
    chains: dict[str, tuple[str, ...]] = {}
    bases_of: dict[str, list[str]] = {}
    work = 0
    for root in sections.values():
        pending = [root.name]
        while pending:
            name = pending[-1]
            if name in chains:
                pending.pop()
                continue
            if name not in bases_of:
                # Reversed, because they are taken from the end: OMNeT++ goes on with the first base that has no chain.
                bases_of[name] = direct_bases(sections[name], sections)
                pending.extend(reversed(bases_of[name]))
                continue
            bases = bases_of[name]
            work += len(bases) + sum(len(chains[base]) for base in bases)
            if work > MAX_CHAIN_WORK:
                raise IniError("The sections extend each other in too many ways", file=root.file, line=root.line)
            chains[name] = _linearized(sections[name], bases, chains)
            pending.pop()
    return chains


def _linearized(section: Section, bases: list[str], chains: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Merge the chains of the bases, and the bases themselves, as Python does with classes.

    The next name is the head of the first sequence whose head stands behind no other head.
    """
    if len(bases) == 1:
        return (section.name, *chains[bases[0]])
    sequences = [list(reversed(sequence)) for sequence in (*(chains[base] for base in bases), bases)]
    # How often a name stands behind a head, and which sequences have it as their head.
    waiting: Counter[str] = Counter(name for sequence in sequences for name in sequence[:-1])
    heads: dict[str, list[int]] = {}
    ready: list[int] = []
    for index, sequence in enumerate(sequences):
        if sequence:
            heads.setdefault(sequence[-1], []).append(index)
            ready.append(index)
    chain = [section.name]
    while ready:
        # Sequences whose head has to wait come back when it need not any more.
        index = heapq.heappop(ready)
        sequence = sequences[index]
        if not sequence or waiting[sequence[-1]]:
            continue
        chosen = sequence[-1]
        chain.append(chosen)
        for user in heads.pop(chosen):
            sequences[user].pop()
            if sequences[user]:
                head = sequences[user][-1]
                waiting[head] -= 1
                heads.setdefault(head, []).append(user)
                for waiter in heads[head] if not waiting[head] else ():
                    heapq.heappush(ready, waiter)
    if any(sequences):
        _fail("Detected section fallback chain inconsistency", section)
    return tuple(chain)


def _fail(what: str, section: Section) -> NoReturn:
    entry = first_entry(section, "extends")
    raise IniError(
        f"{what} at [{section.name}]",
        file=entry.file if entry else section.file,
        line=entry.line if entry else section.line,
    )
