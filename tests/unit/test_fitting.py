"""Which workers can run a program, and where it is built otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_oppcloud.cloud.fitting import Choice, Place, Wish, choose
from pytest_oppcloud.project import Binary

HERE = "linux-x86_64-glibc-2.36"
OLD = "linux-x86_64-glibc-2.31"


def binary(system: str = "linux", machine: str = "x86_64", **values: Any) -> Binary:
    return Binary(path=Path("/m/sim"), system=system, machine=machine, **values)


def wish(*binaries: Binary, built: bool = True, buildable: bool = False, omnetpp: str = "") -> Wish:
    return Wish(binaries=binaries, built=built, buildable=buildable, omnetpp=omnetpp, system=HERE)


def place(system: str = HERE, image: str = "", omnetpp: str = "") -> Place:
    return Place(image=image, system=system, omnetpp=omnetpp)


@pytest.mark.parametrize(
    ("found", "system", "words"),
    [
        (binary(), HERE, ""),
        (binary(machine="aarch64"), HERE, "sim was built for aarch64"),
        (binary(machine="aarch64"), "linux-aarch64-glibc-2.36", ""),
        (binary("darwin", "arm64"), "darwin-arm64", ""),
        (binary("darwin", "arm64"), HERE, "sim was built for darwin"),
        (binary(glibc=(2, 34)), HERE, ""),
        (binary(glibc=(2, 34)), OLD, "sim needs glibc 2.34"),
        (binary(glibc=(2, 4)), OLD, ""),
        (binary(glibc=(2, 34)), "linux-x86_64-musl", "sim was built for the C library of GNU"),
        (binary(needed=("libc.musl-x86_64.so.1",)), HERE, "sim was built for the C library musl"),
        (binary(needed=("libc.musl-x86_64.so.1",)), "linux-x86_64-musl", ""),
        (binary(machine="aarch64"), "", ""),
    ],
)
def test_what_a_binary_was_built_for_decides(found: Binary, system: str, words: str) -> None:
    choice = choose(wish(found), {place(system): 1})
    assert choice.mismatch.partition(",")[0] == words
    if words:
        assert f"the workers of the queue are: {system}" in choice.mismatch
    else:
        assert choice == Choice()


def test_the_version_of_omnetpp_decides() -> None:
    assert choose(wish(omnetpp="6.1"), {place(omnetpp="6.1.0"): 1}) == Choice()
    assert choose(wish(omnetpp="6.1"), {place(omnetpp=""): 1}) == Choice()
    assert choose(wish(omnetpp="6.1"), {place(omnetpp="6.0.3"): 1}).mismatch.startswith("OMNeT++ 6.1 is needed, but")
    # To build it does not help then.
    unbuilt = wish(built=False, buildable=True, omnetpp="6.1")
    assert "`omnetpp`" in choose(unbuilt, {place(omnetpp="6.0.3"): 1}).mismatch
    assert choose(unbuilt, {place(omnetpp="6.0.3"): 9, place(omnetpp="6.1"): 1}).place == place(omnetpp="6.1")


def test_some_of_the_workers_will_do() -> None:
    workers = {place("linux-aarch64-glibc-2.36"): 8, place(): 2, place(image="inet"): 4}
    assert choose(wish(binary()), workers) == Choice(place=place(image="inet"))


def test_what_can_be_built_is_built_for_other_systems() -> None:
    found = wish(binary(), buildable=True)
    assert choose(found, {place(): 1}) == Choice()
    # It would run there, but what it runs with may be another.
    newer = place("linux-x86_64-glibc-2.40")
    assert choose(found, {newer: 1}) == Choice(build=True, place=newer)
    assert choose(found, {newer: 5, place(): 1}) == Choice(place=place())


def test_what_is_not_built_is_built_where_most_slots_are() -> None:
    found = wish(built=False, buildable=True)
    assert choose(found, {place(OLD): 2, place(): 3}) == Choice(build=True, place=place())
