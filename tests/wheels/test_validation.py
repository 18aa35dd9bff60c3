"""Wheels with real ELF files under the real names of flash-attn, against environments with a torch of either ABI."""

import zipfile

import pytest

from tests.binaries.test_cubin import blob, entry, record
from tests.install.native_wheels import FLASH_ATTN, MODULE, Makers, error, functions, pack
from tests.install.plans import wheel as published
from tests.install.wheels import wheel_bytes
from verl_env.choose.model import Build
from verl_env.components.load import load_catalogue
from verl_env.wheels.errors import NativeMismatchError
from verl_env.wheels.validation import Site, validate_wheel

EAB, EA = "_ZN3c104cuda9SetDeviceEab", "_ZN3c104cuda9SetDeviceEa"


@pytest.fixture
def make(tmp_path, compile_so):
    return Makers(tmp_path, compile_so)


PUBLISHED = Build(
    "flash-attn", "2.7.4.post1", "prebuilt", "", published(f"https://h.invalid/{FLASH_ATTN.format(abi='FALSE')}")
)


def land(wheel, site, *, build=PUBLISHED, **facts):
    settings = {"glibc": "2.28", "environment": {}, **facts}
    with Site(site, "3.10", "x86_64", **settings) as place:
        validate_wheel(wheel, build, place)


def refused(wheel, site, **facts):
    with pytest.raises(NativeMismatchError) as caught:
        land(wheel, site, **facts)
    error = caught.value
    assert error.wheel == wheel.name
    assert wheel.name in error.message
    assert "--native" in error.hint
    return error


def kinds(error):
    return [fault.id for fault in error.faults]


def test_the_right_abi(make):
    wheel = make.wheel([make.module(error(False))])

    land(wheel, make.site(abi=False))


@pytest.mark.parametrize("new", [True, False])
def test_the_wrong_abi_under_a_right_name(make, new):
    name = FLASH_ATTN.format(abi="FALSE" if new else "TRUE")

    found = refused(make.wheel([make.module(error(new))], name), make.site(abi=not new))

    assert kinds(found) == ["wrong-torch-abi"]
    assert f"c10::Error::Error ({error(new)})" in found.message
    assert f"compiled with the {'new' if new else 'old'} C++ ABI" in found.message


def test_a_wheel_named_false_with_the_new_abi_lands_on_a_new_torch(make):
    """flash-attn's ``cxx11abiFALSE`` means whatever that torch has: symbols decide, not names."""
    name = "flash_attn-2.8.3+cu12torch2.8cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"
    wheel = make.wheel([make.module(error(True), EAB)], name)

    land(wheel, make.site(abi=True, torch="2.8.0", cuda="12.8", extra=(EAB,)))


def test_another_release_of_torch_under_a_right_name(make):
    found = refused(make.wheel([make.module(error(False), EAB)]), make.site(abi=False, extra=(EA,)))

    assert kinds(found) == ["wrong-torch-abi"]
    assert found.faults[0].subject == EAB
    assert "torch 2.6.0+cu124" in found.message


def test_another_python_under_a_right_name(make):
    module = make.module(error(False), name="flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so")

    assert kinds(refused(make.wheel([module]), make.site(abi=False))) == ["wrong-python"]


def test_a_newer_glibc(make):
    libc = make.library("libc.so.6", functions("log2"), "GLIBC_2.32")
    wheel = make.wheel([make.module(error(False), "log2", libraries=[libc])])
    site = make.site(abi=False)

    found = refused(wheel, site, glibc="2.28")

    assert kinds(found) == ["glibc-too-old"]
    assert found.faults[0].subject == "GLIBC_2.32"
    assert "needs glibc 2.32, and this machine has 2.28" in found.message
    land(wheel, site, glibc="2.32")
    land(wheel, site, glibc=None)


def test_a_newer_libstdcxx(make):
    old = make.library("libstdc++.so.6", functions("sort"), "GLIBCXX_3.4.25", folder="old")
    new = make.library("libstdc++.so.6", functions("sort"), "GLIBCXX_3.4.29", folder="new")
    wheel = make.wheel([make.module(error(False), "sort", libraries=[new])])
    site = make.site(abi=False)

    found = refused(wheel, site, environment={"LD_LIBRARY_PATH": str(old.parent)})

    assert kinds(found) == ["glibcxx-too-old"]
    assert "GLIBCXX_3.4.29" in found.message
    land(wheel, site, environment={"LD_LIBRARY_PATH": str(new.parent)})


