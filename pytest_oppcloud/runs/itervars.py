"""The iteration variables of a configuration, and its values cut at their placeholders.

The rules are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (collectIterationVariables): every value of
every section of the chain counts, whether or not another entry comes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile.expressions import ExpressionError, as_int, evaluate

from .lists import ListError
from .placeholders import PlaceholderError, Template, make_template, parse_placeholders
from .scenario import IterationVariable

if TYPE_CHECKING:
    from pytest_oppcloud.inifile import IniContents
    from pytest_oppcloud.inifile.reader import Entry

REPETITION: Final = "repetition"

#: Variables that OMNeT++ sets itself.
PREDEFINED: Final = (
    "runid",
    "inifile",
    "configname",
    "runnumber",
    "network",
    "experiment",
    "measurement",
    "replication",
    "processid",
    "datetime",
    "datetimef",
    "resultdir",
    REPETITION,
    "seedset",
    "iterationvars",
    "iterationvarsf",
    "iterationvarsd",
)


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """An entry of one of the sections that count."""

    section: str
    entry: Entry
    template: Template


@dataclass(frozen=True, slots=True)
class Collected:
    """What the sections of a configuration hold."""

    #: The iteration variables in order of appearance, the repetition last.
    variables: tuple[IterationVariable, ...]
    #: All entries, in the order in which they count.
    entries: tuple[ChainEntry, ...]


def collect(ini: IniContents, chain: tuple[str, ...]) -> Collected:
    """Go through the sections of a chain; raise `IniError` with OMNeT++'s words, prefix included."""
    variables: dict[str, IterationVariable] = {}
    entries: list[ChainEntry] = []
    unnamed = 0
    for section in chain:
        for entry in ini.sections[section].entries:
            if "${" not in entry.value:
                entries.append(ChainEntry(section, entry, Template((entry.value,), ())))
                continue
            try:
                placeholders = parse_placeholders(entry.value, ini.version)
            except (PlaceholderError, ListError) as error:
                raise _generator_error(f"{error} at {entry.key}={entry.value}", entry) from error
            names: list[str] = []
            for placeholder in placeholders:
                name = placeholder.name
                if placeholder.values:
                    if not name:
                        name = str(unnamed)
                        unnamed += 1
                    elif name in variables:
                        raise _generator_error(
                            f"Redefinition of iteration variable ${{{name}}} in the configuration", entry
                        )
                    elif name in PREDEFINED:
                        raise _generator_error(f"${{{name}}} is a predefined variable and cannot be changed", entry)
                    variables[name] = IterationVariable(
                        name=name, values=placeholder.values, master=placeholder.master, entry=entry
                    )
                names.append(name)
            entries.append(ChainEntry(section, entry, make_template(entry.value, placeholders, names)))
    variables[REPETITION] = _repetition(ini, chain)
    return Collected(tuple(variables.values()), tuple(entries))


def _repetition(ini: IniContents, chain: tuple[str, ...]) -> IterationVariable:
    entry = ini.find(chain, "repeat")
    count = 1
    if entry is not None:
        try:
            count = as_int(evaluate(entry.value))
        except ExpressionError as error:
            raise IniError(str(error), file=entry.file, line=entry.line or None) from error
    # OMNeT++ keeps the number in 32 bits.
    count = (count + 2**31) % 2**32 - 2**31
    return IterationVariable(name=REPETITION, values=f"0..{count - 1}", master="", entry=entry)


def _generator_error(message: str, entry: Entry) -> IniError:
    return IniError(f"Scenario generator: {message}", file=entry.file, line=entry.line)
