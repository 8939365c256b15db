"""The syntax tree of an expression: what the parser makes, and the compiler and the engine read.

Depends on the values only.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .values import Special, Value


class Form(enum.Enum):
    """What a node of the tree is."""

    CONSTANT = "constant"
    OPERATOR = "operator"
    FUNCTION = "function"
    METHOD = "method"
    NAME = "identifier"
    INDEXED_NAME = "indexed identifier"
    MEMBER = "member"
    INDEXED_MEMBER = "indexed member"
    OBJECT = "object"
    ARRAY = "array"


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """A node of the syntax tree."""

    form: Form
    #: Operator, function, variable, member or class.
    name: str = ""
    #: Operands or arguments; the object of a method or member comes first.
    children: list[Node] = field(default_factory=list)
    #: Of a constant.
    value: Value = Special.UNDEFINED
    #: The keys of an object, one for each child.
    keys: list[str] = field(default_factory=list)
