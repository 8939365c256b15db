"""What a project says about its simulations: `oppcloud.toml`, and the program that belongs to a folder.

Stages: `reader` (text) → `keys` (each value checked) → `settings` (what holds for a config) → `program` (what is
started). Beside them, what program files tell of themselves: `binary`, `freshness`, `provenance`. Pure but for
looking at files: no pytest.
"""

from .binary import Binary, is_binary, own_libraries, read_binary
from .freshness import newer_source
from .keys import UNLIMITED, Alternative, ToleranceRule, arguments, override, seconds, simulated_time
from .program import Program, ProgramMissingError, ProgramWish, find_program
from .provenance import provenance
from .reader import FILE_NAME, find_project_file, read_project, top_folder
from .settings import Project, RunSettings

__all__ = [
    "FILE_NAME",
    "UNLIMITED",
    "Alternative",
    "Binary",
    "Program",
    "ProgramMissingError",
    "ProgramWish",
    "Project",
    "RunSettings",
    "ToleranceRule",
    "arguments",
    "find_program",
    "find_project_file",
    "is_binary",
    "newer_source",
    "override",
    "own_libraries",
    "provenance",
    "read_binary",
    "read_project",
    "seconds",
    "simulated_time",
    "top_folder",
]
