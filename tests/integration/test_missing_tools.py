"""Where a tool is missing: skipped at the desk, failed in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

RULE = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no such tool")
def test_marked():
    pass

def test_asks():
    pytest.skip("no such tool")

@pytest.mark.skipif(True, reason="only root can do that")
def test_of_another_user():
    pass

@pytest.mark.xfail(reason="no such tool")
def test_expected():
    assert False
"""


@pytest.mark.parametrize(("ci", "outcomes"), [("", {"skipped": 3}), ("true", {"failed": 1, "errors": 1, "skipped": 1})])
def test_a_skip_for_want_of_a_tool(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(RULE.read_text())
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "no:oppcloud", "-p", "no:cacheprovider")

    assert result.parseoutcomes() == {**outcomes, "xfailed": 1}
    if ci:
        result.stdout.fnmatch_lines(["skipped, and CI has all tools: no such tool"])
