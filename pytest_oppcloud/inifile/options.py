"""The configuration options that OMNeT++ knows; anything else in an ini file is a mistake (or a library's option).

The table holds facts of OMNeT++ 6.1.0: the registrations `Register_*ConfigOption` of its source, as `opp_run -h
config` lists them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from .versions import Version


class Scope(enum.Enum):
    """Where an option may be set."""

    #: In [General] only.
    GLOBAL = "global"
    #: In every section.
    RUN = "per-run"
    #: With the path of an object in front: `**.vector-recording`.
    OBJECT = "per-object"


@dataclass(frozen=True, slots=True)
class Option:
    """A configuration option."""

    name: str
    scope: Scope
    #: "bool", "int", "double", "string", "filename", "filenames", "path" or "custom".
    type: str
    #: Unit of a double, "" for none.
    unit: str
    #: The text that holds where nothing else is set; may contain variables. None: no default.
    default: str | None


#: Type, unit and default by name. A `%` in a name stands for a number.
_Rows: TypeAlias = Mapping[str, "tuple[str, str, str | None]"]

_FILE_STEM: Final = "${resultdir}/${configname}-${iterationvarsf}#${repetition}"

_GLOBAL: Final[_Rows] = {
    "cmdenv-config-name": ("string", "", None),
    "cmdenv-extra-stack": ("double", "B", "8KiB"),
    "cmdenv-runs-to-execute": ("string", "", None),
    "configuration-class": ("string", "", None),
    "debugger-attach-command": ("string", "", None),
    "debugger-attach-on-error": ("bool", "", "false"),
    "debugger-attach-on-startup": ("bool", "", "false"),
    "debugger-attach-wait-time": ("double", "s", "20s"),
    "fname-append-host": ("bool", "", None),
    "image-path": ("path", "", "./images"),
    "load-libs": ("filenames", "", None),
    "ned-package-exclusions": ("custom", "", None),
    "ned-path": ("path", "", None),
    "output-scalar-db-commit-freq": ("int", "", "100000"),
    "output-vector-db-indexing": ("custom", "", "skip"),
    "parallel-simulation": ("bool", "", "false"),
    "parsim-communications-class": ("string", "", "omnetpp::cFileCommunications"),
    "parsim-num-partitions": ("int", "", None),
    "parsim-synchronization-class": ("string", "", "omnetpp::cNullMessageProtocol"),
    "realtimescheduler-scaling": ("double", "", None),
    "sectionbasedconfig-configreader-class": ("string", "", None),
    "simtime-resolution": ("custom", "", "ps"),
    "simtime-scale": ("int", "", "-12"),
    "total-stack": ("double", "B", None),
    "user-interface": ("string", "", None),
}

_RUN: Final[_Rows] = {
    "abstract": ("bool", "", "false"),
    "allow-object-stealing-on-deletion": ("bool", "", "false"),
    "check-signals": ("bool", "", "false"),
    "cmdenv-autoflush": ("bool", "", "false"),
    "cmdenv-event-banner-details": ("bool", "", "false"),
    "cmdenv-event-banners": ("bool", "", "true"),
    "cmdenv-express-mode": ("bool", "", "true"),
    "cmdenv-fake-gui": ("bool", "", "false"),
    "cmdenv-fake-gui-after-event-probability": ("double", "", "1"),
    "cmdenv-fake-gui-before-event-probability": ("double", "", "1"),
    "cmdenv-fake-gui-on-hold-numsteps": ("custom", "", "3"),
    "cmdenv-fake-gui-on-hold-probability": ("double", "", "0.5"),
    "cmdenv-fake-gui-on-simtime-numsteps": ("custom", "", "3"),
    "cmdenv-fake-gui-on-simtime-probability": ("double", "", "0.1"),
    "cmdenv-fake-gui-seed": ("int", "", "1"),
    "cmdenv-interactive": ("bool", "", "false"),
    "cmdenv-log-prefix": ("string", "", "[%l]\t"),
    "cmdenv-output-file": ("filename", "", _FILE_STEM + ".out"),
    "cmdenv-performance-display": ("bool", "", "true"),
    "cmdenv-redirect-output": ("bool", "", "false"),
    "cmdenv-status-frequency": ("double", "s", "2s"),
    "cmdenv-stop-batch-on-error": ("bool", "", "true"),
    "config-recording": ("custom", "", "all"),
    "constraint": ("string", "", None),
    "cpu-time-limit": ("double", "s", None),
    "debug-on-errors": ("bool", "", "false"),
    "debug-statistics-recording": ("bool", "", "false"),
    "description": ("string", "", None),
    "eventlog-file": ("filename", "", _FILE_STEM + ".elog"),
    "eventlog-index-frequency": ("double", "B", "1 MiB"),
    "eventlog-max-size": ("double", "B", "10 GiB"),
    "eventlog-message-detail-pattern": ("custom", "", None),
    "eventlog-min-truncated-size": ("double", "B", "1 GiB"),
    "eventlog-options": ("custom", "", None),
    "eventlog-recording-intervals": ("custom", "", None),
    "eventlog-snapshot-frequency": ("double", "B", "100 MiB"),
    "eventlogmanager-class": ("string", "", "omnetpp::envir::EventlogFileManager"),
    "experiment-label": ("string", "", "${configname}"),
    "extends": ("string", "", None),
    "fingerprint": ("string", "", None),
    "fingerprint-events": ("string", "", "*"),
    "fingerprint-ingredients": ("string", "", "tplx"),
    "fingerprint-modules": ("string", "", "*"),
    "fingerprint-results": ("string", "", "*"),
    "fingerprintcalculator-class": ("string", "", "omnetpp::cSingleFingerprintCalculator"),
    "futureeventset-class": ("string", "", "omnetpp::cEventHeap"),
    "iteration-nesting-order": ("string", "", None),
    "max-module-nesting": ("int", "", "50"),
    "measurement-label": ("string", "", "${iterationvars}"),
    "network": ("string", "", None),
    "num-rngs": ("int", "", "1"),
    "output-scalar-file": ("filename", "", _FILE_STEM + ".sca"),
    "output-scalar-file-append": ("bool", "", "false"),
    "output-scalar-precision": ("int", "", "14"),
    "output-vector-file": ("filename", "", _FILE_STEM + ".vec"),
    "output-vector-file-append": ("bool", "", "false"),
    "output-vector-precision": ("int", "", "14"),
    "output-vectors-memory-limit": ("double", "B", "16MiB"),
    "outputscalarmanager-class": ("string", "", "omnetpp::envir::OmnetppOutputScalarManager"),
    "outputvectormanager-class": ("string", "", "omnetpp::envir::OmnetppOutputVectorManager"),
    "parameter-mutability-check": ("bool", "", "true"),
    "print-instantiated-ned-types": ("bool", "", "false"),
    "print-undisposed": ("bool", "", "true"),
    "print-unused-parameters": ("bool", "", "false"),
    "real-time-limit": ("double", "s", None),
    "record-eventlog": ("bool", "", "false"),
    "repeat": ("int", "", "1"),
    "replication-label": ("string", "", "#${repetition}"),
    "result-dir": ("string", "", "results"),
    "resultdir-subdivision": ("bool", "", "false"),
    "rng-class": ("string", "", "omnetpp::cMersenneTwister"),
    "runnumber-width": ("int", "", "0"),
    "scheduler-class": ("string", "", "omnetpp::cSequentialScheduler"),
    "seed-%-lcg32": ("int", "", None),
    "seed-%-mt": ("int", "", None),
    "seed-%-mt-p%": ("int", "", None),
    "seed-set": ("int", "", "${runnumber}"),
    "sim-time-limit": ("double", "s", None),
    "snapshot-file": ("filename", "", _FILE_STEM + ".sna"),
    "snapshotmanager-class": ("string", "", "omnetpp::envir::FileSnapshotManager"),
    "warmup-period": ("double", "s", None),
    "warnings": ("bool", "", "true"),
}

_OBJECT: Final[_Rows] = {
    "bin-recording": ("bool", "", "true"),
    "cmdenv-log-level": ("string", "", "TRACE"),
    "display-name": ("string", "", None),
    "display-string": ("string", "", None),
    "module-eventlog-recording": ("bool", "", "true"),
    "param-record-as-scalar": ("bool", "", "false"),
    "param-recording": ("bool", "", "true"),
    "partition-id": ("string", "", None),
    "result-recording-modes": ("string", "", "default"),
    "rng-%": ("int", "", None),
    "scalar-recording": ("bool", "", "true"),
    "statistic-recording": ("bool", "", "true"),
    "typename": ("string", "", None),
    "vector-buffer": ("double", "B", "1MiB"),
    "vector-record-empty": ("bool", "", "true"),
    "vector-record-eventnumbers": ("bool", "", "true"),
    "vector-recording": ("bool", "", "true"),
    "vector-recording-intervals": ("custom", "", None),
}


class OptionTable:
    """The options of one OMNeT++ version, and those that libraries add."""

    def __init__(self, version: Version, extra: tuple[str, ...] = ()) -> None:
        """Build the table; `extra` names options that are accepted everywhere."""
        self._options = {
            name: Option(name, scope, *row)
            for scope, rows in ((Scope.GLOBAL, _GLOBAL), (Scope.RUN, _RUN), (Scope.OBJECT, _OBJECT))
            for name, row in rows.items()
            if name not in version.missing_options
        }
        for name in version.further_options:
            self._options[name] = Option(name, Scope.RUN, "custom", "", None)
        self._ignored_prefixes = version.ignored_prefixes
        self._extra = frozenset(name for name in extra if "%" not in name)
        self._numbered = [(_numbered(option.name), option) for option in self._options.values() if "%" in option.name]
        self._extra_numbered = [_numbered(name) for name in extra if "%" in name]

    def find(self, name: str) -> Option | None:
        """Return the option of that name: `seed-3-mt` is `seed-%-mt`, as lookupConfigOption has it."""
        option = self._options.get(name)
        if option is not None:
            return option
        return next((option for pattern, option in self._numbered if pattern.fullmatch(name)), None)

    def is_extra(self, name: str) -> bool:
        """Tell whether a library registers an option of that name."""
        return name in self._extra or any(pattern.fullmatch(name) for pattern in self._extra_numbered)

    def is_ignorable(self, name: str) -> bool:
        """Tell whether an option of that name belongs to a part that a program may be without."""
        return name.startswith(self._ignored_prefixes)


def _numbered(name: str) -> re.Pattern[str]:
    return re.compile("[0-9]+".join(map(re.escape, name.split("%"))))
