"""The source of vLLM, read without importing it: where it is, its version, and the functions that patches mend."""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import re
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .versions import version_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

_VERSION_LINE = re.compile(r"^(?:__version__ = )?(?:version = )?['\"]([^'\"]+)['\"]", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """One function as it is written: its parameters, and its text without comments and white space."""

    parameters: tuple[str, ...]
    text: str

    @property
    def fingerprint(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the text: the same under every Python."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Tree:
    """An installed vLLM: the folder of the package, and its version (None where nothing states it)."""

    root: Path
    version: str | None

    @property
    def readable(self) -> bool:
        """Whether the package is a folder; in an archive its source is not read."""
        return self.root.is_dir()

    def read(self, module: str) -> str | None:
        """The text of a module given by its full name, or None where there is no source."""
        base = self.root.joinpath(*module.split(".")[1:])
        path = next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
        return None if path is None else path.read_text(encoding="utf-8")

    def function(self, module: str, qualname: str) -> Function | None:
        """A function or method of a module, or None where the module or the name is not there."""
        text = self.read(module)
        return None if text is None else functions(text).get(qualname)


@functools.lru_cache(maxsize=16)
def functions(text: str) -> dict[str, Function]:
    """Every function of a module and every method of its classes, by qualified name."""
    return {
        name: Function(_parameters(node), normalised(ast.get_source_segment(text, node) or ""))
        for name, node in _definitions(ast.parse(text))
    }


def normalised(text: str) -> str:
    """A piece of source without its comments and without any white space."""
    lines = text.splitlines(keepends=True)
    try:
        tokens = [token for token in _tokens(text) if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, IndentationError):
        tokens = []
    for token in tokens:
        row, column = token.start
        lines[row - 1] = lines[row - 1][:column] + lines[row - 1][token.end[1] :]
    return "".join("".join(lines).split())


def find_vllm() -> Tree | None:
    """The vLLM that ``import vllm`` would load; None where there is none, or none with source."""
    spec = vllm_spec()
    return None if spec is None else tree_at(Path(str(spec.origin)).parent)


def vllm_spec() -> ModuleSpec | None:
    """The spec that the finders other than ours have for vLLM; None where there is none with source."""
    for finder in list(sys.meta_path):
        if getattr(finder, "verl_env_watch", False) or getattr(finder, "__name__", "") == "_verl_env_boot":
            continue
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find("vllm", None, None) if find is not None else None
        if spec is not None:
            return spec if spec.origin and spec.origin.endswith(".py") else None
    return None


def tree_at(root: Path) -> Tree:
    """The tree of a package folder with its version.

    The metadata beside it state the version, else its ``_version.py``. Where several metadata disagree, as after an
    interrupted upgrade, ``_version.py`` came with the code: it decides, and without it the version is unknown.
    """
    stated, own = _metadata_versions(root.parent), _own_version(root)
    if len(stated) > 1:
        return Tree(root, next((version for version in stated if _same(version, own)), own))
    return Tree(root, (stated[0] if stated else None) or own or _imported_version())


def _metadata_versions(folder: Path) -> list[str]:
    """The different versions that the metadata in a folder state."""
    found = sorted(folder.glob("vllm-*.dist-info/METADATA")) + sorted(folder.glob("vllm.egg-info/PKG-INFO"))
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in found)
    matches = (re.search(r"^Version: *(\S+)", text, re.MULTILINE) for text in texts)
    return list(dict.fromkeys(match[1] for match in matches if match))


def _same(version: str, own: str | None) -> bool:
    return own is not None and version_key(version) == version_key(own) is not None


def _own_version(root: Path) -> str | None:
    try:
        match = _VERSION_LINE.search((root / "_version.py").read_text(encoding="utf-8"))
    except OSError:
        return None
    return match[1] if match else None


def _imported_version() -> str | None:
    """What the installed metadata say: an editable vLLM keeps them elsewhere."""
    from importlib import metadata  # noqa: PLC0415  slow, and rarely needed

    try:
        return metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return None


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def _parameters(node: ast.FunctionDef) -> tuple[str, ...]:
    args = node.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args)]
    names += ["*" + args.vararg.arg] if args.vararg else []
    names += [arg.arg + "=" for arg in args.kwonlyargs]
    names += ["**" + args.kwarg.arg] if args.kwarg else []
    return tuple(names)


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(text).readline))
