"""Scalar files: words, numbers, bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from engine import Histogram, SimulationError
from engine.resultfile import ScalarFile, number, word

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain:name[3]", "plain:name[3]"),
        ("", '""'),
        ("two words", '"two words"'),
        ('"a"', r'"\"a\""'),
        ("back\\slash", r'"back\\slash"'),
        ("tab\tbell\a", r'"tab\tbell\x07"'),
        ("größer", "größer"),
    ],
)
def test_words_are_quoted_where_they_must_be(text: str, written: str) -> None:
    assert word(text) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1 / 3, "0.33333333333333"),
        (1e20, "1e+20"),
        (12345678901234567, "1.2345678901235e+16"),
        (-0.0, "-0"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
        (-math.nan, "-nan"),
    ],
)
def test_numbers_are_written_as_c_does(value: float, written: str) -> None:
    assert number(value, 14) == written


def test_edges_that_would_look_alike_get_more_digits(tmp_path: Path) -> None:
    histogram = Histogram()
    for index in range(10):
        histogram.collect(1000 + index * 1e-3 + 1e-4)
    histogram.set_up_bins()
    file = ScalarFile(tmp_path / "a.sca", 5, append=False)
    file.begin("R", {}, {}, [])
    file.statistic("M", "h", histogram, {}, bins=True)
    file.close()
    edges = [line.split("\t")[1] for line in file.path.read_text().splitlines() if line.startswith("bin\t")]
    assert len(set(edges)) == len(edges)


def test_runs_are_appended_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "results" / "a.sca"
    for run, append in (("A", False), ("B", True)):
        file = ScalarFile(path, 14, append=append)
        file.begin(run, {"z": "1", "a": "two words"}, {"n": "1"}, [("k", "v")])
        file.scalar("M", "s", 1.5, {})
        file.close()
    part = 'run {}\nattr a "two words"\nattr z 1\nitervar n 1\nconfig k v\n\nscalar M s 1.5\n\n'
    assert path.read_text() == "version 3\n" + part.format("A") + part.format("B")
    ScalarFile(path, 14, append=False)
    assert not path.exists()


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulationError, match=r"Cannot create directory '.*/file/'"):
        ScalarFile(tmp_path / "file" / "a.sca", 14, append=True).begin("R", {}, {}, [])
