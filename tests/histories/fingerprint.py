"""What a replay depends on, written down: a change of it shows in review, and cannot land unnoticed.

    python -m tests.histories.fingerprint            compare with fingerprints.json
    python -m tests.histories.fingerprint --accept   write it anew

Temporal replays the history of a running campaign against the code of today. The code must then issue the same commands
in the same order, and read what the code of yesterday wrote. Three things decide that, and each has its part here:

- ``shell``: for every function of the workflows that issues commands, its commands and what steers them, in order;
- ``engine``: what the engine commands, step by step, in campaigns played against a panel by script;
- ``data``: the fields of everything recorded in histories or carried by continue-as-new.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import inspect
import json
import sys
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from activities import contracts
from tests.histories.traces import traces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("fingerprints.json")
SHELL = tuple(sorted(f"workflows/{file.name}" for file in (ROOT / "workflows").glob("*.py")))
DATA = (
    "activities.contracts",
    "campaigns.accounts",
    "campaigns.definition",
    "campaigns.messages",
    "campaigns.plan",
    "campaigns.state",
    "workflows.kept",
)
ISSUING = frozenset(
    f"{verb}_{noun}"
    for verb in ("execute", "start")
    for noun in ("activity", "activity_method", "local_activity", "local_activity_method", "child_workflow")
) | {
    "sleep",
    "wait_condition",
    "continue_as_new",
    "upsert_search_attributes",
    "upsert_memo",
    "signal",
    "patched",
    "deprecate_patch",
    "random",
    "uuid4",
    "create_task",
    "gather",
}
"""Calls that issue a command, or decide the order of those that do."""
_BARE = frozenset({"sleep", "upsert_search_attributes", "continue_as_new", "create_task", "gather"})
"""Their arguments are not compared by a replay, or are calls that have a line of their own."""
HANDLERS = frozenset({"run", "signal", "update", "query"})

Fingerprint = dict[str, dict[str, list[str]]]

ADVICE = """
Running campaigns are replayed with this code. Before you accept the change:

  1. Is it harmless for a history that the old code wrote? Replay the recorded ones: pytest tests/histories
  2. If not, keep the old way for them:  if workflow.patched("<what-changed>"): new way  else: old way
     A rule of the engine is chosen by a field of the state that the workflow sets under such a patch.
     A recorded field never goes and never changes its type; a new one needs a default.
  3. Record a history of the new way beside the old ones (docs/operations.md, "Upgrades").
  4. Accept:  python -m tests.histories.fingerprint --accept  and commit fingerprints.json with the change.
"""


def take() -> Fingerprint:
    """Take the fingerprint of the code as it is."""
    trees = {name: ast.parse((ROOT / name).read_text()) for name in SHELL}
    issuing = _issuing(trees)
    shell: dict[str, list[str]] = {}
    for name, tree in trees.items():
        for qualified, function in _functions(tree):
            handler = _handler(function)
            lines = _Reader(issuing[name]).block(function.body) if function.name in issuing[name] else []
            if lines or handler:
                shell[f"{name} {qualified}"] = [*handler, *lines]
    return {"shell": shell, "engine": traces(), "data": _fields()}


def recorded() -> Fingerprint:
    """Give the accepted fingerprint."""
    accepted: Fingerprint = json.loads(FILE.read_text())
    return accepted


def differences(before: Fingerprint, after: Fingerprint) -> list[str]:
    """Say what changed, as a diff; new data fields with a default are no difference."""
    lines: list[str] = []
    for part in ("shell", "engine", "data"):
        for name in sorted({*before[part], *after[part]}):
            old, new = before[part].get(name, []), after[part].get(name, [])
            if part == "data":
                new = [field for field in new if field in old or " = " not in field]
                new = [] if name not in before[part] else new
            if old != new:
                lines += [f"{part}: {name}", *list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]]
    return lines


def accept() -> None:
    """Write the fingerprint of the code as it is."""
    FILE.write_text(json.dumps(take(), indent=1, ensure_ascii=False) + "\n")


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
            yield from _functions(node, f"{prefix}{node.name}.")


def _called(call: ast.Call) -> str:
    function = call.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _issuing(trees: Mapping[str, ast.AST]) -> dict[str, frozenset[str]]:
    """Name, for each module, the functions that issue commands, themselves or through another."""
    calls = [
        (name, function.name, {_called(node) for node in ast.walk(function) if isinstance(node, ast.Call)})
        for name, tree in trees.items()
        for _, function in _functions(tree)
    ]
    found = {name: set(ISSUING) for name in trees}
    while more := [(name, function) for name, function, called in calls if called & found[name] - {function}]:
        before = sum(map(len, found.values()))
        for name, function in more:
            # What begins with an underscore is its own module's.
            for reached in [name] if function.startswith("_") else found:
                found[reached].add(function)
        if sum(map(len, found.values())) == before:
            break
    return {name: frozenset(names) for name, names in found.items()}


def _handler(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Give a workflow's run method, signal, update or query: its kind and its name on the wire."""
    for decorator in function.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "workflow" and target.attr in HANDLERS:
            names = [keyword.value for keyword in call.keywords if keyword.arg == "name"] if call else []
            return [f"@{target.attr} {ast.literal_eval(names[0]) if names else function.name}"]
    return []


