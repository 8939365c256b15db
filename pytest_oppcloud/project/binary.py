"""What a program file was built for, as far as the file itself tells.

Pure but for reading files: no pytest, and nothing is started; a program for another machine could not be. ELF files
(Linux) are read by pyelftools, of Mach-O files (macOS) the head alone.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: As `platform.machine()` calls what the heads of files give a number or another name.
_ELF_MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "EM_386": "i686",
    "EM_ARM": "armv7l",
    "EM_PPC64": "ppc64le",
    "EM_RISCV": "riscv64",
    "EM_S390": "s390x",
}
_MACH_O_MACHINES = {0x01000007: "x86_64", 0x0100000C: "arm64"}
_MACH_O = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
#: Entries of a dynamic section, and where pyelftools keeps what they say.
_TAGS = {"DT_NEEDED": "needed", "DT_RUNPATH": "runpath", "DT_RPATH": "rpath"}
#: How a file says "where I am myself" (ld.so(8)).
_ORIGIN = re.compile(r"\$ORIGIN\b|\$\{ORIGIN\}")
_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)*)")
#: The library that every program of OMNeT++ needs; in debug mode it has a suffix.
_OMNETPP_LIBRARY = re.compile(r"liboppsim(?:_dbg)?\.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A program or a shared library."""

    path: Path
    #: "linux" or "darwin".
    system: str
    #: "x86_64", "aarch64"; "" for one that the table above does not know, or for several in one file.
    machine: str
    #: The newest symbols of the GNU C library that it needs: (2, 34); empty if it needs none.
    glibc: tuple[int, ...] = ()
    #: Names of the shared libraries that it needs.
    needed: tuple[str, ...] = ()
    #: Folders where it looks for them, as they stand in the file.
    search: tuple[str, ...] = ()

    @property
    def needs_musl(self) -> bool:
        """Whether it was built for the C library musl."""
        return any("musl" in name for name in self.needed)

    def found(self) -> Iterator[Path]:
        """Yield the libraries that it needs and that are where the file itself says."""
        for name in self.needed:
            for folder in self.search:
                place = Path(_ORIGIN.sub(lambda _: str(self.path.parent), folder), name)
                if place.is_absolute() and place.is_file():
                    yield place
                    break

    @property
    def omnetpp(self) -> str:
        """The version of the OMNeT++ whose libraries it finds ("6.1"), "" if it finds none."""
        for library in self.found():
            version = library.resolve().parents[1] / "Version"
            if _OMNETPP_LIBRARY.match(library.name) and version.is_file():
                return version.read_text(encoding="ascii", errors="replace").strip().removeprefix("omnetpp-")[:40]
        return ""


def is_binary(path: Path) -> bool:
    """Tell whether a file is made by a compiler: an object file, a library or a program."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return False
    return head == b"\x7fELF" or head in _MACH_O


def read_binary(path: Path) -> Binary | None:
    """Return what the file at `path` was built for; None for a script, or what cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            if head[:4] in _MACH_O:
                (number,) = struct.unpack("<I", head[4:]) if len(head) == 8 else (0,)
                return Binary(path=path, system="darwin", machine=_MACH_O_MACHINES.get(number, ""))
            if head[:4] != b"\x7fELF":
                return None
            return _elf(path, ELFFile(stream))
    except (OSError, ELFError):
        return None


def _elf(path: Path, file: ELFFile) -> Binary:
    needed: list[str] = []
    search: list[str] = []
    glibc: tuple[int, ...] = ()
    for section in file.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                attribute = _TAGS.get(tag.entry.d_tag, "")
                if attribute == "needed":
                    needed.append(getattr(tag, attribute))
                elif attribute:
                    search += getattr(tag, attribute).split(":")
        elif isinstance(section, GNUVerNeedSection):
            names = [version.name for _, versions in section.iter_versions() for version in versions]
            glibc = max([glibc, *_numbers(names)])
    return Binary(
        path=path,
        system="linux",
        machine=_ELF_MACHINES.get(file.header.e_machine, ""),
        glibc=glibc,
        needed=tuple(needed),
        search=tuple(search),
    )


def _numbers(names: Iterable[str]) -> Iterator[tuple[int, ...]]:
    for name in names:
        match = _GLIBC.fullmatch(name)
        if match:
            yield tuple(map(int, match[1].split(".")))


def own_libraries(files: Iterable[Path], folders: Sequence[Path]) -> list[Path]:
    """Return the shared libraries below `folders` that the binaries among `files` need, directly or through others."""
    found: list[Path] = []
    waiting = list(files)
    while waiting:
        binary = read_binary(waiting.pop())
        for library in () if binary is None else binary.found():
            if library not in found and any(folder in library.parents for folder in folders):
                found.append(library)
                waiting.append(library)
    return found
