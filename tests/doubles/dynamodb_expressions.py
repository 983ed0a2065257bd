"""
The expression language of DynamoDB: a small parser and evaluator.

Conditions and filters become trees of tuples; updates become lists of
actions, all computed from the item as it was. A name must be declared and
used, and a reserved word refused, as the service does.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.doubles.dynamodb_values import (
    SETS,
    Invalid,
    Item,
    Value,
    comparable,
    equal,
    kind_of,
    normal,
    number_text,
    sort_key,
    value_size,
)

TOKEN = re.compile(
    r"\s*(?:(?P<name>#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<number>\d+)"
    r"|(?P<op><>|<=|>=|=|<|>|\(|\)|,|\.|\[|\]|\+|-))"
)
RESERVED = frozenset(Path(__file__).with_name("dynamodb_reserved_words.txt").read_text().split())
COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
PREDICATES = {"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}

Step = str | int
Tree = tuple[Any, ...]


class Scope:
    """The names and values of one request, and which of them its expressions used."""

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Value] | None) -> None:
        self._names = dict(names or {})
        self._values = {key: normal(value) for key, value in (values or {}).items()}
        self._used: set[str] = set()

    def name(self, placeholder: str) -> str:
        self._used.add(placeholder)
        if placeholder not in self._names:
            raise Invalid(f"An expression attribute name used in the document path is not defined; name: {placeholder}")
        return self._names[placeholder]

    def value(self, placeholder: str) -> Value:
        self._used.add(placeholder)
        if placeholder not in self._values:
            raise Invalid(f"An expression attribute value used in expression is not defined; value: {placeholder}")
        return self._values[placeholder]

    def check_all_used(self) -> None:
        for what, declared in (("Names", self._names), ("Values", self._values)):
            unused = sorted(set(declared) - self._used)
            if unused:
                raise Invalid(
                    f"Value provided in ExpressionAttribute{what} unused in expressions: keys: {{{', '.join(unused)}}}"
                )


class Parser:
    """Recursive descent over one expression."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._scope = scope
        self._text = text
        self._tokens = self._tokenise(text)
        self._at = 0
        if not self._tokens:
            raise Invalid("Invalid expression: The expression can not be empty;")

    def _tokenise(self, text: str) -> list[tuple[str, str]]:
        tokens, position = [], 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise Invalid(f'Syntax error; token: "{text[position:].strip()[0]}"')
            tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        return tokens

    # --- tokens ---

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "<EOF>")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        kind, token = self._peek()
        return token.upper() == text if kind == "word" else token == text

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise Invalid(f'Invalid expression: Syntax error; token: "{self._peek()[1]}", near: "{self._text}"')

    def _end(self) -> None:
        if self._peek()[0] != "end":
            self._expect("<EOF>")

    # --- conditions ---

    def condition(self) -> Tree:
        tree = self._or()
        self._end()
        return tree

    def _or(self) -> Tree:
        tree = self._and()
        while self._accept("OR"):
            tree = ("or", tree, self._and())
        return tree

    def _and(self) -> Tree:
        tree = self._not()
        while self._accept("AND"):
            tree = ("and", tree, self._not())
        return tree

    def _not(self) -> Tree:
        return ("not", self._not()) if self._accept("NOT") else self._primary()

    def _primary(self) -> Tree:
        if self._accept("("):
            tree = self._or()
            self._expect(")")
            return tree
        kind, token = self._peek()
        if kind == "word" and token in PREDICATES and self._tokens[self._at + 1 : self._at + 2] == [("op", "(")]:
            return self._predicate(token)
        left = self._operand()
        kind, token = self._next()
        if token in COMPARATORS:
            return ("compare", token, left, self._operand())
        if token.upper() == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            return ("between", left, low, self._operand())
        if token.upper() == "IN":
            return ("in", left, self._arguments())
        raise Invalid(f'Invalid expression: Syntax error; token: "{token}", near: "{self._text}"')

    def _predicate(self, name: str) -> Tree:
        self._at += 1
        arguments = self._arguments()
        if len(arguments) != PREDICATES[name]:
            raise Invalid(f"Incorrect number of operands for operator or function; operator or function: {name}")
        if arguments[0][0] != "path":
            raise Invalid(f"Operator or function requires a document path; operator or function: {name}")
        return (name, *arguments)

    def _arguments(self) -> list[Tree]:
        self._expect("(")
        arguments = [self._operand()]
        while self._accept(","):
            arguments.append(self._operand())
        self._expect(")")
        return arguments

    def _operand(self) -> Tree:
        kind, token = self._peek()
        if kind == "value":
            self._at += 1
            return ("value", self._scope.value(token))
        if kind == "word" and token == "size" and self._tokens[self._at + 1 : self._at + 2] == [("op", "(")]:
            self._at += 1
            (argument,) = self._arguments()
            return ("size", argument)
        return ("path", self._path())

    def _path(self) -> tuple[Step, ...]:
        steps: list[Step] = [self._step()]
        while True:
            if self._accept("."):
                steps.append(self._step())
            elif self._accept("["):
                kind, token = self._next()
                if kind != "number":
                    raise Invalid(f'Invalid expression: Syntax error; token: "{token}"')
                steps.append(int(token))
                self._expect("]")
            else:
                return tuple(steps)

    def _step(self) -> str:
        kind, token = self._next()
        if kind == "name":
            return self._scope.name(token)
        if kind != "word" or "-" in token:
            raise Invalid(f'Invalid expression: Syntax error; token: "{token}", near: "{self._text}"')
        if token.upper() in RESERVED:
            raise Invalid(f"Invalid expression: Attribute name is a reserved keyword; reserved keyword: {token}")
        return token

    def projection(self) -> list[tuple[Step, ...]]:
        paths = [self._path()]
        while self._accept(","):
            paths.append(self._path())
        self._end()
        _no_overlap(paths)
        return paths

    # --- updates ---

    def update(self) -> list[Tree]:
        """A list of ("set"|"remove"|"add"|"delete", path, operand)."""
        actions: list[Tree] = []
        seen: set[str] = set()
        while self._peek()[0] != "end":
            clause = self._next()[1].upper()
            if clause not in {"SET", "REMOVE", "ADD", "DELETE"} or clause in seen:
                raise Invalid(f'Invalid UpdateExpression: Syntax error; token: "{clause}", near: "{self._text}"')
            seen.add(clause)
            actions.append(self._action(clause))
            while self._accept(","):
                actions.append(self._action(clause))
        _no_overlap([action[1] for action in actions])
        return actions

    def _action(self, clause: str) -> Tree:
        path = self._path()
        if clause == "REMOVE":
            return ("remove", path)
        if clause == "SET":
            self._expect("=")
            return ("set", path, self._sum())
        kind, token = self._next()
        if kind != "value":
            raise Invalid(f'Invalid UpdateExpression: Syntax error; token: "{token}", near: "{self._text}"')
        return (clause.lower(), path, ("value", self._scope.value(token)))

    def _sum(self) -> Tree:
        left = self._set_operand()
        for sign in ("+", "-"):
            if self._accept(sign):
                return ("sum", sign, left, self._set_operand())
        return left

    def _set_operand(self) -> Tree:
        if self._accept("("):
            tree = self._sum()
            self._expect(")")
            return tree
        kind, token = self._peek()
        if kind == "word" and token in {"if_not_exists", "list_append"}:
            self._at += 1
            self._expect("(")
            first = self._set_operand()
            self._expect(",")
            second = self._set_operand()
            self._expect(")")
            return (token, first, second)
        return self._operand()


