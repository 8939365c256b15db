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


def test_the_version_decides_how_ini_files_are_read(folder: Folder) -> None:
    folder.write("omnetpp.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 1s\nTiny.value = ${my_var=1,2}\n")
    folder.write("oppcloud.toml", 'omnetpp = "6.2"\n')
    assert folder.ids() == ["omnetpp.ini::General::my_var=1-#0", "omnetpp.ini::General::my_var=2-#0"]
    folder.write("oppcloud.toml", 'omnetpp = "5.7"\n')
    folder.run("--co").stdout.fnmatch_lines(["oppcloud.toml:1: omnetpp: one of '6.0', '6.1', '6.2' was expected*"])
