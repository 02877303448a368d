"""The package is a house of floors: an import goes down or stays in its room, never up, and there is no circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mnist_exp

PACKAGE = Path(mnist_exp.__file__).parent
FLOORS = [  # the top floor first
    ["python_api"],
    ["train", "evaluate", "predict", "compare", "export", "demo"],
    ["cli"],
    ["training"],
    ["analysis"],
    ["data", "web"],
    ["models", "imaging"],
    ["result"],
    ["recipe", "files", "suggestions"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Lightning's users expect `load_from_checkpoint` on the class. It imports what it needs when it is called.
LAZY = ("models.classifier", "models.checkpoint")
APART = {("data", "models")}  # Hydra connects them
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in FLOOR_OF)


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names below mnist_exp that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mnist_exp":
            for alias in node.names:
                name = f"{node.module}.{alias.name}".removeprefix("mnist_exp.")
                is_module = (PACKAGE / f"{name.replace('.', '/')}.py").is_file() or (PACKAGE / name).is_dir()
                yield name if is_module else node.module.removeprefix("mnist_exp.")
        elif isinstance(node, ast.Import):
            yield from (each.name.removeprefix("mnist_exp.") for each in node.names if "mnist_exp." in each.name)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_down(path: Path):
    room = dotted(path).split(".")[0]
    for imported in imported_modules(path):
        other = imported.split(".")[0]
        if other != room:
            assert (room, other) not in APART, f"{dotted(path)} imports {imported}: these rooms do not know each other"
            assert FLOOR_OF[other] > FLOOR_OF[room], f"{dotted(path)} imports {imported}, which is not on a lower floor"


def test_no_two_modules_import_each_other_in_a_circle():
    graph = {dotted(path): {name for name in imported_modules(path) if name != dotted(path)} for path in MODULES}
    graph[LAZY[0]].remove(LAZY[1])
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_room_has_a_floor():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert rooms | files == set(FLOOR_OF)