class _Reader:
    """Reads a function's commands in order, under the conditions that lead to them."""

    def __init__(self, issuing: frozenset[str]) -> None:
        self._issuing = issuing

    def block(self, body: list[ast.stmt]) -> list[str]:
        return [line for statement in body for line in self._statement(statement)]

    def _statement(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return []
            case ast.If():
                head = f"if {ast.unparse(node.test)}:"
                return [*self._calls(node.test), *self._under((head, node.body), ("else:", node.orelse))]
            case ast.While():
                return self._under((f"while {ast.unparse(node.test)}:", node.body), ("else:", node.orelse))
            case ast.For() | ast.AsyncFor():
                head = f"for {ast.unparse(node.target)} in {ast.unparse(node.iter)}:"
                return [*self._calls(node.iter), *self._under((head, node.body), ("else:", node.orelse))]
            case ast.Try():
                handlers = [
                    (f"except {ast.unparse(handler.type) if handler.type else ''}:", handler.body)
                    for handler in node.handlers
                ]
                return self._under(("try:", node.body), *handlers, ("else:", node.orelse), ("finally:", node.finalbody))
            case ast.With() | ast.AsyncWith():
                return self._under((f"with {', '.join(ast.unparse(item) for item in node.items)}:", node.body))
            case ast.Match():
                heads = [(f"case {ast.unparse(case.pattern)}:", case.body) for case in node.cases]
                lines = self._under(*heads)
                return [f"match {ast.unparse(node.subject)}:", *_in(lines)] if lines else []
            case ast.Return():
                return [*self._calls(node), "return"]
            case ast.Raise():
                return [*self._calls(node), "raise"]
            case ast.Continue() | ast.Break():
                return [ast.unparse(node)]
            case _:
                return self._calls(node)

    def _under(self, *parts: tuple[str, list[ast.stmt]]) -> list[str]:
        read = [(head, self.block(body)) for head, body in parts]
        if not any(lines for _, lines in read):
            return []
        return [line for head, lines in read if lines or head.startswith("try") for line in (head, *_in(lines))]

    def _calls(self, node: ast.AST) -> list[str]:
        calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and _called(call) in self._issuing]
        # Inner calls run first; those side by side run from left to right.
        calls.sort(key=lambda call: (call.end_lineno or 0, call.end_col_offset or 0))
        return [self._line(call) for call in calls]

    def _line(self, call: ast.Call) -> str:
        name = _called(call)
        if name not in ISSUING:
            return f"-> {name}"
        first = call.args[0] if call.args else None
        value = getattr(contracts, first.id, None) if isinstance(first, ast.Name) else None
        target = value if isinstance(value, str) else ast.unparse(first) if first is not None else ""
        if name == "wait_condition":
            target = "with a timer" if any(keyword.arg == "timeout" for keyword in call.keywords) else ""
        return f"{name}({'' if name in _BARE else target})"


def _in(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _fields() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in DATA:
        module = import_module(name)
        for _, model in inspect.getmembers(module, inspect.isclass):
            if issubclass(model, BaseModel) and model.__module__ == name and not model.__name__.startswith("_"):
                found[f"{name}.{model.__name__}"] = [
                    f"{field}: {_shown(info.annotation)}{'' if info.is_required() else ' = …'}"
                    for field, info in model.model_fields.items()
                ]
    return found


def _shown(annotation: Any) -> str:
    """Write a type without what only validates it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shown(inner[0])
    if origin is Literal:
        return " | ".join(map(repr, inner))
    if origin in (Union, UnionType):
        return " | ".join(map(_shown, inner))
    name = str(getattr(origin or annotation, "__name__", annotation))
    return f"{name}[{', '.join(map(_shown, inner))}]" if inner else name


def main() -> int:
    """Compare, or accept; 0 when nothing changed."""
    parser = argparse.ArgumentParser(description="Fingerprints of what a replay depends on.")
    parser.add_argument("--accept", action="store_true", help="write fingerprints.json anew")
    if parser.parse_args().accept:
        accept()
        return 0
    changed = differences(recorded(), take())
    print("\n".join([*changed, ADVICE]) if changed else "nothing that a replay depends on has changed")  # noqa: T201
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
