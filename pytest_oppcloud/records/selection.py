"""Which values of a run are recorded and checked, and in which form."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_oppcloud.inifile.patterns import Pattern

if TYPE_CHECKING:
    from oppcloud_worker.messages import RecordedValue


class Inputs(enum.Enum):
    """How the parameters, or the attributes, of a run are kept: they say what went in, and are many."""

    OFF = "off"
    #: One line for all of them: that something changed is seen, but not what.
    DIGEST = "digest"
    #: One line each.
    VALUES = "values"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPattern:
    """A pattern for the module path and one for the name, as OMNeT++ writes them in the keys of ini files.

    Raise `PatternError`, a `ValueError` in OMNeT++'s words, for what is no pattern.
    """

    #: `*` stays within one part of the path, `**` does not.
    module: str = "**"
    #: Name of the scalar, statistic or parameter. Dots are nothing special there: `*` is the same as `**`.
    name: str = "**"

    def __post_init__(self) -> None:
        _compiled(self.module)
        _compiled(_undotted(self.name))

    @classmethod
    def read(cls, text: str) -> ItemPattern:
        """Read "MODULE NAME"; without a name it is for all names. Raise `PatternError`."""
        module, _, name = text.partition(" ")
        return cls(module=module, name=name.strip() or "**")

    def matches(self, module: str, name: str) -> bool:
        """Tell whether both patterns match."""
        return _compiled(self.module).matches(module) and _compiled(_undotted(self.name)).matches(name)

    def __str__(self) -> str:
        return f"{self.module} {self.name}"


_compiled = functools.lru_cache(maxsize=1024)(Pattern)


@functools.lru_cache(maxsize=1024)
def _undotted(pattern: str) -> str:
    """Return the pattern with `**` for every `*` that is not taken as it is."""
    return re.sub(r"(\\.)|\*+", lambda match: match[1] or "**", pattern, flags=re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is recorded and checked. The same choice must serve both, or values would appear and vanish."""

    #: An item is chosen if one of these matches, and none of `exclude`. Fingerprints and the attributes of the run
    #: itself are always chosen.
    include: tuple[ItemPattern, ...] = (ItemPattern(),)
    exclude: tuple[ItemPattern, ...] = ()
    parameters: Inputs = Inputs.DIGEST
    attributes: Inputs = Inputs.DIGEST
    _chosen: dict[tuple[str, str], bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def selects(self, value: RecordedValue) -> bool:
        """Tell whether the value is recorded and checked."""
        if not value.module:
            return True
        item = (value.module, value.name)
        chosen = self._chosen.get(item)
        if chosen is None:
            chosen = any(pattern.matches(*item) for pattern in self.include) and not any(
                pattern.matches(*item) for pattern in self.exclude
            )
            self._chosen[item] = chosen
        return chosen

    @property
    def forms(self) -> dict[str, Inputs]:
        """The form of each kind that describes inputs."""
        return {"par": self.parameters, "attr": self.attributes}
