"""The command line."""

from __future__ import annotations

import pytest
from engine.arguments import Arguments
from engine.errors import SimulationError


def test_options_and_words() -> None:
    arguments = Arguments.parse(
        ["-uCmdenv", "-c", "A", "-c", "B", "a.ini", "-n", "x", "-ny", "--k=v=w", "--l", "m", "-s", "--", "-z"]
    )
    assert arguments.last("u") == "Cmdenv"
    assert arguments.last("c") == "B"
    assert arguments.all("n") == ["x", "y"]
    assert arguments.has("s")
    assert not arguments.has("m")
    assert arguments.long == {"k": "v=w", "l": "m"}
    assert arguments.words == ["a.ini", "-z"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("-Z", "Invalid command-line option -Z, try -h for help"),
        ("-", "Invalid command-line option -, try -h for help"),
        ("-r", "command-line option -r is missing required argument"),
        ("-sx", "command-line option -s expects no argument"),
    ],
)
def test_mistakes_are_told_in_omnetpps_words(word: str, message: str) -> None:
    with pytest.raises(SimulationError) as caught:
        Arguments.parse([word])
    assert str(caught.value) == message
