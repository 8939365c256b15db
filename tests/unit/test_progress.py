"""What is read of OMNeT++'s status lines while a simulation runs; the texts are those of OMNeT++ 6.1."""

from __future__ import annotations

import pytest
from oppcloud_worker.following import KEPT, Following
from oppcloud_worker.progress import Progress, ProgressReader

BANNER = b'Setting up network "Aloha"...\nInitializing...\n\nRunning simulation...\n'
FIRST = b"""\
** Event #0   t=0   Elapsed: 1.3e-05s (0m 00s)  0% completed  (0% total)
     Speed:     ev/sec=0   simsec/sec=0   ev/simsec=0
     Messages:  created: 11   present: 11   in FES: 11
"""
LATER = b"""\
** Event #5979648   t=191957.693589357102   Elapsed: 4.00724s (0m 04s)  6% completed  (6% total)
     Speed:     ev/sec=1.50752e+06   simsec/sec=48438.8   ev/simsec=31.1222
     Messages:  created: 1744601   present: 11   in FES: 11
"""
UNLIMITED = b"""\
** Event #2635520   t=81343.71235546542   Elapsed: 2.00218s (0m 02s)
     Speed:     ev/sec=1.31633e+06   simsec/sec=40627.8   ev/simsec=32.3998
     Messages:  created: 775423   present: 21   in FES: 20
"""
SHORT = b"** Event #5027840   t=161405.63   Elapsed: 4.00274s (0m 04s)  5% completed  (5% total)   ev/sec=1.03804e+06\n"
BANNER_OF_AN_EVENT = b"** Event #2  t=0.073687478407  12% completed  (12% total)   Aloha.server (Server, id=2)\n"
BANNER_WITHOUT_LIMIT = b"** Event #2  t=0.073687478407   Aloha.server (Server, id=2)\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FIRST, Progress(event=0, sim_time="0", elapsed=1.3e-05, percent=0)),
        (
            FIRST + LATER,
            Progress(event=5979648, sim_time="191957.693589357102", elapsed=4.00724, percent=6, speed=1.50752e06),
        ),
        (UNLIMITED, Progress(event=2635520, sim_time="81343.71235546542", elapsed=2.00218, speed=1.31633e06)),
        (SHORT, Progress(event=5027840, sim_time="161405.63", elapsed=4.00274, percent=5, speed=1.03804e06)),
        (BANNER_OF_AN_EVENT, Progress(event=2, sim_time="0.073687478407", percent=12)),
        (BANNER_WITHOUT_LIMIT, Progress(event=2, sim_time="0.073687478407")),
        # What a model may print instead is no number.
        (
            LATER.replace(b"1.50752e+06", b"inf"),
            Progress(event=5979648, sim_time="191957.693589357102", elapsed=4.00724, percent=6),
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_last_status_is_read_however_the_output_is_cut(text: bytes, expected: Progress, size: int) -> None:
    reader, whole = ProgressReader(), BANNER + text
    for start in range(0, len(whole), size):
        reader.feed(whole[start : start + size])

    assert reader.progress == expected


def test_a_status_that_is_not_whole_yet_hides_none_before_it() -> None:
    reader = ProgressReader()
    reader.feed(BANNER + FIRST + LATER[:40])
    assert reader.progress is not None
    assert reader.progress.event == 0
    reader.feed(LATER[40:])
    assert reader.progress.speed == 1.50752e06


def test_a_status_is_found_in_the_midst_of_much_output() -> None:
    reader = ProgressReader()
    noise = b"the model prints this\n" * 10_000
    for piece in (BANNER + noise + LATER, noise, noise):
        reader.feed(piece)

    assert reader.progress is not None
    assert reader.progress.event == 5979648


def test_progress_is_told_once() -> None:
    run = Following()
    assert run.take_progress() is None
    run.feed(BANNER + FIRST)
    assert run.take_progress() == Progress(event=0, sim_time="0", elapsed=1.3e-05, percent=0)
    run.feed(b"the model prints this\n")
    assert run.take_progress() is None


def test_lines_are_given_whole_and_once() -> None:
    run = Following()
    run.feed(b"first\nsec")
    assert run.take_lines() == "first\n"
    assert not run.take_lines()
    run.feed(b"ond\n\xff\nrest")
    assert run.take_lines() == "second\n\\xff\n"
    assert run.take_lines(rest=True) == "rest"


def test_who_begins_late_is_given_the_end_of_what_came_before() -> None:
    run = Following()
    for number in range(100_000):
        run.feed(b"line %d\n" % number)
    note, first, *lines = run.take_lines().splitlines()

    number = int(first.split()[1])
    left_out = len("".join(f"line {earlier}\n" for earlier in range(number)))
    assert note == f"[... {left_out} bytes left out ...]"
    assert lines[-1] == "line 99999"
    assert len(lines) == 99_999 - number
    assert 0 < sum(map(len, lines)) < KEPT


def test_a_line_without_an_end_is_given_in_parts() -> None:
    run = Following()
    run.feed(b"x" * 20_000)
    assert run.take_lines() == "x" * 20_000
