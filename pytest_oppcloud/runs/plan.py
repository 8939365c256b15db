"""What is the same for all runs of a configuration, and the variables of each.

The rules are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (computeVariables, activateConfig).
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile.expressions import ExpressionError, Value, as_bool, as_int, as_string, evaluate
from pytest_oppcloud.inifile.lookup import Key, Lookup
from pytest_oppcloud.inifile.options import Scope
from pytest_oppcloud.inifile.patterns import PatternError

from .filenames import encode
from .itervars import REPETITION, ChainEntry, Collected
from .lists import ListError
from .placeholders import PlaceholderError, Template, make_template, parse_placeholders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_oppcloud.inifile import IniContents
    from pytest_oppcloud.inifile.reader import Entry

    from .scenario import Values

#: Options that decide about variables, and so about what a run is called.
_STRING_OPTIONS: Final = ("network", "result-dir", "experiment-label", "measurement-label", "replication-label")
_OTHER_OPTIONS: Final = ("runnumber-width", "resultdir-subdivision", "seed-set")

#: Variables that are numbers, whatever the ini file says.
_NUMBERS: Final = frozenset({"runnumber", REPETITION})
#: Variables whose first character is never a quote, and that are never empty.
_UNQUOTED: Final = _NUMBERS | {"configname", "processid", "datetime", "datetimef", "runid", "seedset"}


@functools.cache
def _started() -> str:
    """Return the time of the first use: OMNeT++ would take that of the run."""
    return time.strftime("%Y%m%d-%H:%M:%S")


@functools.lru_cache(maxsize=4096)
def _value(text: str) -> Value:
    """Return the value of an expression; few texts serve all runs of a configuration."""
    return evaluate(text)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the text of an option comes from; a default has no entry."""

    entry: Entry | None
    template: Template | None
    #: Why there is no template.
    mistake: str = ""


