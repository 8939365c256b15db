"""What OMNeT++ checks of all sections before any configuration is used.

The rules, and their order, are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (validate): the first mistake
is reported. Values are not looked at; they are read when a configuration is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.errors import IniError

from .characters import LETTER, LETTER_OR_DIGIT, first_byte
from .inheritance import GENERAL, named_bases, reject_cycles
from .options import OptionTable, Scope
from .patterns import contains_wildcards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .reader import Entry, Section
    from .versions import Version

_BEGINS_WELL: Final = re.compile(f"{LETTER}|_")
_ILLEGAL: Final = re.compile(rf"(?!{LETTER_OR_DIGIT}|[-_@]).", re.DOTALL)


def validate(
    sections: Mapping[str, Section], overrides: Sequence[Entry], options: OptionTable, version: Version
) -> None:
    """Check the keys of the command line, then names and keys of all sections; raise `IniError` for the first mistake.

    What remains to be checked is that the fallback chains can be computed.
    """
    for entry in overrides:
        _check_override(entry.key, options)
    for section in sections.values():
        _check_name(section)
    for section in sections.values():
        for entry in section.entries:
            _check_entry(section, entry, sections, options, version)
    reject_cycles(sections)


def _check_override(key: str, options: OptionTable) -> None:
    _, dot, name = key.rpartition(".")
    if dot and "-" not in name:
        return  # a parameter
    option = options.find(name)
    if option is None:
        if options.is_extra(name):
            return
        raise IniError(f"Unknown command-line configuration option --{key}")
    if dot and option.scope is not Scope.OBJECT:
        raise IniError(
            f"Invalid command-line configuration option --{key}: {option.name} is not a per-object option",
            advice=f"give it without a path: --{option.name}=",
        )


def _check_name(section: Section) -> None:
    name = section.name
    illegal = _ILLEGAL.search(name)
    if " " in name:
        what = "It may not contain spaces"
    elif not _BEGINS_WELL.match(name):
        what = "Must begin with a letter or underscore"
    elif illegal:
        what = f"Contains illegal character '{first_byte(illegal.group())}'"
    else:
        return
    raise IniError(f"Invalid section name [{name}]: {what}", file=section.file, line=section.line)


def _check_entry(
    section: Section, entry: Entry, sections: Mapping[str, Section], options: OptionTable, version: Version
) -> None:
    key = entry.key
    if "." not in key and not contains_wildcards(key):
        _check_option(section, entry, options)
        if key == "extends":
            _check_extends(section, entry, sections)
        return
    suffix = split_key(key, version)[1]
    if "-" not in suffix:
        return
    option = options.find(suffix)
    if option is None and (options.is_extra(suffix) or options.is_ignorable(suffix)):
        return
    if option is None or option.scope is not Scope.OBJECT:
        raise IniError(
            f"Unknown per-object configuration option '{suffix}' in {key}",
            file=entry.file,
            line=entry.line,
            advice=f"{suffix} takes no object path" if option else _ADVICE_UNKNOWN,
        )


_ADVICE_UNKNOWN: Final = (
    "check the spelling; options that a model library adds have to be named as extra options "
    "(extra_options in oppcloud.toml, --extra-options of oppcloud runs)"
)


def _check_option(section: Section, entry: Entry, options: OptionTable) -> None:
    key = entry.key
    option = options.find(key)
    message = advice = ""
    if option is None:
        if options.is_extra(key) or options.is_ignorable(key):
            return
        message, advice = f"Unknown configuration option: {key}", _ADVICE_UNKNOWN
    elif option.scope is Scope.OBJECT:
        message = f"Configuration option {key} should be specified per object, try **.{key}="
    elif option.scope is Scope.GLOBAL and section.name != GENERAL:
        message = f"Configuration option {key} may only occur in the [General] section"
    if message:
        raise IniError(message, file=entry.file, line=entry.line, advice=advice)


def _check_extends(section: Section, entry: Entry, sections: Mapping[str, Section]) -> None:
    if section.name == GENERAL:
        raise IniError("The [General] section cannot extend other sections", file=entry.file, line=entry.line)
    for base in named_bases(entry.value):
        if base != GENERAL and base not in sections:
            raise IniError(f"No such config: {base}", file=entry.file, line=entry.line)


def last_dot(key: str, version: Version) -> int:
    """Return the index of the last dot of a key that is outside [] and {}, or -1."""
    openers = {"[": "]", "{": "}"} if version.braces_hide_dots else {"[": "]"}
    closer = ""
    found = -1
    for index, char in enumerate(key):
        if not closer and char in openers:
            closer = openers[char]
        elif char == closer:
            closer = ""
        elif not closer and char == ".":
            found = index
    return found


def split_key(key: str, version: Version) -> tuple[str, str]:
    """Return the pattern of the owner's path and the name, or pattern, of what is set in it.

    The owner is "" where the whole key must fit the whole path (SectionBasedConfiguration::splitKey).
    """
    dot = last_dot(key, version)
    if dot < 0:
        return "", "*"
    stars = key.rfind("**")
    if stars >= dot:
        return "", key[stars + 1 :]
    return key[:dot], key[dot + 1 :]
