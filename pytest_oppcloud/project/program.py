"""Finding the program that simulates the runs of an ini file.

Either `oppcloud.toml` names it, or it is what `opp_makemake` builds: the TARGET of the Makefile (without one, named
after the folder), also under `out/`, as an executable or as a library for `opp_run -l`. Looked at are the ini
file's folder, the folders above it, and their `src` folders.

Pure but for looking at files: no pytest, and nothing is started.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker.simulation import PYTHON

from pytest_oppcloud.errors import SettingsError

from .reader import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .keys import Alternative
    from .settings import Project, RunSettings

#: What `opp_makemake` appends to the name in debug mode.
_SUFFIX = {"release": "", "debug": "_dbg"}
_ASSIGNMENT = re.compile(
    r"^(TARGET|TARGET_DIR|TARGET_NAME|PROJECT_OUTPUT_DIR|PROJECTRELATIVE_PATH)\s*[:?]?=[ \t]*(.*?)\s*$", re.MULTILINE
)
_PLACEHOLDER = re.compile(r"\{(folder|name)\}")
_VARIABLE = re.compile(r"\$\((\w+)\)|\$\{(\w+)\}")
_LIBRARY_SUFFIXES = (".so", ".dylib")
_TO_BE_BUILT = "to be built by its worker"


class ProgramMissingError(SettingsError):
    """There is no program for an ini file; the text says where it was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is started for the runs of an ini file."""

    #: First words of the command line; paths are relative to the ini file's folder.
    words: tuple[str, ...]
    #: The NED path that belongs to the program, relative to the ini file's folder; empty: OMNeT++'s own default.
    ned_path: tuple[str, ...]
    #: Executable, library or script that must travel with the run; empty for one from the PATH.
    files: tuple[Path, ...]
    #: "release", "debug", or "" for a program that has no such thing.
    mode: str
    #: Why this one, for the header.
    reason: str
    #: Whether `files` are there; else the project's build command must make them first.
    built: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramWish:
    """Whose program is looked for, and which one."""

    project: Project
    #: The project's settings for the config that is run.
    settings: RunSettings
    #: Where the ini file is: the working directory of its runs.
    folder: Path
    #: "release", "debug", or "" for release, else debug.
    mode: str = ""
    #: One of the alternatives of `oppcloud.toml`; "" for the first that exists.
    name: str = ""
    #: Folders above this one are not looked at for built programs.
    top: Path | None = None
    #: Whether a program will do that the project's build command is yet to make.
    buildable: bool = False

    @property
    def base(self) -> Path:
        """The folder that paths in the settings are relative to."""
        return self.folder if self.project.file is None else self.project.file.parent

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes to look for, best first."""
        return (self.mode,) if self.mode else ("release", "debug")


def find_program(wish: ProgramWish) -> Program:
    """Return the program that is wished for; raise `ProgramMissingError` if there is none."""
    if wish.settings.program is not None:
        return _named_program(wish, wish.settings.program)
    if wish.name:
        raise ProgramMissingError(
            f"there is no program {wish.name!r} to choose: no oppcloud.toml names programs for {wish.folder}"
        )
    return _built_program(wish)


# -- named by oppcloud.toml ---------------------------------------------------------------------------------------


def _named_program(wish: ProgramWish, programs: tuple[Alternative, ...]) -> Program:
    """Return the first alternative that exists, or the one that was asked for by name."""
    file = FILE_NAME if wish.project.file is None else str(wish.project.file)
    alternatives = [item for item in programs if wish.name in {"", item.name}]
    if not alternatives:
        names = ", ".join(item.name for item in programs)
        raise ProgramMissingError(f"there is no program {wish.name!r}", file=file, advice=f"Programs here: {names}")
    tried: list[str] = []
    for alternative in alternatives:
        for mode in wish.modes:
            words, files, missing = _resolve(alternative, wish, mode)
            if not missing:
                return Program(
                    words=words,
                    ned_path=_declared_ned_path(wish) or (),
                    files=files,
                    mode="" if words[0] == PYTHON else mode,
                    reason=_why_named(alternative, wish, tried),
                )
            if missing not in tried:
                tried.append(missing)
    build = wish.project.build
    if build and wish.buildable:
        for alternative in alternatives:
            if alternative.words[0] != PYTHON:
                return _promised_program(alternative, wish)
    advice = f"Build it: {shlex.join(build)}" if build else "Build it, or mend `program` in that file."
    raise ProgramMissingError(f"none of these programs exists: {', '.join(tried)}", file=file, advice=advice)


def _promised_program(alternative: Alternative, wish: ProgramWish) -> Program:
    """Return the program as it will be once the build command has made it."""
    mode = wish.modes[0]
    words, files, _ = _resolve(alternative, wish, mode, promised=True)
    return Program(
        words=words,
        ned_path=_declared_ned_path(wish) or (),
        files=files,
        mode=mode,
        reason=f"{alternative.name} of {FILE_NAME}, {_TO_BE_BUILT}",
        built=False,
    )


