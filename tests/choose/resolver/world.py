"""A small world in the form of the real one: five families of locksets, seven components, tables of a toolchain.

``catalogue`` can forget wheels and recipes, so that a case says only in what it differs.
"""

from tests.choose.build import driver, lockset, native
from verl_env.components.model import (
    AbiRule,
    CapabilityRange,
    Catalogue,
    CompilerLimit,
    Component,
    Recipe,
    Release,
    Tool,
    Wheel,
)
from verl_env.locksets.model import GlibcNeed
from verl_env.machine.model import (
    UNKNOWN,
    Amd,
    AmdDevice,
    Host,
    Machine,
    Nvidia,
    NvidiaDevice,
    PythonInterpreter,
    Toolchain,
)
from verl_env.records import replace

BOTH = ("3.12", "3.10")
GLIBC = GlibcNeed("2.28", "a test")


MEGATRON = (
    native("transformer-engine", "2.2.1", ["megatron"]),
    native("apex", "0.1", ["megatron"]),
)
NEW = lockset(
    "verl0.9-cu130/new",
    family="0.9",
    verl="0.9.1",
    tier="installed",
    installed=BOTH,
    cuda="13.0",
    torch="2.11.0",
    pythons=BOTH,
    glibc=GLIBC,
    driver=driver("580", "580.65.06"),
    natives=(native("flash-attn", "2.8.3"),),
)
NEWER_LOCKED = lockset(
    "verl1.0-cu130/locked",
    family="1.0",
    verl="1.0.0",
    cuda="13.0",
    torch="2.11.0",
    pythons=("3.12",),
    glibc=GLIBC,
    driver=driver("580", "580.65.06"),
    natives=(),
)
MIDDLE = lockset(
    "verl0.6-cu128/middle",
    family="0.6",
    verl="0.6.1",
    tier="installed",
    installed=("3.12",),
    cuda="12.8",
    torch="2.8.0",
    pythons=("3.12",),
    glibc=GLIBC,
    natives=(native("flash-attn", "2.8.1"),),
)
OLD = lockset(
    "verl0.4-cu124/old",
    tier="installed",
    installed=BOTH,
    provides=("vllm", "megatron", "deepep"),
    pythons=BOTH,
    glibc=GLIBC,
    natives=(
        native("flash-attn", "2.7.4.post1"),
        *MEGATRON,
        native("deep-ep", "1.0", ["deepep"]),
        native("nvshmem", "3.2.5", ["deepep"]),
        native("gdrcopy", "2.3.1", ["deepep"]),
    ),
)
PLAIN = lockset(
    "verl0.3-cu124/plain",
    family="0.3",
    verl="0.3.0",
    tier="installed",
    installed=("3.10",),
    pythons=("3.10",),
    glibc=GLIBC,
    natives=(),
)
ROCM = lockset(
    "verl0.8-rocm7/rocm",
    family="0.8",
    verl="0.8.0",
    tier="installed",
    installed=("3.12",),
    accelerator="rocm",
    cuda=None,
    rocm="7.0.2",
    torch="2.9.1",
    pythons=("3.12",),
    glibc=GLIBC,
    natives=(native("aiter", "0.1.2"),),
)


def _megatron(name, *natives):
    """The newest lockset, for Megatron too, with some components."""
    changes = {"id": f"verl0.9-cu130/{name}", "provides": ("vllm", "megatron"), "natives": natives}
    return replace(NEW, **changes, pythons=NEW.pythons[:1])


INCOMPLETE = (
    _megatron("both", native("flash-attn", "2.8.3"), *MEGATRON),
    _megatron("less", native("flash-attn", "2.8.3"), MEGATRON[1]),
    _megatron("flash", native("flash-attn", "2.8.3")),
    _megatron("core", native("megatron-core", "0.13.0", ["megatron"])),
)
LOCKSETS = {each.id.rpartition("/")[2]: each for each in (NEW, NEWER_LOCKED, MIDDLE, OLD, PLAIN, ROCM, *INCOMPLETE)}
USUAL = ("new", "middle", "old", "rocm")


def wheel(name, version, tag, pythons, torch, **more):
    """A wheel by name: ``flash_attn-2.8.3+cu13-cp310-linux_x86_64.whl``."""
    facts = {
        "arch": "x86_64",
        "cuda": None,
        "rocm": None,
        "cxx11abi": True,
        "gpus": (),
        "glibc": None,
        "sha256": "0" * 64,
    }
    facts |= more
    head = f"{name.replace('-', '_')}-{version}+{tag}"
    url = f"https://example.org/{head}-cp{pythons[0].replace('.', '')}-linux_{facts['arch'] or 'any'}.whl"
    return Wheel(url=url, pythons=tuple(pythons), torch=torch, source="a test", **facts)


NVCC = Tool("nvcc", "11.7", None, "cuda", "torch's cpp_extension")
GCC = Tool("gcc", "9", None, None, "C++17")
HIPCC = Tool("hipcc", None, None, "rocm", "its kernels are HIP")


def cuda_recipe(source="sdist", **more):
    return Recipe(
        source, **{"tools": (NVCC, GCC), "requires": ("ninja",), "arch_variable": "TORCH_CUDA_ARCH_LIST", **more}
    )


