"""CloudFormation's own linter on the template."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pytest_oppcloud.cloud.stack import template


def test_cfn_lint_has_nothing_to_say() -> None:
    path = Path(template.__file__).with_name("template.yaml")
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
