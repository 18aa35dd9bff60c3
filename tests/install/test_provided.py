"""Packages that the site provides: checked against the lock, linked, kept; what does not fit is refused by name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.plans import MACHINE, PYTHON, Recorder, choice, options, plan
from tests.install.whole.test_run import have
from verl_env.bundle.packing.prefix import copy_packages
from verl_env.environment.damage import spoiled
from verl_env.environment.installed import installed
from verl_env.environment.pins import read_pins
from verl_env.environment.state import read_state
from verl_env.environment.target import open_target
from verl_env.install.errors import ProvidedMisfitError
from verl_env.install.inspect import inspect
from verl_env.install.provided import provided_for
from verl_env.install.run import install
from verl_env.wheels.runtime import runtime_version

RUNTIME = {"verl_env_runtime": runtime_version()}


class Site:
    """A site with a directory of packages, an environment, and the wheels that the lock names."""

    def __init__(self, tmp_path, house, target_path):
        self.tmp_path, self.house, self.path = tmp_path, house, target_path
        self.directory = tmp_path / "apps" / f"python{PYTHON}" / "site-packages"
        self.locked = [house.add("demo", "1.0"), house.add("other", "2.0")]
        self.environment = target_path / "lib" / f"python{PYTHON}" / "site-packages"

    def put(self, name, version, files=None, **more):
        """The site installs a package of its own, as ``pip install --target`` does."""
        directory = self.tmp_path / "of-the-site"
        directory.mkdir(exist_ok=True)
        own = type(self.house)(directory)
        own.add(name, version, files, **more)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--no-index"]
        command += ["--find-links", own.path, "--target", self.directory, f"{name}=={version}"]
        subprocess.run(command, check=True, capture_output=True)

    def provided(self, *names, place=None):
        configured = {name: Path(place or self.directory) for name in names}
        return provided_for(choice(), self.locked, MACHINE, configured)

    def install(self, *names, packages=None):
        made = plan(self.locked if packages is None else packages, provided=self.provided(*names))
        settings = options(self.tmp_path, offline=True, wheelhouse=self.house.path, installer="uv")
        return install(made, open_target(self.path), settings, Recorder())

    def python(self, code):
        done = subprocess.run([self.path / "bin" / "python", "-c", code], check=True, capture_output=True, text=True)
        return done.stdout.strip()


@pytest.fixture
def site(tmp_path, house, target_path):
    return Site(tmp_path, house, target_path)


def test_a_package_of_the_site_is_kept_and_imported_and_not_installed(site):
    site.put("demo", "1.0+site", {"demo/__init__.py": "version = 'of the site'\n"})
    outcome = site.install("demo")
    assert have(site.path) == {"demo": "1.0+site", "other": "2.0", **RUNTIME}
    assert site.python("import demo; print(demo.version)") == "of the site"
    assert os.path.realpath(site.environment / "demo" / "__init__.py") == str(site.directory / "demo" / "__init__.py")
    assert "provided-demo" in outcome.checks
    assert read_pins(site.path)["demo"] == "1.0+site"


def test_one_that_the_lock_does_not_have_is_there_beside_it(site):
    site.put("mpi-demo", "4.1", requires=["other>=2"], scripts={"mpi-run": "#!python\nprint(1)\n"})
    site.install("mpi-demo")
    assert site.python("import mpi_demo; print(mpi_demo.version)") == "4.1"
    assert not (site.path / "bin" / "mpi-run").exists()
    assert spoiled(site.environment, installed(site.environment)) == {}


def test_again_there_is_nothing_to_do_until_the_site_changes_it(site):
    site.put("demo", "1.0")
    site.install("demo")
    assert not site.install("demo").done
    site.put("demo", "1.0", {"demo/__init__.py": "version = 'longer than it was before'\n"})
    assert site.install("demo").done
    assert site.python("import demo; print(demo.version)") == "longer than it was before"


def test_what_the_site_takes_away_is_damage_and_what_is_no_longer_configured_is_installed(site):
    site.put("demo", "1.0")
    site.install("demo")
    (site.directory / "demo" / "__init__.py").unlink()
    assert "demo" in spoiled(site.environment, installed(site.environment))
    site.install()
    assert not (site.environment / "demo" / "__init__.py").is_symlink()
    assert site.python("import demo; print(demo.version)") == "1.0"
    assert not read_state(site.path).provided


def test_the_next_change_of_the_environment_keeps_the_links(site):
    site.put("demo", "1.0")
    site.install("demo")
    site.install("demo", packages=[*site.locked, site.house.add("third", "3.0")])
    assert (site.environment / "demo" / "__init__.py").is_symlink()
    assert read_state(site.path).provided == {"demo": str(site.directory)}


def test_a_pack_brings_the_files_of_the_site_along(site, tmp_path):
    site.put("demo", "1.0")
    site.install("demo")
    prefix = tmp_path / "prefix"
    (prefix / "bin").mkdir(parents=True)
    copy_packages(site.path, PYTHON, prefix)
    file = prefix / "lib" / f"python{PYTHON}" / "site-packages" / "demo" / "__init__.py"
    assert not file.is_symlink()
    assert file.read_text() == (site.directory / "demo" / "__init__.py").read_text()


def test_the_plan_says_what_is_provided_and_downloads_the_rest(site):
    site.put("demo", "1.0")
    made = plan(site.locked, provided=site.provided("demo"))
    assert [package.name for package in made.packages] == ["other"]
    assert "provided by the site: demo 1.0" in next(step.detail for step in made.steps if step.kind == "packages")
    seen = inspect(made, open_target(site.path), options(site.tmp_path))
    assert {change.name for change in seen.changes} == {"demo", "other", "verl-env-runtime"}


@pytest.mark.parametrize(
    ("name", "version", "requires", "expected"),
    [
        ("demo", "1.1", [], ("version", "1.0", "1.1")),
        ("mpi-demo", "4.1", ["other>=3"], ("requirement", "other>=3", "2.0")),
        ("mpi-demo", "4.1", ["nowhere"], ("requirement", "nowhere", "nothing of it")),
    ],
)
def test_what_does_not_fit_is_refused_with_need_and_have(site, name, version, requires, expected):
    site.put(name, version, requires=requires)
    with pytest.raises(ProvidedMisfitError, match=re.escape(str(site.directory))) as caught:
        site.install(name)
    error = caught.value
    assert (error.name, error.requirement, error.need, error.have) == (name, *expected)
    assert not site.path.exists()


def test_a_directory_without_it_is_refused(site, tmp_path):
    for place, word in ((tmp_path / "nowhere", "not there"), (tmp_path, "a directory")):
        with pytest.raises(ProvidedMisfitError, match=word):
            site.provided("demo", place=place)


def test_a_build_for_another_python_is_refused(site):
    site.put("demo", "1.0")
    file = site.directory / "demo-1.0.dist-info" / "WHEEL"
    file.write_text("Wheel-Version: 1.0\nTag: cp27-cp27mu-linux_x86_64\n")
    with pytest.raises(ProvidedMisfitError, match="cp27"):
        site.provided("demo")
    short = PYTHON.replace(".", "")
    file.write_text(f"Wheel-Version: 1.0\nTag: cp{short}-cp{short}-linux_{MACHINE.host.arch}\n")
    assert site.provided("demo")


def test_a_package_that_nobody_lists_the_files_of_is_refused(site):
    site.put("demo", "1.0")
    (site.directory / "demo-1.0.dist-info" / "RECORD").unlink()
    with pytest.raises(ProvidedMisfitError, match="RECORD"):
        site.provided("demo")


def test_an_object_that_looks_for_libraries_elsewhere_from_where_it_lies_is_refused(site, tmp_path):
    source, object_ = tmp_path / "a.c", tmp_path / "a.so"
    source.write_text("int a(void) { return 1; }\n")
    flags = ["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN/../../../lib"]
    if subprocess.run(["gcc", *flags, source, "-o", object_], check=False).returncode:
        pytest.skip("no compiler is here")
    site.put("demo", "1.0", {"demo/__init__.py": "", "demo/a.so": object_.read_bytes()})
    (site.directory.parents[1] / "lib").mkdir()
    with pytest.raises(ProvidedMisfitError, match=r"\$ORIGIN/../../../lib"):
        site.provided("demo")


def test_the_directory_may_stand_for_any_python(site):
    site.put("demo", "1.0")
    place = str(site.directory).replace(f"python{PYTHON}", "python{python}")
    assert site.provided("demo", place=place)[0].directory == str(site.directory)
