"""SimPy, or one clear message where it is missing.

Of SimPy the core is used: environment and events. Its `__init__` looks up its own version in the installed packages,
which takes longer than many a run of the examples; so only `simpy.core` is loaded, unless SimPy is there already.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types

_MISSING = "The example simulations need SimPy: pip install 'pytest-oppcloud[examples]'"


def _load() -> types.ModuleType:
    if "simpy" in sys.modules:
        return importlib.import_module("simpy.core")
    specification = importlib.util.find_spec("simpy")
    if specification is None:
        raise SystemExit(_MISSING)
    # The package stands in for itself while its core is loaded, then makes room for the real one.
    sys.modules["simpy"] = importlib.util.module_from_spec(specification)
    try:
        return importlib.import_module("simpy.core")
    finally:
        del sys.modules["simpy"]


_core = _load()
Environment = _core.Environment
EmptySchedule = _core.EmptySchedule
Event = _core.Event
