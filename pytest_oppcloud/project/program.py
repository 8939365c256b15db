"""Finding the program that simulates the runs of an ini file.

Either `oppcloud.toml` names it, or it is what `opp_makemake` builds: the TARGET of the Makefile (without one, named
after the folder), also under `out/`, as an executable or as a library for `opp_run -l`. Looked at are the ini
file's folder, the folders above it, and their `src` folders.

Pure but for looking at files: no pytest, and nothing is started.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_oppcloud.errors import SettingsError

from .keys import Alternative
from .settings import Project, RunSettings

#: What `opp_makemake` appends to the name in debug mode.
_SUFFIX = {"release": "", "debug": "_dbg"}
#: Stands for the Python interpreter of whoever executes the request, in the first word of a command.
PYTHON = "{python}"
_ASSIGNMENT = re.compile(
    r"^(TARGET|TARGET_DIR|TARGET_NAME|PROJECT_OUTPUT_DIR|PROJECTRELATIVE_PATH)\s*[:?]?=[ \t]*(.*?)\s*$", re.MULTILINE
)
_VARIABLE = re.compile(r"\$\((\w+)\)|\$\{(\w+)\}")
_LIBRARY_SUFFIXES = (".so", ".dylib")


class ProgramMissing(SettingsError):
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


def find_program(
    project: Project, settings: RunSettings, folder: Path, *, mode: str = "", name: str = "", top: Path | None = None
) -> Program:
    """Return the program for the ini files in `folder`; raise `ProgramMissing` if there is none.

    `mode` "" takes release, else debug. `name` picks one of the alternatives of `oppcloud.toml`. Without an
    `oppcloud.toml` folders above `top` are not looked at.
    """
    if settings.program is not None:
        return _named_program(project, settings, folder, mode=mode, name=name)
    if name:
        raise ProgramMissing(f"there is no program {name!r} to choose: no oppcloud.toml names programs for {folder}")
    return _built_program(
        folder, mode=mode, top=top, ned_path=_declared_ned_path(project, settings, folder), build=project.build
    )


def _modes(mode: str) -> tuple[str, ...]:
    return (mode,) if mode else ("release", "debug")


# -- named by oppcloud.toml ---------------------------------------------------------------------------------------


def _named_program(project: Project, settings: RunSettings, folder: Path, *, mode: str, name: str) -> Program:
    """Return the first alternative that exists, or the one called `name`."""
    assert project.file is not None
    assert settings.program is not None
    alternatives = [item for item in settings.program if name in {"", item.name}]
    if not alternatives:
        names = ", ".join(item.name for item in settings.program)
        raise ProgramMissing(f"there is no program {name!r}", file=str(project.file), advice=f"Programs here: {names}")
    tried = []
    for alternative in alternatives:
        for candidate in _modes(mode):
            words, files, missing = _resolve(alternative, project.file.parent, folder, candidate)
            if not missing:
                return Program(
                    words=words,
                    ned_path=_declared_ned_path(project, settings, folder) or (),
                    files=files,
                    mode="" if words[0] == PYTHON else candidate,
                    reason=_why_named(project.file.name, alternative, name, tried),
                )
            if missing not in tried:
                tried.append(missing)
    advice = f"Build it: {' '.join(project.build)}" if project.build else "Build it, or mend `program` in that file."
    raise ProgramMissing(f"none of these programs exists: {', '.join(tried)}", file=str(project.file), advice=advice)


def _why_named(file: str, alternative: Alternative, name: str, missing: list[str]) -> str:
    if name:
        return f"{alternative.name}, asked for"
    return f"{alternative.name} of {file}" + (f", as there is no {', '.join(missing)}" if missing else "")


def _resolve(
    alternative: Alternative, base: Path, folder: Path, mode: str
) -> tuple[tuple[str, ...], tuple[Path, ...], str]:
    """Return (words, files that travel, what is missing or "") of an alternative.

    Paths are relative to `base`, the folder of the settings file, and come back relative to `folder`.
    """
    words = [_fill(word, base, folder) for word in alternative.words]
    files: list[Path] = []
    for index, word in enumerate(words):
        is_program = index == 0 or (index == 1 and words[0] == PYTHON)
        if word == PYTHON or (is_program and word.startswith("-")):
            continue
        suffix = _SUFFIX[mode] if index == 0 else ""
        if is_program and index == 0 and "/" not in word:
            if shutil.which(word + suffix) is None:
                return (), (), f"{word}{suffix} on the PATH"
            words[index] = word + suffix
            continue
        path = base / (word + suffix)
        if is_program:
            if not path.is_file():
                return (), (), os.path.relpath(path, base)
            if index == 0 and not os.access(path, os.X_OK):
                return (), (), f"{os.path.relpath(path, base)} (it is not executable)"
        if is_program or (not word.startswith("-") and path.exists()):
            files.append(path)
            words[index] = relative(path, folder)
    return tuple(words), tuple(files), ""


def _fill(word: str, base: Path, folder: Path) -> str:
    """Replace the placeholders but `{python}`, which only the executing machine knows."""
    return word.replace("{folder}", os.path.relpath(folder, base)).replace("{name}", folder.name)


def _declared_ned_path(project: Project, settings: RunSettings, folder: Path) -> tuple[str, ...] | None:
    if settings.ned_path is None or project.file is None:
        return None
    return tuple(
        os.path.relpath(project.file.parent / _fill(part, project.file.parent, folder), folder) for part in settings.ned_path
    )


def relative(path: Path, folder: Path) -> str:
    """Return `path` as seen from `folder`, with a slash in it, so that it is never looked for on the PATH."""
    text = os.path.relpath(path, folder)
    return text if "/" in text else f"./{text}"


# -- built by opp_makemake ----------------------------------------------------------------------------------------


def _built_program(
    folder: Path, *, mode: str, top: Path | None, ned_path: tuple[str, ...] | None, build: tuple[str, ...]
) -> Program:
    tried: list[str] = []
    for place in _places(folder, top):
        for candidate in _modes(mode):
            for path in _built_files(place, candidate):
                if path.suffix in _LIBRARY_SUFFIXES and path.is_file():
                    words = ("opp_run" + _SUFFIX[candidate], "-l", relative(path, folder))
                elif path.suffix not in _LIBRARY_SUFFIXES and path.is_file() and os.access(path, os.X_OK):
                    words = (relative(path, folder),)
                else:
                    tried.append(os.path.relpath(path, folder))
                    continue
                return Program(
                    words=words,
                    ned_path=_ned_path(place, folder) if ned_path is None else ned_path,
                    files=(path,),
                    mode=candidate,
                    reason=f"built in {os.path.relpath(place, folder)}" if place != folder else "built here",
                )
    shown = ", ".join(tried[:4]) + (f" and {len(tried) - 4} more" if len(tried) > 4 else "")
    advice = f"Build it: {' '.join(build)}" if build else _how_to_build(folder, mode)
    raise ProgramMissing(f"no program simulates the ini files in {folder}: there is no {shown}", advice=advice)


def _how_to_build(folder: Path, mode: str) -> str:
    command = f"make MODE={mode or 'release'}"
    if not (folder / "Makefile").is_file():
        command = f"opp_makemake -f --deep && {command}"
    return f"Build it there ({command}), or name one in an oppcloud.toml: program = [...]"


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
    own = folder
    while (own.parent / "package.ned").is_file() and own.parent not in {place, place.parent}:
        own = own.parent
    if place in own.parents:
        return (os.path.relpath(place, folder),)
    return (os.path.relpath(own, folder), os.path.relpath(place, folder))
