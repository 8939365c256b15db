"""The exceptions of pytest-oppcloud.

    OppcloudError
    ├── IniError          an ini file, in OMNeT++'s words
    ├── SettingsError     oppcloud.toml, an option or an environment variable
    ├── BaselineError     a stored baseline
    └── MachineryError    the queue, a worker, a store: not the simulation's fault

The first three are the user's to mend, before anything is started. None of them knows pytest; the plugin turns
them into collection errors, usage errors or reports.
"""

from __future__ import annotations

import os


class OppcloudError(Exception):
    """Base class of all errors that people are meant to read."""


class LocatedError(OppcloudError):
    """An error with a place and advice.

    `message` is what is wrong (for ini files verbatim OMNeT++'s text), `file` and `line` (1-based) where it is if
    that is known, `advice` what to do about it.
    """

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None, advice: str = "") -> None:
        self.message = message
        self.file = file
        self.line = line
        self.advice = advice
        super().__init__(message)

    def seen_from(self, folder: str | os.PathLike[str]) -> LocatedError:
        """Return the error with its file as people in `folder` call it."""
        if self.file is None:
            return self
        return LocatedError(self.message, file=os.path.relpath(self.file, folder), line=self.line, advice=self.advice)

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{place}{self.message}" + (f"\n{self.advice}" if self.advice else "")


class IniError(LocatedError):
    """An ini file that OMNeT++ rejects; `message` is OMNeT++'s own text."""


class SettingsError(LocatedError):
    """A setting that is unknown, of the wrong type, or impossible."""


class BaselineError(LocatedError):
    """A baseline file that cannot be read or written."""


class MachineryError(OppcloudError):
    """Something between the simulation and its verdict broke; never the simulation's fault."""
