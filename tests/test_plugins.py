"""Plug-ins: where they are found, what they may cost, and that a broken one takes nothing but its own kind away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from renderer.registry import BUILT_IN
from renderer.sandbox import environment
from tests.forks import Forks, forks

CHECKOUT = Path(__file__).parents[1]
LOAD = """
import json, os, sys
from renderer import plugins, registry, syscalls

for name, target in registry.BUILT_IN.items():
    registry.load(name, target)

def run(directory, targets, seconds):
    sys.path.insert(1, directory)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    kinds, failed = plugins.load_all(targets, seconds, {})
    tasks = len(os.listdir("/proc/self/task"))
    children = open(f"/proc/self/task/{os.getpid()}/children").read()
    described = plugins.describe(kinds)
    modules = {name: kind.render.__module__ for name, kind in kinds.items()}
    print(json.dumps([described, modules, failed, tasks, children]))
"""

GOOD = "def render(spec, config, out): pass"


@dataclass(frozen=True)
class Loaded:
    """What a process that loads plug-ins has afterwards."""

    kinds: dict[str, dict[str, Any]]
    modules: dict[str, str]
    failed: dict[str, str]
    tasks: int
    children: str
    stderr: str


@pytest.fixture(scope="module")
def loader() -> Iterator[Forks]:
    """Provide a process that has imported the built-in kinds: they are not what is looked at."""
    with forks(LOAD, {**environment(), "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}) as process:
        yield process


def load(loader: Forks, directory: Path, plugins: dict[str, str], seconds: float = 60, **sources: str) -> Loaded:
    """Load plug-ins from these sources, in a process of their own: it forks, as the fork server does."""
    for name, source in sources.items():
        (directory / f"{name}.py").write_text(source)
    result = loader.run(str(directory), plugins, seconds)
    assert result.status == 0, result.stderr
    described, modules, failed, tasks, children = json.loads(result.stdout.splitlines()[-1])
    kinds = {kind["name"]: kind for kind in described}
    loaded = Loaded(kinds, modules, failed, tasks, children, result.stderr)
    # Whatever a plug-in did: the built-in kinds are there, and the process may be forked from.
    assert kinds.keys() >= BUILT_IN.keys() - failed.keys()
    assert (loaded.tasks, loaded.children) == (1, "")
    return loaded


def test_a_plain_function(loader: Forks, tmp_path: Path) -> None:
    """A function that imports nothing of ours is a kind: it writes an output, has no schema, and is not reusable."""
    loaded = load(loader, tmp_path, {"chart": "charts:render"}, charts=GOOD)
    assert loaded.kinds["chart"] == {"name": "chart", "writes_output": True, "reusable": False, "spec_schema": None}
    assert loaded.failed == {}


def test_a_method_of_a_class(loader: Forks, tmp_path: Path) -> None:
    """The callable may be an attribute of an attribute."""
    source = "class Charts:\n    @staticmethod\n    def draw(spec, config, out): pass"
    assert load(loader, tmp_path, {"chart": "charts:Charts.draw"}, charts=source).modules["chart"] == "charts"


def test_a_declared_kind(loader: Forks, tmp_path: Path) -> None:
    """What the decorator declares is described, with the JSON Schema of the model."""
    source = (
        "from pydantic import BaseModel\nfrom renderer import render_kind\n"
        "class Spec(BaseModel):\n    width: int\n"
        "@render_kind(spec=Spec, writes_output=False, reusable=True)\n" + GOOD
    )
    described = load(loader, tmp_path, {"chart": "charts:render"}, charts=source).kinds["chart"]
    assert (described["writes_output"], described["reusable"]) == (False, True)
    assert described["spec_schema"]["properties"]["width"]["type"] == "integer"
    assert described["spec_schema"]["required"] == ["width"]


def test_the_built_in_kinds_are_described(loader: Forks, tmp_path: Path) -> None:
    """The kinds that ship have a schema where they take a spec of their own, and children may go on after them."""
    kinds = load(loader, tmp_path, {}).kinds
    assert kinds.keys() == BUILT_IN.keys()
    assert "objects" in kinds["scene"]["spec_schema"]["properties"]
    assert kinds["svg"]["spec_schema"]["required"] == ["svg"]
    assert kinds["noop"]["spec_schema"] is None
    assert all(kind["reusable"] for kind in kinds.values())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: "),
        ("render = 7", "TypeError: broken:render is not callable"),
        ("", "AttributeError: module 'broken' has no attribute 'render'"),
        ("async " + GOOD, "TypeError: broken:render must be a plain function, it is asynchronous or a generator"),
        ("def render(spec, config, out): yield 1", "TypeError: broken:render must be a plain function"),
        ("class R:\n    async def __call__(self, a, b, c): pass\nrender = R()", "must be a plain function"),
        ("def render(spec): pass", "TypeError: broken:render must take (spec, config, out), it takes (spec): too many"),
        ("def render(spec, config, out, more): pass", "missing a required argument: 'more'"),
        ("class render:\n    pass", "TypeError: broken:render must take (spec, config, out)"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("import os; os._exit(0)", "importing it ended the process (wait status 0)"),
        ("import os; os.kill(os.getpid(), 11)", "importing it ended the process (wait status 11)"),
        (
            "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n" + GOOD,
            "importing it must not start threads, it started 1",
        ),
    ],
)
def test_a_plug_in_that_cannot_be_imported(loader: Forks, tmp_path: Path, source: str, reason: str) -> None:
    """Whatever a module does when it is imported, its kind is told with the reason, and the others are loaded."""
    loaded = load(loader, tmp_path, {"bad": "broken:render", "good": "charts:render"}, broken=source, charts=GOOD)
    assert loaded.failed.keys() == {"bad"}
    assert loaded.failed["bad"].startswith("broken:render: ")
    assert reason in loaded.failed["bad"]
    assert loaded.modules["good"] == "charts"


def test_the_traceback_is_for_the_author(loader: Forks, tmp_path: Path) -> None:
    """The line that raised is in the log."""
    loaded = load(loader, tmp_path, {"bad": "broken:render"}, broken="def helper():\n    1 / 0\nhelper()")
    assert "broken.py" in loaded.stderr
    assert "line 2, in helper" in loaded.stderr


@pytest.mark.parametrize(
    "source",
    [
        "import threading; threading.Event().wait()",
        "while True: pass",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    import signal\n    signal.pause()\nimport signal; signal.pause()",
    ],
)
def test_a_plug_in_that_hangs(loader: Forks, tmp_path: Path, source: str) -> None:
    """An import that does not end is ended, and so is what it forked; the bound is named."""
    loaded = load(loader, tmp_path, {"bad": "broken:render", "good": "charts:render"}, 0.5, broken=source, charts=GOOD)
    assert "importing it must take at most 0.5 s; it was ended" in loaded.failed["bad"]
    assert "good" in loaded.kinds or "0.5 s" in loaded.failed["good"]  # a busy machine may take as long over it


def test_a_plug_in_that_forks_and_goes_on(loader: Forks, tmp_path: Path) -> None:
    """A process that an import left behind does not hold up the trial, although it holds the trial's pipe."""
    source = "import os, signal\nif os.fork() == 0:\n    signal.pause()\n" + GOOD
    loaded = load(loader, tmp_path, {"bad": "broken:render"}, broken=source)
    assert "must not start processes" in loaded.failed["bad"]


