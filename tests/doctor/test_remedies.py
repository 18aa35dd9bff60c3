"""Remedies that change packages are carried out as they are printed, and the doctor asks again: it must be gone.

No error may have come of it either. Each case of ``checks/facts.toml`` whose remedy is commands of an installer is
tried: on its facts, and (``-m e2e``) by uv in an environment of wheels of these names and versions that hold nothing.
"""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.doctor.checks.test_facts import BY_ID, CASES, facts_from
from tests.locksets.indexes import wheel
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.commands import Shell
from verl_env.doctor.model import SEVERITIES
from verl_env.doctor.restore import package_command
from verl_env.doctor.run import evaluate
from verl_env.installers.uv import find_uv
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Finding

UV = find_uv()
#: What has no version that would mend it in the range that the remedy names, with the reason.
STAYS = {"glibc-too-old": "what is built on the spot has the version of the wheel: only its files tell the two apart"}
#: What an extra brings.
EXTRAS = {
    "pytorch": "transformer-engine-torch",
    "core_cu12": "transformer-engine-cu12",
    "core_cu13": "transformer-engine-cu13",
}


def found(case: dict[str, Any], shell: Shell, packages: dict[str, str] | None = None) -> tuple[Facts, Finding | None]:
    hit = case["hit"] if packages is None else {**case["hit"], "packages": [" ".join(one) for one in packages.items()]}
    facts = replace(facts_from(hit), shell=shell)
    return facts, evaluate(BY_ID[case["check"]], facts)


def changes(finding: Finding | None) -> tuple[str, ...]:
    """The commands of a remedy that change packages of the index."""
    lines = finding.remedy.commands if finding else ()
    parsed = {line: package_command(line) for line in lines}
    return tuple(line for line, one in parsed.items() if one and all(map(is_requirement, one.subjects)))


def is_requirement(text: str) -> bool:
    try:
        return Requirement(text).url is None
    except InvalidRequirement:
        return False


TRIED = [case for case in CASES if changes(found(case, Shell("uv", "python"))[1])]


def versions_for(requirement: Requirement) -> Iterator[str]:
    """A version that meets a requirement, the highest of those near its bounds."""
    near = {"0.1", "1.0"}
    for one in requirement.specifier:
        bound = Version(one.version.removesuffix(".*"))
        major, minor = (*bound.release, 0)[:2]
        near |= {str(bound), f"{bound.public}.1" if not bound.post else str(bound), f"{major}.{minor}.99"}
        near |= {f"{major}.{minor - 1}.9"} if minor else {f"{major - 1}.9"} if major else set()
    fitting = [one for one in near if requirement.specifier.contains(one, prereleases=True)]
    yield max(fitting, key=Version)


def offered(folder: Path, lines: Sequence[str]) -> None:
    """Writes wheels for everything that commands ask for."""
    for line in lines:
        parsed = package_command(line)
        for subject in parsed.subjects if parsed and parsed.verb == "install" else ():
            requirement = Requirement(subject)
            for version in versions_for(requirement):
                write(folder, requirement.name, version, requirement.extras)
                for extra in requirement.extras:
                    write(folder, EXTRAS[extra], version)


def write(folder: Path, name: str, version: str, extras: Iterable[str] = ()) -> None:
    stem = canonicalize_name(name).replace("-", "_")
    requires = [f'{EXTRAS[extra]}=={version}; extra == "{extra.replace("_", "-")}"' for extra in extras]
    (folder / f"{stem}-{version}-py3-none-any.whl").write_bytes(wheel(name, version, requires))


def run(argv: str | Sequence[str], folder: Path, *, shell: bool = False) -> None:
    assert UV is not None
    path = f"{Path(UV.executable).parent}:{os.environ['PATH']}"
    offline = {"UV_OFFLINE": "1", "UV_FIND_LINKS": str(folder), "UV_CACHE_DIR": f"{folder}/cache"}
    env = {**os.environ, "PATH": path, **offline}
    done = subprocess.run(argv, shell=shell, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)


def installed(prefix: Path) -> dict[str, str]:
    site = next((prefix / "lib").glob("python3*/site-packages"))
    return {canonicalize_name(one.metadata["Name"]): one.version for one in distributions(path=[str(site)])}


def errors(facts: Facts) -> set[str]:
    hits = (evaluate(check, facts) for check in CHECKS if check.find)
    return {one.id for one in hits if one and one.severity == "error"}


def carried_out(there: dict[str, str], commands: Sequence[str]) -> dict[str, str]:
    """The packages after commands, as an installer that lets no others change would leave them."""
    packages = dict(there)
    for line in commands:
        parsed = package_command(line)
        for subject in parsed.subjects if parsed else ():
            requirement = Requirement(subject)
            name = canonicalize_name(requirement.name)
            if parsed and parsed.verb == "uninstall":
                packages.pop(name, None)
            else:
                packages[name] = next(versions_for(requirement))
                brought = [EXTRAS[extra] for extra in requirement.extras] if parsed and not parsed.alone else []
                packages |= dict.fromkeys(brought, packages[name])
    return packages


def judged(case: dict[str, Any], before: Facts, finding: Finding, packages: dict[str, str], shell: Shell) -> None:
    """What was found is gone, or less grave, and no error has come."""
    after, again = found(case, shell, packages)
    graver = again is not None and SEVERITIES.index(again.severity) <= SEVERITIES.index(finding.severity)
    assert not graver or case["check"] in STAYS, (finding.remedy.commands, packages, again and again.evidence)
    assert errors(after) <= errors(before), (finding.remedy.commands, packages)


@pytest.mark.parametrize("case", TRIED, ids=lambda case: str(case["check"]))
def test_the_remedy_mends_and_harms_nothing(case: dict[str, Any]) -> None:
    shell = Shell("uv", "python")
    before, finding = found(case, shell)
    assert finding is not None

    judged(case, before, finding, carried_out(dict(before.packages), changes(finding)), shell)


@pytest.mark.e2e
@pytest.mark.skipif(UV is None, reason="no uv")
@pytest.mark.parametrize("case", TRIED, ids=lambda case: str(case["check"]))
def test_the_commands_do_so_in_an_environment(case: dict[str, Any], tmp_path: Path) -> None:
    assert UV is not None
    wheels, prefix = tmp_path / "wheels", tmp_path / "env"
    wheels.mkdir()
    there = dict(line.split(" ") for line in case["hit"]["packages"])
    for name, version in there.items():
        write(wheels, name, version)
    run([UV.executable, "venv", "-q", str(prefix)], wheels)
    python = str(prefix / "bin" / "python")
    pins = [f"{name}=={version}" for name, version in there.items()]
    run([UV.executable, "pip", "install", "-q", "--no-deps", "--python", python, *pins], wheels)
    shell = Shell("uv", python)
    before, finding = found(case, shell, installed(prefix))
    assert finding is not None
    for wheel_file in wheels.glob("*+*.whl"):
        wheel_file.unlink()  # no index has builds of one's own
    offered(wheels, changes(finding))

    for command in changes(finding):
        run(command, wheels, shell=True)

    judged(case, before, finding, installed(prefix), shell)
