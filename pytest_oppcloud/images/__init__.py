"""Container images of the worker: naming, building and pushing them.

Works by calling docker, podman or buildah, whichever is there. Pure but for these calls: no pytest, no queue; boto3
is imported only to log in to Amazon's registry (`ecr`).
"""

from __future__ import annotations

from .reference import DOCKER_HUB, Reference
from .tool import ContainerTool, Recipe, find_tool

__all__ = ["DOCKER_HUB", "ContainerTool", "Recipe", "Reference", "find_tool"]