CU13 = {"cuda": "13", "glibc": "2.32", "gpus": ("8.0", "9.0", "10.0", "12.0")}
CU12 = {"cuda": "12", "glibc": "2.32", "gpus": ("8.0", "9.0", "10.0", "12.0")}
COMPONENTS = (
    Component(
        "flash-attn",
        "flash_attn",
        (
            Release(
                "2.8.3",
                (
                    wheel("flash-attn", "2.8.3", "cu13torch2.10", ("3.12",), "2.10", **CU13),
                    wheel("flash-attn", "2.8.3", "cu13", ("3.12",), "2.11", **CU13),
                    wheel("flash-attn", "2.8.3", "cu13", ("3.10",), "2.11", **CU13),
                    wheel("flash-attn", "2.8.3", "cu13", ("3.12",), "2.11", **{**CU13, "arch": "aarch64"}),
                ),
                (cuda_recipe(minutes=60),),
                "8.0",
            ),
            Release(
                "2.8.1",
                (
                    wheel("flash-attn", "2.8.1", "cu12abiFALSE", ("3.12",), "2.8", **{**CU12, "cxx11abi": False}),
                    wheel("flash-attn", "2.8.1", "cu12", ("3.12",), "2.8", **CU12),
                    wheel("flash-attn", "2.8.1", "cu12old", ("3.12",), "2.8", **{**CU12, "glibc": "2.17"}),
                ),
                (cuda_recipe(),),
                "8.0",
            ),
            Release(
                "2.7.4.post1",
                (
                    wheel(
                        "flash-attn", "2.7.4.post1", "cu12", ("3.10",), "2.6", cuda="12", cxx11abi=False, sha256=None
                    ),
                    wheel(
                        "flash-attn", "2.7.4.post1", "cu12", ("3.12",), "2.6", cuda="12", cxx11abi=False, sha256=None
                    ),
                ),
                (cuda_recipe(),),
                "8.0",
            ),
        ),
    ),
    Component(
        "transformer-engine",
        "transformer_engine",
        (Release("2.2.1", (), (cuda_recipe("git+https://h/te@v2.2.1"),), "7.5"),),
    ),
    Component(
        "apex",
        "apex",
        (
            Release(
                "0.1",
                (),
                (cuda_recipe("git+https://h/apex", tools=(Tool("nvcc", None, None, "cuda", "", exact=True), GCC)),),
            ),
        ),
    ),
    Component(
        "deep-ep",
        "deep_ep",
        (Release("1.0", (), (cuda_recipe("git+https://h/ep@1", after=("gdrcopy", "nvshmem")),), "9.0"),),
    ),
    Component(
        "nvshmem",
        None,
        (
            Release(
                "3.2.5",
                (),
                (
                    Recipe(
                        "https://h/nvshmem.txz",
                        product="prefix",
                        tools=(NVCC, Tool("cmake", "3.19", None, None, "its CMakeLists")),
                        after=("gdrcopy",),
                    ),
                ),
            ),
        ),
    ),
    Component("gdrcopy", None, (Release("2.3.1", (), (Recipe("git+https://h/gdrcopy@2", product="source"),)),)),
    Component(
        "aiter",
        "aiter",
        (
            Release(
                "0.1.2",
                (),
                (Recipe("git+https://h/aiter@1", tools=(HIPCC,), arch_variable="GPU_ARCHS", arch_style="gfx"),),
            ),
        ),
    ),
)
COMPILERS = tuple(
    CompilerLimit(cuda, below, "a test") for cuda, below in (("12.4", "14"), ("12.8", "15"), ("13.0", "16"))
)
CAPABILITIES = tuple(
    CapabilityRange(capability, least, most, "a test")
    for capability, least, most in (("7.0", "9.0", "12.9"), ("9.0", "12.0", None), ("10.3", "12.9", None))
)
ABI = (
    AbiRule("2.0", None, False, "a test"),
    AbiRule("2.6", "12.6", True, "a test"),
    AbiRule("2.6", None, False, "a test"),
    AbiRule("2.7", None, True, "a test"),
)


def catalogue(drop=(), without_recipes=(), only_tables=True, toolkits=()):
    """The components; ``drop`` are parts of the addresses of wheels, ``without_recipes`` names of components."""
    found = {}
    for component in COMPONENTS:
        releases = tuple(
            Release(
                release.version,
                tuple(each for each in release.wheels if not any(part in each.url for part in drop)),
                () if component.name in without_recipes else release.recipes,
                release.minimum_gpu,
            )
            for release in component.releases
        )
        found[component.name] = Component(component.name, component.imports, releases)
    return Catalogue(found, COMPILERS, CAPABILITIES, ABI, toolkits) if only_tables else Catalogue(found, (), (), ())


def machine(driver="580.95.05", gpus=("9.0",), gfx=(), glibc="2.35", arch="x86_64", pythons=("3.12", "3.10"), **tools):
    """A machine; ``tools`` are those that are stated (None: looked for and not there), the others are not known."""
    headers = tools.pop("headers", UNKNOWN)
    devices = tuple(NvidiaDevice(index, compute_capability=capability) for index, capability in enumerate(gpus))
    cards = tuple(AmdDevice(index, gfx=target) for index, target in enumerate(gfx))
    return Machine(
        host=Host(arch=arch, glibc=UNKNOWN if glibc == "unknown" else glibc),
        nvidia=Nvidia(driver=driver, devices=devices) if gpus else None,
        amd=Amd(rocm="7.0.2", devices=cards) if gfx else None,
        toolchain=Toolchain(**tools),
        pythons=tuple(PythonInterpreter(f"{python}.1", f"/py{python}", headers=headers) for python in pythons),
    )
