"""Locksets for the tests of the chooser: the shape of real ones, invented where it does not matter.

``FIRST`` mirrors the first four, all CUDA 12.4. ``ALL`` adds later families (CUDA 12.6, 12.8, 13.0, aarch64), ROCm,
a preview and one that is only recorded, so that order and refusals are exercised.
"""

from verl_env.choose.choose import choose as choose_among
from verl_env.components.model import Catalogue
from verl_env.locksets.model import DriverNeed, GlibcNeed, GpuNeed, Lockset, Native, PythonLock, Requirements, Variant

CUDA12 = "525.60.13"
OLD = ("5.0", "6.0", "7.0", "7.5", "8.0", "8.6", "9.0")
BLACKWELL = ("7.5", "8.0", "8.6", "9.0", "10.0", "12.0")


#: A catalogue that knows no native component: every one is left out, and the choice is that among locksets alone.
NO_COMPONENTS = Catalogue({}, (), (), ())


def choose(locksets, machine, request, **more):
    """The answer where nothing is known of native components, unless ``components`` says something."""
    return choose_among(locksets, machine, request, **{"components": NO_COMPONENTS, **more})


def gpu(component, targets=(), *, minimum=None, ptx=False):
    return GpuNeed(component=component, targets=tuple(targets), minimum=minimum, ptx=ptx, source="a test")


def driver(minimum, toolkit):
    return DriverNeed(minimum=minimum, toolkit=toolkit, source="a test")


def python_lock(version):
    return PythonLock(version, f"py{version}.txt", "0" * 64, 200, 4_000_000_000, 8_000_000_000, ())


def native(name, version, needed_for=()):
    return Native(name, version, tuple(needed_for), "no index serves it")


def lockset(id_="verl0.4-cu124/app.vllm", **changes):
    """A lockset with every field filled; ``changes`` are fields, or one of the keys of ``requires``."""
    requires = {"arch": ("x86_64",), "glibc": GlibcNeed("2.29", "vllm/_moe_C.abi3.so"), "gpu": (), "rocm": ()}
    requires["driver"] = driver(CUDA12, "550.54.15") if changes.get("accelerator", "cuda") == "cuda" else None
    requires |= {key: changes.pop(key) for key in [*requires] if key in changes and key != "rocm"}
    requires["rocm"] = changes.pop("rocm_userland", ())
    fields = {
        "variant": Variant(f"docker/{id_}/Dockerfile", "0" * 40, "2025-07-18T00:00:00Z", id_),
        "family": "0.4",
        "verl": "0.4.1",
        "order": 1,
        "preview": False,
        "tier": "locked",
        "accelerator": "cuda",
        "cuda": "12.4",
        "rocm": None,
        "torch": "2.6.0",
        "provides": ("vllm",),
        "engines": {"vllm": "0.8.5.post1"},
        "pythons": ("3.10", "3.11", "3.12"),
        "env": {},
        "natives": (native("flash-attn", "2.7.4.post1"),),
        "checks": (),
    } | changes
    fields["pythons"] = tuple(python_lock(version) for version in fields["pythons"])
    return Lockset(id=id_, requires=Requirements(**requires), **fields)


def code_of_cu124():
    return (
        gpu("torch", OLD),
        gpu("vllm", ("7.0", "7.5", "8.0", "8.6", "8.9", "9.0")),
        gpu("flash-attn", ("8.0", "9.0")),
    )


VLLM = lockset(
    "verl0.4-cu124/app.vllm",
    provides=("vllm", "megatron"),
    gpu=code_of_cu124(),
    natives=(native("flash-attn", "2.7.4.post1"), native("transformer-engine", "2.2.1", ["megatron"])),
)
SGLANG_VLLM = lockset(
    "verl0.4-cu124/app.sglang.vllm",
    order=2,
    provides=("sglang", "vllm", "megatron"),
    engines={"vllm": "0.8.5.post1", "sglang": "0.4.6.post5"},
    gpu=(*code_of_cu124(), gpu("sgl-kernel", ("8.0", "8.9", "9.0"))),
    natives=VLLM.natives,
)
NGC = lockset("ngc/vllm0.8", family="0.3", verl="0.3.0.post1", order=3, engines={"vllm": "0.8.3"}, gpu=code_of_cu124())
SAGEMAKER = lockset(
    "ngc/vllm0.8.sagemaker", family="0.3", verl="0.3.0", order=4, engines={"vllm": "0.8.2"}, gpu=code_of_cu124()
)
FIRST = (VLLM, SGLANG_VLLM, NGC, SAGEMAKER)

