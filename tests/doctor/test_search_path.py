"""Where packages come from: what the doctor reads from files, beside what real interpreters say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.gather import gather
from verl_env.doctor.run import diagnose
from verl_env.doctor.target import InspectedEnvironment
from verl_env.machine.model import Machine

MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"
ASK = "import json, sys; print(json.dumps([p for p in sys.path if p.endswith(('-packages', 'pythonpath'))]))"


class Place:
    """A venv, a user's site and a directory on PYTHONPATH, all of this interpreter's release."""

    def __init__(self, base: Path, *, system: bool) -> None:
        self.prefix = base / "env"
        flags = ["--system-site-packages"] if system else []
        python = Path(sys.base_prefix) / "bin" / MINOR
        if not python.exists():
            pytest.skip("no base interpreter")
        argv = [str(python), "-m", "venv", "--without-pip", *flags, str(self.prefix)]
        done = subprocess.run(argv, capture_output=True, check=False)
        if done.returncode:
            pytest.skip("no venv module")
        self.user = base / "user" / "lib" / MINOR / "site-packages"
        self.extra = base / "pythonpath"
        self.user.mkdir(parents=True)
        self.extra.mkdir()
        self.own = self.prefix / "lib" / MINOR / "site-packages"
        self.variables = {"PYTHONPATH": str(self.extra), "PYTHONUSERBASE": str(base / "user"), "HOME": str(base)}

    def interpreter_says(self, **variables: str) -> list[str]:
        """The directories of packages on its ``sys.path``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env = {**kept, **self.variables, **variables}
        done = subprocess.run(
            [str(self.prefix / "bin" / "python"), "-c", ASK], env=env, capture_output=True, text=True, check=True
        )
        return [str(path) for path in json.loads(done.stdout) if Path(path).is_dir()]

    def findings(self, **variables: str) -> dict[str, tuple[str, str]]:
        """Severity and evidence by id; the packages of the base interpreter are nobody's business here."""
        facts = gather(self.prefix, {**self.variables, **variables}, Machine(), host=HostFacts())
        found = diagnose(facts, CHECKS).findings
        return {finding.id: (finding.severity, "\n".join(finding.evidence)) for finding in found}

    def names(self, finding: str, **variables: str) -> bool:
        """Whether a finding names one of the directories beside the environment."""
        return str(self.prefix.parent) in self.findings(**variables).get(finding, ("", ""))[1]


def add(site: Path, name: str, version: str) -> None:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n\n")


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("variables", [{}, {"PYTHONNOUSERSITE": "1"}])
def test_the_order_is_that_of_the_interpreter(tmp_path: Path, variables: dict[str, str], *, system: bool) -> None:
    place = Place(tmp_path, system=system)
    target = InspectedEnvironment(place.prefix, {**place.variables, **variables})

    said = place.interpreter_says(**variables)

    assert [os.path.realpath(path) for path in target.search_path] == [os.path.realpath(path) for path in said]


def test_a_users_site_comes_after_a_venv_with_system_packages(tmp_path: Path) -> None:
    place = Place(tmp_path, system=True)
    add(place.own, "torch", "2.6.0")
    add(place.user, "torch", "2.1.0")

    assert not place.names("packages-leak-in")
    assert not place.names("packages-from-outside")


def test_what_a_venv_with_system_packages_lacks_is_taken_from_outside(tmp_path: Path) -> None:
    place = Place(tmp_path, system=True)
    add(place.user, "torch", "2.1.0")
    facts = gather(place.prefix, place.variables, Machine(), host=HostFacts())

    assert place.findings()["packages-from-outside"][0] == "warning"
    assert place.names("packages-from-outside")
    assert facts.packages["torch"] == "2.1.0"
    assert not place.names("packages-from-outside", PYTHONNOUSERSITE="1")


def test_a_plain_venv_sees_neither(tmp_path: Path) -> None:
    place = Place(tmp_path, system=False)
    add(place.user, "torch", "2.1.0")

    assert "packages-from-outside" not in place.findings()
    assert "torch" not in gather(place.prefix, place.variables, Machine(), host=HostFacts()).packages


@pytest.mark.parametrize("system", [False, True])
def test_pythonpath_comes_first(tmp_path: Path, *, system: bool) -> None:
    place = Place(tmp_path, system=system)
    add(place.own, "torch", "2.6.0")
    add(place.extra, "torch", "2.1.0")

    assert place.findings()["packages-leak-in"][0] == "error"
    assert not place.names("packages-leak-in", PYTHONPATH="")
