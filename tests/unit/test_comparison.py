"""Two records of a run: every kind of difference, and how much was compared."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.comparison import Rule, Rules, State, Tolerance, compare
from pytest_oppcloud.records import Inputs, ItemPattern, Record, Recording
from pytest_oppcloud.records.record import ordered, stored_form


def scalar(value: str, name: str = "x", module: str = "N") -> RecordedValue:
    return RecordedValue(kind="scalar", module=module, name=name, value=value)


def fingerprint(value: str, letters: str = "tplx") -> RecordedValue:
    return RecordedValue(kind="fingerprint", module="", name=letters, value=value)


def parameter(value: str, name: str = "p") -> RecordedValue:
    return RecordedValue(kind="par", module="N", name=name, value=value)


def record(*values: RecordedValue) -> Record:
    return Record(values=ordered(values))


def states(stored: Record, obtained: Record, recording: Recording | None = None) -> list[State]:
    return [difference.state for difference in compare(stored, obtained, recording).differences]


VALUES_ONLY = Recording(parameters=Inputs.OFF, attributes=Inputs.OFF)


def value_states(baseline: str, obtained: str) -> list[State]:
    return states(record(scalar(baseline)), record(scalar(obtained)), VALUES_ONLY)


@pytest.mark.parametrize(
    ("baseline", "obtained"),
    [
        ("0.17", "0.17"),
        ("1", "1.0"),
        ("1e3", "1000"),
        ("1e+03", "1E3"),
        (".5", "0.5"),
        ("nan", "-nan"),
        ("-nan", "nan"),
        ("0", "-0"),
        ("inf", "+inf"),
        ("text", "text"),
    ],
)
def test_the_same_value_in_other_words_is_the_same(baseline: str, obtained: str) -> None:
    assert value_states(baseline, obtained) == []
    assert compare(record(scalar(baseline)), record(scalar(obtained)), VALUES_ONLY).passed


@pytest.mark.parametrize(
    ("baseline", "obtained", "state"),
    [
        ("0.17", "0.18", State.CHANGED),
        ("0", "1e-300", State.CHANGED),
        ("0", "1e-99999", State.CHANGED),
        # Equal as doubles, but not to the last digit.
        ("9007199254740993", "9007199254740992", State.CHANGED),
        ("0.10000000000000000001", "0.1", State.CHANGED),
        ("inf", "-inf", State.CHANGED),
        ("1", "one", State.CHANGED),
        ("1_0", "10", State.CHANGED),
        ("1", "nan", State.NAN_APPEARED),
        ("inf", "nan", State.NAN_APPEARED),
        ("nan", "1", State.NAN_VANISHED),
        ("-nan", "inf", State.NAN_VANISHED),
        ("1", "inf", State.INFINITE_APPEARED),
        ("1", "-inf", State.INFINITE_APPEARED),
        ("-inf", "0", State.INFINITE_VANISHED),
    ],
)
def test_each_kind_of_difference_has_its_own_name(baseline: str, obtained: str, state: State) -> None:
    assert value_states(baseline, obtained) == [state]


def test_missing_and_new_are_two_things() -> None:
    comparison = compare(record(scalar("1", "old")), record(scalar("2", "young")), VALUES_ONLY)
    assert [(one.state, one.name, one.baseline, one.obtained) for one in comparison.differences] == [
        (State.MISSING, "old", "1", None),
        (State.NEW, "young", None, "2"),
    ]
    assert comparison.compared_results == 0
    assert not comparison.passed


def test_a_missing_nan_is_missing() -> None:
    assert states(record(scalar("nan"), scalar("1", "y")), record(scalar("1", "y")), VALUES_ONLY) == [State.MISSING]


def test_a_difference_tells_both_distances() -> None:
    (difference,) = compare(record(scalar("4")), record(scalar("5")), VALUES_ONLY).differences
    assert (difference.absolute, difference.relative) == (1.0, 0.25)
    (difference,) = compare(record(scalar("0")), record(scalar("-5")), VALUES_ONLY).differences
    assert (difference.absolute, difference.relative) == (5.0, math.inf)


def test_values_of_one_name_are_compared_one_by_one() -> None:
    stored = record(scalar("1"), scalar("2"), scalar("3"))
    comparison = compare(stored, record(scalar("1"), scalar("5")), VALUES_ONLY)
    assert [(one.state, one.occurrence) for one in comparison.differences] == [(State.MISSING, 3), (State.CHANGED, 2)]
    assert comparison.compared == {"scalar": 2}
    assert comparison.stored == 3


@pytest.mark.parametrize(
    ("baseline", "obtained", "equal"),
    [
        ("0617-2d8e", "0617-2d8e", True),
        ("06172D8E", "0617-2d8e", True),
        ("617:2d8e", "0617-2d8e", True),
        ("1234-5678 0617-2d8e", "0617-2d8e", True),
        ("1234-5678 0617-2d8e", "1234-5678", True),
        ("1234-5678 0617-2d8e", "1234-5679", False),
        ("0617-2d8e", "0617-2d8f", False),
        ("nonsense", "0617-2d8e", False),
        # As numbers of the decimal kind these would be equal.
        ("1000-0000", "1000-0000.0", False),
    ],
)
def test_fingerprints_are_hexadecimal_numbers_with_alternatives(baseline: str, obtained: str, equal: bool) -> None:
    comparison = compare(record(fingerprint(baseline)), record(fingerprint(obtained)), VALUES_ONLY)
    assert comparison.passed is equal


def test_a_fingerprint_of_other_ingredients_is_another_one() -> None:
    stored, obtained = record(fingerprint("0617-2d8e", "tplx")), record(fingerprint("0617-2d8e", "sz"))
    assert states(stored, obtained, VALUES_ONLY) == [State.MISSING, State.NEW]


def test_worst_comes_first() -> None:
    stored = record(
        fingerprint("0617-2d8e"),
        scalar("1", "a"),
        scalar("1", "b"),
        scalar("1", "c"),
        scalar("1", "d"),
        scalar("0", "e"),
    )
    obtained = record(
        fingerprint("0617-2d8f"),
        scalar("1.1", "a"),
        scalar("3", "b"),
        scalar("nan", "c"),
        scalar("1", "f"),
        scalar("1", "e"),
    )
    comparison = compare(replace(stored, settings={"t": "1s"}), replace(obtained, settings={"t": "2s"}), VALUES_ONLY)
    assert [(one.state, one.name) for one in comparison.differences] == [
        (State.CHANGED, "tplx"),
        (State.SETTING, "t"),
        (State.MISSING, "d"),
        (State.NEW, "f"),
        (State.NAN_APPEARED, "c"),
        (State.CHANGED, "e"),
        (State.CHANGED, "b"),
        (State.CHANGED, "a"),
    ]


def test_nothing_compared_is_no_pass() -> None:
    assert not compare(record(), record()).passed
    assert not compare(record(), record(), VALUES_ONLY).passed
    inputs = stored_form(record(parameter("1")), Recording().forms)
    comparison = compare(inputs, record(parameter("1")))
    assert comparison.differences == ()
    assert comparison.compared == {"digest": 2}
    assert not comparison.passed


def test_a_pass_has_compared_all_that_is_stored() -> None:
    obtained = record(fingerprint("0617-2d8e"), scalar("1"), scalar("1", "y"), parameter("1"))
    comparison = compare(stored_form(obtained, Recording().forms), obtained)
    assert comparison.passed
    assert comparison.compared == {"fingerprint": 1, "digest": 2, "scalar": 2}
    assert comparison.stored == sum(comparison.compared.values()) == 5


@pytest.mark.parametrize(
    ("stored", "obtained"),
    [({"t": "1s"}, {"t": "2s"}), ({"t": "1s"}, {}), ({}, {"t": "1s"})],
)
def test_another_setting_is_a_difference_even_if_all_values_are_equal(
    stored: dict[str, str], obtained: dict[str, str]
) -> None:
    one = record(scalar("1"))
    comparison = compare(replace(one, settings=stored), replace(one, settings=obtained), VALUES_ONLY)
    assert [(difference.state, difference.name) for difference in comparison.differences] == [(State.SETTING, "t")]
    assert not comparison.passed


def test_another_provenance_or_seed_set_explains_and_is_no_difference() -> None:
    one = record(scalar("1"))
    stored = replace(one, provenance={"omnetpp": "6.1", "mode": "release"}, seed_set="3")
    obtained = replace(one, provenance={"omnetpp": "6.2", "mode": "release", "compiler": "gcc"}, seed_set="5")
    comparison = compare(stored, obtained, VALUES_ONLY)
    assert comparison.passed
    assert [(change.name, change.baseline, change.obtained) for change in comparison.changes] == [
        ("compiler", "", "gcc"),
        ("omnetpp", "6.1", "6.2"),
        ("seed-set", "3", "5"),
    ]


class TestInputs:
    """Parameters and attributes, in the form that the baseline has."""

    obtained = record(scalar("1"), parameter("2s"))
    changed = record(scalar("1"), parameter("3s"))

    @pytest.mark.parametrize("now", [Inputs.DIGEST, Inputs.VALUES])
    @pytest.mark.parametrize("then", [Inputs.DIGEST, Inputs.VALUES])
    def test_another_form_now_compares_as_well(self, then: Inputs, now: Inputs) -> None:
        stored = stored_form(self.obtained, {"par": then, "attr": Inputs.OFF})
        recording = Recording(parameters=now, attributes=Inputs.OFF)
        assert compare(stored, self.obtained, recording).passed
        assert states(stored, self.changed, recording) == [State.CHANGED]

    @pytest.mark.parametrize("then", list(Inputs))
    def test_switched_off_they_are_not_looked_at(self, then: Inputs) -> None:
        stored = stored_form(self.obtained, {"par": then, "attr": Inputs.OFF})
        comparison = compare(stored, self.changed, VALUES_ONLY)
        assert comparison.passed
        assert comparison.excluded == (0 if then is Inputs.OFF else 1)

    @pytest.mark.parametrize("now", [Inputs.DIGEST, Inputs.VALUES])
    def test_switched_on_they_are_new(self, now: Inputs) -> None:
        stored = stored_form(self.obtained, VALUES_ONLY.forms)
        assert states(stored, self.obtained, Recording(parameters=now, attributes=Inputs.OFF)) == [State.NEW]

    def test_a_run_without_any_is_the_same_in_every_form(self) -> None:
        bare = record(scalar("1"))
        for then in Inputs:
            stored = stored_form(bare, {"par": then, "attr": then})
            for now in Inputs:
                assert compare(stored, bare, Recording(parameters=now, attributes=now)).passed

    def test_the_first_parameter_of_a_run_is_noticed(self) -> None:
        stored = stored_form(record(scalar("1")), Recording().forms)
        assert states(stored, self.obtained) == [State.CHANGED]


def test_what_is_excluded_is_not_compared_and_is_counted() -> None:
    stored = record(scalar("1"), scalar("1", "wall time"))
    recording = replace(VALUES_ONLY, exclude=(ItemPattern(name="wall*"),))
    comparison = compare(stored, record(scalar("1"), scalar("2", "wall time")), recording)
    assert comparison.passed
    assert (comparison.stored, comparison.excluded, dict(comparison.compared)) == (1, 1, {"scalar": 1})


def test_excluding_all_is_no_pass() -> None:
    everything = replace(VALUES_ONLY, exclude=(ItemPattern(),))
    assert not compare(record(scalar("1")), record(scalar("1")), everything).passed


def test_a_renamed_item_is_suggested_and_still_a_difference() -> None:
    fields = [("count", "3"), ("mean", "0.5")]
    before = [
        RecordedValue(kind="statistic", module="N", name="a", field=field, value=value) for field, value in fields
    ]
    comparison = compare(
        record(*before, scalar("7", "s")),
        record(*(replace(value, name="b", module="M") for value in before), scalar("8", "s")),
        VALUES_ONLY,
    )
    renames = {one.renamed for one in comparison.differences if one.state is State.MISSING}
    assert renames == {("M", "b")}
    assert len(comparison.differences) == 5


def test_an_ambiguous_rename_is_not_guessed() -> None:
    comparison = compare(record(scalar("0", "a")), record(scalar("0", "b"), scalar("0", "c")), VALUES_ONLY)
    assert all(one.renamed is None for one in comparison.differences)


class TestRules:
    """Tolerances, and which of them judges."""

    @staticmethod
    def rule(
        absolute: float = 0.0, relative: float = 0.0, module: str = "**", name: str = "**", field: str = "**"
    ) -> Rule:
        return Rule(
            items=ItemPattern(module=module, name=name),
            field=field,
            tolerance=Tolerance(absolute=absolute, relative=relative),
        )

    def passes(self, baseline: str, obtained: str, *rules: Rule) -> bool:
        return compare(record(scalar(baseline)), record(scalar(obtained)), VALUES_ONLY, Rules(rules)).passed

    @pytest.mark.parametrize(
        ("baseline", "obtained", "absolute", "relative", "passes"),
        [
            ("100", "101", 0.0, 0.01, True),
            ("100", "101.0000001", 0.0, 0.01, False),
            ("100", "99", 0.0, 0.01, True),
            ("-100", "-101", 0.0, 0.01, True),
            ("-100", "100", 0.0, 1.0, False),
            # Decimal, not binary: 0.3 - 0.2 is 0.09999999999999998 in doubles.
            ("0.2", "0.3", 0.1, 0.0, True),
            ("0.3", "0.2", 0.1, 0.0, True),
            ("0", "1e-9", 0.0, 0.5, False),
            ("0", "1e-9", 1e-9, 0.0, True),
            ("10", "12", 1.0, 0.1, True),
            ("10", "12.1", 1.0, 0.1, False),
            # Counts are numbers like others.
            ("3", "4", 1.0, 0.0, True),
            ("1e308", "-1e308", 1e308, 1.0, True),
            ("1", "nan", 1e300, 1.0, False),
            ("nan", "1", 1e300, 1.0, False),
            ("1", "inf", 1e300, 1.0, False),
            ("inf", "1", 1e300, 1.0, False),
            ("inf", "-inf", 1e300, 1.0, False),
            ("inf", "inf", 0.0, 0.0, True),
            ("text", "texx", 1e300, 1.0, False),
        ],
    )
    def test_allows_absolute_plus_relative(
        self, baseline: str, obtained: str, absolute: float, relative: float, passes: bool
    ) -> None:
        assert self.passes(baseline, obtained, self.rule(absolute, relative)) is passes

    def test_the_first_rule_that_matches_wins(self) -> None:
        exact, loose = self.rule(name="x"), self.rule(1.0)
        assert not self.passes("1", "2", exact, loose)
        assert self.passes("1", "2", loose, exact)

    def test_a_rule_for_others_does_not_judge(self) -> None:
        assert not self.passes("1", "2", self.rule(1.0, module="M"))
        assert not self.passes("1", "2", self.rule(1.0, name="y"))
        assert not self.passes("1", "2", self.rule(1.0, field="mean"))

    def test_a_rule_may_be_for_one_field(self) -> None:
        def statistic(mean: str, count: str) -> Record:
            fields = {"mean": mean, "count": count}
            return record(
                *(RecordedValue(kind="statistic", module="N", name="s", field=f, value=v) for f, v in fields.items())
            )

        rules = Rules([self.rule(1.0, field="mean")])
        assert compare(statistic("1", "1"), statistic("2", "1"), VALUES_ONLY, rules).passed
        assert not compare(statistic("1", "1"), statistic("1", "2"), VALUES_ONLY, rules).passed

    def test_fingerprints_and_parameters_know_no_tolerance(self) -> None:
        rules = Rules([self.rule(1e300, 1e300)])
        recording = Recording(parameters=Inputs.VALUES, attributes=Inputs.OFF)
        stored = record(fingerprint("1000-0000"), parameter("1"))
        obtained = record(fingerprint("1000-0001"), parameter("2"))
        comparison = compare(stored, obtained, recording, rules)
        assert [one.state for one in comparison.differences] == [State.CHANGED, State.CHANGED]
        assert rules.unused(comparison.rules_used) == tuple(rules)

    def test_says_which_rule_judged_and_which_judged_nothing(self) -> None:
        near, far, other = self.rule(0.1, name="x"), self.rule(5.0, name="y"), self.rule(1.0, module="M")
        rules = Rules([near, far, other])
        comparison = compare(
            record(scalar("1"), scalar("1", "y")), record(scalar("2"), scalar("3", "y")), VALUES_ONLY, rules
        )
        assert [(one.name, one.rule) for one in comparison.differences] == [("x", near)]
        assert comparison.tolerated == 1
        assert comparison.rules_used == {0, 1}
        assert rules.unused(comparison.rules_used) == (other,)

    def test_a_rule_is_used_by_values_that_are_equal(self) -> None:
        rules = Rules([self.rule(0.1)])
        assert not rules.unused(compare(record(scalar("1")), record(scalar("1")), VALUES_ONLY, rules).rules_used)

    @pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
    def test_an_impossible_tolerance_is_refused(self, wrong: float) -> None:
        with pytest.raises(ValueError, match=r"the absolute tolerance must be"):
            Tolerance(absolute=wrong)
        with pytest.raises(ValueError, match=r"the relative tolerance must be"):
            Tolerance(relative=wrong)
