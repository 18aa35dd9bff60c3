"""Components that are really built, by both installers, and what is left when that fails."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.builds.worlds import answer, extension, tar_bytes
from tests.install.plans import Recorder
from tests.installers.test_process import gone
from verl_env.builds.errors import BuildImpossibleError, NativeBuildFailedError, SourceUnavailableError
from verl_env.components.model import Tool
from verl_env.installers.failures import HashMismatchError
from verl_env.wheels.errors import NativeMismatchError


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_component_is_built_and_installed_and_nothing_else(yard, installer):
    recorder = Recorder()
    outcome = yard.install(yard.sdist("demo-ext"), installer=installer, recorder=recorder)
    assert outcome.done
    assert answer(yard.site, "demo_ext") == 42
    assert ("demo-ext 1.0", 3, 3) in recorder.built
    names = {path.name.partition("-")[0] for path in yard.site.glob("*.dist-info")}
    assert names == {"torch", "demo_ext", "verl_env_runtime"}
    assert not list(yard.tmp.iterdir())


def log_of(recorder):
    (note,) = [note for note in recorder.notes if "log: " in note]
    return Path(note.partition("log: ")[2]).read_text()


def test_a_build_gets_its_variables_and_settings(yard, monkeypatch):
    monkeypatch.setenv("MAX_JOBS", "1")
    recorder = Recorder()
    build = yard.sdist("demo-ext")
    recipe = {"env": {"DEMO": "{site}:{jobs}"}, "arch_variable": "TORCH_CUDA_ARCH_LIST", "settings": ("--a=b",)}
    yard.install(yard.build("demo-ext", **recipe), recorder=recorder)
    text = log_of(recorder)
    assert build.recipe.settings == ()
    for line in ["building for torch 2.6.0 with {'--a': 'b'}", "TORCH_CUDA_ARCH_LIST=9.0", "MAX_JOBS=1"]:
        assert line in text
    assert "site-packages:1" in text


def test_a_second_run_has_nothing_to_do_and_a_repair_keeps_what_was_built(yard):
    build = yard.sdist("demo-ext")
    yard.install(build)
    before = next(yard.site.glob("demo_ext.*")).stat().st_ino
    assert not yard.install(build).done
    (next(yard.site.glob("torch-*.dist-info")) / "METADATA").unlink()
    recorder = Recorder()
    outcome = yard.install(build, recorder=recorder)
    assert [change.name for change in outcome.changes] == ["torch"]
    assert next(yard.site.glob("demo_ext.*")).stat().st_ino == before
    assert recorder.built == []


def test_what_is_added_later_is_built_with_what_is_kept(yard):
    yard.install()
    outcome = yard.install(yard.sdist("demo-ext"))
    assert [change.name for change in outcome.changes] == ["demo-ext"]
    assert answer(yard.site, "demo_ext") == 42


def test_another_environment_takes_it_from_the_cache(yard):
    build = yard.sdist("demo-ext")
    yard.install(build)
    yard.path = yard.path.with_name("second")
    recorder = Recorder()
    yard.install(build, recorder=recorder)
    assert answer(yard.site, "demo_ext") == 42
    assert recorder.built == []
    assert any("built before" in note for note in recorder.notes)
    record = json.loads(next(yard.built.glob("demo-ext/*/build.json")).read_text())
    assert record["facts"]["torch"] == "2.6.0"
    assert record["facts"]["nvcc"] == "12.4.131"


def test_a_host_without_compilers_takes_what_another_built(yard):
    need = {"tools": (Tool("nvcc", None, None, "cuda", ""),)}
    yard.sdist("demo-ext")
    build = yard.build("demo-ext", **need)
    yard.install(build)
    yard.path = yard.path.with_name("second")
    yard.tools(nvcc=None, gcc=None, gxx=None)
    assert yard.install(build).done
    yard.path = yard.path.with_name("third")
    other = yard.build("demo-ext", env={"DEMO": "1"}, **need)
    with pytest.raises(BuildImpossibleError):
        yard.install(other)


def test_a_wheelhouse_may_bring_what_was_built_elsewhere(yard):
    build = yard.sdist("demo-ext")
    yard.install(build)
    yard.built.rename(yard.house.path / "built")
    (yard.house.path / "demo_ext-1.0.tar.gz").unlink()
    yard.path = yard.path.with_name("second")
    yard.tools(gcc="13.2.0", nvcc="12.6.20")
    yard.install(build)
    assert answer(yard.site, "demo_ext") == 42
    assert not yard.built.exists()


def test_a_build_that_fails_says_why_and_leaves_nothing(yard):
    build = yard.sdist("demo-ext", headers="#error this is how it fails")
    with pytest.raises(NativeBuildFailedError) as caught:
        yard.install(build)
    error = caught.value
    assert "this is how it fails" in error.log.read_text()
    assert error.message.startswith("demo-ext 1.0 did not build")
    assert str(error.log) in error.hint
    assert not yard.path.exists()
    assert not list(yard.built.rglob("*.whl"))
    assert not list(yard.tmp.iterdir())
    error.cause = "the compiler is too old"
    assert "likely cause: the compiler is too old" in error.message


def test_an_environment_in_force_outlives_a_build_that_fails(yard):
    yard.install()
    before = yard.path.resolve()
    with pytest.raises(NativeBuildFailedError):
        yard.install(yard.sdist("demo-ext", headers="#error"))
    assert yard.path.resolve() == before
    assert [path.name for path in before.parent.iterdir() if path.name.startswith("0")] == [before.name]


def test_what_was_built_is_read_before_it_lands(yard):
    """An extension that needs a library which nothing brings."""
    words = "gcc -fPIC -shared -x c /dev/null -o libgone.so -Wl,-soname,libgone.so.1"
    more = f"subprocess.run({words!r}.split(), check=True)"
    build = yard.sdist("demo-ext", more=more)
    content = extension("demo-ext", more=more)
    content["backend.py"] = content["backend.py"].replace(
        '"part.cpp", "-o"', '"part.cpp", "-Wl,--no-as-needed", "./libgone.so", "-o"'
    )
    (yard.house.path / "demo_ext-1.0.tar.gz").write_bytes(tar_bytes("demo-ext-1.0", content))
    with pytest.raises(NativeMismatchError) as caught:
        yard.install(yard.build(build.name))
    assert "libgone.so.1" in caught.value.message
    assert not list(yard.built.rglob("*.whl"))
    assert not yard.path.exists()


def test_a_source_of_another_hash_is_refused(yard):
    yard.sdist("demo-ext")
    with pytest.raises(HashMismatchError):
        yard.install(yard.build("demo-ext", sha256="0" * 64))
    assert (yard.house.path / "demo_ext-1.0.tar.gz").exists()


def test_without_its_source_it_cannot_begin(yard):
    with pytest.raises(BuildImpossibleError) as caught:
        yard.install(yard.build("demo-ext"))
    assert [problem.id for problem in caught.value.problems] == ["source-offline"]
    assert "--native skip" in caught.value.hint


def test_an_index_without_the_source_is_named(yard, index, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    with pytest.raises(SourceUnavailableError) as caught:
        yard.install(yard.build("demo-ext"), offline=False)
    assert "demo-ext" in caught.value.message


def test_the_index_that_only_uv_knows_gives_the_source(yard, index, monkeypatch):
    yard.sdist("demo-ext")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    yard.install(yard.build("demo-ext"), offline=False, wheelhouse=None)
    assert answer(yard.site, "demo_ext") == 42
    assert list((yard.tmp_path / "cache" / "sources").rglob("demo_ext-1.0.tar.gz"))


def test_a_source_of_another_hash_on_the_index_runs_none_of_its_code(yard, index, monkeypatch):
    trace = yard.tmp_path / "ran"
    yard.sdist("demo-ext", top=f"open({str(trace)!r}, 'w')")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    with pytest.raises(HashMismatchError) as caught:
        yard.install(yard.build("demo-ext", sha256="0" * 64), offline=False, wheelhouse=None)
    assert "0" * 64 in caught.value.message
    assert not trace.exists()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_python3_is_that_of_the_build_and_has_what_the_lock_satisfies(yard, index, monkeypatch, installer):
    """megatron-core asks ``python3 -m pybind11`` for its headers, even when it is only fetched."""
    yard.packages.append(yard.house.add("helper", "1.0", {"helper/__init__.py": "", "helper/__main__.py": ""}))
    asks = "import subprocess; [subprocess.run([each, '-m', 'helper'], check=True) for each in ('python', 'python3')]"
    build = yard.sdist("demo-ext", top=asks, torch="types")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    recipe = {"torch": False, "requires": ("helper>=1",), "sha256": build.recipe.sha256}
    yard.install(yard.build("demo-ext", **recipe), offline=False, wheelhouse=None, installer=installer)
    assert answer(yard.site, "demo_ext") == 42


class TestInterrupted:
    """Ctrl-C while a compiler runs: everything ends, and nothing is left."""

    MORE = "open(os.environ['DEMO'], 'w').write(str(os.getpid())); __import__('time').sleep(60)"

    def test_it_ends_all_processes_and_leaves_nothing(self, yard):
        marker = yard.tmp_path / "pid"
        yard.sdist("demo-ext", more=self.MORE)
        build = yard.build("demo-ext", env={"DEMO": str(marker)})
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = 1
            try:
                yard.install(build)
            except KeyboardInterrupt:
                code = 130
            finally:
                os._exit(code)
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.02)
        os.kill(pid, signal.SIGINT)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
        assert gone(int(marker.read_text()))
        assert not yard.path.exists()
        assert not list(yard.tmp.iterdir())
        assert not list(yard.built.rglob("build.json"))


def test_two_runs_build_a_thing_once(yard):
    log = yard.tmp_path / "built.txt"
    yard.sdist("demo-ext", more="open(os.environ['DEMO'], 'a').write('x'); __import__('time').sleep(1)")
    build = yard.build("demo-ext", env={"DEMO": str(log)})
    children = []
    for name in ("one", "two"):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                yard.path = yard.path.with_name(name)
                yard.install(build)
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0]
    assert log.read_text() == "x"
    for name in ("one", "two"):
        yard.path = yard.path.with_name(name)
        assert answer(yard.site, "demo_ext") == 42


class TestChain:
    """A component that is built upon others, as DeepEP is: headers of one, a library of another, a patch of its own."""

    CMAKE = (
        "cmake_minimum_required(VERSION 3.10)\nproject(base NONE)\n"
        "install(FILES base.h ${GDR}/gdr.h DESTINATION include)\n"
    )
    PATCH = "--- a/base.h\n+++ b/base.h\n@@ -1 +1 @@\n-#define BASE 1\n+#define BASE 40\n"

    @pytest.fixture
    def chain(self, yard, tmp_path, monkeypatch):
        for tool in ("git", "cmake", "patch"):
            if subprocess.run(["which", tool], capture_output=True, check=False).returncode:
                pytest.skip(f"no {tool}")
        self.repository(tmp_path / "mirror" / "gdr", {"gdr.h": "#define GDR 2\n"})
        content = tar_bytes("base-1.0", {"CMakeLists.txt": self.CMAKE, "base.h": "#define BASE 1\n"})
        (yard.house.path / "base_src.tar.gz").write_bytes(content)
        files = extension(
            "demo-ep",
            headers='#include "base.h"\n#include "gdr.h"',
            answer="BASE + GDR",
            include="[os.environ['BASE']]",
        )
        source = tar_bytes("demo-ep-1.0", {**files, "third-party/base.patch": self.PATCH})
        (yard.house.path / "demo_ep-1.0.tar.gz").write_bytes(source)
        config = tmp_path / "config.toml"
        config.write_text(f'[mirrors]\n"https://code.example.org" = "file://{tmp_path}/mirror"\n')
        monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
        yard.build("gdr", source="git+https://code.example.org/gdr@v1", product="source", torch=False)
        yard.build(
            "base",
            source="https://code.example.org/base_src.tar.gz",
            product="prefix",
            torch=False,
            after=("gdr",),
            patches=("demo-ep:third-party/base.patch",),
            commands=(
                ("cmake", "-S", ".", "-B", "made", "-DGDR={source:gdr}", "-DCMAKE_INSTALL_PREFIX={prefix:base}"),
                ("cmake", "--build", "made", "--parallel", "{jobs}"),
                ("cmake", "--install", "made"),
            ),
        )
        return yard.build("demo-ep", after=("base",), env={"BASE": "{prefix:base}/include"})

    @staticmethod
    def repository(path, files):
        path.mkdir(parents=True)
        for name, text in files.items():
            (path / name).write_text(text)
        git = ("git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@example.org")
        for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "one"), ("tag", "v1")):
            subprocess.run([*git, *words], check=True)

    def test_each_is_built_upon_the_others(self, yard, chain):
        yard.install(chain, wheelhouse=yard.house.path, offline=False)
        assert answer(yard.site, "demo_ep") == 42
        prefix = next(yard.built.glob("base/*/prefix"))
        assert {path.name for path in (prefix / "include").iterdir()} == {"base.h", "gdr.h"}
        assert json.loads((prefix.parent / "build.json").read_text())["file"] == "prefix"

    def test_what_it_is_built_upon_is_no_package(self, yard, chain):
        plan = (yard.components["gdr"], yard.components["base"], chain)
        yard.install(*plan, offline=False)
        names = {path.name.partition("-")[0] for path in yard.site.glob("*.dist-info")}
        assert names == {"torch", "demo_ep", "verl_env_runtime"}
        assert not yard.install(*plan, offline=False).done

    def test_the_parts_are_built_once(self, yard, chain):
        yard.install(chain, offline=False)
        yard.path = yard.path.with_name("second")
        recorder = Recorder()
        other = yard.build("demo-ep", after=("base",), env={"BASE": "{prefix:base}/include", "DEMO": "1"})
        yard.install(other, offline=False, recorder=recorder)
        assert any(note.startswith("base 1.0: built before") for note in recorder.notes)

    def test_a_patch_that_is_not_there_is_named(self, yard, chain):
        yard.build("base", **{**self.recipe(yard), "patches": ("demo-ep:third-party/gone.patch",)})
        with pytest.raises(SourceUnavailableError) as caught:
            yard.install(chain, offline=False)
        assert "third-party/gone.patch" in caught.value.message

    def test_a_prefix_that_fails_is_not_there_afterwards(self, yard, chain):
        commands = (("cmake", "-E", "make_directory", "{prefix:base}/include"), ("cmake", "-E", "false"))
        yard.build("base", **{**self.recipe(yard), "commands": commands})
        with pytest.raises(NativeBuildFailedError) as caught:
            yard.install(chain, offline=False)
        assert caught.value.name == "base 1.0"
        assert not list(yard.built.glob("base/*/prefix"))

    @staticmethod
    def recipe(yard):
        recipe = yard.components["base"].recipe
        names = ("source", "product", "torch", "after", "patches", "commands")
        return {name: getattr(recipe, name) for name in names}


def test_a_commit_may_state_any_version(yard):
    yard.sdist("demo-ext", "1.0")
    (yard.house.path / "demo_ext-1.0.tar.gz").rename(yard.house.path / "src.tar.gz")
    build = yard.build("demo-ext", "a84a248", source="https://code.example.org/src.tar.gz")
    yard.install(build)
    assert next(yard.site.glob("demo_ext-*.dist-info")).name == "demo_ext-1.0.dist-info"
    assert not yard.install(build).done
    other = yard.build("demo-ext", "b84a248", source="https://code.example.org/src.tar.gz")
    assert [change.name for change in yard.install(other).changes] == ["demo-ext"]


def test_a_published_wheel_is_replaced_by_a_build_that_is_asked_for(yard):
    published = yard.house.add("demo-ext", "1.0", {"demo_ext.py": ""})
    yard.packages.append(published)
    yard.install()
    yard.packages.remove(published)
    (yard.house.path / "demo_ext-1.0-py3-none-any.whl").unlink()
    yard.install(yard.sdist("demo-ext"))
    assert answer(yard.site, "demo_ext") == 42
    assert not (yard.site / "demo_ext.py").exists()
