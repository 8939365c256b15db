"""The file that pytest writes its report to, with room for a few lines that change under what stands there.

Between two writes the cursor rests where pytest left it, also in the middle of a line. The changing lines lie below;
before anything else is written, they are erased. So whoever writes next need not know of them, and what stays on the
screen at the end is what pytest wrote.

It writes to a descriptor of its own, so that it reaches the terminal also while pytest captures the output of a test.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Erase all from the cursor to the end of the screen.
_ERASE = "\x1b[J"
#: Go down a line, in the same column; scroll where there is none.
_DOWN = "\x1bD"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
#: Seconds between two times that the same lines are shown again.
_OFTEN = 0.02
#: Terminals that know it show all that lies between at once.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class Screen:
    """Stands in for the file of pytest's terminal writer."""

    def __init__(self, file: TextIO) -> None:
        """Take the place of `file`, which has to have been written out."""
        file.flush()
        self._replaced = file
        self._file = _duplicate(file)
        #: Whoever has it can be sure that nobody else writes meanwhile.
        self.lock = threading.RLock()
        #: The changing lines, as they are written, and whether they are there now.
        self._lines = ""
        self._shown = False
        self._last = 0.0

    def write(self, text: str) -> int:
        """Write text of pytest's, in place of the changing lines."""
        with self.lock:
            self._file.write(_ERASE + text if self._shown else text)
            self._shown = False
            # A part of a line that came later would come amidst the changing lines.
            self._file.flush()
            return len(text)

    def flush(self) -> None:
        """Do nothing: all is written at once."""

    def isatty(self) -> bool:
        """Tell whether this is a terminal."""
        return self._file.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the file that this one stands in for."""
        return self._replaced.fileno()

    @property
    def encoding(self) -> str:
        """How text is written."""
        return self._file.encoding

    def size(self) -> os.terminal_size:
        """Return how many columns and lines the terminal has."""
        try:
            size = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError):
            size = os.terminal_size((0, 0))
        return size if size.columns and size.lines else shutil.get_terminal_size()

    def show(self, lines: Sequence[str]) -> None:
        """Show `lines`, which must be fewer than the terminal has, under the text; none: erase those that are there.

        Each must fit into the width of the terminal; colours are fine.
        """
        moves = f"{_DOWN * len(lines)}\x1b[{len(lines)}A{_SAVE}"
        text = moves + "".join(f"\r\n{line}" for line in lines) + _RESTORE if lines else ""
        with self.lock:
            if text == self._lines and self._shown == bool(text):
                return
            erase = _ERASE if self._shown else ""
            self._lines, self._shown, self._last = text, bool(text), time.monotonic()
            self._file.write(f"{_BEGIN}{erase}{text}{_END}" if text else erase)
            self._file.flush()

    def show_again(self) -> None:
        """Show the changing lines where text took their place, but not so often that a terminal is kept busy."""
        with self.lock:
            if self._lines and not self._shown and time.monotonic() - self._last > _OFTEN:
                self._shown, self._last = True, time.monotonic()
                self._file.write(f"{_BEGIN}{self._lines}{_END}")
                self._file.flush()

    def close(self) -> TextIO:
        """Erase the changing lines and return the file that this one stood in for."""
        self.show([])
        with self.lock:
            if self._file is not self._replaced:
                self._file.close()
                # What still comes, from whoever remembers this file, goes on to the other.
                self._file = self._replaced
        return self._replaced


def _duplicate(file: TextIO) -> TextIO:
    """Return a file of our own at the same place; `file` itself where it is none of the system's."""
    try:
        descriptor = os.dup(file.fileno())
    except (OSError, ValueError, AttributeError, io.UnsupportedOperation):
        return file
    return open(descriptor, "w", encoding=file.encoding, errors=file.errors)  # noqa: PTH123  # a descriptor; closed by `close`
