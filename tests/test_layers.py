"""How the package is built: imports point downward, rooms stay small, nothing unsafe, `import regrowth` stays light.

Every test reads the source as a syntax tree, so that it needs no optional dependency and covers new files by itself.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = SOURCE / "regrowth"

SCIENCE = frozenset(
    {"metrics", "registration", "anatomy", "recurrence", "segmentation", "perfusion", "progression", "radiotherapy"}
    | {"growth", "diffusion", "statistics", "response"}
)
# From low to high; a package imports only from lower rows, and within its row only what `_allowed` says.
LAYERS = (
    frozenset({"errors", "units", "labels", "clinical"}),
    frozenset({"space"}),
    SCIENCE,
    frozenset({"phantom"}),
    frozenset({"io", "engines", "importers"}),
    frozenset({"report"}),
    frozenset({"workflow"}),
    frozenset({"api"}),
    frozenset({"viewer", "cli"}),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ANYWHERE = {"", "__main__"}  # may import from every layer: regrowth/__init__.py, __main__.py
# The places where science builds on science: measures and scores on metrics, a template's brain and the way from a recurrence
# to its dose on registration.
SIBLINGS = {("recurrence", "metrics"), ("growth", "metrics"), ("anatomy", "registration"), ("radiotherapy", "registration")}

HEAVY = (
    "torch",
    "SimpleITK",
    "ants",
    "picsl_greedy",
    "nilearn",
    "matplotlib",
    "dask",
    "distributed",
    "pandas",
    "monai",
    "numba",
    "lifelines",
    "highdicom",
    "pydicom",
)
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 90


def modules() -> list[str]:
    return sorted(p.relative_to(SOURCE).as_posix() for p in PACKAGE.rglob("*.py"))


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((SOURCE / module).read_text(encoding="utf-8"), module)


def part(dotted: str) -> str:
    """Name the package or top-level module below `regrowth` that a dotted name lies in; '' is `regrowth` itself."""
    return [*dotted.split("."), ""][1]


def dotted_name(module: str) -> str:
    return module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(module: str, source: ast.Module) -> list[tuple[int, str]]:
    """List (line, dotted name) of all imports of `regrowth` at any depth, relative and by name included."""
    package = dotted_name(module).split(".")
    if not module.endswith("__init__.py"):
        package = package[:-1]
    found: list[tuple[int, str]] = []
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base == "regrowth":  # from regrowth import space: the name is the part
                found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, base))
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.append((node.lineno, name.value))
    return [(line, name) for line, name in found if name == "regrowth" or name.startswith("regrowth.")]


def called(node: ast.Call) -> str:
    function = node.func
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def forbidden(module: str, source: ast.Module) -> list[str]:
    """List the imports of a module that break the layers."""
    here = part(dotted_name(module))
    out = []
    for line, name in imported(module, source):
        there = part(name)
        if not _allowed(module, here, there):
            out.append(f"{module}:{line}: {here or 'regrowth'} may not import {name}")
    return out


def _allowed(module: str, here: str, there: str) -> bool:
    if there == "cli":
        return here in ("cli", "__main__")
    if here == there or here in ANYWHERE or there == "__version__":
        return True
    if there not in LEVEL:  # regrowth itself holds everything: importing it from below is a circle
        return False
    if (here, there) in SIBLINGS:
        return True
    if (here, there) == ("phantom", "io"):
        return module in ("regrowth/phantom/dataset.py", "regrowth/phantom/radiotherapy.py")
    if LEVEL[here] == LEVEL[there]:
        return LEVEL[here] == 0 or (here, there) in (("importers", "io"), ("cli", "viewer"))
    return LEVEL[there] < LEVEL[here]


# --- layers ---------------------------------------------------------------------------------------------------------


def test_every_module_belongs_to_a_layer():
    parts = {part(dotted_name(m)) for m in modules()}
    assert parts <= set(LEVEL) | ANYWHERE, "put the new package into LAYERS of this test"


@pytest.mark.parametrize("module", modules())
def test_imports_point_downward(module):
    if part(dotted_name(module)) not in set(LEVEL) | ANYWHERE:
        pytest.fail(f"{module} lies in no layer")
    assert not forbidden(module, tree(module))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("regrowth/space/grid.py", "from regrowth.io.nifti import read_image"),
        ("regrowth/labels.py", "import regrowth.space"),
        ("regrowth/growth/fit.py", "def f():\n    from regrowth.anatomy import LOBES"),
        ("regrowth/metrics/overlap.py", "from ..recurrence import migration"),
        ("regrowth/metrics/__init__.py", "from ..recurrence import migration"),
        ("regrowth/io/bids.py", "from regrowth import engines"),
        ("regrowth/engines/greedy.py", "import importlib\nimportlib.import_module('regrowth.io.nifti')"),
        ("regrowth/io/bids.py", "from regrowth.importers import lumiere"),
        ("regrowth/phantom/patient.py", "from regrowth.io.nifti import write_image"),
        ("regrowth/report/page.py", "from regrowth.workflow import run"),
        ("regrowth/viewer/page.py", "from regrowth.cli.main import app"),
        ("regrowth/api.py", "from regrowth.cli.main import app"),
        ("regrowth/space/grid.py", "from regrowth import Grid"),
        ("regrowth/io/nifti.py", "from regrowth.api import run"),
    ],
)
def test_upward_import_is_found(module, code):
    assert forbidden(module, ast.parse(code))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("regrowth/recurrence/migration.py", "from regrowth.metrics import hausdorff"),
        ("regrowth/phantom/dataset.py", "from regrowth.io.nifti import write_image"),
        ("regrowth/importers/lumiere.py", "from regrowth.io.bids import write"),
        ("regrowth/space/grid.py", "from .image import Image\nfrom regrowth.errors import InputError\nimport numpy"),
        ("regrowth/cli/main.py", "from regrowth.viewer import page"),
        ("regrowth/api.py", "from regrowth.workflow import run"),
        ("regrowth/workflow/run.py", "from regrowth import __version__"),
        ("regrowth/__main__.py", "from regrowth.cli.main import main"),
    ],
)
def test_downward_import_passes(module, code):
    assert not forbidden(module, ast.parse(code))


# --- small rooms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules())
def test_module_is_at_most_400_lines(module):
    assert len((SOURCE / module).read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


@pytest.mark.parametrize("module", modules())
def test_function_is_at_most_90_lines(module):
    long = [
        f"{node.name} at line {node.lineno} has {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("module", modules())
def test_module_says_in_its_first_line_what_it_answers(module):
    text = ast.get_docstring(tree(module))
    assert text
    assert text.splitlines()[0].strip()


# --- habits ---------------------------------------------------------------------------------------------------------


def unsafe(source: ast.Module) -> list[str]:
    """List what may run code out of data, hide a fault or vanish under `python -O`."""
    out = []
    for node in ast.walk(source):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            out.append(f"line {line}: bare except")
        if isinstance(node, ast.Assert) and not narrows_a_type(node.test):
            out.append(f"line {line}: assert (raise an error of regrowth.errors)")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            out.append(f"line {line}: {node.func.id}")
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if (keyword.arg, value) in (("allow_pickle", True), ("weights_only", False), ("shell", True)):
                    out.append(f"line {line}: {keyword.arg}={value}")
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        out += [f"line {line}: {n}" for n in names if n.split(".")[0] in ("pickle", "dill", "cloudpickle", "shelve", "marshal")]
    return out


def narrows_a_type(test: ast.expr) -> bool:
    """Tell whether an assertion only tells mypy a type: `isinstance(...)` or `... is not None`."""
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.IsNot) and ast.unparse(test.comparators[0]) == "None"
    return isinstance(test, ast.Call) and called(test) == "isinstance"


def mutable_defaults(source: ast.Module) -> list[str]:
    out = []
    for node in ast.walk(source):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            literal = isinstance(default, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
            made = isinstance(default, ast.Call) and called(default) in ("list", "dict", "set", "defaultdict", "zeros", "array")
            if literal or made:
                out.append(f"line {node.lineno}: mutable default")
    return out


@pytest.mark.parametrize("module", modules())
def test_nothing_unsafe(module):
    assert not unsafe(tree(module))


@pytest.mark.parametrize("module", modules())
def test_no_mutable_default(module):
    assert not mutable_defaults(tree(module))


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    x\nexcept:\n    pass",
        "assert x > 0",
        "eval('1')",
        "exec('1')",
        "import pickle",
        "from pickle import loads",
        "np.load(p, allow_pickle=True)",
        "torch.load(p, weights_only=False)",
        "subprocess.run(c, shell=True)",
    ],
)
def test_unsafe_code_is_found(code):
    assert unsafe(ast.parse(code))
    assert not unsafe(ast.parse("model.eval()\ntry:\n    x\nexcept ValueError:\n    pass\nassert isinstance(x, int)"))


@pytest.mark.parametrize(
    "code", ["def f(a=[]): ...", "def f(*, a={}): ...", "f = lambda a=set(): a", "def f(a=np.zeros(3)): ..."]
)
def test_mutable_default_is_found(code):
    assert mutable_defaults(ast.parse(code))
    assert not mutable_defaults(ast.parse("def f(a=(), b=None, *, c=frozenset()): ..."))


def test_global_random_state_is_never_used():
    """Random numbers come from a generator that is passed in."""
    legacy = {"seed", "rand", "randn", "randint", "random", "normal", "uniform", "choice", "shuffle", "permutation"}
    found = [
        f"{module}:{node.lineno}"
        for module in modules()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and node.attr in legacy
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "random"
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id in ("np", "numpy")
    ]
    assert not found


# --- import ---------------------------------------------------------------------------------------------------------


def test_import_regrowth_loads_no_engine_and_nothing_heavy():
    code = f"import sys, regrowth; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
