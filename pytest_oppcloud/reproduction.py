"""The commands that repeat a run: alone with pytest, by hand, and in the image of the worker that ran it.

They are lines to be pasted into a shell in the folder where pytest was started.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from . import asking, timeouts
from .command import plain_command
from .settings import SETTINGS, SETTINGS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from .items import SimulationItem


def with_pytest(item: SimulationItem) -> str:
    """Return the command that has the run simulated and judged alone, locally, with all that decides it.

    What was decided by the environment is an option there: whoever pastes it may sit at another machine.
    """
    config = item.config
    file = os.path.relpath(item.ini_file.path, config.invocation_params.dir)
    words = ["pytest", "-p", "no:oppcloud", f"{file}::{item.parent.name}::{item.name}"]
    words += _of_pytest(config)
    words += [f"--opp-set={word[2:]}" for word in asking.words_of(item) if word.startswith("--")]
    for setting in SETTINGS:
        if setting.decides_the_run:
            given = config.getoption(setting.destination, None)
            if given is None and getattr(config.stash[SETTINGS_KEY], setting.name).source.startswith("environment "):
                given = os.environ[setting.environment]
            values = given if isinstance(given, list) else [given]
            words += [f"{setting.option}={value}" for value in values if value is not None]
    limit = timeouts.option_of(config)
    if limit is not None:
        words.append(f"--timeout={limit:g}")
    return shlex.join(words)


def _of_pytest(config: pytest.Config) -> Iterator[str]:
    """Yield the options of pytest that say which settings hold."""
    if config.option.inifilename:
        yield f"--config-file={config.option.inifilename}"
    if config.option.rootdir:
        yield f"--rootdir={config.option.rootdir}"
    for text in config.option.override_ini or ():
        # pytest 9 keeps `--strict-markers` and `--strict-config` here: no run depends on them.
        if not text.startswith("strict"):
            yield f"--override-ini={text}"


def by_hand(item: SimulationItem) -> str:
    """Return the command that simulates the run, and compares nothing."""
    return plain_command(item.request)


def in_image(item: SimulationItem, image: str) -> str:
    """Return the command that simulates the run in a container, with the model's folder where it is outside."""
    root, command = str(item.content.root), plain_command(item.request, python="python3")
    words = ["-v", f"{root}:{root}", "--entrypoint", "/bin/sh", image, "-c", command]
    return f'docker run --rm --user "$(id -u):$(id -g)" {shlex.join(words)}'