def _no_overlap(paths: list[tuple[Step, ...]]) -> None:
    for i, one in enumerate(paths):
        for other in paths[i + 1 :]:
            shorter = min(len(one), len(other))
            if one[:shorter] == other[:shorter]:
                raise Invalid("Two document paths overlap with each other; must remove or rewrite one of these paths")


# --- evaluation ---


def at(item: Item, path: tuple[Step, ...]) -> Value | None:
    """The value at a path, or None."""
    value: Value | None = item.get(str(path[0]))
    for step in path[1:]:
        if value is None:
            return None
        if isinstance(step, int):
            members = value.get("L", [])
            value = members[step] if step < len(members) else None
        else:
            value = value.get("M", {}).get(step)
    return value


def _operand_value(operand: Tree, item: Item) -> Value | None:
    match operand:
        case ("value", value):
            return value
        case ("path", path):
            return at(item, path)
        case ("size", inner):
            value = _operand_value(inner, item)
            if value is None or kind_of(value) in {"N", "BOOL", "NULL"}:
                return None
            content = value[kind_of(value)]
            return {"N": str(value_size(value) if kind_of(value) in {"S", "B"} else len(content))}
    raise Invalid("Invalid operand")


def holds(tree: Tree, item: Item) -> bool:  # noqa: C901, PLR0911 - one branch per operator
    """Evaluate a condition on an item (empty when there is none)."""
    match tree:
        case ("and", left, right):
            return holds(left, item) and holds(right, item)
        case ("or", left, right):
            return holds(left, item) or holds(right, item)
        case ("not", inner):
            return not holds(inner, item)
        case ("compare", operator, left, right):
            return _compare(operator, _operand_value(left, item), _operand_value(right, item))
        case ("between", operand, low, high):
            value = _operand_value(operand, item)
            return _compare(">=", value, _operand_value(low, item)) and _compare(
                "<=", value, _operand_value(high, item)
            )
        case ("in", operand, candidates):
            value = _operand_value(operand, item)
            return any(_compare("=", value, _operand_value(c, item)) for c in candidates)
        case ("attribute_exists", ("path", path)):
            return at(item, path) is not None
        case ("attribute_not_exists", ("path", path)):
            return at(item, path) is None
        case ("attribute_type", ("path", path), ("value", wanted)):
            value = at(item, path)
            return value is not None and kind_of(value) == wanted.get("S")
        case ("begins_with", left, right):
            value, prefix = _operand_value(left, item), _operand_value(right, item)
            return _begins_with(value, prefix)
        case ("contains", left, right):
            return _contains(_operand_value(left, item), _operand_value(right, item))
    raise Invalid("Invalid ConditionExpression")


