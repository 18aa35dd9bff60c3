"""Packs of small environments with a real interpreter: moved, hidden from their origin, poisoned, mounted."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.plans import PYTHON, Recorder, lockset, options, plan
from verl_env.binaries.elf import read_elf
from verl_env.bundle.packing import pack as pack_module
from verl_env.bundle.packing import unpack as unpack_module
from verl_env.bundle.packing.errors import PackImpossibleError, PackInvalidError, PackMisfitError, PackTargetTakenError
from verl_env.bundle.packing.model import FILE, read_pack
from verl_env.bundle.packing.pack import pack
from verl_env.bundle.packing.running import CACHES, packed_variables
from verl_env.bundle.packing.unpack import unpack
from verl_env.cli.main import main
from verl_env.environment.errors import DiskFullError
from verl_env.environment.target import open_target
from verl_env.install.disk import Free
from verl_env.install.run import install

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(
    shutil.which("mksquashfs") is None and shutil.which("zstd") is None, reason="needs squashfs-tools or zstd"
)
KIND = ".squashfs" if shutil.which("mksquashfs") else ".tar.zst"


DEBIAN = f"/usr/bin/python{PYTHON}"


def made_with(interpreter, tmp_path, target_path):
    from tests.install.wheels import House

    house = House(tmp_path / "house")
    demo = house.add(
        "demo", "1.0", {"demo/__init__.py": "def run():\n    print('ran')\n"}, entry_points={"demo-run": "demo:run"}
    )
    made = plan([demo], lock=lockset(), interpreter=interpreter)
    install(made, open_target(target_path), options(tmp_path, offline=True, wheelhouse=house.path), Recorder())
    return target_path


@pytest.fixture
def environment(tmp_path, target_path):
    return made_with(sys.executable, tmp_path, target_path)


@pytest.fixture
def packed(environment, tmp_path):
    file = tmp_path / f"demo{KIND}"
    pack(environment, file, lambda _: None, bytecode=False)
    return file


def test_what_it_takes_unpacked_stands_in_it(environment, packed, tmp_path):
    # ``cluster install`` asks each node for that room before anything is carried.
    target, described = unpack(packed, tmp_path / "away")
    found = [path for path in target.rglob("*") if path.is_symlink() or path.is_file()]
    own = [path for path in found if path.name.startswith("verl-env-pack")]
    assert described.files == len(found) - len(own)
    assert described.bytes == sum(path.lstat().st_size for path in found if path not in own)


def ask(prefix, code, env=None):
    argv = [prefix / "bin" / "python", "-c", code]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_it_runs_elsewhere_without_the_environment_and_whatever_the_user_has(environment, packed, tmp_path):
    shutil.rmtree(environment.with_name(".venv.d"))
    target, described = unpack(packed, tmp_path / "away")
    assert described.lockset == "verl0.1-cu124/app.demo"
    poison = tmp_path / "poison"
    (poison / ".local/lib" / f"python{described.python}" / "site-packages").mkdir(parents=True)
    (poison / ".local/lib" / f"python{described.python}" / "site-packages" / "demo.py").write_text(
        "raise SystemExit(9)"
    )
    env = {"HOME": str(poison), "PATH": "/usr/bin:/bin"}
    assert ask(target, "import demo, ssl, sqlite3, ctypes; demo.run()", env) == "ran"
    code = "import sys; print(sys.prefix, sys.base_prefix, [p for p in sys.path if p and not p.startswith(sys.prefix)])"
    assert ask(target, code, env) == f"{target} {target} []"
    for module in target.glob("lib/python*/lib-dynload/*.so"):
        elf = read_elf(module)
        assert all(place.startswith("$ORIGIN") for place in (*elf.rpath, *elf.runpath)), module
    done = subprocess.run([target / "bin" / "demo-run"], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "ran\n"


@pytest.mark.skipif(
    not Path(f"/usr/lib/python{PYTHON}/venv").exists(), reason="needs Debian's own Python of this release"
)
def test_debians_python_finds_the_packages_too(tmp_path, target_path):
    # It looks into dist-packages, and into no site-packages, unless it is that of a virtual environment.
    file = tmp_path / f"demo{KIND}"
    pack(made_with(DEBIAN, tmp_path, target_path), file, lambda _: None, bytecode=False)
    target, _ = unpack(file, tmp_path / "away")
    assert ask(target, "import demo, sys; demo.run(); print(sys.prefix)", {"PATH": "/usr/bin"}) == f"ran\n{target}"


def test_room_is_asked_for_before_anything_is_written(environment, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_module, "free_room", lambda place: Free(100, None, "the quota for user me on /x"))
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(DiskFullError, match="the quota for user me on /x leaves 100 B"):
        pack(environment, tmp_path / f"demo{KIND}", lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_with_bytecode_nothing_is_compiled_again(environment, tmp_path):
    file = tmp_path / f"compiled{KIND}"
    pack(environment, file, lambda _: None)
    target, _ = unpack(file)
    assert target == tmp_path / "compiled"
    names = {path.name for path in target.rglob("*.pyc")}
    assert any(name.startswith("__init__.") for name in names)
    before = sorted(target.rglob("*"))
    assert ask(target, "import demo, asyncio; demo.run()") == "ran"
    assert sorted(target.rglob("*")) == before


def test_a_changed_file_is_named_and_nothing_is_put_in_place(packed, tmp_path, monkeypatch):
    real = unpack_module.extract

    def damaged(file, to):
        real(file, to)
        (to / "bin" / "demo-run").write_text("evil")

    monkeypatch.setattr(unpack_module, "extract", damaged)
    with pytest.raises(PackInvalidError, match="bin/demo-run"):
        unpack(packed, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_what_is_no_pack(tmp_path):
    (tmp_path / "x").write_bytes(b"no pack at all")
    with pytest.raises(PackInvalidError):
        unpack(tmp_path / "x")
    with pytest.raises(PackInvalidError):
        unpack(tmp_path / "nothing")


def test_a_directory_that_is_there_is_left_alone(packed, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(PackTargetTakenError):
        unpack(packed, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"libraries": ["libnowhere.so.7"]}, "libnowhere.so.7"),
        ({"glibc": "99.1"}, "glibc 99.1"),
        ({"arch": "sparc64"}, "sparc64"),
    ],
)
def test_a_host_that_lacks_something_is_told_by_name(packed, tmp_path, change, words):
    target, _ = unpack(packed, tmp_path / "out")
    (target / FILE).write_text(json.dumps({**json.loads((target / FILE).read_text()), **change}))
    with pytest.raises(PackMisfitError, match=words):
        unpack_module.check_host(read_pack(target), packed)


def test_an_editable_checkout_is_refused(environment, tmp_path):
    site = next((environment.resolve() / "lib").glob("python*/site-packages"))
    info = next(site.glob("demo-*.dist-info"))
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    with pytest.raises(PackImpossibleError, match="demo is a checkout"):
        pack(environment, tmp_path / f"x{KIND}", lambda _: None)
    assert not list(tmp_path.glob("*x.*"))


def test_run_knows_it_and_keeps_caches_out_of_it(packed, tmp_path):
    target, _ = unpack(packed, tmp_path / "out")
    env = packed_variables(target, {"PATH": "/bin", "PYTHONPATH": "/evil", "TRITON_CACHE_DIR": "/mine", "HOME": "/h"})
    assert env["DEMO_VARIABLE"] == "1"
    assert "PYTHONPATH" not in env
    assert env["TRITON_CACHE_DIR"] == "/mine"
    assert all(not env[name].startswith(str(target)) for name in CACHES)
    code = "import sys; from verl_env.cli.main import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "run", "--into", str(target), "--", "demo-run"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or KIND != ".squashfs", reason="needs root and squashfs")
def test_mounted_read_only(packed, tmp_path):
    point = tmp_path / "mounted"
    code = main(["mount", str(packed), str(point)])
    if code != 0:
        pytest.skip("this host mounts no loop devices")
    try:
        assert ask(point, "import demo, ssl; demo.run()") == "ran"
        assert main(["doctor", "--into", str(point), "--json"]) in (0, 1)
    finally:
        unpack_module.unmount(point)
