"""Writing baselines: by one process, at the end of the session, from reports alone.

Under xdist this is the controller; reports carry the records there.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .baselines import BaselineFile, write_baselines
from .errors import BaselineError
from .items import RECORD_ATTRIBUTE
from .session import NOTES_KEY
from .settings import SETTINGS_KEY, has_selection

if TYPE_CHECKING:
    from .records import Record, RunKey


class BaselineRecorder:
    """Gathers the records of a session and writes them at its end."""

    NAME = "oppcloud-recorder"

    def __init__(self) -> None:
        """Start with none."""
        self._records: dict[Path, dict[RunKey, Record | None]] = defaultdict(dict)
        #: File, and how many runs of it were written.
        self.written: list[tuple[Path, int]] = []
        #: Files whose records are what they already said.
        self.unchanged: list[Path] = []
        #: File, and how many runs of it were removed because the ini file has them no more.
        self.removed: list[tuple[Path, int]] = []
        self.errors: list[BaselineError] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the record out of a report, if it has one."""
        carried = report.__dict__.pop(RECORD_ATTRIBUTE, None)
        if carried is not None:
            path = Path(carried["path"])
            self._records[path].update(BaselineFile(path, carried["data"].encode("latin-1")).records())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write all files; an error makes the session fail.

        Unused baselines go only when all is rewritten, and nothing was left out and nothing failed.
        """
        settings, notes = session.config.stash[SETTINGS_KEY], session.config.stash[NOTES_KEY]
        if (
            settings.update.value == "all"
            and session.exitstatus == pytest.ExitCode.OK
            and not has_selection(session.config, settings)
        ):
            for file, keys in notes.unused_baselines:
                self._records[Path(file)].update(dict.fromkeys(keys))
                self.removed.append((Path(file), len(keys)))
        for path, records in sorted(self._records.items()):
            try:
                changed = write_baselines(path, records)
            except BaselineError as error:
                self.errors.append(error)
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED
                continue
            if changed:
                self.written.append((path, sum(record is not None for record in records.values())))
            else:
                self.unchanged.append(path)
