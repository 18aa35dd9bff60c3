"""A checkout as one file: one commit gives the same bytes, and a build takes it where there is no network."""

import os
import subprocess
import tarfile

import pytest

from tests.builds.test_revisions import URL, Repository, repository  # noqa: F401 (a fixture)
from tests.builds.worlds import answer
from verl_env.builds.checkouts import carry
from verl_env.builds.facts import host_of
from verl_env.builds.model import Job, Places
from verl_env.builds.preflight import preflight
from verl_env.builds.revisions import answers
from verl_env.builds.sources import carried_name, commit_of, fetch
from verl_env.builds.workshop import Workshop
from verl_env.environment.state import read_state
from verl_env.installers.base import Source


class Told:
    def __getattr__(self, name):
        return lambda *_: None


def shop(yard, name):
    places = Places(yard.tmp_path / name)
    host = host_of(yard.machine, "cuda", os.environ)
    (yard.tmp_path / f"{name}-room").mkdir()
    return Workshop(yard.tmp_path / f"{name}-room", host, places, Told(), Source())


def carried(yard, build, name):
    """The file of a fresh clone, and its commit."""
    job, place = Job(build, build.recipe, 1, None), shop(yard, name)
    tree = fetch(job, place)
    commit = commit_of(tree)
    carry(tree, job, place, yard.tmp_path / f"{name}.tar")
    return (yard.tmp_path / f"{name}.tar"), commit


def with_submodule(repository, tmp_path):  # noqa: F811
    other = Repository(tmp_path / "mirror" / "part")
    (other.path / "part.h").write_text("// part\n")
    other.git("add", ".")
    other.git("commit", "-qm", "part")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.path), "csrc/part")
    repository.git("config", "-f", ".gitmodules", "submodule.csrc/part.url", "https://code.example.org/part")


@pytest.mark.parametrize("fixed", [True, False], ids=["a commit", "a branch"])
def test_one_commit_gives_the_same_bytes(yard, repository, tmp_path, fixed):  # noqa: F811
    with_submodule(repository, tmp_path)
    commit = repository.commit("7")
    build = yard.build("demo-ext", source=f"git+{URL}@{commit if fixed else 'dev'}")
    first, at = carried(yard, build, "one")
    assert at == commit
    repository.git("repack", "-adfq", "--depth=1")
    repository.git("tag", "v9")
    second, _ = carried(yard, build, "two")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        names = tar.getnames()
        assert "tree/csrc/part/part.h" in names
        assert {entry.mtime for entry in tar} == {315619200}
    assert not [name for name in names if name.endswith(("/hooks", "/logs", "FETCH_HEAD"))]


def test_what_was_carried_answers_git_as_a_clone_does(yard, repository, tmp_path):  # noqa: F811
    with_submodule(repository, tmp_path)
    commit = repository.commit("7")
    file, _ = carried(yard, yard.build("demo-ext", source=f"git+{URL}@dev"), "one")
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path / "out")
    git = ["git", "-C", str(tmp_path / "out" / "tree")]
    asked = {"rev-parse HEAD": commit, "status --porcelain": "", "fsck --no-dangling": ""}
    for words, said in asked.items():
        done = subprocess.run([*git, *words.split()], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
    without_network = {**os.environ, "GIT_ALLOW_PROTOCOL": "none"}
    update = [*git, "submodule", "update", "--init", "--recursive"]
    assert subprocess.run(update, env=without_network, check=False).returncode == 0


def test_a_build_takes_it_from_the_wheelhouse_offline(yard, repository):  # noqa: F811
    commit = repository.commit("7")
    build = yard.build("demo-ext", source=f"git+{URL}@dev")
    file, _ = carried(yard, build, "one")
    job = Job(build, build.recipe, 1, None)
    name = carried_name(job, Places(yard.tmp_path / "cache"))
    (yard.house.path / "git").mkdir()
    file.rename(yard.house.path / name)
    repository.path.rename(repository.path.with_name("gone"))
    yard.install(build)
    assert answer(yard.site, "demo_ext") == 7
    assert read_state(yard.path).built == {"demo-ext": "1.0"}
    assert [path for path in yard.built.rglob("build.json") if commit in path.read_text()]


def test_git_is_not_asked_for_where_the_checkout_is_there(yard, repository):  # noqa: F811
    repository.commit("7")
    build = yard.build("demo-ext", source=f"git+{URL}@dev")
    file, _ = carried(yard, build, "one")
    job = Job(build, build.recipe, 1, None)
    houses = (yard.tmp_path / "empty", yard.house.path)
    name = carried_name(job, Places(yard.tmp_path / "cache"))
    (yard.house.path / "git").mkdir()
    file.rename(yard.house.path / name)
    from verl_env.builds.facts import lock_of
    from verl_env.records import replace

    host = replace(host_of(yard.machine, "cuda", {"PATH": "/nowhere"}), memory=None)
    lock = lock_of(yard.plan(build), None)
    for house, missing in zip(houses, (True, False), strict=True):
        places = Places(yard.tmp_path / "cache", house)
        found = preflight([job], host, lock, places, catalogue=yard.catalogue(), offline=True)
        assert ({"git-missing", "source-offline"} <= {problem.id for problem in found}) is missing


def test_whether_a_repository_answers(yard, repository):  # noqa: F811
    commit = repository.commit("7")
    assert answers(f"git+{URL}@dev", os.environ)
    assert answers(f"git+{URL}@{commit}", os.environ)
    assert not answers(f"git+{URL}@gone", os.environ)
    assert not answers(f"git+{URL}-not-there@{commit}", os.environ)
