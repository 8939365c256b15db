"""Measurement units: OMNeT++'s table, conversion, and the reading of quantities such as "1h 30min".

The names and factors are those of OMNeT++ 6.1, src/common/unitconversion.cc. Depends on nothing but the values.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Final

from pytest_oppcloud.inifile.characters import SPACE

from .values import ExpressionError

_KI: Final = 1024.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that OMNeT++ knows."""

    name: str
    long_name: str
    #: Name of the unit that this one is a multiple, or a logarithm, of; base units name themselves.
    base: str
    #: value in base units = factor * value; or, if logarithmic, 10 ** (value / factor).
    factor: float
    logarithmic: bool = False


def _linear(base: str, *rows: tuple[str, float, str]) -> list[Unit]:
    return [Unit(name, long_name, base, factor) for name, factor, long_name in rows]


def _logarithmic(*rows: tuple[str, float, str, str]) -> list[Unit]:
    return [Unit(name, long_name, base, factor, logarithmic=True) for name, factor, base, long_name in rows]


_UNITS: Final = [
    *_linear(
        "s",
        ("d", 86400.0, "day"),
        ("h", 3600.0, "hour"),
        ("min", 60.0, "minute"),
        ("s", 1.0, "second"),
        ("ms", 1e-3, "millisecond"),
        ("us", 1e-6, "microsecond"),
        ("ns", 1e-9, "nanosecond"),
        ("ps", 1e-12, "picosecond"),
        ("fs", 1e-15, "femtosecond"),
        ("as", 1e-18, "attosecond"),
    ),
    *_linear(
        "bps",
        ("bps", 1.0, "bit/sec"),
        ("kbps", 1e3, "kilobit/sec"),
        ("Mbps", 1e6, "megabit/sec"),
        ("Gbps", 1e9, "gigabit/sec"),
        ("Tbps", 1e12, "terabit/sec"),
    ),
    *_linear(
        "b",
        ("B", 8.0, "byte"),
        ("KiB", 8 * _KI, "kibibyte"),
        ("MiB", 8 * _KI**2, "mebibyte"),
        ("GiB", 8 * _KI**3, "gibibyte"),
        ("TiB", 8 * _KI**4, "tebibyte"),
        ("kB", 8e3, "kilobyte"),
        ("MB", 8e6, "megabyte"),
        ("GB", 8e9, "gigabyte"),
        ("TB", 8e12, "terabyte"),
        ("b", 1.0, "bit"),
        ("Kib", _KI, "kibibit"),
        ("Mib", _KI**2, "mebibit"),
        ("Gib", _KI**3, "gibibit"),
        ("Tib", _KI**4, "tebibit"),
        ("kb", 1e3, "kilobit"),
        ("Mb", 1e6, "megabit"),
        ("Gb", 1e9, "gigabit"),
        ("Tb", 1e12, "terabit"),
    ),
    *_linear("rad", ("rad", 1.0, "radian"), ("deg", math.pi / 180, "degree")),
    *_linear(
        "m",
        ("m", 1.0, "meter"),
        ("dm", 1e-1, "decimeter"),
        ("cm", 1e-2, "centimeter"),
        ("mm", 1e-3, "millimeter"),
        ("um", 1e-6, "micrometer"),
        ("nm", 1e-9, "nanometer"),
        ("km", 1e3, "kilometer"),
    ),
    *_linear(
        "W",
        ("W", 1.0, "watt"),
        ("mW", 1e-3, "milliwatt"),
        ("uW", 1e-6, "microwatt"),
        ("nW", 1e-9, "nanowatt"),
        ("pW", 1e-12, "picowatt"),
        ("fW", 1e-15, "femtowatt"),
        ("kW", 1e3, "kilowatt"),
        ("MW", 1e6, "megawatt"),
        ("GW", 1e9, "gigawatt"),
    ),
    *_linear(
        "Hz",
        ("Hz", 1.0, "hertz"),
        ("kHz", 1e3, "kilohertz"),
        ("MHz", 1e6, "megahertz"),
        ("GHz", 1e9, "gigahertz"),
        ("THz", 1e12, "terahertz"),
    ),
    *_linear("kg", ("kg", 1.0, "kilogram"), ("g", 1e-3, "gram"), ("t", 1e3, "tonne")),
    *_linear("K", ("K", 1.0, "kelvin")),
    *_linear(
        "J",
        ("J", 1.0, "joule"),
        ("kJ", 1e3, "kilojoule"),
        ("MJ", 1e6, "megajoule"),
        ("Ws", 1.0, "watt-second"),
        ("Wh", 3600.0, "watt-hour"),
        ("kWh", 3600e3, "kilowatt-hour"),
        ("MWh", 3600e6, "megawatt-hour"),
    ),
    *_linear("V", ("V", 1.0, "volt"), ("kV", 1e3, "kilovolt"), ("mV", 1e-3, "millivolt")),
    *_linear("A", ("A", 1.0, "ampere"), ("mA", 1e-3, "milliampere"), ("uA", 1e-6, "microampere")),
    *_linear(
        "Ohm", ("Ohm", 1.0, "ohm"), ("mOhm", 1e-3, "milliohm"), ("kOhm", 1e3, "kiloohm"), ("MOhm", 1e6, "megaohm")
    ),
    *_linear("mps", ("mps", 1.0, "meter/sec"), ("kmps", 1e3, "kilometer/sec"), ("kmph", 1 / 3.6, "kilometer/hour")),
    *_linear(
        "As",
        ("C", 1.0, "coulomb"),
        ("As", 1.0, "ampere-second"),
        ("mAs", 1e-3, "milliampere-second"),
        ("Ah", 3600.0, "ampere-hour"),
        ("mAh", 3.6, "milliampere-hour"),
    ),
    *_linear("x", ("x", 1.0, "times")),
    *_logarithmic(
        ("dBW", 10.0, "W", "decibel-watt"),
        ("dBm", 10.0, "mW", "decibel-milliwatt"),
        ("dBmW", 10.0, "mW", "decibel-milliwatt"),
        ("dBV", 20.0, "V", "decibel-volt"),
        ("dBmV", 20.0, "mV", "decibel-millivolt"),
        ("dBA", 20.0, "A", "decibel-ampere"),
        ("dBmA", 20.0, "mA", "decibel-milliampere"),
        ("dB", 20.0, "x", "decibel"),
    ),
]
_BY_NAME: Final = {unit.name: unit for unit in _UNITS}
_BY_LONG_NAME: Final = {unit.long_name: unit for unit in reversed(_UNITS)}