class Plan:
    """A configuration, ready to have the variables of its runs computed."""

    def __init__(self, ini: IniContents, config: str, collected: Collected, names: tuple[str, ...]) -> None:
        """Prepare; `names` are the iteration variables in the order of the loops."""
        self.ini = ini
        self.config = config
        self.names = names
        self.entries = collected.entries
        self._chain = ini.chain(config)
        #: The place of the repetition among the values of a run.
        self.repetition_index = names.index(REPETITION)
        self._prefixes = tuple((name, f"{name}=" if name[0].isascii() and name[0].isalpha() else "") for name in names)
        self._by_entry = {id(item.entry): item.template for item in collected.entries}
        self._sources = {option: self._source(option) for option in (*_STRING_OPTIONS, *_OTHER_OPTIONS)}

    def check(self, number: int, values: Values) -> None:
        """Raise the error of a run in which a variable or an entry cannot be computed; the words have no prefix."""
        variables = self.variables(number, values)
        for item in self.entries:
            if item.template.names:
                try:
                    item.template.fill(variables)
                except PlaceholderError as error:
                    raise IniError(str(error), file=item.entry.file, line=item.entry.line) from error

    @property
    def differs_in_success(self) -> bool:
        """The variables of one run may fail to be computed although those of another do not.

        Names are known or unknown for all runs alike; only texts that are evaluated depend on the values.
        """
        return any(self._may_be_quoted(self._sources[option].template) for option in _STRING_OPTIONS) or any(
            self._is_no_plain_number(self._sources[option].template) for option in _OTHER_OPTIONS
        )

    @staticmethod
    def _may_be_quoted(template: Template | None) -> bool:
        if template is None or not template.names:
            return False
        for text, name in zip(template.texts, template.names, strict=False):
            if text:
                return text.startswith('"')
            if name in _UNQUOTED:
                return False
            if name != "iterationvars":  # begins with a dollar sign, or is empty
                return True
        return template.texts[-1].startswith('"')

    @staticmethod
    def _is_no_plain_number(template: Template | None) -> bool:
        if template is None or not template.names:
            return False
        return template.texts != ("", "") or template.names[0] not in _NUMBERS

    # -- variables ------------------------------------------------------------------------------------------------

    def iterationvars(self, values: Values) -> tuple[str, str, str]:
        """Return ${iterationvars}, ${iterationvarsf} and ${iterationvarsd}."""
        plain: list[str] = []
        file = folder = ""
        for (name, prefix), value in zip(self._prefixes, values, strict=True):
            if name != REPETITION:
                plain.append(f"${name}={value}")
                segment = prefix + encode(value)
                # An empty segment at the front leaves no separator behind.
                file = f"{file},{segment}" if file else segment
                folder = f"{folder}/{segment}" if folder else segment
        return ", ".join(plain), f"{file}-" if file else "", folder

    def variables(self, number: int, values: Values) -> dict[str, str]:
        """Return the iteration variables and the predefined ones; raise `IniError` without a prefix."""
        variables = dict(zip(self.names, values, strict=True))
        variables["iterationvars"], variables["iterationvarsf"], folder = self.iterationvars(values)
        variables["iterationvarsd"] = folder
        # OMNeT++ keeps the width in 32 bits.
        width = (self._int("runnumber-width", variables) + 2**31) % 2**32 - 2**31
        variables["inifile"] = self.ini.name_in_folder
        variables["configname"] = self.config
        variables["runnumber"] = str(number).zfill(max(0, min(6, width)))
        variables["network"] = self._string("network", variables)
        variables["processid"] = str(os.getpid())
        variables["datetime"] = _started()
        variables["datetimef"] = _started().replace(":", "")
        variables["runid"] = "-".join(variables[name] for name in ("configname", "runnumber", "datetime", "processid"))
        directory = self._string("result-dir", variables)
        if self._bool("resultdir-subdivision", variables):
            directory += f"/{self.config}/{folder}"
        variables["resultdir"] = directory
        variables["seedset"] = str(self._int("seed-set", variables))
        variables["experiment"] = self._string("experiment-label", variables)
        variables["measurement"] = self._string("measurement-label", variables)
        variables["replication"] = self._string("replication-label", variables)
        return variables

    def _source(self, option: str) -> _Source:
        entry = self.ini.find(self._chain, option)
        if entry is not None and id(entry) in self._by_entry:
            return _Source(entry, self._by_entry[id(entry)])
        known = self.ini.options.find(option)
        text = entry.value if entry else known.default if known else None
        try:
            return _Source(entry, self.template(text or ""))
        except (PlaceholderError, ListError) as error:
            return _Source(entry, None, str(error))

    def template(self, text: str) -> Template:
        """Cut a text that is in no section; raise `PlaceholderError` or `ListError` with OMNeT++'s words."""
        placeholders = parse_placeholders(text, self.ini.version)
        if not all(placeholder.name for placeholder in placeholders):
            # OMNeT++ 6.1 looks for a name that it never gave, and goes on with what is not there.
            raise PlaceholderError("A list of values without a name cannot stand on the command line")
        return make_template(text, placeholders, [placeholder.name for placeholder in placeholders])

    def _text(self, option: str, variables: Mapping[str, str]) -> str:
        source = self._sources[option]
        if source.template is None:
            raise PlaceholderError(source.mistake)
        return source.template.fill(variables)

    def _string(self, option: str, variables: Mapping[str, str]) -> str:
        try:
            text = self._text(option, variables)
            return as_string(_value(text)) if text.startswith('"') else text
        except (ExpressionError, PlaceholderError) as error:
            raise self._option_error(option, error) from error

    def _int(self, option: str, variables: Mapping[str, str]) -> int:
        try:
            return as_int(_value(self._text(option, variables)))
        except (ExpressionError, PlaceholderError) as error:
            raise self._option_error(option, error) from error

    def _bool(self, option: str, variables: Mapping[str, str]) -> bool:
        try:
            return as_bool(_value(self._text(option, variables)))
        except (ExpressionError, PlaceholderError) as error:
            raise self._option_error(option, error) from error

    def _option_error(self, option: str, error: ValueError) -> IniError:
        entry = self._sources[option].entry
        return IniError(
            f"Error getting value of config option '{option}': {error}",
            file=entry.file if entry else None,
            line=entry.line or None if entry else None,
        )

    # -- entries --------------------------------------------------------------------------------------------------

    @functools.cached_property
    def active(self) -> tuple[tuple[str, Template, Key], ...]:
        """Key, value and compiled key of all entries of a run, in the order in which they count.

        Raise `IniError` where OMNeT++ fails to activate a run.
        """
        entries = [*self._overrides(), *(self._from_section(item) for item in self.entries if self._counts(item))]
        return tuple(entries)

    @functools.cached_property
    def lookup(self) -> Lookup[int]:
        """Finds the index in `active` of the entry that decides."""
        return Lookup([(key, index) for index, (_, _, key) in enumerate(self.active)])

    def _counts(self, item: ChainEntry) -> bool:
        return item.entry.key != "abstract" or item.section == self._chain[0]

    def _overrides(self) -> list[tuple[str, Template, Key]]:
        entries: list[tuple[str, Template, Key]] = []
        for entry in self.ini.overrides:
            try:
                template = self.template(entry.value)
            except (PlaceholderError, ListError) as error:
                raise IniError(str(error), file=entry.file) from error
            text, key = self._key(entry)
            entries.append((text, template, key))
        return entries

    def _from_section(self, item: ChainEntry) -> tuple[str, Template, Key]:
        text, key = self._key(item.entry)
        return text, item.template, key

    def _key(self, entry: Entry) -> tuple[str, Key]:
        """Return the key of an entry; a per-object option without a path is meant for all objects."""
        text = entry.key
        option = None if "." in text else self.ini.options.find(text)
        if option is not None and option.scope is Scope.OBJECT:
            text = f"**.{text}"
        try:
            return text, self.ini.key(text)
        except PatternError as error:
            raise IniError(str(error), file=entry.file, line=entry.line or None) from error
