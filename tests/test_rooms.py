"""Imports point one way: cli -> stages -> training -> models, data, plots -> files -> ranks -> errors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import invtool

TOP = Path(invtool.__file__).parent
FILES = {"files", "ranks", "errors", "__version__"}
BELOW = {"models", "data", "plots", "training", "measures", "transforms", *FILES}
MAY_IMPORT = {
    "errors.py": set(),
    "config.py": set(),
    "measures": {"measures"},
    "transforms": {"transforms"},
    "ranks": {"ranks", "errors"},
    "files": FILES,
    "models": {"models", *FILES},
    "data": {"data", "transforms", *FILES},
    "plots": {"plots", *FILES},
    "training": {"training", "models", "data", "transforms", *FILES},
    "stages": {"stages", "config", *BELOW},
    # The command line parses specs, whose grammars import nothing slow, and runs stages.
    "cli": {"cli", "stages", "config", "files", "ranks", "errors", "data.specs", "transforms"}
    | {"models.architectures", "__version__", "__date__"},
}


def imports(source: str, package: str) -> Iterator[str]:
    """`files.hdf5` and the like: what the source imports from invtool, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (n.removeprefix("invtool.") for n in names if n.startswith("invtool."))


def strangers(source: str, package: str, allowed: set[str]) -> list[str]:
    return [
        name
        for name in imports(source, package)
        if not any(name == room or name.startswith(f"{room}.") for room in allowed)
    ]


MODULES = [
    path for path in sorted(TOP.rglob("*.py")) if path.relative_to(TOP).parts[0] in MAY_IMPORT
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_a_module_imports_only_rooms_below_its_own(path: Path) -> None:
    inside = path.relative_to(TOP)
    package = ".".join(("invtool", *inside.parent.parts))
    assert strangers(path.read_text(), package, MAY_IMPORT[inside.parts[0]]) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from invtool.stages import train", ["stages.train"]),
        ("import invtool.stages.train", ["stages.train"]),
        ("from invtool import stages", ["stages"]),
        ("from ..stages import train", ["stages.train"]),
        ("def f():\n    from invtool.stages.train import run", ["stages.train.run"]),
        ("from invtool.measures import groups\nimport numpy", []),
        ("from . import groups", []),
    ],
)
def test_the_check_can_fail(source: str, found: list[str]) -> None:
    assert strangers(source, "invtool.measures", MAY_IMPORT["measures"]) == found


def test_every_room_is_in_the_table() -> None:
    rooms = {path.relative_to(TOP).parts[0] for path in TOP.rglob("*.py")}
    assert rooms - MAY_IMPORT.keys() == {"__init__.py", "__main__.py"}


def tops(source: str) -> list[str]:
    """Roots of the packages that are imported outside functions."""
    found: list[str] = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module.split(".")[0])
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not (typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


def test_only_what_works_on_tensors_imports_torch() -> None:
    """A stage that reads a file starts without torch: its rooms import none at module level."""
    free = [TOP / room for room in ("files", "measures", "plots", "cli")]
    for path in (path for room in free for path in room.rglob("*.py")):
        assert not {"torch", "torchvision"} & set(tops(path.read_text())), path


def test_that_check_can_fail_too() -> None:
    assert tops("import torch.nn") == ["torch"]
    assert tops("class A:\n    from torch import nn") == ["torch"]
    assert tops("def f():\n    import torch") == []
    assert tops("if TYPE_CHECKING:\n    import torch") == []
