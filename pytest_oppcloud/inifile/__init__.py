"""Ini files the way OMNeT++ reads them, without OMNeT++.

`read_ini` reads and checks; `pytest_oppcloud.runs.expand` makes runs of a configuration. Modules: `characters` (text),
`patterns`, `expressions`, `versions`, `options` (the table), `reader` (lines and sections), `inheritance`,
`validation`, `lookup`, `contents`. Nothing here knows pytest.
"""

from __future__ import annotations

from pytest_oppcloud.errors import IniError

from .contents import ConfigInfo, IniContents, read_ini
from .expressions import ExpressionError, Quantity, quantity
from .versions import DEFAULT_VERSION, VERSIONS, Version

__all__ = [
    "DEFAULT_VERSION",
    "VERSIONS",
    "ConfigInfo",
    "ExpressionError",
    "IniContents",
    "IniError",
    "Quantity",
    "Version",
    "quantity",
    "read_ini",
]
