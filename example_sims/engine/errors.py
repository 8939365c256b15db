"""The two ways in which a run ends before its time, each with the words that OMNeT++ finds for it.

Standard library only.
"""

from __future__ import annotations


class _RunEnd(Exception):  # noqa: N818  # not always an error
    """What both have: a message, and `where`.

    That tells the component, the time and the event; the kernel adds it when the exception passes through.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = ""

    def __str__(self) -> str:
        return f"{self.message} -- {self.where}" if self.where else self.message


class SimulationError(_RunEnd):
    """An error that ends the run (OMNeT++'s `cRuntimeError`)."""


class Termination(_RunEnd):
    """The regular end of a run (OMNeT++'s `cTerminationException`); `finish()` is called after it."""
