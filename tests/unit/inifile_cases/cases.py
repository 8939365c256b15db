"""Recorded cases: small ini files, questions about them, and what OMNeT++ 6.1 answers.

The texts beside this file hold them, one file per group of rules:

    === name of the case
    --- omnetpp.ini            a file of the project; with a `!` behind the name its text is a Python string
    ...
    --- ? -c General -q runs   a question, as to opp_run, and below it the answer: output, then errors

`python tests/unit/inifile_cases/cases.py` asks the `opp_run` on the PATH and writes its answers into the texts.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.property.opp_run_answers import ask_opp_run
from tests.property.working_folder import inside

FOLDER = Path(__file__).parent


@dataclass(slots=True)
class Question:
    """A question, and OMNeT++'s answer."""

    words: list[str]
    answer: str = ""


@dataclass(slots=True)
class Case:
    """A project, and questions about it."""

    group: str
    name: str
    #: Name as it is written, and text, of each file.
    files: list[tuple[str, str]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def write_files(self) -> None:
        """Write the files of the project into the current folder."""
        for name, text in self.files:
            path = Path(name.removesuffix("!"))
            path.parent.mkdir(parents=True, exist_ok=True)
            content = ast.literal_eval(text.strip()) if name.endswith("!") else text
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read_cases(path: Path) -> list[Case]:
    """Return the cases of one text."""
    cases: list[Case] = []
    for part in re.split(r"^=== ", path.read_bytes().decode("utf-8"), flags=re.MULTILINE)[1:]:
        head, *blocks = re.split(r"^--- ", part, flags=re.MULTILINE)
        case = Case(path.stem, head.strip())
        for block in blocks:
            title, _, text = block.partition("\n")
            if title.startswith("? "):
                case.questions.append(Question(shlex.split(title[2:]), text))
            else:
                case.files.append((title, text))
        cases.append(case)
    return cases


def storable(answer: str) -> str:
    """Return an answer with escapes for bytes that are no UTF-8."""
    return answer.encode("utf-8", "backslashreplace").decode("utf-8")


def all_cases() -> list[Case]:
    """Return the cases of all texts."""
    cases = {path.stem: read_cases(path) for path in sorted(FOLDER.glob("*.txt"))}
    empty = [group for group, found in cases.items() if not found]
    if empty or not cases:
        raise ValueError(f"no cases in {empty or FOLDER}")
    return [case for found in cases.values() for case in found]


def _written(cases: list[Case]) -> str:
    lines: list[str] = []
    for case in cases:
        lines.append(f"=== {case.name}\n")
        lines.extend(f"--- {name}\n{text}" for name, text in case.files)
        lines.extend(f"--- ? {shlex.join(question.words)}\n{question.answer}" for question in case.questions)
    return "".join(lines)


def record(opp_run: str) -> None:
    """Put the answers of `opp_run` into the texts."""
    for path in sorted(FOLDER.glob("*.txt")):
        cases = read_cases(path)
        for case in cases:
            with tempfile.TemporaryDirectory() as folder, inside(Path(folder)):
                case.write_files()
                for question in case.questions:
                    question.answer = storable(ask_opp_run(opp_run, question.words))
        text = _written(cases).encode("utf-8")
        path.write_bytes(text)


if __name__ == "__main__":
    record(shutil.which("opp_run") or sys.exit("opp_run is not on the PATH"))
