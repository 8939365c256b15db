"""What becomes of programs on their way to workers: the built files travel, or a worker builds them first.

Runs wait here, unsent, until that is settled for the content that they need. A build is a job of its own on a worker;
one is enough for all runs, all sessions and all clients: what it made is remembered under all that decided it, and only
one session at a time has it made. Only the process of a session that queues runs decides; in the others the runs stay
here until their outcomes come.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oppcloud_worker import machine
from oppcloud_worker.messages import Cause, Limits, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, presence, products
from oppcloud_worker.remote.stores import result_store
from oppcloud_worker.store import ContentError
from oppcloud_worker.ticket import Kind, Needs, Ticket

from pytest_oppcloud.project import read_binary

from .campaign import Flight
from .fitting import Choice, Place, Wish, choose, places
from .keeping_log import copy_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oppcloud_worker.manifest import Manifest

    from pytest_oppcloud.content import Content, Recipe

    from .campaign import Campaign
    from .shipping import Shipping
