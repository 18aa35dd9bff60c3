"""ROCm locksets as they are shipped, installed whole on a machine that is none: every step, hipcc's builds too."""

import os

import pytest

from tests.install.native_wheels import pack
from tests.install.rocm_world import PYTHON, RocmWorld
from tests.install.test_completeness import SHIPPED
from tests.machine.amd.kfd_trees import FakeGpu
from verl_env.binaries.wheel import read_wheel
from verl_env.environment.installed import installed
from verl_env.locksets.catalogue import load_catalogue
from verl_env.machine.probe import probe_without_gpus

APPTAINER = "verl0.3-rocm6.3/Apptainerfile.rocm"
OTHERS = sorted(each.id for each in load_catalogue() if each.accelerator == "rocm" and each.id != APPTAINER)
FOR_CUDA = [each.id for each in load_catalogue() if "-cu129/" in each.id or "/next." in each.id]
MI350X = tuple(FakeGpu(90500, 0x75A0, f"0000:{5 + 16 * number:02x}:00.0", 128 + number) for number in range(8))


@pytest.fixture
def world(tmp_path, capsys, compile_so, monkeypatch):
    """Makes a world, and closes it."""
    if not any(python.version.startswith(f"{PYTHON}.") for python in probe_without_gpus().pythons):
        pytest.skip(f"no Python {PYTHON} here")
    made = []

    def make(lockset=APPTAINER, **changes):
        made.append(RocmWorld(lockset, tmp_path, capsys, compile_so, **changes))
        for name, value in made[0].env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{made[0].rocm}/bin{os.pathsep}{os.environ['PATH']}")
        return made[0]

    yield make
    for each in made:
        each.close()


def natives(world):
    """The components that are built, by the names of their modules."""
    return [native.name.replace("-", "_") for native in world.lockset.natives]


def test_the_whole_of_a_lockset(world):
    world = world()
    code, said = world.install()
    assert code == 0, said
    assert "complete: every native component that verl trains with is there" in said
    packages, modules = world.packages, natives(world)
    assert {name: each.version for name, each in installed(world.site).items()}.items() >= {
        (name, package.version) for name, package in packages.items()
    }
    # Of the indexes of wheels: one page, that of the project which the lock gives no file for, and the four files.
    pages = [path for path in world.hosts.fetched if path.endswith("/")]
    assert [path.rsplit("/", 2)[1] for path in pages] == ["torchaudio"]
    files = [path for path in world.hosts.fetched if not path.endswith("/")]
    assert len(files) == len([each for each in packages.values() if each.url]) == 4
    # What hipcc made runs, and is for the targets that the build was told: the machine's, and those of the flags.
    assert sorted(modules) == ["flash_attn", "sgl_kernel", "torch_memory_saver", "vllm"]
    assert [world.answer(module) for module in modules] == [60342131] * 4
    flags = {"vllm", "torch_memory_saver"}
    assert {module: targets(world, module) for module in modules} == {
        module: {"gfx90a", "gfx942"} if module in flags else {"gfx942"} for module in modules
    }
    log = world.log("vllm")
    for words in ("'PYTORCH_ROCM_ARCH': 'gfx942'", "'VLLM_TARGET_DEVICE': 'rocm'", "--amdgpu-target=gfx90a;gfx942"):
        assert words in log
    code, said = world.install()
    assert (code, said.startswith("nothing to do")) == (0, True), said


def targets(world, module):
    """The GPU targets that a built object has code for."""
    (path,) = world.site.glob(f"{module}.*.so")
    (item,) = read_wheel(pack(world.tmp / f"{module}-1-py3-none-any.whl", [path])).objects
    return item.gfx


@pytest.mark.parametrize("name", ["vllm", "torch"])
def test_code_for_another_gpu_is_refused_by_name(world, name):
    """A wheel by address, and what a build made: nothing is left of either, and nothing is put in force."""
    world = world(code=["gfx1100"] if name == "torch" else None)
    if name == "vllm":
        hipcc = world.rocm / "bin" / "hipcc"
        hipcc.write_text(hipcc.read_text().replace("if targets:", "targets = ['gfx1100']\nif targets:"))
    code, said = world.install()
    assert code == 1
    assert "error[native-mismatch]" in said
    assert name in said
    assert "has GPU code for gfx1100 and none that runs on gfx942" in said
    assert not world.into.exists()
    assert not list((world.tmp / "cache" / "built").rglob("*.whl"))


def test_the_run_time_of_rocm_6_is_refused_on_rocm_7(world):
    world = world("rocm/rocm7", gpus=MI350X, hip="libamdhip64.so.6")
    code, said = world.install()
    assert code == 1
    assert "needs libamdhip64.so.6, and ROCm of this environment has libamdhip64.so.7" in said
    assert not world.into.exists()


def test_without_hipcc_it_is_refused_before_anything_is_made(world):
    world = world()
    (world.rocm / "bin" / "hipcc").unlink()
    code, said = world.install("--native", "build")
    assert code == 1
    assert "hipcc" in said
    assert "load ROCm (module load rocm) or set ROCM_PATH" in said
    assert world.hosts.fetched == []


@pytest.mark.e2e
@pytest.mark.parametrize("lockset", OTHERS)
def test_each_other_lockset(world, lockset):
    world = world(lockset, gpus=MI350X if "6.3" not in lockset and "rocm6" not in lockset else None)
    code, said = world.install()
    assert code == 0, said
    lacks = "incomplete: without " if lockset in SHIPPED else "complete: every native component that verl trains with"
    assert lacks in said
    code, said = world.install()
    assert (code, said.startswith("nothing to do")) == (0, True), said


@pytest.mark.e2e
@pytest.mark.parametrize("lockset", FOR_CUDA)
def test_locksets_for_cuda_that_were_only_locked(world, lockset):
    """Those for CUDA 12.9, whose torch and vLLM come by address, and the previews, without what would be built."""
    world = world(lockset)
    flags = ("--native", "skip", "--preview")
    code, said = world.install(*flags)
    assert code == 0, said
    assert {name: each.version for name, each in installed(world.site).items()}.items() >= {
        (name, package.version) for name, package in world.packages.items()
    }
    by_address = [each for each in world.packages.values() if each.url]
    assert len([path for path in world.hosts.fetched if not path.endswith("/")]) == len(by_address)
    assert bool(by_address) is ("cu129" in lockset)
    code, said = world.install(*flags)
    assert (code, said.startswith("nothing to do")) == (0, True), said


@pytest.mark.e2e
def test_with_the_real_packages_of_the_index(world):
    """Everything of the lock that the package index has is real; torch and what is built are stand-ins."""
    world = world(real=True)
    code, said = world.install("--no-check")
    assert code == 0, said
    assert installed(world.site).keys() >= world.packages.keys()
    assert [world.answer(module) for module in natives(world)] == [60342131] * 4
    print(said)
