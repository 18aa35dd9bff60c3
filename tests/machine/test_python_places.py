"""Where interpreters are looked for, and whose records give their version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from verl_env.machine.python_places import Candidate, candidates
from verl_env.machine.roots import Roots

from .trees import plant, program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOME = {"HOME": "/home/u"}


def found(root: Path, environ: Mapping[str, str] | None = None) -> list[Candidate]:
    return list(candidates(Roots(root), HOME if environ is None else environ))


def test_pyenv_names_releases_by_directory(tmp_path: Path) -> None:
    versions = "/home/u/.pyenv/versions"
    for name in ("3.12.4", "2.7.18", "3.13.0t", "3.14.0rc2", "3.13-dev", "pypy3.10-7.3.16", "graalpy-24.0.0", "mine"):
        program(tmp_path, f"{versions}/{name}/bin/python")
    assert found(tmp_path) == [
        Candidate(f"{versions}/3.12.4/bin/python", "pyenv", "3.12.4"),
        Candidate(f"{versions}/mine/bin/python", "pyenv", None),
    ]


def test_pyenv_lives_where_its_variable_says(tmp_path: Path) -> None:
    program(tmp_path, "/sw/pyenv/versions/3.10.14/bin/python")
    assert [one.path for one in found(tmp_path, {"PYENV_ROOT": "/sw/pyenv"})] == [
        "/sw/pyenv/versions/3.10.14/bin/python"
    ]


def test_a_conda_that_pyenv_installed(tmp_path: Path) -> None:
    prefix = "/home/u/.pyenv/versions/miniconda3-3.12-24.5"
    program(tmp_path, f"{prefix}/bin/python")
    plant(tmp_path, {f"{prefix}/conda-meta/python-3.12.3-h996f2a0_1.json": "{}"})
    assert found(tmp_path) == [Candidate(f"{prefix}/bin/python", "pyenv", "3.12.3")]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("cpython-3.12.4-linux-x86_64-gnu", "3.12.4"),
        ("cpython-3.11.9-linux-x86_64_v3-gnu", "3.11.9"),
        ("cpython-3.10.14-linux-aarch64-gnu", "3.10.14"),
        ("cpython-3.12.4-linux-x86_64-musl", None),
        ("cpython-3.13.0+freethreaded-linux-x86_64-gnu", None),
        ("cpython-3.14.0rc2-linux-x86_64-gnu", None),
        ("cpython-3.12-linux-x86_64-gnu", None),
        ("pypy-3.10.14-linux-x86_64-gnu", None),
    ],
)
def test_uv_names_builds_by_directory(name: str, version: str | None, tmp_path: Path) -> None:
    path = f"/home/u/.local/share/uv/python/{name}/bin/python3"
    program(tmp_path, path)
    assert found(tmp_path) == ([Candidate(path, "uv", version)] if version else [])


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"UV_PYTHON_INSTALL_DIR": "/scratch/py"}, "/scratch/py"),
        ({"XDG_DATA_HOME": "/data"}, "/data/uv/python"),
        (HOME, "/home/u/.local/share/uv/python"),
    ],
)
def test_uv_lives_where_its_variables_say(environ: dict[str, str], place: str, tmp_path: Path) -> None:
    program(tmp_path, f"{place}/cpython-3.12.4-linux-x86_64-gnu/bin/python3")
    assert [one.source for one in found(tmp_path, environ)] == ["uv"]


def test_mise_and_asdf(tmp_path: Path) -> None:
    program(tmp_path, "/home/u/.local/share/mise/installs/python/3.12.4/bin/python3")
    program(tmp_path, "/home/u/.local/share/mise/installs/python/latest/bin/python3")
    program(tmp_path, "/home/u/.asdf/installs/python/3.11.9/bin/python3")
    assert [(one.source, one.version) for one in found(tmp_path)] == [("mise", "3.12.4"), ("asdf", "3.11.9")]


@pytest.mark.parametrize(
    ("build", "counts"),
    [
        ("3.12.3-hab00c5b_0_cpython", True),
        ("3.11.9-h955ad1f_0", True),
        ("3.13.1-h9a34b6e_3_cp313t", False),
        ("3.9.18-1_73_pypy", False),
    ],
)
def test_conda_records_its_python(build: str, *, counts: bool, tmp_path: Path) -> None:
    program(tmp_path, "/home/u/miniforge3/bin/python")
    plant(tmp_path, {f"/home/u/miniforge3/conda-meta/{name}.json": "{}" for name in (f"python-{build}", "pip-24.0-x")})
    version = build.partition("-")[0]
    expected = [Candidate("/home/u/miniforge3/bin/python", "conda", version)] if counts else []
    assert found(tmp_path) == expected


def test_conda_environments_in_every_place(tmp_path: Path) -> None:
    prefixes = [
        "/active",
        "/opt/conda",
        "/opt/conda/envs/a",
        "/mamba/envs/b",
        "/base/envs/c",
        "/listed",
        "/home/u/.conda/envs/d",
    ]
    for prefix in prefixes:
        program(tmp_path, f"{prefix}/bin/python")
        plant(tmp_path, {f"{prefix}/conda-meta/python-3.12.3-h0_0_cpython.json": "{}"})
    program(tmp_path, "/opt/conda/envs/no-python/bin/python")
    plant(tmp_path, {"/home/u/.conda/environments.txt": "/listed\n/active\n/gone\nrelative\n"})
    environ = {**HOME, "CONDA_PREFIX": "/active", "MAMBA_ROOT_PREFIX": "/mamba", "CONDA_EXE": "/base/bin/conda"}
    paths = [one.path for one in found(tmp_path, environ)]
    assert sorted(paths) == sorted(f"{prefix}/bin/python" for prefix in prefixes)


def test_path_and_the_system(tmp_path: Path) -> None:
    for path in ("/sw/bin/python3.11", "/usr/bin/python3", "/usr/bin/python3.8", "/usr/local/bin/python3.12"):
        program(tmp_path, path)
    plant(tmp_path, {"/sw/bin/python3.10": "not executable", "/sw/bin/python3.9/": ""})
    assert [one.path for one in found(tmp_path, {"PATH": "/sw/bin:/usr/bin"})] == [
        "/sw/bin/python3.11",
        "/usr/bin/python3",
        "/usr/local/bin/python3.12",
    ]


def test_shims_are_left_out(tmp_path: Path) -> None:
    program(tmp_path, "/home/u/.pyenv/shims/python3.12")
    program(tmp_path, "/home/u/.asdf/shims/python3")
    assert found(tmp_path, {"PATH": "/home/u/.pyenv/shims:/home/u/.asdf/shims/"}) == []


def test_an_empty_environment_finds_the_system(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3")
    assert [one.path for one in found(tmp_path, {})] == ["/usr/bin/python3"]