def _why_named(alternative: Alternative, wish: ProgramWish, missing: list[str]) -> str:
    if wish.name:
        return f"{alternative.name}, asked for"
    return f"{alternative.name} of {FILE_NAME}" + (f", as there is no {', '.join(missing)}" if missing else "")


def _resolve(
    alternative: Alternative, wish: ProgramWish, mode: str, *, promised: bool = False
) -> tuple[tuple[str, ...], tuple[Path, ...], str]:
    """Return (words, files that travel, what is missing or "") of an alternative; if `promised`, nothing is missing.

    A word that is the path of a file, relative to the settings file, comes back relative to the ini file.
    """
    first, *rest = (_fill(word, wish) for word in alternative.words)
    words: list[str] = []
    files: list[Path] = []
    if first != PYTHON:
        first += _SUFFIX[mode]
        path = wish.base / first
        missing = "" if promised else _what_is_missing(first, path)
        if missing:
            return (), (), missing
        if "/" in first:
            files.append(path)
            first = relative(path, wish.folder)
    words.append(first)
    for before, word in pairwise([first, *rest]):
        is_library = before == "-l" and "/" in word
        path = _library(wish.base / word, mode) if is_library else wish.base / word
        needed = is_library or (before == PYTHON and not word.startswith("-"))
        will_be = is_library and promised
        if needed and not path.is_file() and not will_be:
            return (), (), os.path.relpath(path, wish.base)
        if path.is_file() or will_be:
            files.append(path)
        is_path = will_be or (not word.startswith("-") and path.exists())
        words.append(_seen_from(path, wish.folder) if is_path else word)
    return tuple(words), tuple(files), ""


def _what_is_missing(first: str, path: Path) -> str:
    """Return what keeps the first word of a command from being started, "" if nothing does."""
    if "/" not in first:
        return f"{first} on the PATH" if shutil.which(first) is None else ""
    if not path.is_file():
        return first
    return "" if os.access(path, os.X_OK) else f"{first} (it is not executable)"


def _library(path: Path, mode: str) -> Path:
    """Return what OMNeT++ loads for `-l path`: a name with a dot as it is, others completed (src/envir/fsutils.cc)."""
    if "." in path.name:
        return path
    files = [path.with_name(f"lib{path.name}{_SUFFIX[mode]}{suffix}") for suffix in _LIBRARY_SUFFIXES]
    return next((file for file in files if file.is_file()), files[0])


def _seen_from(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder) if path.is_dir() else relative(path, folder)


def _fill(word: str, wish: ProgramWish) -> str:
    """Replace the placeholders but `{python}`, which only the executing machine knows."""
    names = {"folder": os.path.relpath(wish.folder, wish.base), "name": wish.folder.name}
    return _PLACEHOLDER.sub(lambda match: names[match[1]], word)


def _declared_ned_path(wish: ProgramWish) -> tuple[str, ...] | None:
    declared = wish.settings.ned_path
    return declared and tuple(os.path.relpath(wish.base / _fill(part, wish), wish.folder) for part in declared)


def relative(path: Path, folder: Path) -> str:
    """Return `path` as seen from `folder`, with a slash in it, so that it is never looked for on the PATH."""
    text = os.path.relpath(path, folder)
    return text if "/" in text else f"./{text}"


# -- built by opp_makemake ----------------------------------------------------------------------------------------


def _built_program(wish: ProgramWish) -> Program:
    tried: list[str] = []
    promised: list[str] = []
    for place in _places(wish.folder, wish.top):
        has_makefile = (place / "Makefile").is_file()
        for mode in wish.modes:
            for path in _built_files(place, mode):
                words = _start(path, wish.folder, mode)
                if words:
                    declared = _declared_ned_path(wish)
                    return Program(
                        words=words,
                        ned_path=_ned_path(place, wish.folder) if declared is None else declared,
                        files=(path,),
                        mode=mode,
                        reason="built here" if place == wish.folder else f"built in {relative(place, wish.folder)}",
                    )
                (promised if has_makefile else tried).append(os.path.relpath(path, wish.folder))
    if wish.project.build and wish.buildable:
        return _promised_by_makefile(wish)
    # What a Makefile names is what people know.
    tried = [path for path in dict.fromkeys((*promised, *tried)) if not path.endswith(".dylib")]
    shown = ", ".join(tried[:4]) + (f" and {len(tried) - 4} more" if len(tried) > 4 else "")
    raise ProgramMissingError(
        f"no program simulates the ini files in {wish.folder}: there is no {shown}", advice=_how_to_build(wish)
    )


