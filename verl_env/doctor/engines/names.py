"""Names that one package imports from another, looked up in the installed sources without importing either.

Speed comes from asking cheap questions first: a regular expression finds the imports, a second one the definition;
only what neither settles is parsed. An import that its own source guards (``try``, ``if``, inside a function) is
no failure, so that a name counts as lost only where it is imported at the top level of a module.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.reading import read_text
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_IMPORT = r"^from[ \t]+(?P<module>(?:%s)(?:\.\w+)*)[ \t]+import[ \t]+(?:\((?P<many>[^)]*)\)|(?P<one>[^\n#(]+))"
#: Directories with copies for single releases of an engine; the importing package chooses one of them itself.
_CHOSEN = re.compile(r"_v\d?_\d+_\d+")
#: The forms in which a module nearly always gets a name, at the beginning of a line; what is none of them is parsed.
_BOUND = (
    r"^(?:(?:async[ \t]+)?def|class)[ \t]+NAME\b|^NAME\b[^=\n]*="
    r"|^from[ \t]+[\w.]+[ \t]+import[ \t]+(?:\([^)#]{0,2000}|[^(#\n]{0,2000})\bNAME\b(?!\s+as\b)"
)
_COMMENT = re.compile(r"#[^\n]*")


@record
class Lost:
    """A name that a file imports at its top level and that the installed module does not have."""

    file: str
    line: int
    module: str
    name: str


def lost_names(package: Path, sites: Sequence[Path], targets: Sequence[str]) -> list[Lost]:
    """Names that a package imports from other packages and that are not there.

    Args:
        package: The directory of the importing package.
        sites: Directories that hold the packages it imports from.
        targets: Top-level packages that are looked at; those that are not installed are left out.
    """
    there = [name for name in targets if any((site / name).is_dir() for site in sites)]
    if not there or not package.is_dir():
        return []
    pattern = re.compile(_IMPORT % "|".join(there), re.MULTILINE)
    sources = _Sources(sites)
    found = []
    for path in sorted(package.rglob("*.py")):
        text = None if _CHOSEN.search(str(path)) else _read(path)
        if text is None or not any(f"from {name}" in text for name in there):
            continue
        suspects = {pair for pair in _imports(text, pattern) if not sources.has(*pair)}
        found += list(_unguarded(path, text, suspects)) if suspects else []
    return found


def _imports(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for match in pattern.finditer(text):
        names = _COMMENT.sub("", match["many"] or match["one"] or "")
        for part in names.replace("\\", " ").split(","):
            name = part.split(" as ")[0].strip()
            if name.isidentifier():
                yield match["module"], name


def _unguarded(path: Path, text: str, suspects: set[tuple[str, str]]) -> Iterator[Lost]:
    """The suspects that stand at the top level of a file."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (node.module, alias.name) in suspects:
                    yield Lost(str(path), node.lineno, node.module, alias.name)


class _Sources:
    """Modules of the installed packages, each read once."""

    def __init__(self, sites: Sequence[Path]) -> None:
        self._sites = sites
        self._texts: dict[str, tuple[Path, str] | None] = {}
        self._bound: dict[str, frozenset[str] | None] = {}

    def has(self, module: str, name: str) -> bool:
        """Whether a module has a name; True where its source cannot tell."""
        source = self._source(module)
        if source is None:
            return not self._parent_is_package(module)
        path, text = source
        if path.name == "__init__.py" and _is_module(path.parent, name):
            return True
        if name not in text or not re.search(rf"\b{name}\b", text):
            return not _is_closed(text)
        if re.search(_BOUND.replace("NAME", name), text, re.MULTILINE):
            return True
        bound = self._names(module, text)
        return bound is None or name in bound or not _is_closed(text)

    def _source(self, module: str) -> tuple[Path, str] | None:
        if module not in self._texts:
            self._texts[module] = self._find(module)
        return self._texts[module]

    def _find(self, module: str) -> tuple[Path, str] | None:
        relative = Path(*module.split("."))
        for site in self._sites:
            for path in (site / relative / "__init__.py", site / relative.with_suffix(".py")):
                text = _read(path)
                if text is not None:
                    return path, text
        return None

    def _parent_is_package(self, module: str) -> bool:
        """Whether a missing module is really missing: its package is there in source and holds no such extension."""
        parent, _, last = module.rpartition(".")
        source = self._source(parent) if parent else None
        if source is None or source[0].name != "__init__.py":
            return False
        return not _is_module(source[0].parent, last) and _is_closed(source[1])

    def _names(self, module: str, text: str) -> frozenset[str] | None:
        """The names that a module binds anywhere outside of functions; None where it cannot be parsed."""
        if module not in self._bound:
            try:
                self._bound[module] = frozenset(_bindings(ast.parse(text).body))
            except SyntaxError:
                self._bound[module] = None
        return self._bound[module]


def _is_module(folder: Path, name: str) -> bool:
    if (folder / name).is_dir() or (folder / f"{name}.py").exists():
        return True
    return any(folder.glob(f"{name}.*so"))


def _is_closed(text: str) -> bool:
    """Whether the source shows every name: no star import, no ``__getattr__``, no lazy module."""
    return "import *" not in text and "def __getattr__" not in text and "_LazyModule" not in text


def _bindings(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names bound by statements, those inside ``if``, ``try`` and ``with`` too."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name))
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _bindings(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from _bindings(handler.body)


def _read(path: Path) -> str | None:
    try:
        return read_text(path)
    except OSError:
        return None
