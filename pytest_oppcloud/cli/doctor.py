"""`oppcloud doctor`: look at everything that a campaign in the cloud needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import doctor, names
from pytest_oppcloud.cloud.stack.doctor import Health

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def doctor_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code: 1 if a campaign would not run."""
    options = amazon.parser("doctor", "Look at everything that a campaign in the cloud needs.").parse_args(given)
    return amazon.guarded("doctor", lambda: _doctor(options))


def _doctor(options: argparse.Namespace) -> int:
    bad = False
    for finding in doctor.examine(amazon.account(options), names.checked(options.name)):
        amazon.say(finding.text())
        bad = bad or finding.health is Health.BAD
    return amazon.FAILED if bad else 0