def test_cuda_13_on_cuda_12(make):
    cudart = make.library("libcudart.so.13", functions("cudaMalloc"), "libcudart.so.13")
    wheel = make.wheel([make.module(error(False), libraries=[cudart])])

    found = refused(wheel, make.site(abi=False))

    assert kinds(found) == ["wrong-cuda-major"]
    assert "needs libcudart.so.13, and torch here is built for CUDA 12.4" in found.message


def test_the_cuda_of_the_nvidia_wheels(make):
    cudart = make.library("libcudart.so.12", functions("cudaMalloc"))
    wheel = make.wheel([make.module(error(False), libraries=[cudart])])
    site = make.site(abi=False)
    environment = {"LD_LIBRARY_PATH": "/nowhere"}

    assert kinds(refused(wheel, site, environment=environment)) == ["missing-library"]
    folder = site / "nvidia" / "cuda_runtime" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudart.so.12").write_bytes(cudart.read_bytes())
    land(wheel, site, environment=environment)


def test_a_library_on_the_objects_own_path(make):
    library = make.library("libdeep_helper.so.1")
    flags = ["-nostdlib", "-Wl,--no-as-needed", str(library), "-Wl,-rpath,$ORIGIN/../other/lib"]
    module = make.compile_so(make.directory / MODULE, "void *PyInit_flash_attn_2_cuda(void) { return 0; }", *flags)
    wheel = pack(make.directory / FLASH_ATTN.format(abi="FALSE"), {f"deep/{MODULE}": module})
    site = make.site(abi=False)

    assert kinds(refused(wheel, site)) == ["missing-library"]
    (site / "other" / "lib").mkdir(parents=True)
    (site / "other" / "lib" / library.name).write_bytes(library.read_bytes())
    land(wheel, site)


def test_the_driver_may_be_absent_where_one_installs(make):
    libcuda = make.library("libcuda.so.1")

    land(make.wheel([make.module(error(False), libraries=[libcuda])]), make.site(abi=False))


def test_no_code_for_the_gpu(make):
    module = blob(make.directory / MODULE, record(entry(2, 80, 9000), entry(2, 90, 9000)), make.compile_so)
    wheel, site = make.wheel([module]), make.site(abi=False)

    land(wheel, site, gpus=("8.6", "9.0"))
    found = refused(wheel, site, gpus=("9.0", "12.0"))

    assert kinds(found) == ["no-gpu-code"]
    assert f"{MODULE} has GPU code for 8.0, 9.0 and none that runs on 12.0" in found.message


def test_another_machine(make):
    content = bytearray(make.module(error(False)).read_bytes())
    content[18:20] = (183).to_bytes(2, "little")
    wheel = make.wheel({MODULE: bytes(content)})

    found = refused(wheel, make.site(abi=False))

    assert kinds(found) == ["wrong-arch"]
    assert "compiled for aarch64, and this is x86_64" in found.message


def test_a_truncated_download(make):
    wheel = make.wheel([make.module(error(False))])
    wheel.write_bytes(wheel.read_bytes()[:-1000])

    assert kinds(refused(wheel, make.site(abi=False))) == ["wheel-unreadable"]


def test_a_page_of_a_proxy(make):
    wheel = make.directory / FLASH_ATTN.format(abi="FALSE")
    wheel.write_text("<html>login</html>")

    assert kinds(refused(wheel, make.site(abi=False))) == ["wheel-unreadable"]


def test_a_cut_object(make):
    wheel = make.wheel({MODULE: make.module(error(False)).read_bytes()[:3000]})

    assert kinds(refused(wheel, make.site(abi=False))) == ["object-damaged"]


def test_a_member_that_inflates_without_end(make):
    wheel = make.wheel({MODULE: b"\x7fELF\x02\x01" + b"\0" * (40 << 20)})

    assert wheel.stat().st_size < 1 << 20
    assert kinds(refused(wheel, make.site(abi=False))) == ["wrong-arch"]


def way(name, version, source=0):
    """The build of a release in the catalogue."""
    release = load_catalogue().components[name].release(version)
    return Build(name, version, "build", "", recipe=release.recipes[source])


def stated(make, name, version, files=None):
    """A wheel whose metadata state a name and a version."""
    path = make.directory / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    path.write_bytes(wheel_bytes(name, version, files or {f"{name}.py": "x = 1"}))
    return path


NOT_COMPILED = [PUBLISHED, way("flash-attn", "2.7.4.post1"), way("transformer-engine", "2.2"), way("vllm", "0.11.0")]


