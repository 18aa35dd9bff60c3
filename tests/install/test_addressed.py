"""Wheels of a lock that no package index has: from their address or another index, read before they land."""

import struct

import pytest

from tests.binaries.test_hip import bundle, fat
from tests.install.plans import MACHINE, PYTHON, Recorder, lockset, options, plan
from tests.install.wheels import sdist_bytes, sha256, wheel_bytes, wheel_name
from tests.install.whole.test_run import have
from verl_env.environment.target import open_target
from verl_env.install.run import install
from verl_env.installers.failures import HashMismatchError, PackageUnavailableError
from verl_env.locksets.model import Package
from verl_env.machine.model import Amd, AmdDevice
from verl_env.records import replace
from verl_env.wheels.errors import NativeMismatchError

HOST = "https://wheels.example.org/rocm/0.26.0"
MI300X = replace(MACHINE, amd=Amd(devices=(AmdDevice(index=0, name="MI300X", gfx="gfx942"),)))
ROCM = lockset(accelerator="rocm", cuda=None, rocm="7.2.3", torch="2.11.0+gitd0c8b1f")
MODULE = "demo/_C.so"


class World:
    """An index on this host, in the place of the one that a lock names."""

    def __init__(self, tmp_path, house, index, target_path, compile_so):
        self.tmp_path, self.house, self.index, self.target = tmp_path, house, index, target_path
        self.compile_so = compile_so
        self.recorder = Recorder()

    def wheel(self, name, version, *, gfx=(), needs=None, local="", recorded=False, address=HOST, tags="py3-none-any"):
        """Publishes a wheel with a real object in it; gives its entry of a lock."""
        content = wheel_bytes(name, version + local, {**self.module(name, gfx, needs), f"{name}/__init__.py": ""})
        file = wheel_name(name, version + local, tags)
        (self.house.path / file).write_bytes(content)
        hashes = (f"sha256:{sha256(content)}",) if recorded else ()
        return Package(name, version, hashes, "url", address if address == HOST else f"{address}/{file}")

    def module(self, name, gfx, needs):
        if not gfx and needs is None:
            return {}
        flags = []
        if needs:
            stub = self.compile_so(self.tmp_path / "stubs" / needs, "int hipMalloc;", f"-Wl,-soname,{needs}")
            flags = ["-Wl,--no-as-needed", str(stub)]
        source = fat(b"".join(bundle(*targets) for targets in gfx)) if gfx else "int code;"
        return {f"{name}/_C.so": self.compile_so(self.tmp_path / f"{name}.so", source, *flags).read_bytes()}

    def install(self, *packages, lock=ROCM, machine=MI300X, **more):
        made = plan(packages, lock=lock, machine=machine)
        return install(made, open_target(self.target), options(self.tmp_path, machine=machine, **more), self.recorder)


@pytest.fixture
def world(tmp_path, house, index, target_path, compile_so, monkeypatch):
    config = tmp_path / "config.toml"
    config.write_text(
        f'[mirrors]\n"{HOST}" = "{index.simple}"\n"https://files.example.org" = "{index.address}/files"\n'
    )
    monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
    return World(tmp_path, house, index, target_path, compile_so)


def test_what_the_lock_names_is_fetched_and_nothing_else(world):
    torch = world.wheel("torch", "2.11.0+gitd0c8b1f", gfx=[("gfx90a", "gfx942")])
    by_file = world.wheel("vision", "1.0", address="https://files.example.org", recorded=True)
    world.wheel("torch", "2.12.0")
    world.wheel("unasked", "1.0")
    outcome = world.install(torch, by_file)
    assert outcome.done
    assert have(world.target).keys() == {"torch", "vision", "verl_env_runtime"}
    assert "wheels" in world.recorder.steps
    got = [path for path in world.index.fetched if path.startswith("/files/")]
    assert sorted(got) == ["/files/torch-2.11.0+gitd0c8b1f-py3-none-any.whl", "/files/vision-1.0-py3-none-any.whl"]
    pages = {path for path in world.index.fetched if path.startswith("/simple/")}
    assert pages == {"/simple/torch/"}, "one page, that of the project"
    assert not world.install(torch, by_file).done, "the same again is nothing to do"


