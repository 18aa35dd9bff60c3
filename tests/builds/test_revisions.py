"""A branch moves under its name: its results are kept by the commit, and nothing old is silently taken for it."""

import json
import subprocess

import pytest

from tests.builds.worlds import answer, extension
from tests.install.plans import Recorder
from verl_env.builds import revisions
from verl_env.builds.errors import BuildImpossibleError
from verl_env.builds.revisions import commit_in, moves, newest_commit
from verl_env.environment.state import read_state

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
URL = "https://code.example.org/demo"


@pytest.mark.parametrize(
    ("lines", "ref", "commit"),
    [
        ([(ONE, "refs/heads/dev")], "dev", ONE),
        ([(ONE, "refs/heads/users/dev"), (TWO, "refs/heads/dev")], "dev", TWO),
        ([(ONE, "refs/tags/v1"), (TWO, "refs/tags/v1^{}")], "v1", TWO),
        ([(ONE, "refs/heads/v1"), (TWO, "refs/tags/v1")], "v1", TWO),
        ([(ONE, "HEAD"), (TWO, "refs/remotes/origin/HEAD")], "", ONE),
        ([(ONE, "refs/heads/other")], "dev", None),
        ([], "", None),
    ],
)
def test_what_a_repository_says(lines, ref, commit):
    assert commit_in("".join(f"{sha}\t{name}\n" for sha, name in lines), ref) == commit


@pytest.mark.parametrize(
    ("source", "moving"),
    [("sdist", False), (f"git+{URL}@dev", True), (f"git+{URL}", True), (f"git+{URL}@{ONE}", False)],
)
def test_what_moves(source, moving):
    assert moves(source) is moving


class Repository:
    """A repository with a branch ``dev`` and a tag ``v1``, reached through a mirror."""

    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words):
        settings = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "tag.gpgsign=false")
        argv = ["git", "-C", str(self.path), *settings, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, answer):
        """Moves the branch to a source whose extension gives another answer."""
        for name, text in extension("demo-ext", answer=answer).items():
            (self.path / name).write_text(text)
        self.git("add", ".")
        self.git("commit", "-qm", answer)
        self.git("branch", "-f", "dev")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(yard, tmp_path, monkeypatch):
    if subprocess.run(["which", "git"], capture_output=True, check=False).returncode:
        pytest.skip("no git")
    config = tmp_path / "config.toml"
    config.write_text(f'[mirrors]\n"https://code.example.org" = "file://{tmp_path}/mirror"\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
    return Repository(tmp_path / "mirror" / "demo")


def test_a_repository_is_asked_through_the_mirror(repository, monkeypatch):
    import os

    first = repository.commit("1")
    repository.git("tag", "-a", "v1", "-m", "one")
    second = repository.commit("2")
    asked = {ref: newest_commit(f"git+{URL}{ref}", os.environ) for ref in ("", "@dev", "@v1", "@gone")}
    assert asked == {"": second, "@dev": second, "@v1": first, "@gone": None}
    assert newest_commit("git+https://code.example.org/gone", os.environ) is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert newest_commit(f"git+{URL}", os.environ) is None


def install(yard, name, **more):
    """Installs into an environment of its own; what was told."""
    yard.path = yard.path.with_name(name)
    recorder = Recorder()
    yard.install(yard.components["demo-ext"], recorder=recorder, **more)
    return recorder


def test_a_branch_that_moved_is_built_anew_and_offline_the_last_result_serves(yard, repository):
    first = repository.commit("1")
    yard.build("demo-ext", source=f"git+{URL}@dev")
    assert install(yard, "a", offline=False).built
    assert answer(yard.site, "demo_ext") == 1
    assert not install(yard, "b", offline=False).built

    second = repository.commit("2")
    assert install(yard, "c", offline=False).built
    assert answer(yard.site, "demo_ext") == 2
    assert read_state(yard.path).facts["demo-ext"]["commit"] == second
    records = [json.loads(path.read_text()) for path in yard.built.glob("demo-ext/*/build.json")]
    assert {record["commit"] for record in records} == {first, second}
    assert all(record["facts"]["commit"] == record["commit"] for record in records)

    repository.commit("3")
    for path in yard.built.glob("demo-ext/*/build.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "made": "2025" if record["commit"] == first else "2026"}))
    told = install(yard, "d", offline=True)
    assert not told.built
    assert answer(yard.site, "demo_ext") == 2
    (note,) = [note for note in told.notes if "built before" in note]
    assert f"commit {second[:12]}, built 2026" in note
    assert "could not be asked" in note


def test_an_environment_stays_as_it_is_when_a_branch_moves(yard, repository):
    repository.commit("1")
    build = yard.build("demo-ext", source=f"git+{URL}@dev")
    yard.install(build, offline=False)
    repository.commit("2")
    assert not yard.install(build, offline=False).done


def test_a_branch_that_moves_between_question_and_fetch(yard, repository, monkeypatch):
    repository.commit("1")
    yard.build("demo-ext", source=f"git+{URL}")
    asked = revisions.newest_commit

    def then_it_moves(source, environ):
        before = asked(source, environ)
        repository.commit("2")
        return before

    monkeypatch.setattr("verl_env.builds.build_plan.newest_commit", then_it_moves)
    install(yard, "a", offline=False)
    (path,) = yard.built.glob("demo-ext/*/build.json")
    record = json.loads(path.read_text())
    assert record["facts"]["commit"] == record["commit"] == repository.git("rev-parse", "HEAD")


def test_offline_with_no_result_it_cannot_begin(yard, repository):
    repository.commit("1")
    with pytest.raises(BuildImpossibleError) as caught:
        yard.install(yard.build("demo-ext", source=f"git+{URL}@dev"))
    assert [problem.id for problem in caught.value.problems] == ["source-offline"]


def test_the_hash_of_an_archive_that_nobody_recorded_is_kept(yard):
    sdist = yard.sdist("demo-ext").recipe.sha256
    yard.install(yard.build("demo-ext"))
    assert read_state(yard.path).facts["demo-ext"]["source_sha256"] == sdist
    (path,) = yard.built.glob("demo-ext/*/build.json")
    assert json.loads(path.read_text())["source_sha256"] == sdist
    install(yard, "second")
    assert read_state(yard.path).facts["demo-ext"]["source_sha256"] == sdist