PREVIEW = lockset(
    "verl0.4-cu124/app.vllm.preview", order=5, preview=True, provides=("vllm", "megatron"), gpu=code_of_cu124()
)
DEEPEP = lockset(
    "verl0.5-cu126/app.vllm.deepep",
    family="0.5",
    verl="0.5.0",
    order=6,
    cuda="12.6",
    torch="2.7.1",
    provides=("vllm", "megatron", "deepep"),
    engines={"vllm": "0.10.0"},
    pythons=("3.10",),
    driver=driver(CUDA12, "560.35.05"),
    gpu=(gpu("torch", OLD), gpu("flash-attn", minimum="8.0"), gpu("deepep", minimum="9.0")),
    natives=(native("flash-attn", "2.7.4.post1"), native("deepep", "1.1.0", ["deepep"])),
)
CU128 = lockset(
    "verl0.6-cu128/app.vllm",
    family="0.6",
    verl="0.6.1",
    order=7,
    cuda="12.8",
    torch="2.8.0",
    engines={"vllm": "0.11.0"},
    pythons=("3.12",),
    glibc=GlibcNeed("2.32", "flash_attn_2_cuda.so"),
    driver=driver(CUDA12, "570.124.06"),
    gpu=(
        gpu("torch", ("7.0", *BLACKWELL)),
        gpu("vllm", BLACKWELL),
        gpu("flash-attn", ("8.0", "9.0", "10.0", "12.0")),
    ),
    natives=(native("flash-attn", "2.8.1"),),
)
SGLANG128 = lockset(
    "verl0.6-cu128/app.sglang",
    family="0.6",
    verl="0.6.1",
    order=8,
    cuda="12.8",
    torch="2.8.0",
    provides=("sglang",),
    engines={"sglang": "0.5.2"},
    pythons=("3.12",),
    glibc=GlibcNeed("2.28", "the tag of torch"),
    driver=driver(CUDA12, "570.124.06"),
    gpu=(gpu("torch", ("7.0", *BLACKWELL)), gpu("sgl-kernel", ("9.0",), ptx=True)),
)
CU130 = lockset(
    "verl0.9-cu130/app.vllm",
    family="0.9",
    verl="0.9.0",
    order=9,
    cuda="13.0",
    torch="2.11.0",
    engines={"vllm": "0.24.0"},
    pythons=("3.12",),
    glibc=GlibcNeed("2.28", "vllm/_rust_tool_parser.so"),
    driver=driver("580", "580.95.05"),
    gpu=(gpu("torch", BLACKWELL, ptx=True), gpu("vllm", BLACKWELL), gpu("flash-attn", ("8.0", "9.0", "10.0", "12.0"))),
    natives=(native("flash-attn", "2.8.3"),),
)
CU130_ARM = lockset(
    "verl0.9-cu130-aarch64/app.vllm",
    family="0.9",
    verl="0.9.0",
    order=10,
    cuda="13.0",
    torch="2.11.0",
    engines={"vllm": "0.24.0"},
    pythons=("3.12",),
    arch=("aarch64",),
    glibc=GlibcNeed("2.34", "the tag of vllm"),
    driver=driver("580", "580.95.05"),
    gpu=(gpu("torch", ("8.0", "9.0", "10.0", "12.0"), ptx=True), gpu("vllm", minimum="8.0")),
    natives=(),
)
ROCM6 = lockset(
    "verl0.4-rocm6/rocm",
    order=11,
    accelerator="rocm",
    cuda=None,
    rocm="6.3",
    provides=("vllm", "sglang"),
    engines={"vllm": "0.8.5", "sglang": "0.4.6.post5"},
    pythons=("3.12",),
    rocm_userland=("6.3", "6.4"),
    gpu=(gpu("torch", ("gfx90a", "gfx942")), gpu("flash-attn", minimum="gfx90a")),
)
ROCM7 = lockset(
    "verl0.8-rocm7/rocm702",
    family="0.8",
    verl="0.8.0",
    order=12,
    accelerator="rocm",
    cuda=None,
    rocm="7.0.2",
    torch="2.9.1",
    pythons=("3.12",),
    glibc=GlibcNeed("2.35", "the documentation of vLLM"),
    rocm_userland=("7.0",),
    gpu=(gpu("torch", ("gfx90a", "gfx942", "gfx950")), gpu("vllm", ("gfx942", "gfx950"))),
)
RECORDED = lockset(
    "verl0.2-cu124/vemlp",
    family="0.2",
    verl="0.2.0",
    order=13,
    tier="recorded",
    pythons=(),
    notes=("its base image is private",),
)
ALL = (
    *FIRST,
    PREVIEW,
    DEEPEP,
    CU128,
    SGLANG128,
    CU130,
    CU130_ARM,
    ROCM6,
    ROCM7,
    RECORDED,
)
SETS = {"first": FIRST, "all": ALL}
