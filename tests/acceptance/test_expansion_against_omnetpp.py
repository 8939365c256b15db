"""Our expansion of ini files against a real OMNeT++ 6.1."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.property.compare_with_omnetpp import compare_generated
from tests.property.opp_run_answers import ask_opp_run
from tests.property.working_folder import inside
from tests.unit.inifile_cases.cases import all_cases, storable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.omnetpp


@pytest.fixture
def opp_run() -> str:
    path = shutil.which("opp_run")
    if path is None:
        pytest.skip("no OMNeT++ here (opp_run on the PATH)")
    return path


def test_recorded_answers_are_still_those_of_omnetpp(opp_run: str, tmp_path: Path) -> None:
    for index, case in enumerate(all_cases()):
        folder = tmp_path / str(index)
        folder.mkdir()
        with inside(folder):
            case.write_files()
            for question in case.questions:
                answer = storable(ask_opp_run(opp_run, question.words))
                assert answer == question.answer, (case.group, case.name, question.words)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_generated_ini_files_expand_as_in_omnetpp(opp_run: str, block: int) -> None:
    count = int(os.environ.get("OPPCLOUD_COMPARE_COUNT", "20"))
    tally = compare_generated(opp_run, range(1 + block * count, 1 + (block + 1) * count))
    assert tally.files == count
    assert tally.disagreements == []
