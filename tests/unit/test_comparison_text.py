"""What people read: everything that differs, worst first, and nothing left out without being counted."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest
from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.comparison import Rule, Rules, Tolerance, compare, render, summary
from pytest_oppcloud.comparison.text import printable
from pytest_oppcloud.records import Inputs, ItemPattern, Record, Recording
from pytest_oppcloud.records.record import ordered, stored_form

VALUES_ONLY = Recording(parameters=Inputs.OFF, attributes=Inputs.OFF)


def scalar(name: str, value: str, module: str = "N") -> RecordedValue:
    return RecordedValue(kind="scalar", module=module, name=name, value=value)


def fingerprint(value: str) -> RecordedValue:
    return RecordedValue(kind="fingerprint", module="", name="tplx", value=value)


def record(*values: RecordedValue, **fields: object) -> Record:
    return replace(Record(values=ordered(values)), **fields)  # type: ignore[arg-type]  # fields of a record


def text_of(stored: Record, obtained: Record, *rules: Rule, width: int = 80, rows: int | None = 20) -> str:
    return render(compare(stored, obtained, VALUES_ONLY, Rules(rules)), width=width, rows=rows)


def test_a_short_table_worst_first() -> None:
    stored = record(fingerprint("0617-2d8e"), scalar("a", "1"), scalar("b", "0.5"), scalar("c", "2"), scalar("d", "3"))
    obtained = record(
        fingerprint("dead-beef"), scalar("a", "1.001"), scalar("b", "nan"), scalar("c", "2"), scalar("e", "4")
    )
    assert text_of(stored, obtained) == dedent("""\
        Differs from the baseline: 1 missing, 1 new, 1 nan appeared, 2 changed; compared
        4 of 5 values: 1 fingerprint, 3 scalars.

                      what               baseline   obtained  absolute  relative
        changed       fingerprint tplx  0617-2d8e  dead-beef
        missing       N d                       3          -
        new           N e                       -          4
        nan appeared  N b                     0.5        nan
        changed       N a                       1      1.001     0.001     0.001""")


def test_long_names_are_never_cut() -> None:
    module = "WirelessNetwork.accessPoint[12].wlan[0].mac.dcf.channelAccess"
    stored = record(scalar("packetDropRetryLimitReached:count", "0.12345678901234", module))
    obtained = record(scalar("packetDropRetryLimitReached:count", "0.12345678901235", module))
    text = text_of(stored, obtained)
    assert text == dedent("""\
        Differs from the baseline: 1 changed; compared 1 of 1 values: 1 scalar.

        what
                    baseline          obtained  absolute  relative
        changed  WirelessNetwork.accessPoint[12].wlan[0].mac.dcf.channelAccess packetDropRetryLimitReached:count
            0.12345678901234  0.12345678901235     1e-14   8.1e-14""")


def test_leads_with_what_is_not_as_it_was() -> None:
    stored = record(scalar("a", "1"), provenance={"omnetpp": "6.1"}, settings={"sim-time-limit": "10s"}, seed_set="0")
    obtained = record(scalar("a", "1"), provenance={"compiler": "gcc 13"}, settings={"x": ""}, seed_set="1")
    assert text_of(stored, obtained) == dedent("""\
        Differs from the baseline: 2 settings differ; compared 1 of 1 values: 1 scalar.

        Since it was recorded:
          compiler        (unknown) -> gcc 13
          omnetpp         6.1 -> (unknown)
          seed-set        0 -> 1
          sim-time-limit  10s -> (not set)   (a setting: must be equal)
          x               (not set) -> (empty)   (a setting: must be equal)""")


def test_what_does_not_fit_is_counted() -> None:
    stored = record(*(scalar(f"x{number}", "1") for number in range(30)))
    obtained = record(*(scalar(f"x{number}", "2") for number in range(28)))
    text = text_of(stored, obtained, rows=5)
    assert text.count("changed  ") == 3
    assert text.splitlines()[-1] == "and 25 more: 25 changed"
    assert "2 missing, 28 changed; compared 28 of 30 values" in text.replace("\n", " ")
    assert text_of(stored, obtained, rows=None).count("changed  ") == 28


def test_names_the_rule_that_judged() -> None:
    rule = Rule(items=ItemPattern(module="N"), tolerance=Tolerance(relative=1e-6), source="oppcloud.toml:12")
    text = text_of(record(scalar("a", "1"), scalar("b", "1")), record(scalar("a", "2"), scalar("b", "2")), rule)
    assert text.splitlines()[-1] == "Rule `N **` absolute 0, relative 1e-06 (oppcloud.toml:12) judged 2 of these."


def test_suggests_a_rename() -> None:
    text = text_of(record(scalar("old", "0.25")), record(scalar("young", "0.25")))
    assert text.splitlines()[-1] == "Perhaps renamed, its values are the same: N old -> N young"


def test_tells_what_a_digest_hides() -> None:
    def with_parameter(value: str) -> Record:
        return record(scalar("a", "1"), RecordedValue(kind="par", module="N", name="p", value=value))

    stored = stored_form(with_parameter("1s"), Recording().forms)
    text = render(compare(stored, with_parameter("2s")))
    assert "changed  all parameters" in text
    assert "recorded as values, they would be shown one by one" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (RecordedValue(kind="statistic", module="N", name="delay", field="mean", value="1"), "N delay mean"),
        (RecordedValue(kind="bin", module="N", name="delay", field="-inf", value="1"), "N delay [-inf..]"),
        (RecordedValue(kind="par", module="N", name="p", value="1"), "par N p"),
        (RecordedValue(kind="attr", module="N", name="p", field="unit", value="s"), "attr N p unit"),
        (RecordedValue(kind="attr", module="", name="", field="network", value="N"), "attr network"),
    ],
)
def test_each_kind_is_recognised(value: RecordedValue, shown: str) -> None:
    everything = Recording(parameters=Inputs.VALUES, attributes=Inputs.VALUES)
    text = render(compare(record(value), record(), everything))
    assert f"missing  {shown} " in text


def test_nothing_compared_is_said() -> None:
    assert text_of(record(), record()) == (
        "No result was compared with the baseline, so this is no pass; compared 0 of 0\nvalues."
    )


def test_a_pass_says_how_much_it_compared() -> None:
    rules = Rules([Rule(items=ItemPattern(name="b"), tolerance=Tolerance(absolute=1))])
    recording = replace(VALUES_ONLY, exclude=(ItemPattern(name="c"),))
    stored = record(fingerprint("0617-2d8e"), scalar("a", "1"), scalar("b", "1"), scalar("c", "1"))
    obtained = record(fingerprint("0617-2d8e"), scalar("a", "1"), scalar("b", "2"))
    assert summary(compare(stored, obtained, recording, rules)) == (
        "compared 3 of 3 values: 1 fingerprint, 2 scalars; 1 within their tolerance; "
        "1 of the baseline left out by the settings"
    )


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    nasty = "\x1b[31m\n\udcff\u202e"
    text = text_of(
        record(scalar(nasty, nasty), provenance={nasty: nasty}, settings={nasty: nasty}), record(scalar(nasty, "2"))
    )
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[31m\\n\\udcff\\u202e" in text
    text.encode()


def test_printable_leaves_text_alone() -> None:
    assert printable("größer 日本 a b") == "größer 日本 a b"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_stay_within_the_width_where_names_let_them(width: int) -> None:
    stored = record(*(scalar(f"x{number}", "1." + "1" * 40) for number in range(9)), provenance={"a": "b"})
    obtained = record(*(scalar(f"x{number}", "2") for number in range(9)))
    lines = text_of(stored, obtained, width=width).splitlines()
    assert max(map(len, lines)) <= max(width, 60)