def test_it_is_said_of_which_no_digest_is_recorded(world):
    torch, other = world.wheel("torch", "2.11.0"), world.wheel("vision", "1.0", recorded=True)
    step = next(step for step in plan([torch, other], lock=ROCM, machine=MI300X).steps if step.kind == "wheels")
    assert step.title == "install 2 wheels of the lock from their own addresses"
    assert step.detail == "torch 2.11.0, vision 1.0; hash-unrecorded: torch"


def test_a_pin_without_a_local_part_takes_any(world):
    triton = world.wheel("triton", "3.6.0", local="+gitf0b55c07")
    world.wheel("triton", "3.6.1")
    world.install(triton)
    assert have(world.target)["triton"] == "3.6.0+gitf0b55c07"
    assert not world.install(triton).done


def test_a_wheel_for_another_gpu_is_refused_by_name(world):
    with pytest.raises(NativeMismatchError) as caught:
        world.install(world.wheel("torch", "2.11.0", gfx=[("gfx90a",), ("gfx908",)]))
    assert "_C.so has GPU code for gfx908, gfx90a and none that runs on gfx942" in caught.value.message
    assert not world.target.exists()


def test_a_wheel_for_rocm_6_is_refused_on_rocm_7(world):
    with pytest.raises(NativeMismatchError) as caught:
        world.install(world.wheel("torch", "2.11.0", gfx=[("gfx942",)], needs="libamdhip64.so.6"))
    assert "_C.so needs libamdhip64.so.6, and ROCm of this environment has libamdhip64.so.7" in caught.value.message


def test_the_one_for_rocm_7_is_taken_where_no_rocm_is_installed(world):
    assert world.install(world.wheel("torch", "2.11.0", gfx=[("gfx942",)], needs="libamdhip64.so.7")).done


def test_graphics_beside_the_cards_do_not_decide(world):
    devices = (*MI300X.amd.devices, AmdDevice(index=1, name="graphics", gfx="gfx1036"))
    machine = replace(MI300X, amd=Amd(devices=devices))
    assert world.install(world.wheel("torch", "2.11.0", gfx=[("gfx942",)]), machine=machine).done


def test_another_file_than_the_recorded_one(world):
    torch = replace(world.wheel("torch", "2.11.0"), hashes=("sha256:" + "0" * 64,))
    with pytest.raises(HashMismatchError):
        world.install(torch)


def test_a_release_that_the_index_has_for_no_such_machine(world):
    torch = world.wheel("torch", "2.11.0", tags="cp39-cp39-manylinux_2_35_x86_64")
    with pytest.raises(PackageUnavailableError) as caught:
        world.install(torch)
    assert f"has no wheel of that version for Python {PYTHON}" in caught.value.message
    assert "--wheelhouse DIR" in caught.value.hint


def test_an_index_that_does_not_answer(world):
    torch = Package("torch", "2.11.0", (), "url", f"{HOST}/elsewhere")
    with pytest.raises(PackageUnavailableError) as caught:
        world.install(torch)
    assert "torch 2.11.0" in caught.value.message
    assert "mirror of" in caught.value.message


def test_offline_from_the_cache_or_the_wheelhouse_and_else_refused(world, tmp_path):
    torch = world.wheel("torch", "2.11.0")
    with pytest.raises(PackageUnavailableError, match="offline"):
        world.install(torch, offline=True)
    assert world.install(torch, offline=True, wheelhouse=world.house.path).done


def test_a_source_distribution_of_the_index(world):
    setup = "from setuptools import setup\nsetup(name='rocm', version='10.0.0', py_modules=[])\n"
    content = sdist_bytes("rocm", "10.0.0", setup)
    (world.house.path / "rocm-10.0.0.tar.gz").write_bytes(content)
    world.install(Package("rocm", "10.0.0", (), "sdist", HOST), offline=False)
    assert have(world.target)["rocm"] == "10.0.0"


def test_a_damaged_bundle_refuses_nothing(world):
    broken = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", 1 << 40)
    source = fat(broken.ljust(4096, b"\0"))
    content = wheel_bytes(
        "torch", "2.11.0", {"torch/_C.so": world.compile_so(world.tmp_path / "b.so", source).read_bytes()}
    )
    (world.house.path / wheel_name("torch", "2.11.0")).write_bytes(content)
    assert world.install(Package("torch", "2.11.0", (), "url", HOST)).done
