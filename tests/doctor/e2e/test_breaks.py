"""The doctor on a real environment, healthy and broken for real.

Needs gigabytes: ``VERL_ENV_DOCTOR_E2E=/path/to/env pytest -m e2e tests/doctor/e2e`` on an environment of
verl0.4-cu124-torch2.6-fa2.7.4/app.vllm.mcore0.12 without its native packages. Copies are hard links beside it.
``VERL_ENV_DOCTOR_E2E_TABLE=FILE`` appends what was seen as rows of a table.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.doctor.e2e.breaks import Broken
from verl_env.installers.uv import find_uv

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CASES = tomllib.loads(Path(__file__).with_name("breaks.toml").read_text(encoding="utf-8"))["case"]
HEALTHY = os.environ.get("VERL_ENV_DOCTOR_E2E")
TABLE = os.environ.get("VERL_ENV_DOCTOR_E2E_TABLE")
START = "from verl_env.cli.main import run; run()"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(HEALTHY is None, reason="VERL_ENV_DOCTOR_E2E names no environment"),
    pytest.mark.skipif(find_uv() is None, reason="no uv"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc"),
]


@pytest.fixture
def broken() -> Iterator[Broken]:
    """A hard-link copy of the healthy environment."""
    healthy = Path(str(HEALTHY)).resolve()
    base = Path(tempfile.mkdtemp(prefix="dr-", dir=healthy.parent))
    try:
        subprocess.run(["cp", "-al", str(healthy), str(base / "env")], check=True)
        (base / "aside").mkdir()
        yield Broken(base / "env", base / "aside")
    finally:
        shutil.rmtree(base)


def doctor(prefix: Path, variables: Mapping[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs the doctor under the variables of this test and those of a case, with uv at hand."""
    uv = find_uv()
    assert uv is not None
    path = f"{Path(uv.executable).parent}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in {"LD_LIBRARY_PATH", "CUDA_HOME"}}
    env = {**kept, "PATH": path, "UV_LINK_MODE": "hardlink", **variables}
    argv = [sys.executable, "-c", START, "doctor", "--into", str(prefix), *flags]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def diagnose(prefix: Path, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    done = doctor(prefix, variables or {}, "--json")
    assert done.returncode in {0, 1}, done.stderr
    diagnosis: dict[str, Any] = json.loads(done.stdout)
    assert diagnosis["skipped"] == []
    return diagnosis


def grave(diagnosis: Mapping[str, Any]) -> set[str]:
    """The findings that are more than information."""
    return {finding["id"] for finding in diagnosis["findings"] if finding["severity"] != "info"}


def test_the_fresh_environment_is_healthy() -> None:
    diagnosis = diagnose(Path(str(HEALTHY)))

    assert [finding["id"] for finding in diagnosis["findings"] if finding["severity"] == "error"] == []


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_broken_for_real(case: dict[str, Any], broken: Broken) -> None:
    if "only_with" in case and not list(broken.site.glob(f"{case['only_with']}*.dist-info")):
        pytest.skip(f"{case['only_with']} is not there")
    before = grave(diagnose(broken.prefix))
    broken.apply(case)
    variables = {name: broken.fill(value) for name, value in case.get("variables", {}).items()}

    found = diagnose(broken.prefix, variables)

    seen = [name for name in found["roots"] if name in grave(found) - before - set(case.get("brings", ()))]
    named = [name for name in seen if name in case["root"]]
    after = None if not named or case["healed"] == "no" else _heal(case, broken, found, variables)
    _write_row(case, seen, found, named, None if after is None else sorted(grave(after) - before))
    assert seen == named[:1], "one break has one root"
    by_id = {finding["id"]: finding for finding in found["findings"]}
    below = [by_id[name] for name in (named[0], *by_id[named[0]]["explains"])]
    references = {reference for finding in below for reference in finding["references"]}
    assert {f"failures:{row}" for row in case.get("rows", ())} <= references
    if after is not None:
        assert grave(after) <= before | set(case.get("brings", ()))


def _heal(
    case: Mapping[str, Any], broken: Broken, found: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """Follows the remedy and diagnoses again."""
    if case["healed"] == "variables":
        return diagnose(broken.prefix, {name: broken.fill(value) for name, value in case["after"].items()})
    if case["healed"] == "fix":
        done = doctor(broken.prefix, variables, "--fix", "--yes")
        assert done.returncode in {0, 1}, done.stderr
        print(done.stderr)
    else:
        _run_commands(case, found)
    return diagnose(broken.prefix, variables)


def _run_commands(case: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """The commands that the first named root tells the user to run."""
    uv = find_uv()
    assert uv is not None
    env = {**os.environ, "PATH": f"{Path(uv.executable).parent}:{os.environ['PATH']}", "UV_LINK_MODE": "hardlink"}
    root = next(finding for finding in found["findings"] if finding["id"] in case["root"])
    assert root["remedy"]["commands"]
    for command in root["remedy"]["commands"]:
        subprocess.run(["sh", "-c", command], check=True, env=env)


def _write_row(
    case: Mapping[str, Any], seen: list[str], found: Mapping[str, Any], named: list[str], left: list[str] | None
) -> None:
    if TABLE is None:
        return
    commands = [
        command
        for finding in found["findings"]
        if finding["id"] in named[:1]
        for command in finding["remedy"]["commands"]
    ]
    ran = f"not run: {case['why']}" if case["healed"] == "no" else f"{case['healed']}: `{'; '.join(commands)}`"
    healthy = "not asked" if left is None else "yes" if not left else f"left: {', '.join(left)}"
    with Path(TABLE).open("a", encoding="utf-8") as table:
        table.write(f"| {case['name']} | {', '.join(seen) or 'none'} | {ran} | {healthy} |\n")