@functools.lru_cache(maxsize=1024)
def find_unit(name: str) -> Unit | None:
    """Return the unit of that name: short, or long ("milliseconds", any case, also plural); None if unknown."""
    while True:
        if name in _BY_NAME:
            return _BY_NAME[name]
        if len(name) >= 3 and name.isascii() and name.lower() in _BY_LONG_NAME:
            return _BY_LONG_NAME[name.lower()]
        if len(name) < 4 or not name.endswith("s"):
            return None
        name = name[:-1]


def is_linear(name: str) -> bool:
    """Tell whether quantities in that unit can be added and multiplied; unknown units can."""
    unit = find_unit(name)
    return unit is None or not unit.logarithmic


def describe(name: str) -> str:
    """Return a unit as messages show it: 's' (second), or none."""
    if not name:
        return "none"
    unit = find_unit(name)
    return f"'{name}' ({unit.long_name})" if unit else f"'{name}'"


def conversion_factor(name: str, target: str) -> float:
    """Return by what to multiply a value in unit `name` to have it in `target`; 0 where that is impossible."""
    if name == target:
        return 1.0
    unit, target_unit = find_unit(name), find_unit(target)
    if unit is None or target_unit is None:
        return 0.0
    return _factor(unit, target_unit)


def _factor(unit: Unit, target: Unit) -> float:
    if unit is target:
        return 1.0
    if unit.base == target.name and not unit.logarithmic:
        return unit.factor
    if unit.name == target.base and not target.logarithmic:
        return 1.0 / target.factor
    if unit.name != unit.base and not unit.logarithmic:
        return unit.factor * _factor(_BY_NAME[unit.base], target)
    if target.name != target.base and not target.logarithmic:
        return _factor(unit, _BY_NAME[target.base]) / target.factor
    return 0.0


def convert(value: float, name: str, target: str) -> float:
    """Return `value` in the unit `target`; raise `ExpressionError` with OMNeT++'s words where that is impossible."""
    if name == target or (math.isnan(value) and not name):
        return value
    unit, target_unit = find_unit(name), find_unit(target)
    result = math.nan if unit is None or target_unit is None else _convert(value, unit, target_unit)
    if unit is None or target_unit is None or (math.isnan(result) and not math.isnan(value)):
        raise ExpressionError(f"Cannot convert unit {describe(name)} to {describe(target)}")
    return result


