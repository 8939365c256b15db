"""Options of ini files that only the model's library knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Folder

INI = "[General]\nnetwork = Tiny\nsim-time-limit = 10s\nunshare-namespaces = true\n"


def test_an_unknown_option_tells_how_it_is_named(folder: Folder) -> None:
    folder.write("omnetpp.ini", INI)
    result = folder.run("--co", "-q")
    assert result.ret == 2
    result.stdout.fnmatch_lines(
        ["omnetpp.ini:4: Unknown configuration option: unshare-namespaces", "*extra_options in oppcloud.toml*"]
    )


def test_a_named_option_is_taken(folder: Folder) -> None:
    folder.write("omnetpp.ini", INI)
    folder.write("oppcloud.toml", 'extra_options = ["unshare-namespaces"]\n')
    assert folder.ids() == ["omnetpp.ini::General::#0"]
