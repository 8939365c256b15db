"""Baseline files on disk: whole or not at all, and nobody's work lost."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.baselines import baseline_path, read_baselines, write_baselines
from pytest_oppcloud.errors import BaselineError
from pytest_oppcloud.records import Record, RunKey

if TYPE_CHECKING:
    from pathlib import Path


def record(value: str) -> Record:
    return Record(values=(RecordedValue(kind="scalar", module="N", name="x", value=value),))


def key(config: str) -> RunKey:
    return RunKey.of(config, {}, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return baseline_path(tmp_path / "omnetpp.ini")


def test_the_file_lies_beside_the_ini_file_and_has_its_name(tmp_path: Path) -> None:
    assert baseline_path(tmp_path / "omnetpp.ini") == tmp_path / "baselines" / "omnetpp.ini.txt"
    assert baseline_path(tmp_path / "omnetpp.test") != baseline_path(tmp_path / "omnetpp.ini")


def test_reading_makes_nothing(path: Path) -> None:
    assert len(read_baselines(path)) == 0
    assert not path.parent.exists()


def test_writes_and_reads(path: Path) -> None:
    assert write_baselines(path, {key("A"): record("1")})
    assert read_baselines(path).record(key("A")) == record("1")
    assert list(path.parent.iterdir()) == [path]


def test_nothing_to_write_touches_nothing(path: Path) -> None:
    assert not write_baselines(path, {})
    assert not path.parent.exists()


def test_the_same_values_leave_the_very_file(path: Path) -> None:
    write_baselines(path, {key("A"): record("1")})
    before = path.stat()
    assert not write_baselines(path, {key("A"): record("1")})
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_others_wrote_since_stays(path: Path) -> None:
    write_baselines(path, {key("A"): record("1")})
    ours = read_baselines(path)
    write_baselines(path, {key("B"): record("2")})
    write_baselines(path, {**ours.records(), key("C"): record("3")})
    assert set(read_baselines(path)) == {key("A"), key("B"), key("C")}


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    threads = [
        threading.Thread(target=write_baselines, args=(path, {key(f"C{number}"): record(str(number))}))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_baselines(path)) == {key(f"C{number}") for number in range(12)}


def test_without_any_run_left_the_file_goes(path: Path) -> None:
    write_baselines(path, {key("A"): record("1")})
    assert write_baselines(path, {key("A"): None})
    assert not path.exists()
    assert not write_baselines(path, {key("A"): None})


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "baselines.txt"
    real.parent.mkdir()
    path.parent.mkdir()
    path.symlink_to(real)
    write_baselines(path, {key("A"): record("1")})
    assert path.is_symlink()
    assert real.read_bytes() == path.read_bytes()
    assert key("A") in read_baselines(real)


def test_permissions_stay(path: Path) -> None:
    write_baselines(path, {key("A"): record("1")})
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    write_baselines(path, {key("A"): record("2")})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file_and_no_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_baselines(path, {key("A"): record("1")})
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BaselineError, match=r"omnetpp\.ini\.txt: cannot be written: No space left on device"):
        write_baselines(path, {key("A"): record("2")})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_file_is_never_written_over(path: Path) -> None:
    write_baselines(path, {key("A"): record("1")})
    path.write_bytes(path.read_bytes().removeprefix(b"oppcloud-baselines 1\n"))
    before = path.read_bytes()
    with pytest.raises(BaselineError, match=r"not a file of baselines"):
        write_baselines(path, {key("A"): record("2")})
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_one_clear_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(BaselineError, match=r"cannot be read: Is a directory"):
        read_baselines(path)


def test_a_file_in_the_place_of_the_folder_is_one_clear_error(path: Path) -> None:
    path.parent.write_text("")
    with pytest.raises(BaselineError, match=r"cannot be read: Not a directory"):
        read_baselines(path)
    with pytest.raises(BaselineError, match=r"cannot be written"):
        write_baselines(path, {key("A"): record("1")})
