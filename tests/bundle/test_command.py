"""``verl-env bundle`` and an installation from what it made, with a small index of the tests."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from tests.builds.test_revisions import URL, Repository
from tests.cli.test_install import ID, MACHINE, PREFIXES, Bench
from tests.install.server import Index
from tests.install.wheels import sdist_bytes
from verl_env.bundle import make, outline
from verl_env.cli.main import main
from verl_env.wheels import runtime as runtime_wheel

ROOT = Path(__file__).parents[2]
SETUP = "from setuptools import setup\nsetup(name='pure', version='2.0', py_modules=[])\n"


class Works(Bench):
    """A bench with an index and without a wheelhouse."""

    def __init__(self, tmp_path, capsys):
        super().__init__(tmp_path, capsys)
        self.index = Index(self.house.path)
        self.bundle = tmp_path / "bundle"
        self.packages = [self.demo, self.verl]

    def make(self, *flags):
        argv = ["bundle", "--stack", "demo", "--machine", str(self.machine)]
        code = main([*argv, *(flags or ("-o", str(self.bundle)))])
        return code, self.capsys.readouterr()

    def install(self, *flags, machine=True, bundle=None):
        argv = ["install", "--into", str(self.into), "--offline", "--wheelhouse", str(bundle or self.bundle)]
        argv += ["--machine", str(self.machine)] if machine else []
        code = main([*argv, *flags])
        return code, self.capsys.readouterr()


@pytest.fixture
def works(tmp_path, capsys, monkeypatch):
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    works = Works(tmp_path, capsys)
    shutil.copytree(runtime_wheel.SOURCE, tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(runtime_wheel, "SOURCE", tmp_path / "runtime")
    monkeypatch.setattr(outline, "tool_wanted", lambda *_: ())
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(works.root))
    monkeypatch.setenv("VERL_ENV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", works.index.simple)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    yield works
    works.index.close()


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_made_checked_and_installed_from(works):
    code, captured = works.make()
    assert code == 0, captured.err
    assert "make-verl-env.py" in captured.out
    works.index.close()
    code, captured = works.install()
    assert code == 0, captured.err
    assert (works.into / "lib").is_dir()
    assert not list((works.into.parent / ".venv.d").glob("bundle-*"))
    python = [works.into / "bin" / "python", "-c", "import demo; print(demo.version)"]
    assert subprocess.check_output(python) == b"1.0\n"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_neither_settings_nor_caches_of_the_user_have_a_say(works, monkeypatch, tmp_path, installer):
    works.make()
    works.index.asked.clear()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "untouched"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "untouched"))
    code, captured = works.install("--installer", installer)
    assert code == 0, captured.err
    assert not (tmp_path / "untouched").exists()
    assert works.index.asked == []
    assert os.environ["UV_CACHE_DIR"] == str(tmp_path / "untouched")


def test_two_runs_give_the_same_bytes_and_a_second_fetches_nothing(works, tmp_path):
    works.make()
    first = files(works.bundle)
    fetched = [path for path in works.index.asked if path.startswith("/files/")]
    works.make()
    assert files(works.bundle) == first
    assert [path for path in works.index.asked if path.startswith("/files/")] == fetched
    works.make("-o", str(tmp_path / "other"))
    assert files(tmp_path / "other") == first


def test_what_is_not_of_the_bundle_goes_and_what_is_damaged_comes_back(works):
    works.make()
    first = files(works.bundle)
    wheel = next((works.bundle / "wheels").glob("demo-*"))
    wheel.write_bytes(b"damaged")
    (works.bundle / "wheels" / "old.whl").write_bytes(b"old")
    assert works.make()[0] == 0
    assert files(works.bundle) == first


def test_a_directory_of_somebody_else_is_left_alone(works):
    works.bundle.mkdir()
    (works.bundle / "thesis.tex").write_text("mine")
    code, captured = works.make()
    assert code == 2
    assert "bundle-target-foreign" in captured.err
    assert files(works.bundle) == {"thesis.tex": b"mine"}


def test_one_file(works, tmp_path):
    tar = tmp_path / "bundle.tar"
    assert works.make("-o", str(tar))[0] == 0
    assert sorted(path.name for path in tmp_path.glob("*bundle*")) == ["bundle.tar"]
    content = tar.read_bytes()
    works.make("-o", str(tar))
    assert tar.read_bytes() == content
    works.index.close()
    code, captured = works.install(bundle=tar)
    assert code == 0, captured.err
    tar.write_bytes(content.replace(b"version = '1.0'", b"version = '6.6'"))
    works.into.unlink()
    code, captured = works.install(bundle=tar)
    assert code == 1
    assert "bundle-damaged" in captured.err


def test_a_damaged_bundle_is_refused_by_name_and_nothing_is_made(works):
    works.make()
    wheel = next((works.bundle / "wheels").glob("demo-*"))
    content = bytearray(wheel.read_bytes())
    content[-1] ^= 1
    wheel.write_bytes(content)
    code, captured = works.install("--json")
    assert code == 1
    error = json.loads(captured.out)["error"]
    assert (error["id"], error["faults"]) == ("bundle-damaged", {"changed": [f"wheels/{wheel.name}"]})
    assert not works.into.exists()


def test_flags_of_the_installation_count_without_a_stack(works):
    native = {"name": "apex", "version": "0.1", "reason": "a test"}
    works.lockset(ID, works.packages, natives=[native])
    code, captured = works.make()
    assert code == 0, captured.err
    code, captured = works.install("--native", "skip", "--dry-run", "--json")
    assert [(each["name"], each["how"]) for each in json.loads(captured.out)["native"]] == [("apex", "skip")]
    code, captured = works.install("--native", "build", "--dry-run", "--json")
    assert code == 1
    error = json.loads(captured.out)["error"]
    assert error["id"] == "native-unavailable"
    again = f"verl-env install --offline --wheelhouse {works.bundle} --into {works.into} --native skip"
    assert error["hint"].endswith(again)  # plan would look at this host, not at the machine of the bundle


def with_source(works, source="sdist"):
    """A component whose source the bundle carries, with what its build requires."""
    made = works.house.put("fast-1.0.tar.gz", sdist_bytes("fast", "1.0", SETUP.replace("pure", "fast")), "fast", "1.0")
    for tool in ("setuptools", "wheel"):
        works.house.add(tool, "1.0")
    recipe = {"source": source, "sources": ["a test"]}
    recipe |= {"sha256": made.hashes[0].removeprefix("sha256:")} if source == "sdist" else {}
    table = {"schema": 1, "name": "fast", "releases": [{"version": "1.0", "recipes": [recipe]}]}
    (works.root / "components").mkdir()
    (works.root / "components" / "fast.toml").write_text(tomli_w.dumps(table))
    native = {"name": "fast", "version": "1.0", "reason": "a test"}
    works.lockset(ID, works.packages, natives=[native])


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_a_dry_run_of_an_installation_sees_what_the_bundle_has(works, tmp_path, name):
    with_source(works)
    code, captured = works.make("-o", str(tmp_path / name))
    assert code == 0, captured.err
    code, captured = works.install("--dry-run", "--json", bundle=tmp_path / name)
    document = json.loads(captured.out)
    assert [(each["name"], each["how"]) for each in document["native"]] == [("fast", "build")]
    assert "source-offline" not in {each["id"] for each in document["build_problems"]}
    source = tmp_path / name / "wheels" / "fast-1.0.tar.gz"
    if source.exists():
        source.unlink()
        code, captured = works.install("--dry-run", "--json")
        assert "source-offline" in {each["id"] for each in json.loads(captured.out)["build_problems"]}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_source_that_is_a_commit_is_cloned_into_it(works, tmp_path, monkeypatch):
    repository = Repository(tmp_path / "mirror" / "demo")
    commit = repository.commit("7")
    config = tmp_path / "config.toml"
    config.write_text(f'[mirrors]\n"https://code.example.org" = "file://{tmp_path}/mirror"\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
    with_source(works, f"git+{URL}@{commit}")
    code, captured = works.make()
    assert code == 0, captured.err
    assert f"cloned at {commit}" in captured.err
    (tar,) = (works.bundle / "wheels" / "git").iterdir()
    listed = json.loads((works.bundle / "manifest.json").read_text())["files"]
    assert [each["role"] for each in listed if each["path"] == f"wheels/git/{tar.name}"] == ["source"]
    assert main(["bundle", "--verify", str(works.bundle)]) == 0
    first = files(works.bundle)
    assert works.make("-o", str(tmp_path / "again"))[0] == 0
    assert files(tmp_path / "again") == first
    repository.path.rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "cache")
    code, captured = works.install("--dry-run", "--json")
    document = json.loads(captured.out)
    assert [(each["name"], each["how"]) for each in document["native"]] == [("fast", "build")]
    assert not {each["id"] for each in document["build_problems"]} & {"source-offline", "git-missing"}
    code, captured = works.make("-o", str(tmp_path / "third"), "--dry-run")
    assert "its repository cannot be reached" in captured.out


def test_a_login_node_without_a_gpu_installs_for_the_machine_of_the_bundle(works, monkeypatch):
    driver = {"minimum": "525", "toolkit": "550.54.15", "source": "a test"}
    works.lockset(ID, works.packages, requires={"arch": [platform.machine()], "gpu": [], "driver": driver})
    works.make()
    monkeypatch.setenv("VERL_ENV_MACHINE", "none")
    code, captured = works.install(machine=False)
    assert code == 0, captured.err
    recorded = json.loads((works.into / "verl-env.json").read_text())["machine"]
    assert recorded["nvidia"]["driver"] == MACHINE["nvidia"]["driver"]


def test_verify_and_list(works):
    works.make()
    code = main(["bundle", "--verify", str(works.bundle), "--json"])
    document = json.loads(works.capsys.readouterr().out)
    assert (code, document["verified"], document["index_files"]) == (0, True, 2)
    assert main(["bundle", "--list", str(works.bundle)]) == 0
    assert ID in works.capsys.readouterr().out


def test_a_dry_run_says_what_it_would_hold_and_fetches_nothing(works):
    code, captured = works.make("--dry-run", "--json")
    document = json.loads(captured.out)
    assert code == 0
    assert (document["schema"], document["index_files"], document["locksets"]) == (1, 2, [ID])
    assert {item["name"] for item in document["items"]} == {"demo", "verl"}
    assert not [path for path in works.index.asked if path.startswith("/files/")]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"arch": "sparc64"}, "bundle-misfit", "sparc64"),
        ({"glibc": "2.10"}, "bundle-misfit", "2.10"),
    ],
)
def test_a_machine_that_does_not_fit_is_told_need_and_have(works, change, error, words):
    content = (works.house.path / "demo-1.0-py3-none-any.whl").read_bytes()
    tagged = works.house.put(f"demo-1.0-py3-none-manylinux_2_28_{platform.machine()}.whl", content, "demo", "1.0")
    (works.house.path / "demo-1.0-py3-none-any.whl").unlink()
    works.lockset(ID, [tagged, works.verl])
    code, captured = works.make()
    assert code == 0, captured.err
    works.machine.write_text(json.dumps({**MACHINE, "host": {**MACHINE["host"], **change}}))
    code, captured = works.install()
    assert code == 1
    assert error in captured.err
    assert words in captured.err
    assert not works.into.exists()


def test_a_driver_that_is_too_old_is_told_need_and_have(works):
    driver = {"minimum": "525", "toolkit": "550.54.15", "source": "a test"}
    works.lockset(ID, works.packages, requires={"arch": [platform.machine()], "gpu": [], "driver": driver})
    works.make()
    machine = json.loads(json.dumps(MACHINE))
    machine["nvidia"]["driver"] = "450.80.02"
    works.machine.write_text(json.dumps(machine))
    code, captured = works.install()
    assert code == 1
    assert "450.80.02" in captured.err
    assert "525" in captured.err


def test_what_it_is_not_for(works):
    works.make()
    code, captured = works.install("--stack", "vllm")
    assert code == 1
    assert "bundle-lacks" in captured.err
    code, captured = works.install("--python", "3.99")
    assert "bundle-lacks" in captured.err


def test_another_lock_of_that_name_is_refused(works):
    works.make()
    works.lockset(ID, [works.demo])
    code, captured = works.install()
    assert code == 1
    assert "make-verl-env.py" in captured.err


def test_a_source_distribution_becomes_a_wheel(works):
    content = sdist_bytes("pure", "2.0", SETUP)
    pure = works.house.put("pure-2.0.tar.gz", content, "pure", "2.0", "sdist")
    works.lockset(ID, [*works.packages, pure])
    built = []

    def build(self, fetch, sdist):
        wheel = self._root / "wheels" / "pure-2.0-py3-none-any.whl"
        from tests.install.wheels import sha256, wheel_bytes

        wheel.write_bytes(wheel_bytes("pure", "2.0", {"pure.py": "x = 1\n"}))
        data = wheel.read_bytes()
        self.built.append(
            make.File(f"wheels/{wheel.name}", len(data), sha256(data), "sdist-wheel", "pure", "2.0", fetch.path)
        )
        built.append(sdist.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make.SdistBuilder, "build", build)
        code, captured = works.make()
    assert code == 0, captured.err
    assert built == ["pure-2.0.tar.gz"]
    works.index.close()
    code, captured = works.install()
    assert code == 0, captured.err


def test_killed_again_and_again_it_ends_with_the_same_bytes(works, tmp_path):
    works.make("-o", str(tmp_path / "undisturbed"))
    code = (
        "import sys, time\nfrom verl_env.bundle import outline, download\noutline.tool_wanted = lambda *_: ()\n"
        "slow = download._tell\n"
        "def tell(*given):\n    slow(*given); time.sleep(0.3)\n"
        "download._tell = tell\nfrom verl_env.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", code, "bundle", "--stack", "demo", "--machine", str(works.machine)]
    argv += ["-o", str(works.bundle)]
    for seconds in (0.6, 0.9, 1.2):
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert works.make()[0] == 0
    assert files(works.bundle) == files(tmp_path / "undisturbed")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux")
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_in_a_namespace_without_a_network_and_with_an_empty_home(works, tmp_path, installer):
    apart = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel gives no network namespaces to users")
    works.make()
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "VERL_ENV_CONSTRAINTS": str(works.root)}
    argv = [sys.executable, "-c", "import sys; from verl_env.cli.main import main; sys.exit(main(sys.argv[1:]))"]
    argv += ["install", "--offline", "--wheelhouse", str(works.bundle), "--into", str(works.into)]
    argv += ["--machine", str(works.machine), "--installer", installer]
    done = subprocess.run([*apart, *argv], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (home / ".cache" / "uv").exists()
    assert not (home / ".cache" / "pip").exists()
