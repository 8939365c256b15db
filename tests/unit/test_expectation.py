"""How long runs are expected to take, what is remembered for that, and what is said where no worker fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.messages import Cause
from oppcloud_worker.remote.events import FINISHED, Event
from oppcloud_worker.remote.presence import SlotInfo
from oppcloud_worker.ticket import Needs

from pytest_oppcloud.cloud import experience
from pytest_oppcloud.cloud.expectation import Expected, Planned, Seen, expect, memory_class
from pytest_oppcloud.cloud.serving import can_serve, why_not
from pytest_oppcloud.cloud.statistics import Statistics
from pytest_oppcloud.cloud.tail import Tail, duration, tail_of

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30


def run(name: str, config: str = "A", sim_time: float | None = None) -> Planned:
    return Planned(name=name, config=config, sim_time=sim_time)


def seen(**wall_times: float) -> dict[str, Seen]:
    return {name: Seen(wall_time=time, peak_memory=0) for name, time in wall_times.items()}


def times(runs: list[Planned], known: dict[str, Seen]) -> dict[str, float]:
    return {name: round(expected.wall_time, 6) for name, expected in expect(runs, known).items()}


def test_a_run_is_expected_to_take_as_long_as_last_time() -> None:
    runs = [run("a", sim_time=10), run("b", sim_time=10)]

    assert times(runs, seen(a=3, b=7)) == {"a": 3, "b": 7}


def test_a_new_run_is_like_its_siblings_in_proportion_to_the_simulated_time() -> None:
    runs = [run("a", sim_time=10), run("b", sim_time=20), run("new", sim_time=100), run("other", "B", sim_time=10)]

    # One second per second in its config; of another config nothing is known but what all took.
    assert times(runs, seen(a=10, b=20)) == {"a": 10, "b": 20, "new": 100, "other": 10}


def test_without_simulated_times_siblings_take_equally_long() -> None:
    runs = [run("a"), run("b"), run("c"), run("new"), run("other", "B", sim_time=5)]

    assert times(runs, seen(a=1, b=3, c=100)) == {"a": 1, "b": 3, "c": 100, "new": 3, "other": 3}


def test_where_nothing_was_seen_the_simulated_time_gives_the_order() -> None:
    runs = [run("short", sim_time=1), run("long", "B", sim_time=1000), run("unknown")]

    assert times(runs, {}) == {"short": 0.06, "long": 60, "unknown": 0}
    assert times([run("only")], {}) == {"only": 0}


def test_memory_is_that_of_last_time_or_the_largest_of_the_siblings() -> None:
    known = {"a": Seen(wall_time=1, peak_memory=5 * GIB), "b": Seen(wall_time=1, peak_memory=GIB // 8)}
    expected = expect([run("a"), run("b"), run("new"), run("other", "B")], known)

    assert [entry.memory for entry in expected.values()] == [5 * GIB, 0, 5 * GIB, 0]
    assert expected["a"] == Expected(wall_time=1, memory=5 * GIB)


@pytest.mark.parametrize("peak", [GIB // 4, GIB + 12345, 7 * GIB + 999, 8 * GIB, 123456789012])
def test_what_is_set_aside_is_never_more_than_what_the_run_took(peak: int) -> None:
    """It was on some worker: there it must fit again."""
    assert peak * 15 / 16 <= memory_class(peak) <= peak


def test_experience_is_merged_and_survives_what_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "cache" / experience.FILE_NAME
    assert experience.read(file) == {}
    experience.add(file, seen(a=1, b=2))
    experience.add(file, seen(b=3.00049, c=4))

    assert experience.read(file) == seen(a=1, b=3, c=4)
    # The newest stand last, and nothing else is left in the folder.
    assert list(experience.read(file)) == ["a", "b", "c"]
    assert [path.name for path in file.parent.iterdir()] == [experience.FILE_NAME]
    file.write_text(json.dumps({"a": [1, 2], "b": "x", "c": [1], "d": [None, 1], "e": [float("nan"), 1], "f": [1, -1]}))
    assert experience.read(file) == {"a": Seen(wall_time=1, peak_memory=2)}
    for text in ("[]", "{", "[" * 10_000):
        file.write_text(text)
        assert experience.read(file) == {}
    experience.add(file, seen(a=1))
    assert experience.read(file) == seen(a=1)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "runs.json"
    experience.add(place, seen(a=1))

    assert experience.read(place) == {}


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experience, "MOST", 3)
    file = tmp_path / "runs.json"
    experience.add(file, seen(a=1, b=1, c=1))
    experience.add(file, seen(a=1, d=1))

    assert list(experience.read(file)) == ["c", "a", "d"]


def test_only_runs_that_came_to_their_end_tell_how_long_they_take() -> None:
    statistics = Statistics()
    for name, cause, wall_time in (
        ("a_1", Cause.COMPLETED, 2.0),
        ("b_1", Cause.CRASH, 1.0),
        ("c_1", Cause.TIMEOUT, 600.0),
        ("d_1", Cause.COMPLETED, float("nan")),
        ("e_1", Cause.COMPLETED, -1.0),
    ):
        statistics.note(Event(kind=FINISHED, run=name, attempt=1, cause=cause.name, wall_time=wall_time, peak_memory=7))

    assert statistics.seen == {
        "a": Seen(wall_time=2.0, peak_memory=7),
        "c": Seen(wall_time=600.0, peak_memory=7),
    }


def slot(worker: str, memory: int = 0, image: str = "", **changes: Any) -> SlotInfo:
    values = {"name": f"{worker}-1", "worker": worker, "host": "h", "pid": 1, "memory": memory, "image": image}
    return SlotInfo(**{**values, **changes})


@pytest.mark.parametrize(
    ("needs", "served"),
    [
        (Needs(), True),
        (Needs(memory=8 * GIB), True),
        (Needs(memory=9 * GIB), False),
        (Needs(image="inet:4"), True),
        (Needs(image="inet:4", memory=GIB), True),
        (Needs(image="inet:4", memory=8 * GIB), False),
        (Needs(image="inet:5"), False),
    ],
)
def test_a_run_can_be_served_where_one_worker_has_all_that_it_needs(needs: Needs, served: bool) -> None:
    assert can_serve(needs, [slot("a", 8 * GIB), slot("b", 4 * GIB, "inet:4")]) is served
    # One that does not know its memory may have enough.
    assert can_serve(needs, [slot("a", 0, "inet:4")]) is (needs.image != "inet:5")
    assert can_serve(needs, []) is False
    assert can_serve(needs, [slot("a", 0, "inet:4", protocol=0)]) is False


def test_where_no_worker_fits_need_and_workers_are_told() -> None:
    workers = [slot("a", 8 * GIB), slot("a", 8 * GIB), slot("b", 8 * GIB), slot("c", 4 * GIB, "inet:4")]

    told = why_not(Needs(memory=12 * GIB, image="inet:5"), workers)
    assert "it needs 12 GiB of memory" in told
    assert "and the image inet:5" in told
    assert told.endswith("the workers are 2 with 8 GiB and no image, 1 with 4 GiB and the image inet:4")
    assert "another version (1.2.3)" in why_not(Needs(), [slot("a", protocol=1, version="1.2.3")])


@pytest.mark.parametrize(
    ("ends", "tail"),
    [
        ([], None),
        ([5.0], None),
        ([1.0, 5.0], Tail(runs=1, idle=1, seconds=4.0)),
        # Fourteen slots waited six minutes for three.
        ([0.0] * 14 + [360.0, 361.0, 362.0], Tail(runs=3, idle=14, seconds=362.0)),
        ([0.0, 9.0, 9.5, 10.0], Tail(runs=3, idle=1, seconds=10.0)),
    ],
)
def test_the_tail_is_where_most_was_lost(ends: list[float], tail: Tail | None) -> None:
    assert tail_of(ends) == tail


def test_the_summary_tells_what_the_tail_cost() -> None:
    statistics = Statistics(finished=20, wall_time=1000.0, first_start=0.0, last_start=300.0, last_end=700.0)
    statistics.used_slots = {f"w-{index}" for index in range(17)}
    statistics.slot_ends = dict.fromkeys(statistics.used_slots, 340.0)
    statistics.slot_ends |= {"w-0": 690.0, "w-1": 700.0, "w-2": 700.0}
    # One that died long before has nothing to do with it.
    statistics.slot_ends["w-3"] = 10.0

    assert statistics.lines()[1] == "the last 3 runs kept 13 slots idle for 6 min: 39% of all time"
    # Neither a small share of the time nor a few seconds are worth a word.
    statistics.slot_ends = dict.fromkeys(statistics.used_slots, 690.0) | {"w-0": 700.0}
    assert len(statistics.lines()) == 1
    short = Statistics(finished=2, wall_time=10.0, first_start=0.0, last_start=0.0, last_end=9.0)
    short.used_slots, short.slot_ends = {"w-1", "w-2"}, {"w-1": 1.0, "w-2": 9.0}
    assert len(short.lines()) == 1


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.4 s"), (42, "42 s"), (362, "6 min"), (9000, "2.5 h")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
