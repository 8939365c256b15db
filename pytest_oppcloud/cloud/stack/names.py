"""What things are called in the account. Everything that a cluster is made of carries its tag."""

from __future__ import annotations

import re

from pytest_oppcloud.errors import SettingsError

#: Tag of everything, with the cluster's name as value.
TAG = "oppcloud:stack"
#: Tags of the stack: the version of pytest-oppcloud that made it, and a digest of the template.
VERSION_TAG, TEMPLATE_TAG = "oppcloud:version", "oppcloud:template"
#: The path of the SSM parameters of all clusters.
ALL_PARAMETERS = "/oppcloud"
#: The folder in the bucket for content and results.
FILES = "files"
#: The folder in the bucket for the workers' signs that sessions without a client have work.
SIGNS = "work"
#: The cluster that is meant where none is named.
DEFAULT_NAME = "default"
#: The environment variable that names it.
NAME_VARIABLE = "OPPCLOUD_STACK"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")


def checked(name: str) -> str:
    """Return a cluster's name; raise `SettingsError` if it cannot be one."""
    if _NAME.fullmatch(name) is None:
        raise SettingsError(
            f"a cluster cannot be called {name!r}",
            advice="Names begin with a small letter and hold at most 24 small letters, digits and hyphens.",
        )
    return name


def stack(name: str) -> str:
    """Return the name of the CloudFormation stack."""
    return f"oppcloud-{name}"


def repository(name: str) -> str:
    """Return the name of the repository of images."""
    return f"oppcloud-{name}/worker"


def log_group(name: str) -> str:
    """Return the name of the log group; the timer's lies below it."""
    return f"/oppcloud/{name}"


def parameters(name: str) -> str:
    """Return the path of all SSM parameters."""
    return f"{ALL_PARAMETERS}/{name}"


def owner(parameter: str) -> str:
    """Return the cluster that a parameter belongs to, by its path."""
    return parameter.removeprefix(f"{ALL_PARAMETERS}/").partition("/")[0]


def leases(name: str) -> str:
    """Return the path of the leases."""
    return f"/oppcloud/{name}/lease"


def sign(session: str, kind: str) -> str:
    """Return the object in the bucket that workers leave as a sign: `kind` is "working" or "done"."""
    return f"{SIGNS}/{session}/{kind}"