def _convert(value: float, unit: Unit, target: Unit) -> float:
    if unit is target:
        return value
    if unit.base == target.name:
        return _to_base(value, unit)
    if unit.name == target.base:
        return _from_base(value, target)
    if unit.name != unit.base:
        return _convert(_to_base(value, unit), _BY_NAME[unit.base], target)
    if target.name != target.base:
        return _from_base(_convert(value, unit, _BY_NAME[target.base]), target)
    return math.nan


def _to_base(value: float, unit: Unit) -> float:
    if not unit.logarithmic:
        return unit.factor * value
    try:
        return math.pow(10.0, value / unit.factor)
    except OverflowError:
        return math.inf


def _from_base(value: float, unit: Unit) -> float:
    if not unit.logarithmic:
        return value / unit.factor
    if value > 0:
        return unit.factor * math.log10(value)
    return -math.inf if value == 0 else math.nan


#: What C's strtod() reads, white space in front included.
_NUMBER: Final = re.compile(
    r"[ \t\n\v\f\r]*([+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?:infinity|inf|nan(?:\([A-Za-z0-9_]*\))?)))",
    re.IGNORECASE,
)
_UNIT: Final = re.compile(r"[ \t\n\v\f\r]*([A-Za-z]*)[ \t\n\v\f\r]*")
_SMALLEST_NORMAL: Final = 2.2250738585072014e-308


def parse_quantity(text: str) -> tuple[float, str]:
    """Return number and unit of "2h 30min" (150.0, "min") or "5" (5.0, "").

    Raise `ExpressionError` with the words of UnitConversion::parseQuantity (src/common/unitconversion.cc).
    """
    number, position = _read_number(text, 0)
    if number is None:
        raise ExpressionError(f"Syntax error parsing quantity '{text}': Must begin with a number")
    unit, position = _read_unit(text, position)
    if not unit:
        if position < len(text):
            raise ExpressionError(f"Syntax error parsing quantity '{text}': Garbage after first number")
        return number, ""
    negative = number < 0
    total = abs(number) if negative else number
    while position < len(text):
        part, after = _read_number(text, position)
        if part is None:
            raise ExpressionError(f"Syntax error parsing quantity '{text}'")
        part_unit, position = _read_unit(text, after)
        total = total * _step_down(text, part, unit, part_unit) + part
        unit = part_unit
    return (-total if negative else total), unit


def _step_down(text: str, part: float, unit: str, part_unit: str) -> float:
    """Return how many of `part_unit` make one `unit`; raise `ExpressionError` if the two cannot follow each other."""
    if not part_unit:
        raise ExpressionError(f"Syntax error parsing quantity '{text}': Missing unit")
    if part < 0:
        raise ExpressionError(f"Syntax error parsing quantity '{text}': Minus sign only accepted at the front")
    if not is_linear(unit) or not is_linear(part_unit):
        raise ExpressionError(
            f"Error in quantity '{text}': Concatenated quantity literals are not supported with "
            "non-linear units like dB"
        )
    factor = conversion_factor(unit, part_unit)
    if factor == 0:
        raise ExpressionError(f"Error in quantity '{text}': Unit {describe(part_unit)} does not match {describe(unit)}")
    if factor <= 1:
        raise ExpressionError(f"Error in quantity '{text}': Units must be in strictly decreasing order of magnitude")
    return factor


def _read_number(text: str, position: int) -> tuple[float | None, int]:
    match = _NUMBER.match(text, position)
    if match is None:
        return None, position
    digits = match.group(1)
    value = c_double(digits)
    if (math.isinf(value) and "n" not in digits.lower()) or (
        abs(value) < _SMALLEST_NORMAL and (value != 0 or re.search("[1-9]", digits.lower().split("e")[0]))
    ):
        raise ExpressionError(f"Overflow or underflow during conversion of '{text[position:]}'")
    position = match.end()
    if digits[-1].isalpha() and text[position : position + 1].isascii() and text[position : position + 1].isalpha():
        raise ExpressionError(f"Syntax error parsing quantity '{text[match.start() :]}': Space required after nan/inf")
    while position < len(text) and text[position] in SPACE:
        position += 1
    return value, position


def _read_unit(text: str, position: int) -> tuple[str, int]:
    match = _UNIT.match(text, position)
    return (match.group(1), match.end()) if match else ("", position)


def c_double(digits: str) -> float:
    """Return the number that C's strtod() makes of `digits`, which it accepts."""
    lowered = digits.lower()
    if "nan" in lowered:
        return math.nan
    if "x" in lowered:
        try:
            return float.fromhex(digits)
        except OverflowError:
            return math.inf
    return float(digits)
