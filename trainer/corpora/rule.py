"""Attack rules: which flows of a mixed capture belong to the attack.

A rule is written like a pandas expression over flow columns, `(dst_port==6892)|(src_ip.str.startswith('194.165.'))`.
It comes from a file, so it is never evaluated: it is parsed, and only these forms are understood:

    column == value     also != < <= > >=; the value is a number or a quoted text
    column.isin([a, b])
    column.str.startswith('x')    also endswith, contains (plain text, no pattern)
    (a) & (b)    (a) | (b)    ~(a)

Anything else is refused with a message that shows the part that was not understood.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.flow import FLOW
from protos import contract
from trainer.errors import TruthUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LONGEST: Final = 2_000
_DEEPEST: Final = 50
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TEXT: Final[dict[str, Callable[[str, str], bool]]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": operator.contains,
}
_ADDRESSES: Final = ("src_ip", "dst_ip")


def parse(text: str) -> Callable[[NDArray], NDArray[np.bool_]]:
    """The rule as a function of flow records (`FLOW`, `[n]`) to a mask `[n]`. Raises `TruthUnreadable`."""
    if len(text) > _LONGEST:
        raise TruthUnreadable(f"reading an attack rule: {len(text)} characters, at most {_LONGEST} are allowed")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TruthUnreadable(f"reading attack rule {text!r}: not an expression ({error})") from error
    return _build(tree.body, 0)


def _build(node: ast.expr, depth: int) -> Callable[[NDArray], NDArray[np.bool_]]:
    if depth > _DEEPEST:
        raise TruthUnreadable(f"reading an attack rule: nested more than {_DEEPEST} deep")
    match node:
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() as joint, right=right):
            first, second = _build(left, depth + 1), _build(right, depth + 1)
            if isinstance(joint, ast.BitAnd):
                return lambda flows: first(flows) & second(flows)
            return lambda flows: first(flows) | second(flows)
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            inner = _build(operand, depth + 1)
            return lambda flows: ~inner(flows)
        case ast.Compare(left=ast.Name(id=column), ops=[comparison], comparators=[value]) if (
            type(comparison) in _COMPARE
        ):
            return _comparison(column, _COMPARE[type(comparison)], _literal(column, value))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=column), attr="isin"), args=[values], keywords=[]):
            return _membership(column, values)
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(value=ast.Name(id=column), attr="str"), attr=method),
            args=[ast.Constant(value=str(wanted))],
            keywords=[],
        ) if method in _TEXT:
            _require_address(column, method)
            test = _TEXT[method]
            return lambda flows: _mask(test(text, wanted) for text in _addresses(flows, column))
    raise TruthUnreadable(
        f"reading an attack rule: {ast.unparse(node)!r} is not understood; use column == value, isin([...]), "
        ".str.startswith('...'), each in parentheses, joined by & | ~"
    )


def _comparison(column: str, compare: Callable[[Any, Any], Any], value: Any) -> Callable[[NDArray], NDArray[np.bool_]]:
    if column in _ADDRESSES:
        return lambda flows: _mask(compare(text, value) for text in _addresses(flows, column))
    return lambda flows: np.asarray(compare(flows[column], value), dtype=np.bool_)


def _membership(column: str, values: ast.expr) -> Callable[[NDArray], NDArray[np.bool_]]:
    if not isinstance(values, ast.List | ast.Tuple):
        raise TruthUnreadable(f"reading an attack rule: isin wants a list, not {ast.unparse(values)!r}")
    wanted = [_literal(column, value) for value in values.elts]
    if column in _ADDRESSES:
        return lambda flows: _mask(text in wanted for text in _addresses(flows, column))
    return lambda flows: np.isin(flows[column], wanted)


def _literal(column: str, node: ast.expr) -> Any:
    value = node.value if isinstance(node, ast.Constant) else None
    if column in _ADDRESSES:
        if isinstance(value, str):
            return value
        raise TruthUnreadable(f"reading an attack rule: {column} is compared with a quoted address")
    if column not in (FLOW.names or ()):
        raise TruthUnreadable(f"reading an attack rule: flows have no column {column!r}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise TruthUnreadable(f"reading an attack rule: {column} is compared with a number, not {ast.unparse(node)!r}")


def _require_address(column: str, method: str) -> None:
    if column not in _ADDRESSES:
        raise TruthUnreadable(
            f"reading an attack rule: .str.{method} works on {' and '.join(_ADDRESSES)}, not {column}"
        )


def _addresses(flows: NDArray, column: str) -> list[str]:
    return [contract.format_address(packed.tobytes()) for packed in flows[column]]


def _mask(answers: Any) -> NDArray[np.bool_]:
    return np.fromiter(answers, dtype=np.bool_)
