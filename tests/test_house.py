"""What the house promises about itself: the tree, the floors, the pages, the pins."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import scoresim
from scoresim.data import corpora

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "scoresim"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted(SOURCE.rglob("*.py"))


def tree() -> set[str]:
    """Paths that the annotated tree in README.md names; a folder ends with a slash."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## The tree\n```\n", 1)[1].split("\n```", 1)[0]
    found: set[str] = set()
    parents: list[str] = []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        parents = parents[:depth]
        found.add("".join(parents) + name)
        if name.endswith("/"):
            parents.append(name)
    return found


def test_everything_in_the_readme_tree_is_on_the_disk() -> None:
    named = tree()
    assert "src/scoresim/" in named
    missing = [
        name
        for name in sorted(named)
        if not ((ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file())
    ]
    assert missing == []


def test_every_source_file_is_in_the_readme_tree() -> None:
    named = tree()
    sources = {SOURCE / "data" / "corpora" / f"{name}.py" for name in corpora.names()}  # docs/corpora.md lists them
    files = {
        path.relative_to(ROOT).as_posix() for path in MODULES if path.name != "__init__.py" and path not in sources
    }
    folders = {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in MODULES}
    resources = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.name != "py.typed"
    }
    weights = {f"{path.relative_to(ROOT).as_posix()}/" for path in (SOURCE / "weights").iterdir()}
    resources = {name for name in resources if not name.startswith(tuple(weights))} | weights
    assert sorted((files | folders | resources) - named) == []


def test_the_version_is_one() -> None:
    assert importlib.metadata.version("scoresim") == scoresim.__version__
    assert PROJECT["project"]["dynamic"] == ["version"]


def test_the_public_list_of_the_package() -> None:
    assert scoresim.__all__ == ["__version__", "load"]


def test_the_floors_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_files_stay_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 420, "files stay under about 400 lines"
    assert ast.get_docstring(ast.parse(text)), "a module begins with a sentence"
    assert path.stem not in {"utils", "common", "helpers", "misc"}


def imported(path: Path) -> Iterator[str]:
    """Names of the top-level packages that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def normal(requirement: str) -> str:
    """The normalized name of a requirement such as ``scikit-learn>=1.5``."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~\[;]", requirement)[0]).lower()


OWNERS = importlib.metadata.packages_distributions()
CORE = {normal(line) for line in PROJECT["project"]["dependencies"]}
EXTRAS = {
    extra: {normal(line) for line in lines} for extra, lines in PROJECT["project"]["optional-dependencies"].items()
}


OPTIONAL = {  # modules that need an extra, which they import when they are used
    "benchmark/midibert.py": "bench",
    "checkpoint.py": "hub",
    "data/card.py": "report",
    "data/card_pictures.py": "report",
    "data/harmonize.py": "report",
    "data/cluster.py": "cluster",
    "data/page.py": "pages",
    "index/graph.py": "search",
    "index/folder.py": "search",
    "index/server.py": "postgres",
    "score/degrade.py": "degrade",
    "score/warp.py": "degrade",
    "web/look.py": "pages",
}


def allowed(path: Path) -> set[str]:
    """The distributions that a module may import: a room without torch does without the extra ``train``."""
    room = path.relative_to(SOURCE).parts[0]
    optional = CORE.union(*(EXTRAS[extra] for name, extra in OPTIONAL.items() if path == SOURCE / name))
    if room in ("model", "training", "checkpoint.py", "understand") or path == SOURCE / "data" / "batches.py":
        return optional | EXTRAS["train"]
    if room == "web":
        return optional | EXTRAS["web"]
    if room == "benchmark":
        return optional | EXTRAS["train"] | EXTRAS["report"]
    return optional


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_what_a_module_imports_is_declared(path: Path) -> None:
    foreign = {name for name in imported(path) if name not in sys.stdlib_module_names and name != "scoresim"}
    needed = {normal(OWNERS.get(name, [name])[0]) for name in foreign}
    assert sorted(needed - allowed(path)) == []


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {normal(name) for name in pins}
    wanted = CORE.union(*EXTRAS.values()) - {"scoresim"}
    assert sorted(wanted - pinned) == []
    assert not [name for name, version in pins.items() if "+" in version], "a local version installs nowhere else"


def test_rooms_without_torch_are_imported_without_torch() -> None:
    rooms = ("score", "data", "index", "web", "cli")
    names = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.relative_to(SOURCE).parts[0] in rooms and path.stem != "batches"
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_reference_is_the_program() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import make_cli; print(make_cli.text(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == result.stdout, "docs/cli.md is old: make docs"


def test_decisions_are_numbered_short_and_settled() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]}: ")
        assert "**Status**: " in text
        assert len(text.splitlines()) <= 30


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_no_large_file_is_kept_but_weights_and_what_browsers_run() -> None:
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if kept.returncode:
        pytest.skip("not a git checkout")
    large = [name for name in kept.stdout.split("\0") if name and (ROOT / name).stat().st_size > 1 << 20]
    assert large
    assert all(name.startswith(("src/scoresim/weights/", "src/scoresim/web/static/vendor/")) for name in large), large