def _promised_by_makefile(wish: ProgramWish) -> Program:
    """Return what the build command is expected to make.

    That is the TARGET of the nearest Makefile with one, else a file that is called after the folder of the settings.
    """
    mode = wish.modes[0]
    makefiles = (place for place in _places(wish.folder, wish.top) if _has_target(place / "Makefile"))
    place = next(makefiles, wish.base)
    path = next(_built_files(place, mode), place / place.name)
    declared = _declared_ned_path(wish)
    return Program(
        words=_words_for(path, wish.folder, mode),
        ned_path=_ned_path(place, wish.folder) if declared is None else declared,
        files=(path,),
        mode=mode,
        reason=_TO_BE_BUILT,
        built=False,
    )


def _has_target(makefile: Path) -> bool:
    return makefile.is_file() and "TARGET" in dict(_ASSIGNMENT.findall(makefile.read_text(errors="replace")))


def _start(path: Path, folder: Path, mode: str) -> tuple[str, ...]:
    """Return the words that start what was built at `path`, () if nothing was."""
    if not path.is_file():
        return ()
    is_library = path.suffix in _LIBRARY_SUFFIXES
    return _words_for(path, folder, mode) if is_library or os.access(path, os.X_OK) else ()


def _words_for(path: Path, folder: Path, mode: str) -> tuple[str, ...]:
    """Return the words that start a program, or a library in OMNeT++'s own program."""
    if path.suffix in _LIBRARY_SUFFIXES:
        return ("opp_run" + _SUFFIX[mode], "-l", relative(path, folder))
    return (relative(path, folder),)


def _how_to_build(wish: ProgramWish) -> str:
    if wish.project.build:
        return f"Build it: {shlex.join(wish.project.build)}"
    command = f"make MODE={wish.mode or 'release'}"
    place = next((place for place in _places(wish.folder, wish.top) if (place / "Makefile").is_file()), None)
    if place is None:
        command = f"opp_makemake -f --deep && {command}"
    elif place != wish.folder:
        command += f" -C {os.path.relpath(place, wish.folder)}"
    top = "" if wish.top is None else f" Folders above {wish.top} were not looked at."
    return f"Build it there ({command}), or name one in an {FILE_NAME}: program = [...]{top}"


def _places(folder: Path, top: Path | None) -> Iterator[Path]:
    """Yield the folders where the program of `folder` may be built."""
    yield folder
    inside = top is not None and top in folder.parents
    for place in folder.parents if inside else ():
        # A folder in between need not be built; then only those with a Makefile count.
        yield place
        if (place / "src").is_dir() and place / "src" != folder:
            yield place / "src"
        if place == top:
            return


def _built_files(place: Path, mode: str) -> Iterator[Path]:
    """Yield what `opp_makemake` would build in `place`, best first."""
    makefile = place / "Makefile"
    variables = dict(_ASSIGNMENT.findall(makefile.read_text(errors="replace"))) if makefile.is_file() else {}
    known = {"D": _SUFFIX[mode], "LIB_PREFIX": "lib", "EXE_SUFFIX": "", "SHARED_LIB_SUFFIX": _LIBRARY_SUFFIXES[0]}
    if "TARGET" in variables:
        names = [_expand(variables["TARGET"], {**variables, **known})]
    else:
        stem = place.name + _SUFFIX[mode]
        names = [stem, f"lib{stem}.so"]
    names += [f"{name[:-3]}.dylib" for name in names if name.endswith(".so")]
    target = place / _expand(variables.get("TARGET_DIR", "."), variables)
    output = place / _expand(variables.get("PROJECT_OUTPUT_DIR", "out"), variables)
    part = _expand(variables.get("PROJECTRELATIVE_PATH", ""), variables)
    for name in names:
        if not name or name.endswith(".a"):
            continue
        yield Path(os.path.normpath(target / name))
        for built in sorted(output.glob(f"*-{mode}")):
            yield Path(os.path.normpath(built / part / name))


def _expand(text: str, variables: dict[str, str], depth: int = 0) -> str:
    """Replace make's variables; unknown ones are empty, as in make."""
    if depth > 8:
        return text
    return _VARIABLE.sub(lambda match: _expand(variables.get(match[1] or match[2], ""), variables, depth + 1), text)


def _ned_path(place: Path, folder: Path) -> tuple[str, ...]:
    """Return the NED path for a program built in `place`: what `.nedfolders` says, else both folders."""
    for root in (place, place.parent):
        listing = root / ".nedfolders"
        if listing.is_file() and (root == place or place.name == "src"):
            lines = [line.strip() for line in listing.read_text(errors="replace").splitlines()]
            parts = [root / line for line in lines if line and not line.startswith(("-", "#"))]
            return tuple(os.path.relpath(part, folder) for part in parts if part.is_dir())
    if place == folder:
        return ()
    # The root of the ini file's own NED files: the highest folder that says so; those below need not.
    own = folder
    for above in folder.parents:
        if above in {place, place.parent}:
            break
        if (above / "package.ned").is_file():
            own = above
    if place in own.parents:
        return (os.path.relpath(place, folder),)
    return (os.path.relpath(own, folder), os.path.relpath(place, folder))
