"""Fingerprints: what goes into them, how they are asked for and judged."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
from aloha.aloha import Aloha
from engine import CompoundModule, SimulationError
from engine.fingerprint import Fingerprints, Hasher
from mm1.mm1 import MM1
from ring.ring import Ring

if typing.TYPE_CHECKING:
    from .conftest import Simulate

EXAMPLES = Path(__file__).parents[3] / "example_sims"

#: Recorded with OMNeT++ 6.1 and the C++ models of example_sims: the run of the config, and its fingerprints.
RECORDED = [
    (MM1, "mm1", "Warmup", ["0dad-7ec2/tplx"]),
    (Aloha, "aloha", "Warmup", ["abec-f347/tplx", "38da-9de6/sz", "09fc-4fd4/enckima", "733a-f7c4/r"]),
    (Ring, "ring", "BusyTraffic", ["17d3-8e0c/tplx", "67e9-e98a/sz", "6d8d-5509/enckima", "8a55-1f74/r"]),
]


@pytest.mark.parametrize(("network", "folder", "config", "values"), RECORDED, ids=[row[1] for row in RECORDED])
def test_fingerprints_are_those_of_omnetpp(
    simulate: Simulate, network: type[CompoundModule], folder: str, config: str, values: list[str]
) -> None:
    expected = f"fingerprint={','.join(values)}"
    finished = simulate(network, expected, ini=EXAMPLES / folder / "omnetpp.ini", config=config)
    assert finished.verdict == f"Fingerprint successfully verified: {', '.join(values)}"


def test_one_more_event_is_another_fingerprint(simulate: Simulate) -> None:
    finished = simulate(
        MM1, "fingerprint=0dad-7ec2/tplx", "sim-time-limit=1010s", ini=EXAMPLES / "mm1" / "omnetpp.ini", config="Warmup"
    )
    assert finished.verdict.startswith("Fingerprint mismatch! calculated: ")


def test_words_are_rotated_and_xored() -> None:
    hasher = Hasher()
    hasher.add_word(0x80000001)
    hasher.add_word(0)
    assert str(hasher) == "0000-0003"
    hasher.add_word(-1)
    assert str(hasher) == "ffff-fff9"


def test_a_long_is_its_low_word_then_its_high_word() -> None:
    hasher = Hasher()
    hasher.add_long(0x0000000200000001)
    assert hasher.value == 0


@pytest.mark.parametrize("text", ["", "abc", "abcd", "a longer name with 33 characters."])
def test_a_text_is_little_endian_words_with_its_nul(text: str) -> None:
    at_once, one_by_one = Hasher(), Hasher()
    for hasher in (at_once, one_by_one):
        hasher.add_word(0xDEADBEEF)
    at_once.add_text(text)
    data = text.encode() + b"\0"
    for start in range(0, len(data), 4):
        one_by_one.add_word(int.from_bytes(data[start : start + 4], "little"))
    assert at_once.value == one_by_one.value


def test_all_nans_are_one() -> None:
    hashers = Hasher(), Hasher()
    for hasher, value in zip(hashers, (float("nan"), -float("nan")), strict=True):
        hasher.add_double(value)
    assert hashers[0].value == hashers[1].value == (0x7FF80000)


@pytest.mark.parametrize(
    ("expected", "verdict"),
    [
        ("0000-0000/tplx", "Fingerprint successfully verified: 0000-0000/tplx"),
        ("0", "Fingerprint successfully verified: 0000-0000/tplx"),
        ("1234-5678/t 00000000/t", "Fingerprint successfully verified: 0000-0000/t"),
        ("00:00/t,0/s", "Fingerprint successfully verified: 0000-0000/t, 0000-0000/s"),
        (
            "0/t,DEAD-BEEF/s",
            "Fingerprint mismatch! calculated: 0000-0000/t, 0000-0000/s, expected: 0/t,DEAD-BEEF/s",
        ),
        # Ingredients by position are there for the first fingerprint only; recorded with OMNeT++ 6.1.
        ("0,0", "Fingerprint successfully verified: 0000-0000/tplx, 0000-0000/"),
    ],
)
def test_the_grammar_of_what_is_expected(expected: str, verdict: str) -> None:
    assert Fingerprints(expected, "tplx").verdict() == verdict


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("0/q", "Unknown fingerprint ingredient character 'q'"),
        ("0/t/p", "Unknown fingerprint ingredient character '/'"),
        ("1/t 2/p", "Fingerprint option suffixes (parts after the '/') must agree"),
        ("0/v", "The embedded engine has no fingerprint ingredient 'v' (vector results)"),
    ],
)
def test_what_cannot_be_computed_is_an_error_at_once(expected: str, message: str) -> None:
    with pytest.raises(SimulationError) as caught:
        Fingerprints(expected, "tplx")
    assert str(caught.value) == message


def test_a_value_that_is_none_is_an_error_in_the_end() -> None:
    with pytest.raises(SimulationError, match=r'^Cannot verify hash: Invalid hash text "xyz"$'):
        Fingerprints("0/t,xyz/s", "tplx").verdict()