def _compare(operator: str, left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return operator == "<>" and (left is None) != (right is None)
    if operator == "=":
        return equal(left, right)
    if operator == "<>":
        return not equal(left, right)
    if kind_of(left) != kind_of(right) or kind_of(left) not in {"S", "N", "B"}:
        return False
    a, b = sort_key(left), sort_key(right)
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def _begins_with(value: Value | None, prefix: Value | None) -> bool:
    if value is None or prefix is None or kind_of(value) != kind_of(prefix) or kind_of(value) not in {"S", "B"}:
        return False
    kind = kind_of(value)
    return bool(value[kind].startswith(prefix[kind]))


def _contains(value: Value | None, wanted: Value | None) -> bool:
    if value is None or wanted is None:
        return False
    kind = kind_of(value)
    if kind in {"S", "B"}:
        return kind == kind_of(wanted) and wanted[kind] in value[kind]
    if kind in SETS:
        return kind_of(wanted) == kind[0] and comparable(wanted) in comparable(value)
    return kind == "L" and any(equal(member, wanted) for member in value["L"])


def apply_update(actions: list[Tree], item: Item) -> Item:
    """Apply an update; every right-hand side sees the item as it was."""
    results = [(a[0], a[1], _update_value(a, item)) for a in actions]
    updated = copy.deepcopy(item)
    for verb, path, value in sorted(results, key=lambda r: _removal_order(r[0], r[1])):
        if verb == "remove" or value is None:
            _remove(updated, path)
        else:
            _put(updated, path, value)
    return updated


def _removal_order(verb: str, path: tuple[Step, ...]) -> tuple[int, float]:
    last = path[-1]
    return (0, 0) if verb != "remove" else (1, -last if isinstance(last, int) else 0)


def _update_value(action: Tree, item: Item) -> Value | None:
    match action:
        case ("remove", _):
            return None
        case ("set", _, operand):
            return _set_value(operand, item)
        case ("add", path, (_, value)):
            return _added(at(item, path), value)
        case ("delete", path, (_, value)):
            return _deleted(at(item, path), value)
    raise Invalid("Invalid UpdateExpression")


def _set_value(operand: Tree, item: Item) -> Value:
    match operand:
        case ("if_not_exists", ("path", path), fallback):
            present = at(item, path)
            return present if present is not None else _set_value(fallback, item)
        case ("list_append", left, right):
            a, b = _set_value(left, item), _set_value(right, item)
            if kind_of(a) != "L" or kind_of(b) != "L":
                raise Invalid("An operand in the update expression has an incorrect data type")
            return {"L": a["L"] + b["L"]}
        case ("sum", sign, left, right):
            a, b = _set_value(left, item), _set_value(right, item)
            if kind_of(a) != "N" or kind_of(b) != "N":
                raise Invalid("An operand in the update expression has an incorrect data type")
            x, y = Decimal(a["N"]), Decimal(b["N"])
            return {"N": number_text(x + y if sign == "+" else x - y)}
    value = _operand_value(operand, item)
    if value is None:
        raise Invalid("The provided expression refers to an attribute that does not exist in the item")
    return copy.deepcopy(value)


def _added(present: Value | None, value: Value) -> Value:
    kind = kind_of(value)
    if kind not in {"N", *SETS}:
        raise Invalid("Incorrect operand type for operator or function; operator: ADD")
    if present is None:
        return value
    if kind_of(present) != kind:
        raise Invalid("An operand in the update expression has an incorrect data type")
    if kind == "N":
        return {"N": number_text(Decimal(present["N"]) + Decimal(value["N"]))}
    return {kind: present[kind] + [m for m in value[kind] if m not in present[kind]]}


def _deleted(present: Value | None, value: Value) -> Value | None:
    kind = kind_of(value)
    if kind not in SETS:
        raise Invalid("Incorrect operand type for operator or function; operator: DELETE")
    if present is None:
        return None
    if kind_of(present) != kind:
        raise Invalid("An operand in the update expression has an incorrect data type")
    kept = [m for m in present[kind] if m not in value[kind]]
    return {kind: kept} if kept else None


def _container(item: Item, path: tuple[Step, ...]) -> Any:
    holder: Any = {"M": item}
    for step in path[:-1]:
        members = holder.get("L") if isinstance(step, int) else holder.get("M")
        present = members is not None and (step in members if isinstance(members, dict) else step < len(members))
        if not present:
            raise Invalid("The document path provided in the update expression is invalid for update")
        holder = members[step]
    return holder


def _put(item: Item, path: tuple[Step, ...], value: Value) -> None:
    holder, last = _container(item, path), path[-1]
    if isinstance(last, int):
        members = holder.get("L")
        if members is None:
            raise Invalid("The document path provided in the update expression is invalid for update")
        members[last : last + 1] = [value]
    elif "M" not in holder:
        raise Invalid("The document path provided in the update expression is invalid for update")
    else:
        holder["M"][last] = value


def _remove(item: Item, path: tuple[Step, ...]) -> None:
    holder, last = _container(item, path), path[-1]
    if isinstance(last, int):
        del holder.get("L", [])[last : last + 1]
    else:
        holder.get("M", {}).pop(last, None)


def project(paths: list[tuple[Step, ...]], item: Item) -> Item:
    """Keep only the paths; a list keeps the order of its chosen members."""
    result: Item = {}
    for path in sorted(paths, key=lambda p: [(isinstance(step, str), step) for step in p]):
        value = at(item, path)
        if value is not None:
            _graft(result, path, value)
    return result


def _graft(result: Item, path: tuple[Step, ...], value: Value) -> None:
    holder: Any = result
    for step, following in pairwise(path):
        empty: Value = {"L": []} if isinstance(following, int) else {"M": {}}
        if isinstance(step, int):
            holder.append(empty)
            child = holder[-1]
        else:
            child = holder.setdefault(step, empty)
        holder = child["L"] if "L" in child else child["M"]
    if isinstance(path[-1], int):
        holder.append(value)
    else:
        holder[path[-1]] = value
