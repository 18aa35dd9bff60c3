"""Names that are imported and not there, and all the ways in which a name can be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from verl_env.doctor.engines.names import lost_names

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = ("vllm", "sglang")

PRESENT = {
    "function": ("def name(): ...", "name"),
    "coroutine": ("async def name(): ...", "name"),
    "class": ("class Name:\n    pass", "Name"),
    "assignment": ("name = 1", "name"),
    "annotated": ("name: int = 1", "name"),
    "tuple": ("first, name = 1, 2", "name"),
    "import": ("import name", "name"),
    "from": ("from x import other as name", "name"),
    "many lines": ("from x import (\n    one,\n    name,\n)", "name"),
    "in try": ("try:\n    from x import name\nexcept ImportError:\n    name = None", "name"),
    "in handler": ("try:\n    import x\nexcept ImportError:\n    name = None", "name"),
    "in if": ("if True:\n    def name(): ...", "name"),
    "star": ("from x import *", "name"),
    "getattr": ("def __getattr__(attribute): ...", "name"),
    "lazy": ("sys.modules[__name__] = _LazyModule()", "name"),
    "unreadable": ("def name(:\n  name", "name"),
}


def tree(base: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(text)
    return base


def lost(base: Path) -> set[tuple[str, str, int]]:
    return {(one.module, one.name, one.line) for one in lost_names(base / "verl", [base], TARGETS)}


@pytest.mark.parametrize("case", PRESENT, ids=str)
def test_a_name_that_is_there(tmp_path: Path, case: str) -> None:
    text, name = PRESENT[case]
    tree(tmp_path, {"vllm/__init__.py": "", "vllm/utils.py": text, "verl/a.py": f"from vllm.utils import {name}\n"})

    assert lost(tmp_path) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "# name\n",
        "def f():\n    name = 1",
        "class C:\n    name = 1",
        "from x import name as other",
        "from x import (\n    name\n    as other,\n    names,\n)",
    ],
)
def test_a_name_that_is_not(tmp_path: Path, text: str) -> None:
    tree(
        tmp_path,
        {"vllm/__init__.py": "", "vllm/utils.py": text, "verl/a.py": "import os\nfrom vllm.utils import name\n"},
    )

    assert lost(tmp_path) == {("vllm.utils", "name", 2)}


def test_submodules_count(tmp_path: Path) -> None:
    files = {
        "vllm/__init__.py": "",
        "vllm/lora/__init__.py": "",
        "vllm/lora/models.py": "",
        "vllm/flat.py": "",
        "vllm/_C.abi3.so": "",
    }
    tree(tmp_path, {**files, "verl/a.py": "from vllm import lora, flat, _C\nfrom vllm.lora import models, gone\n"})

    assert lost(tmp_path) == {("vllm.lora", "gone", 2)}


def test_a_module_that_is_gone(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {"vllm/__init__.py": "", "verl/a.py": "from vllm.model.loader import name\nfrom vllm.gone import other\n"},
    )

    assert ("vllm.gone", "other", 2) in lost(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    from vllm.utils import gone\nexcept ImportError:\n    pass\n",
        "def f():\n    from vllm.utils import gone\n",
        "if VERSION > 3:\n    from vllm.utils import gone\n",
        "from .utils import gone\n",
        "# from vllm.utils import gone\n",
        "from vllmx.utils import gone\n",
        "from vllm.utils import *\n",
    ],
)
def test_guarded_imports_are_no_failure(tmp_path: Path, text: str) -> None:
    tree(tmp_path, {"vllm/__init__.py": "", "vllm/utils.py": "x = 1\n", "verl/a.py": text})

    assert lost(tmp_path) == set()


def test_copies_for_single_releases_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, {"vllm/__init__.py": "", "verl/third_party/vllm/vllm_v_0_5_4/a.py": "from vllm import gone\n"})

    assert lost(tmp_path) == set()


def test_engines_that_are_not_installed(tmp_path: Path) -> None:
    tree(tmp_path, {"verl/a.py": "from vllm import gone\nfrom sglang import gone\n"})

    assert lost(tmp_path) == set()
    assert lost_names(tmp_path / "none", [tmp_path], TARGETS) == []


def test_comments_and_aliases(tmp_path: Path) -> None:
    text = "from vllm.utils import (  # noqa\n    one as two,  # gone\n    three,\n)\n"
    tree(tmp_path, {"vllm/__init__.py": "", "vllm/utils.py": "one = 1\n", "verl/a.py": text})

    assert lost(tmp_path) == {("vllm.utils", "three", 1)}
