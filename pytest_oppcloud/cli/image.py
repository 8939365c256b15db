"""`oppcloud image build|push`: the worker's image, made and brought where workers find it.

Only reads the command line; what is done is in `pytest_oppcloud.images`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import oppcloud_worker

from pytest_oppcloud.errors import OppcloudError, SettingsError
from pytest_oppcloud.images import DOCKER_HUB, Recipe, Reference, ecr, find_tool
from pytest_oppcloud.images.tool import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # has no public name

#: What `build` makes and `push` takes, unless told otherwise.
DEFAULT_NAME = "localhost/oppcloud-worker:latest"
#: Where the official images of OMNeT++ are; "{}" is the tag.
OFFICIAL_IMAGE = "ghcr.io/omnetpp/omnetpp:{}"
_EPILOG = """\
examples:
  oppcloud image build                                          with the OMNeT++ that the Dockerfile names
  oppcloud image build --omnetpp u24.04-6.3.0                   with another official image
  oppcloud image build --base registry.example.org/inet:4.5     on a base of your own
  oppcloud image push user/oppcloud-worker:1.0                  to Docker Hub
  oppcloud image push registry.example.org/oppcloud-worker:1.0  to any registry
  oppcloud image push --ecr oppcloud-worker:1.0                 to that of your AWS account
"""


def image_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(given)
    act: Callable[[argparse.Namespace], int] = options.act
    try:
        return act(options)
    except OppcloudError as error:
        print(f"oppcloud image {options.action}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="oppcloud image",
        description="Build the worker's container image, and push it to a registry, by docker, podman or buildah.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = result.add_subparsers(dest="action", metavar="build|push", required=True)
    _add_build(actions)
    _add_push(actions)
    return result


def _add_build(actions: Subparsers) -> None:
    build = actions.add_parser("build", help="build the image", description="Build the worker's container image.")
    build.add_argument(
        "context",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="folder of the Dockerfile (default: this one)",
    )
    build.add_argument(
        "-t", "--tag", default=DEFAULT_NAME, metavar="NAME", help="name of the image (default: %(default)s)"
    )
    base = build.add_mutually_exclusive_group()
    base.add_argument("--base", metavar="IMAGE", help="image to build upon, a Debian or Ubuntu with or without OMNeT++")
    base.add_argument("--omnetpp", metavar="TAG", help="official image of OMNeT++ to build upon, as u24.04-6.1.0")
    build.add_argument(
        "--engine",
        action="store_true",
        help="also install what the examples' Python programs need; the default for bases without OMNeT++",
    )
    build.add_argument(
        "--build-arg",
        action="append",
        default=[],
        type=_assignment,
        metavar="NAME=VALUE",
        help="value of an ARG in the Dockerfile",
    )
    build.add_argument("--platform", default="", metavar="OS/ARCH", help="build for another machine, as linux/arm64")
    build.add_argument("--no-cache", action="store_true", help="take nothing from earlier builds, fetch the base anew")
    _add_tool(build)
    build.set_defaults(act=_build)


def _add_push(actions: Subparsers) -> None:
    push = actions.add_parser(
        "push", help="push the image", description="Push the worker's container image to a registry."
    )
    push.add_argument(
        "name", metavar="NAME", help="name in the registry, as user/worker:1.0 or registry.example.org/worker:1.0"
    )
    push.add_argument("--image", default=DEFAULT_NAME, metavar="NAME", help="image to push (default: %(default)s)")
    push.add_argument(
        "--ecr", action="store_true", help="push to the registry of your AWS account; NAME has no registry then"
    )
    push.add_argument("--region", metavar="REGION", help="region of that registry (default: the one that boto3 finds)")
    _add_tool(push)
    push.set_defaults(act=_push)


def _add_tool(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tool", choices=TOOLS, default="", help="program to use (default: the first of these that works)"
    )


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"NAME=VALUE was expected, found {text!r}")
    return name, value


def _build(options: argparse.Namespace) -> int:
    name = Reference.parse(options.tag)
    tool = find_tool(options.tool)
    tool.build(
        Recipe(
            context=options.context,
            name=name,
            arguments=_build_arguments(options),
            target="worker",
            platform=options.platform,
            fresh=options.no_cache,
        )
    )
    print(f"built {name}")
    return 0


def _build_arguments(options: argparse.Namespace) -> dict[str, str]:
    """Return the values of the Dockerfile's ARGs; what was given by hand comes last."""
    arguments = {"VERSION": oppcloud_worker.__version__, "REVISION": _revision(options.context), "IMAGE": options.tag}
    if options.base or options.omnetpp:
        arguments["BASE_IMAGE"] = options.base or OFFICIAL_IMAGE.format(options.omnetpp)
    if options.engine:
        arguments["ENGINE"] = "yes"
    return {name: value for name, value in {**arguments, **dict(options.build_arg)}.items() if value}


def _revision(folder: Path) -> str:
    """Return the commit of the sources, "" where git does not know it, with a mark where they were changed since."""
    git = shutil.which("git")
    if git is None:
        return ""
    answer = subprocess.run(
        [git, "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _push(options: argparse.Namespace) -> int:
    if options.region and not options.ecr:
        raise SettingsError("--region goes with --ecr", advice="The name of another registry tells where it is.")
    name = Reference.parse(options.name)
    if options.ecr:
        if name.registry != DOCKER_HUB:
            raise SettingsError(f"both --ecr and {options.name} name a registry", advice="Leave out one of them.")
        name = replace(name, registry=ecr.own_registry(options.region))
    tool = find_tool(options.tool)
    if name.ecr_region:
        if ecr.ensure_repository(name):
            print(f"created the repository {name.repository} in {name.registry}")
        login = ecr.credentials(name)
        tool.login(name.registry, login.user, login.password)
    digest = tool.push(options.image, name)
    # By its digest an image stays the same whoever pushes next.
    print(f"pushed {name}" + (f"\n       {name.registry}/{name.repository}@{digest}" if digest else ""))
    return 0
