"""What a project says about its simulations: `oppcloud.toml`, and the program that belongs to a folder.

Stages: `reader` (text) → `keys` (each value checked) → `settings` (what holds for a config) → `program` (what is
started). Pure but for looking at files: no pytest.
"""

from .keys import UNLIMITED, Alternative, ToleranceRule, arguments, override, seconds, simulated_time
from .program import Program, ProgramMissingError, ProgramWish, find_program
from .provenance import provenance
from .reader import FILE_NAME, find_project_file, read_project, top_folder
from .settings import Project, RunSettings

__all__ = [
    "FILE_NAME",
    "UNLIMITED",
    "Alternative",
    "Program",
    "ProgramMissingError",
    "ProgramWish",
    "Project",
    "RunSettings",
    "ToleranceRule",
    "arguments",
    "find_program",
    "find_project_file",
    "override",
    "provenance",
    "read_project",
    "seconds",
    "simulated_time",
    "top_folder",
]
