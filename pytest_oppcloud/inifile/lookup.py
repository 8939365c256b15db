"""Which entry decides: options by name, parameters and per-object options by path.

The rules are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (addEntry, getParameterEntry,
getPerObjectConfigEntry, getConfigEntry): the first entry that fits counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from .patterns import Pattern, contains_wildcards
from .validation import last_dot, split_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .versions import Version

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, compiled."""

    #: What the name of the option, parameter or per-object option must be: one text, or a pattern.
    name: str | Pattern
    #: What the path of the owner must fit; None where `whole` must fit the whole path.
    owner: Pattern | None
    whole: Pattern | None
    #: Without a dot: an option of the run, never a parameter.
    is_option: bool

    def names(self, name: str) -> bool:
        """Tell whether the last part of the key fits `name`."""
        return self.name == name if isinstance(self.name, str) else self.name.matches(name)

    def fits(self, owner: str, name: str) -> bool:
        """Tell whether the key sets `name` in the object with the path `owner`."""
        if self.whole is not None:
            return self.whole.matches(f"{owner}.{name}")
        return self.owner is not None and self.owner.matches(owner) and self.names(name)


def compile_key(key: str, version: Version) -> Key:
    """Compile a key; raise `PatternError` with OMNeT++'s words."""
    if last_dot(key, version) < 0:
        return Key(Pattern(key) if contains_wildcards(key) else key, None, None, is_option=True)
    owner, suffix = split_key(key, version)
    owner_pattern, whole = (Pattern(owner), None) if owner else (None, Pattern(key))
    name = Pattern(suffix) if contains_wildcards(suffix) else suffix
    return Key(name, owner_pattern, whole, is_option=False)


class Lookup(Generic[_T]):
    """Entries in the order in which they count, with whatever belongs to each."""

    def __init__(self, entries: Sequence[tuple[Key, _T]]) -> None:
        self._options = [(key, item) for key, item in entries if key.is_option]
        self._others = [(key, item) for key, item in entries if not key.is_option]
        #: The entries that may set something of that name, made when they are first asked for.
        self._by_name: dict[str, list[tuple[Key, _T]]] = {}

    def option(self, name: str) -> _T | None:
        """Return what belongs to the first entry that sets the option."""
        return next((item for key, item in self._options if key.names(name)), None)

    def parameter(self, owner: str, name: str) -> list[_T]:
        """Return what belongs to the entries that set the parameter, the first one first."""
        return [item for key, item in self._named(name) if key.fits(owner, name)]

    def per_object(self, owner: str, name: str) -> _T | None:
        """Return what belongs to the first entry that sets the per-object option; patterns alone set none."""
        if not any(key.name == name for key, _ in self._others):
            return None
        return next((item for key, item in self._named(name) if key.fits(owner, name)), None)

    def _named(self, name: str) -> list[tuple[Key, _T]]:
        if name not in self._by_name:
            exact = any(key.name == name for key, _ in self._others)
            self._by_name[name] = [
                (key, item)
                for key, item in self._others
                # Without an exact entry, OMNeT++ asks the whole-path patterns alone whether they fit.
                if (key.names(name) if exact or key.whole is None else not isinstance(key.name, str))
            ]
        return self._by_name[name]
