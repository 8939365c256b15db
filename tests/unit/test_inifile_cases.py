"""Ini files are expanded as OMNeT++ does it: its recorded answers, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.property.opp_run_answers import answer
from tests.property.working_folder import inside
from tests.unit.inifile_cases.cases import Case, all_cases, storable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: f"{case.group}: {case.name}")
def test_answers_are_those_of_omnetpp(case: Case, tmp_path: Path) -> None:
    with inside(tmp_path):
        case.write_files()
        for question in case.questions:
            assert storable(answer(question.words)) == question.answer, question.words
