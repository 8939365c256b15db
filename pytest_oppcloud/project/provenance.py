"""What a program was made with, as far as the file tells.

Pure but for reading the program file: no pytest, and nothing is started.
"""

from __future__ import annotations

import functools
import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker.simulation import PYTHON

if TYPE_CHECKING:
    from .program import Program

#: What compilers leave in an executable: GCC and clang in the section `.comment` of ELF files.
_COMPILER = re.compile(rb"GCC: \([^)\0]*\) ([0-9.]+)|([A-Za-z ]*clang version [0-9.]+)")


def provenance(program: Program, *, built_elsewhere: bool = False) -> dict[str, str]:
    """Return what is known of the program: "program", "mode" and "compiler".

    The file here tells nothing about one that was `built_elsewhere`.
    """
    path = program.files[0] if program.files else Path(program.words[0])
    known = {"program": path.name, "mode": program.mode}
    if program.files and program.words[0] != PYTHON and not built_elsewhere:
        known["compiler"] = _compiler(path)
    return {name: value for name, value in known.items() if value}


@functools.lru_cache(maxsize=64)
def _compiler(path: Path) -> str:
    """Return the compiler that made the file at `path`, "" if that is not to be seen."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _COMPILER.search(data)
            if found is None:
                return ""
            return f"gcc {found[1].decode()}" if found[1] else found[2].decode().strip()
    except (OSError, ValueError):
        # An empty file cannot be mapped; one that cannot be read will be told when it is started.
        return ""
