"""Whether a program is older than its sources: whoever forgets `make` tests what was, not what is.

Pure but for looking at files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .program import Program

#: What is compiled, and what such files include.
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".hxx", ".msg")
#: Seconds by which a source must be newer: a copied folder gets its files in any order.
_MARGIN = 2.0


def newer_source(program: Program) -> tuple[Path, Path] | None:
    """Return a file of the program, and the source of it that was changed last, if that was later; else None.

    Sources are those in the folder of the Makefile and below it, but not below other Makefiles.
    """
    for file in program.files if program.mode and program.built else ():
        home = _home(file)
        newest = max(_sources(home), key=_changed, default=None) if home else None
        if newest and _changed(newest) > _changed(file) + _MARGIN:
            return file, newest
    return None


def _home(file: Path) -> Path | None:
    """Return the folder whose Makefile makes the file: its own, or the one that has the `out` folder that it is in."""
    outputs = (folder.parent for folder in file.parents if folder.name == "out")
    return next((folder for folder in (file.parent, *outputs) if (folder / "Makefile").is_file()), None)


def _sources(home: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(home):
        inner = [name for name in folders if name != "out" and not name.startswith(".")]
        folders[:] = [name for name in inner if not Path(place, name, "Makefile").exists()]
        yield from (Path(place, name) for name in files if name.endswith(_SOURCES))


def _changed(file: Path) -> float:
    """Return when the content was changed, in seconds since the epoch; 0 for a file that is gone or a dead link."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