@pytest.mark.parametrize("build", NOT_COMPILED, ids=lambda build: build.way)
def test_a_wheel_with_nothing_compiled_of_a_component_that_is(make, build):
    """FLASH_ATTENTION_SKIP_CUDA_BUILD makes such wheels, which fail when they are imported."""
    found = refused(stated(make, build.name, build.version), make.site(abi=False), build=build)

    assert kinds(found) == ["not-compiled"]
    assert f"nothing in it is compiled, and {build.name} is" in found.message


PURE = [
    way("flashinfer-python", "0.2.2.post1"),
    way("megatron-bridge", "0.5.2"),
    way("mbridge", "0.15.1"),
    way("megatron-core", "0.13.0"),
    way("sglang", "0801cc05e"),
    way("aiter", "45c428e54"),
    Build("antlr4", "4.9", "prebuilt", "", published("https://h.invalid/antlr4-4.9-py3-none-any.whl")),
]


@pytest.mark.parametrize("build", PURE, ids=lambda build: build.way)
def test_a_component_that_may_be_pure_python(make, build):
    version = build.version if build.version[0] in "0123456789" and "e" not in build.version else "0.1.dev1"
    land(stated(make, build.name, version), make.site(abi=False), build=build)


def test_another_distribution_under_a_right_name(make):
    wheel = make.wheel([make.module(error(False))])
    wheel.write_bytes(wheel_bytes("numpy", "9.9", {"numpy/__init__.py": ""}))

    found = refused(wheel, make.site(abi=False))

    assert kinds(found) == ["wrong-distribution"]
    assert "by its metadata the file is numpy 9.9, and not flash-attn" in found.message


@pytest.mark.parametrize("version", ["2.7.4", "2.8.3", "2.7.4.post2+cu12"])
def test_another_version_under_a_right_name(make, version):
    found = refused(stated(make, "flash_attn", version), make.site(abi=False))

    assert kinds(found) == ["wrong-version"]
    assert found.faults[0].subject == version


@pytest.mark.parametrize(
    ("build", "version"),
    [
        (PUBLISHED, "2.7.4-1+cu12torch2.6"),
        (way("apex", "0.1"), "0.1"),
        (way("transformer-engine", "2.2"), "2.2.0+0123abc"),
        (way("megatron-bridge", "0.5.2"), "0.5.0rc1"),
        (way("deep-ep", "a84a248"), "1.0.0+a84a248"),
        (way("apex", "default branch"), "1.9"),
    ],
)
def test_a_local_version_and_that_of_a_repository_are_let_be(make, build, version):
    module = make.module(error(False)).read_bytes()

    land(stated(make, build.name, version, {MODULE: module}), make.site(abi=False), build=build)


def test_a_wheel_that_states_no_name(make):
    wheel = make.directory / FLASH_ATTN.format(abi="FALSE")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x-1.dist-info/METADATA", "Version: 1\n")

    assert "states no Name" in refused(wheel, make.site(abi=False)).message


def test_without_torch_nothing_is_said_of_symbols(make):
    site = make.directory / "bare" / "lib" / "python3.10" / "site-packages"
    site.mkdir(parents=True)
    wheel = make.wheel([make.module(error(False))])

    land(wheel, site, cuda="12.4")
    with Site(site, "3.10", "x86_64", cuda="12.4") as place:
        assert (place.torch, place.cuda, place.cxx11abi, place.glibcxx) == (None, "12.4", None, None)


@pytest.mark.parametrize("abi", [True, False])
def test_what_torch_says_of_itself(make, abi):
    with Site(make.site(abi=abi, torch="2.7.1", cuda="12.6"), "3.10", "x86_64", cuda="11.8", environment={}) as place:
        assert (place.torch, place.cuda, place.cxx11abi) == ("2.7.1+cu126", "12.6", abi)
        assert place.defines(error(abi))
        assert not place.defines(error(not abi))


def test_torch_for_cpus_has_no_cuda(make):
    site = make.site(abi=True)
    (site / "torch" / "version.py").write_text("__version__ = '2.6.0+cpu'\ncuda: Optional[str] = None\n")

    with Site(site, "3.10", "x86_64", cuda="12.4") as place:
        assert (place.torch, place.cuda) == ("2.6.0+cpu", None)


def test_the_reason_names_each_kind_once(make):
    cudart = make.library("libcudart.so.13")
    one = make.module(error(True), libraries=[cudart])
    other = make.module(error(True), libraries=[cudart], name="other.cpython-310-x86_64-linux-gnu.so")

    found = refused(make.wheel([one, other]), make.site(abi=False))

    assert kinds(found) == ["wrong-cuda-major"] * 2 + ["wrong-torch-abi"] * 2
    assert found.reason.count("; ") == 1
    assert found.reason.count(error(True)) == 1
    assert found.to_json()["id"] == "native-mismatch"