def test_a_plug_in_in_place_of_a_built_in_kind(loader: Forks, tmp_path: Path) -> None:
    """A plug-in of a built-in kind's name takes its place."""
    loaded = load(loader, tmp_path, {"noop": "charts:render"}, charts=GOOD)
    assert loaded.modules["noop"] == "charts"
    assert loaded.kinds["noop"]["reusable"] is False


def test_a_broken_plug_in_does_not_fall_back(loader: Forks, tmp_path: Path) -> None:
    """Where a plug-in took a built-in kind's name and cannot be imported, the kind fails: the operator asked for it."""
    loaded = load(loader, tmp_path, {"noop": "broken:render"}, broken="1 / 0")
    assert "noop" not in loaded.kinds
    assert "ZeroDivisionError" in loaded.failed["noop"]


def install(directory: Path, name: str, **entry_points: str) -> None:
    """Install a distribution that has nothing but entry points, as pip would write it."""
    metadata = directory / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{kind} = {target}" for kind, target in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[jobsupervisor.renderers]", *lines]))


def test_an_entry_point(loader: Forks, tmp_path: Path) -> None:
    """An installed distribution brings a kind without a setting; a broken one is told like any other."""
    install(tmp_path, "charts_plugin", chart="charts:render", bad="broken:render")
    loaded = load(loader, tmp_path, {}, charts=GOOD, broken="1 / 0")
    assert loaded.modules["chart"] == "charts"
    assert loaded.failed.keys() == {"bad"}


def test_the_setting_wins_over_an_entry_point(loader: Forks, tmp_path: Path) -> None:
    """RENDER_PLUGINS is the operator's word: it takes the place of an installed kind, which is not even imported."""
    install(tmp_path, "charts_plugin", chart="broken:render", noop="charts:render")
    loaded = load(loader, tmp_path, {"chart": "charts:render"}, charts=GOOD, broken="import sys; sys.exit(1)")
    assert loaded.modules["chart"] == "charts"
    assert loaded.modules["noop"] == "charts"
    assert loaded.failed == {}
