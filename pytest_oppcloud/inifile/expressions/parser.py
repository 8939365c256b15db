"""Text to syntax tree, by OMNeT++'s grammar (6.1, src/common/expression.y).

The parser keeps its own stacks instead of recursing, so the depth of an expression is bounded by OMNeT++'s limit
only. Numbers and strings are converted when the grammar reduces them, because a bad one is reported before a
syntax error that follows it. Depends on the tokens, the literals and the tree that it makes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from . import literals
from .tokens import Kind, Tokens
from .tree import Form, Node
from .values import ExpressionSyntaxError, Quantity, Value, with_unit

#: How tightly binary operators bind; all are left-associative but "^".
_PRECEDENCE: Final = {
    symbol: level
    for level, symbols in enumerate(
        ["||", "##", "&&", "== != =", "< > <= >=", "<=>", "=~", "|", "#", "&", "<< >>", "+ -", "* / %", "^"]
    )
    for symbol in symbols.split()
}
_UNARY: Final = frozenset("-~!")
#: The depth of bison's stack (YYMAXDEPTH), less its first and last state and the end mark.
_MAX_DEPTH: Final = 9996


class _Opened(enum.Enum):
    """What waits on the stack for its operands or its closing bracket."""

    UNARY = enum.auto()
    BINARY = enum.auto()
    QUESTION = enum.auto()
    COLON = enum.auto()
    GROUP = enum.auto()
    CALL = enum.auto()
    INDEX = enum.auto()
    ARRAY = enum.auto()
    OBJECT = enum.auto()


#: How many grammar symbols of the parser's stack an entry stands for: `a ? b :` are four.
_WEIGHTS: Final = {
    _Opened.UNARY: 1,
    _Opened.BINARY: 2,
    _Opened.QUESTION: 2,
    _Opened.COLON: 4,
    _Opened.GROUP: 1,
    _Opened.CALL: 2,
    _Opened.INDEX: 2,
    _Opened.ARRAY: 1,
    _Opened.OBJECT: 3,
}
_OPERATORS: Final = frozenset({_Opened.UNARY, _Opened.BINARY, _Opened.COLON})
_CLOSERS: Final = {
    _Opened.GROUP: ")",
    _Opened.CALL: ")",
    _Opened.INDEX: "]",
    _Opened.ARRAY: "]",
    _Opened.OBJECT: "}",
}


@dataclass(slots=True)
class _Frame:
    """An entry of the stack: an operator, or an open bracket with what was read in it so far."""

    opened: _Opened
    name: str = ""
    node: Node | None = None


def syntax_error() -> ExpressionSyntaxError:
    """Return the only thing that OMNeT++'s parser says about a text that it does not understand."""
    return ExpressionSyntaxError("syntax error")


def parse(text: str) -> Node:
    """Return the syntax tree of `text`; raise `ExpressionError` with OMNeT++'s words if it is no expression."""
    return _Parser(Tokens(text)).parse()


