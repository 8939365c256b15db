"""Words of a line, quoted as in result files."""

from __future__ import annotations

import pytest

from pytest_oppcloud.baselines.words import join, split


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("plain", "plain"),
        ("Net.host[3]", "Net.host[3]"),
        ("", '""'),
        ("collision length", '"collision length"'),
        ('"ok"', r'"\"ok\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a\tb\nc\rd\be\f", r'"a\tb\nc\rd\be\f"'),
        ("\x00\x1b\x7f", r'"\x00\x1b\x7f"'),
        ("é ü", '"é ü"'),
        ("日本", "日本"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r'"caf\xe9"'),
        ("\u2028", r'"\xe2\x80\xa8"'),
        ("\x85", r'"\xc2\x85"'),
        ("#0", "#0"),
        ("~2", "~2"),
    ],
)
def test_quoting(word: str, text: str) -> None:
    assert join([word]) == text
    assert split(text) == [word]


def test_unneeded_quotes_and_raw_bytes_are_understood() -> None:
    assert split('"a" b "c d"') == ["a", "b", "c d"]
    assert split('"a\udce9"') == ["a\udce9"]


@pytest.mark.parametrize(
    "line", ["", " a", "a ", "a  b", '"a', '"a"b', 'a"b"', r'"\q"', r'"\x4"', '"\\"', ' "a"', '"a" ']
)
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"blank|word|escape"):
        split(line)
