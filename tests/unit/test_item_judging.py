"""From an outcome to the judgement of an item: what passes, what fails, what is skipped, what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.messages import Cause, RecordedValue, RunOutcome, Verdict

from pytest_oppcloud.comparison import Rule, Rules, Tolerance, Update
from pytest_oppcloud.errors import BaselineError
from pytest_oppcloud.judging import Expectation, Judgement, Result, judge, tail
from pytest_oppcloud.records import ItemPattern, Recording, make_record

if TYPE_CHECKING:
    from collections.abc import Mapping

SCALAR = RecordedValue(kind="scalar", module="N", name="length", value="3")
FINGERPRINT = RecordedValue(kind="fingerprint", module="", name="tplx", value="0617-2d8e")
PARAMETER = RecordedValue(kind="par", module="N", name="p", value="1")
RECORDING = Recording()


def completed(*values: RecordedValue) -> RunOutcome:
    return RunOutcome(cause=Cause.COMPLETED, values=values)


def expectation(
    *stored: RecordedValue,
    own: Mapping[str, tuple[str, ...]] | None = None,
    rules: Rules | None = None,
    damage: BaselineError | None = None,
) -> Expectation:
    return Expectation(
        decisive={},
        recording=RECORDING,
        rules=rules or Rules(),
        own_fingerprints=own or {},
        stored=make_record(completed(*stored), {}, RECORDING) if stored else None,
        damage=damage,
    )


def judged(*values: RecordedValue, expected: Expectation, update: Update | None = None) -> Judgement:
    return judge(completed(*values), expected, update)


def test_a_run_that_is_as_its_baseline_says_passes_and_tells_how_much_it_compared() -> None:
    judgement = judged(SCALAR, FINGERPRINT, expected=expectation(SCALAR, FINGERPRINT))
    assert (judgement.result, judgement.compared, judgement.record) == (Result.PASSED, 2, None)


def test_without_a_baseline_it_fails_and_says_how_to_record_one() -> None:
    judgement = judged(SCALAR, expected=expectation())
    assert judgement.result is Result.FAILED
    assert "pytest --opp-update-baselines=new" in judgement.text


@pytest.mark.parametrize("update", [None, *Update])
@pytest.mark.parametrize("stored", [(), (PARAMETER,)])
def test_a_run_without_results_neither_passes_nor_is_recorded(
    stored: tuple[RecordedValue, ...], update: Update | None
) -> None:
    judgement = judged(PARAMETER, expected=expectation(*stored), update=update)
    assert (judgement.result, judgement.record) == (Result.FAILED, None)


@pytest.mark.parametrize("update", [None, *Update])
@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.verdict is not Verdict.PASSED])
def test_nothing_is_recorded_of_a_run_that_did_not_complete(cause: Cause, update: Update | None) -> None:
    judgement = judge(RunOutcome(cause=cause, values=(SCALAR,)), expectation(SCALAR), update)
    assert (judgement.result, judgement.record) == (Result.FAILED, None)
    assert cause.text in judgement.text


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.verdict is Verdict.NOT_A_TEST])
def test_what_is_no_test_is_skipped_only_where_nothing_was_ever_recorded(cause: Cause) -> None:
    outcome = RunOutcome(cause=cause, message="in OMNeT++'s words")
    skipped = judge(outcome, expectation())
    assert (skipped.result, "in OMNeT++'s words" in skipped.text) == (Result.SKIPPED, True)
    assert judge(outcome, expectation(damage=BaselineError("unreadable"))).result is Result.FAILED


@pytest.mark.parametrize(
    ("accepted", "result"),
    [
        (("0617-2d8e",), Result.PASSED),
        (("617:2D8E",), Result.PASSED),
        (("1234-5678", "06172d8e"), Result.PASSED),
        (("0617-2d8f",), Result.FAILED),
        (("0x6172d8e",), Result.FAILED),
        (("",), Result.FAILED),
    ],
)
def test_the_fingerprint_that_the_ini_file_expects(accepted: tuple[str, ...], result: Result) -> None:
    judgement = judged(FINGERPRINT, expected=expectation(FINGERPRINT, own={"tplx": accepted}))
    assert judgement.result is result


@pytest.mark.parametrize("update", [None, *Update])
def test_an_expected_fingerprint_that_was_not_calculated_fails_and_records_nothing(update: Update | None) -> None:
    expected = expectation(FINGERPRINT, own={"sz": ("none", "")})
    judgement = judged(FINGERPRINT, expected=expected, update=update)
    assert (judgement.result, judgement.record) == (Result.FAILED, None)
    assert "sz: expected none or , calculated none" in judgement.text


def test_a_damaged_baseline_is_told() -> None:
    judgement = judged(SCALAR, expected=expectation(damage=BaselineError("damaged", file="b.txt", line=3)))
    assert (judgement.result, judgement.text) == (Result.FAILED, "b.txt:3: damaged")


def test_rules_that_judged_nothing_are_told() -> None:
    rules = Rules(
        Rule(items=ItemPattern(module=module), tolerance=Tolerance(relative=0.5), source="oppcloud.toml:1")
        for module in ("N", "M")
    )
    judgement = judged(SCALAR, expected=expectation(SCALAR, rules=rules))
    assert judgement.rules == tuple(map(str, rules))
    assert judgement.unused_rules == (str(rules[1]),)


def test_the_end_of_an_output_has_whole_lines() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    shown = tail(text).splitlines()
    assert (shown[0], shown[-1]) == ("[...]", "line 999")
    assert set(shown[1:]) <= set(text.splitlines())
    assert tail("short") == "short"