class _Parser:
    __slots__ = ("_depth", "_operands", "_stack", "_tokens")

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._stack: list[_Frame] = []
        self._operands: list[Node] = []
        self._depth = 0

    def parse(self) -> Node:
        while True:
            while self._open():
                pass
            if not self._continue():
                return self._operands.pop()

    # -- where an operand is expected -------------------------------------------------------------------------

    def _open(self) -> bool:
        """Read what may begin an expression; tell whether an operand must still follow."""
        tokens = self._tokens
        if tokens.kind is Kind.NAME:
            return self._name(tokens.text)
        if tokens.kind is not Kind.SYMBOL:
            self._operands.append(Node(Form.CONSTANT, value=self._literal()))
            return False
        symbol = tokens.text
        if symbol in _UNARY:
            self._push(_Frame(_Opened.UNARY, symbol))
        elif symbol == "(":
            self._push(_Frame(_Opened.GROUP))
        elif symbol == "[":
            self._push(_Frame(_Opened.ARRAY, node=Node(Form.ARRAY)))
            tokens.advance()
            return not self._close_list_at("]")
        elif symbol == "{":
            return self._object("")
        else:
            raise syntax_error()
        tokens.advance()
        return True

    def _name(self, name: str) -> bool:
        tokens = self._tokens
        tokens.advance()
        if tokens.at("("):
            self._push(_Frame(_Opened.CALL, node=Node(Form.FUNCTION, name)))
            tokens.advance()
            return not self._close_list_at(")")
        if tokens.at("["):
            self._push(_Frame(_Opened.INDEX, node=Node(Form.INDEXED_NAME, name)))
            tokens.advance()
            return True
        while tokens.at("::"):
            tokens.advance()
            if tokens.kind is not Kind.NAME:
                raise syntax_error()
            name += f"::{tokens.text}"
            tokens.advance()
            if not tokens.at("::") and not tokens.at("{"):
                raise syntax_error()
        if tokens.at("{"):
            return self._object(name)
        self._operands.append(Node(Form.NAME, name))
        return False

    def _literal(self) -> Value:
        tokens = self._tokens
        kind, text = tokens.kind, tokens.text
        if kind is Kind.STRING:
            value = literals.string(text)
            tokens.advance()
            return value
        if kind is Kind.KEYWORD and text in literals.KEYWORD_VALUES:
            tokens.advance()
            return literals.KEYWORD_VALUES[text]
        if not tokens.is_number:
            raise syntax_error()
        tokens.advance()
        if tokens.is_name:
            return literals.quantity(self._quantity_text(text))
        return literals.number(kind, text)

    def _quantity_text(self, number: str) -> str:
        """Read the unit after `number`, and further numbers with units; return it all."""
        tokens = self._tokens
        parts = [number]
        while tokens.is_name:
            parts.append(tokens.text)
            tokens.advance()
            if not tokens.is_number:
                return " ".join(parts)
            parts.append(tokens.text)
            tokens.advance()
        raise syntax_error()

    # -- where an operator or a closing bracket is expected ---------------------------------------------------

    def _continue(self) -> bool:
        """Read what may follow an operand; tell whether another operand must follow, or else this was the end."""
        tokens = self._tokens
        while True:
            if tokens.kind is Kind.END:
                self._reduce_all()
                if self._stack:
                    raise syntax_error()
                return False
            if tokens.kind is not Kind.SYMBOL:
                raise syntax_error()
            if self._follow(tokens.text):
                return True

    def _follow(self, symbol: str) -> bool:
        """Read one symbol after an operand; tell whether an operand must follow it."""
        if symbol in _PRECEDENCE:
            self._reduce(_PRECEDENCE[symbol])
            self._push(_Frame(_Opened.BINARY, symbol))
        elif symbol == "?":
            self._reduce(0)
            self._push(_Frame(_Opened.QUESTION))
        elif symbol == ":":
            self._reduce_all()
            self._expect(_Opened.QUESTION)
            self._push(_Frame(_Opened.COLON))
        elif symbol == "!":
            self._operands.append(Node(Form.OPERATOR, "_!", [self._operands.pop()]))
            self._tokens.advance()
            return False
        elif symbol == ".":
            return self._member()
        elif symbol == ",":
            return self._comma()
        else:
            self._close(symbol)
            return False
        self._tokens.advance()
        return True

    def _member(self) -> bool:
        tokens = self._tokens
        tokens.advance()
        if tokens.kind is not Kind.NAME:
            raise syntax_error()
        owner, name = self._operands.pop(), tokens.text
        tokens.advance()
        if tokens.at("("):
            self._push(_Frame(_Opened.CALL, node=Node(Form.METHOD, name, [owner])))
            tokens.advance()
            return not self._close_list_at(")")
        if tokens.at("["):
            self._push(_Frame(_Opened.INDEX, node=Node(Form.INDEXED_MEMBER, name, [owner])))
            tokens.advance()
            return True
        self._operands.append(Node(Form.MEMBER, name, [owner]))
        return False

    def _comma(self) -> bool:
        self._reduce_all()
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.node is None or frame.opened is _Opened.INDEX:
            raise syntax_error()
        frame.node.children.append(self._operands.pop())
        self._tokens.advance()
        if frame.opened is _Opened.ARRAY:
            return not self._close_list_at("]")
        if frame.opened is _Opened.OBJECT:
            return self._key(frame.node)
        return True

    def _close(self, bracket: str) -> None:
        """Read a closing bracket after an operand."""
        self._reduce_all()
        frame = self._stack[-1] if self._stack else None
        if frame is None or bracket not in _CLOSERS.get(frame.opened, ""):
            raise syntax_error()
        if frame.node is not None:
            frame.node.children.append(self._operands.pop())
            self._operands.append(frame.node)
        self._pop()
        self._tokens.advance()

    def _close_list_at(self, bracket: str) -> bool:
        """End the list that was just opened, or whose comma was just read, if `bracket` comes now."""
        if not self._tokens.at(bracket):
            return False
        node = self._pop().node
        if node is not None:  # only frames with a node hold lists
            self._operands.append(node)
        self._tokens.advance()
        return True

    # -- objects ----------------------------------------------------------------------------------------------

    def _object(self, name: str) -> bool:
        node = Node(Form.OBJECT, name)
        self._push(_Frame(_Opened.OBJECT, node=node))
        self._tokens.advance()
        return self._key(node)

    def _key(self, node: Node) -> bool:
        """Read a key and its colon, or the end of the object; tell whether a value must follow."""
        tokens = self._tokens
        if self._close_list_at("}"):
            return False
        sign = ""
        if tokens.at("-"):
            sign = "-"
            tokens.advance()
        kind, text = tokens.kind, tokens.text
        if tokens.is_number:
            tokens.advance()
            if tokens.is_name:
                text = self._quantity_text(text)
        elif not sign and kind is Kind.STRING:
            text = literals.string(text)
            tokens.advance()
        elif not sign and (kind is Kind.NAME or (kind is Kind.KEYWORD and text != "undefined")):
            tokens.advance()
        else:
            raise syntax_error()
        if not tokens.at(":"):
            raise syntax_error()
        node.keys.append(sign + text)
        tokens.advance()
        return True

    # -- the stack --------------------------------------------------------------------------------------------

    def _push(self, frame: _Frame) -> None:
        self._depth += _WEIGHTS[frame.opened]
        if self._depth > _MAX_DEPTH:
            raise ExpressionSyntaxError("memory exhausted")
        self._stack.append(frame)

    def _pop(self) -> _Frame:
        frame = self._stack.pop()
        self._depth -= _WEIGHTS[frame.opened]
        return frame

    def _expect(self, opened: _Opened) -> None:
        if not self._stack or self._stack[-1].opened is not opened:
            raise syntax_error()
        self._pop()

    def _reduce_all(self) -> None:
        while self._stack and self._stack[-1].opened in _OPERATORS:
            self._reduce_one()

    def _reduce(self, precedence: int) -> None:
        """Apply the operators on the stack that bind tighter than one of `precedence` that comes now."""
        while self._stack:
            frame = self._stack[-1]
            if frame.opened is _Opened.BINARY:
                theirs = _PRECEDENCE[frame.name]
                if theirs < precedence or (theirs == precedence and frame.name == "^"):
                    return
            elif frame.opened is not _Opened.UNARY:
                return
            self._reduce_one()

    def _reduce_one(self) -> None:
        frame = self._pop()
        if frame.opened is _Opened.UNARY:
            self._operands.append(_unary(frame.name, self._operands.pop()))
            return
        count = 2 if frame.opened is _Opened.BINARY else 3
        children = self._operands[-count:]
        del self._operands[-count:]
        self._operands.append(Node(Form.OPERATOR, frame.name if count == 2 else "?:", children))


def _unary(symbol: str, operand: Node) -> Node:
    """Apply an operator in front; the minus of a literal becomes part of the literal."""
    if symbol == "-" and operand.form is Form.CONSTANT:
        literal = operand.value
        value, unit = (literal.number, literal.unit) if isinstance(literal, Quantity) else (literal, "")
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
            return Node(Form.CONSTANT, value=with_unit(-value, unit))
    return Node(Form.OPERATOR, symbol, [operand])
