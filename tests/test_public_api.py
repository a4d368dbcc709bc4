"""What users may rely on: complete export lists, documented names, the error tree as written."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import regrowth.errors

SOURCE = Path(__file__).parents[1] / "src"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def modules() -> list[str]:
    return sorted(p.relative_to(SOURCE).as_posix() for p in (SOURCE / "regrowth").rglob("*.py"))


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((SOURCE / module).read_text(encoding="utf-8"), module)


def exported(source: ast.Module) -> list[str] | None:
    """Give the names in `__all__`, None where there is none."""
    for node in source.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return list(ast.literal_eval(node.value))
    return None


def definitions(source: ast.Module) -> list[Definition]:
    """List the public functions and classes that a module defines."""
    return [n for n in source.body if isinstance(n, Definition) and not n.name.startswith("_")]


def export_order(name: str) -> tuple[int, list[object]]:
    """Sort as ruff does: constants, classes, functions; numbers within names by their value."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", name)]


def undocumented(source: ast.Module) -> list[str]:
    """List public functions, classes and methods without a docstring of their own or a line in that of their class."""
    out = []
    for node in definitions(source):
        members = [m for m in node.body if isinstance(m, Definition)] if isinstance(node, ast.ClassDef) else []
        told = {line.strip() for line in (ast.get_docstring(node) or "").splitlines()}
        for thing in [node, *(m for m in members if not m.name.startswith("_") and m.name not in told)]:
            decorators = {ast.unparse(d).split(".")[-1] for d in getattr(thing, "decorator_list", [])}
            if not ast.get_docstring(thing) and not decorators & {"overload", "override", "setter"}:
                out.append(f"line {thing.lineno}: {thing.name}")
    return out


@pytest.mark.parametrize("module", [m for m in modules() if exported(tree(m)) is not None])
def test_export_list_is_sorted_and_complete(module):
    names = exported(tree(module))
    assert names == sorted(set(names), key=export_order)
    assert not {d.name for d in definitions(tree(module))} - set(names)


@pytest.mark.parametrize("module", [m for m in modules() if exported(tree(m))])
def test_every_exported_name_exists(module):
    source = tree(module)
    bound = {d.name for d in source.body if isinstance(d, Definition)}
    bound |= {n.id for n in ast.walk(source) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {a.asname or a.name for n in ast.walk(source) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
    missing = set(exported(source)) - bound
    if missing:  # a package that loads its names late, by __getattr__
        loaded = importlib.import_module(module.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        missing = {n for n in missing if not hasattr(loaded, n)}
    assert not missing


@pytest.mark.parametrize("module", modules())
def test_module_with_public_names_lists_them(module):
    assert exported(tree(module)) is not None or not definitions(tree(module))


@pytest.mark.parametrize("module", modules())
def test_every_public_function_class_and_method_is_documented(module):
    assert not undocumented(tree(module))


def test_missing_docstring_and_export_are_found():
    source = ast.parse('__all__ = ["b"]\ndef a(): ...\nclass b:\n    """B."""\n    def c(self): ...\n    def _d(self): ...')
    assert undocumented(source) == ["line 2: a", "line 5: c"]
    assert {d.name for d in definitions(source)} - set(exported(source)) == {"a"}


# --- errors ---------------------------------------------------------------------------------------------------------


def drawn_tree() -> dict[str, str]:
    """Read the parent of every error from the tree drawn in the docstring."""
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in (regrowth.errors.__doc__ or "").splitlines():
        found = re.match(r"^([\s│├└─]*)(\w+Error)\b", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        while stack and stack[-1][0] >= depth:
            stack.pop()
        parents[name] = stack[-1][1] if stack else "Exception"
        stack.append((depth, name))
    return parents


def test_error_tree_in_the_docstring_is_the_one_of_the_classes():
    classes = {n: c for n, c in inspect.getmembers(regrowth.errors, inspect.isclass) if c.__module__ == "regrowth.errors"}
    assert drawn_tree() == {name: c.__base__.__name__ for name, c in classes.items()}
    assert set(regrowth.errors.__all__) == set(classes)


def test_one_except_catches_every_error_of_regrowth():
    for name in regrowth.errors.__all__:
        assert issubclass(getattr(regrowth.errors, name), regrowth.errors.RegrowthError)


@pytest.mark.parametrize("module", modules())
def test_errors_are_defined_in_one_place(module):
    if module == "regrowth/errors.py":
        return
    own = [
        n.name
        for n in ast.walk(tree(module))
        if isinstance(n, ast.ClassDef) and any(ast.unparse(b).endswith(("Error", "Exception")) for b in n.bases)
    ]
    assert not own
