"""Judgements on facts alone: objects and places made by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.install.native_wheels import error
from verl_env.binaries.cubin import Architectures
from verl_env.binaries.elf import EM_AARCH64, EM_X86_64, ElfInfo
from verl_env.binaries.wheel import CompiledWheel, WheelObject
from verl_env.wheels.check import FaultId, check_wheel

EAB, EA = "_ZN3c104cuda9SetDeviceEab", "_ZN3c104cuda9SetDeviceEa"


@dataclass
class Fake:
    """A place that is asked for what it was given."""

    python: str = "3.10"
    arch: str = "x86_64"
    glibc: str | None = "2.28"
    glibcxx: str | None = "3.4.25"
    torch: str | None = "2.6.0+cu124"
    cuda: str | None = "12.4"
    hip: str | None = "7"
    cxx11abi: bool | None = False
    gpus: tuple[str, ...] = ("9.0",)
    symbols: frozenset[str] = frozenset({EA, error(False)})
    libraries: frozenset[str] = frozenset({"libc.so.6", "libc10.so", "libcudart.so.12", "libcudart.so.13"})
    asked: list[str] = field(default_factory=list)

    def defines(self, symbol):
        return symbol in self.symbols

    def finds(self, soname, item):
        self.asked.append(soname)
        return soname in self.libraries


def item(path="flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so", **given):
    needs = given.pop("needs", ())
    elf = ElfInfo(
        path=path,
        machine=given.pop("machine", EM_X86_64),
        soname=given.pop("soname", None),
        needed=given.pop("needed", ("libc10.so", "libc.so.6")),
        rpath=(),
        runpath=(),
        versions=(("libc.so.6", tuple(needs)),),
        defines=(),
    )
    gpus = given.pop("gpus", None)
    code = Architectures(frozenset(gpus[0]), frozenset(gpus[1])) if gpus else None
    return WheelObject(path, elf, tuple(given.pop("torch", ())), (), given.pop("module", True), code, **given)


def faults(*objects, place=None, unreadable=()):
    found = check_wheel(CompiledWheel("x.whl", objects, unreadable), place or Fake())
    return [(fault.id, fault.subject) for fault in found]


def message(*objects, place=None):
    (fault,) = check_wheel(CompiledWheel("x.whl", objects, ()), place or Fake())
    return fault.message


def test_what_fits():
    fitting = item(
        torch=[EA, error(False)],
        needs=["GLIBC_2.14", "GLIBC_2.28", "GLIBCXX_3.4.25", "CXXABI_1.3.11", "GLIBC_PRIVATE"],
        needed=("libc10.so", "libc.so.6", "libcudart.so.12", "libcuda.so.1"),
        gpus=({"8.0", "9.0"}, ()),
    )

    assert faults(fitting) == []
    assert faults() == []


CASES = {
    "a symbol that this torch lacks": (item(torch=[EA, EAB]), "wrong-torch-abi", EAB),
    "the other C++ ABI": (item(torch=[EAB, error(True)]), "wrong-torch-abi", error(True)),
    "a newer glibc": (item(needs=["GLIBC_2.4", "GLIBC_2.32"]), "glibc-too-old", "GLIBC_2.32"),
    "a newer libstdc++": (item(needs=["GLIBCXX_3.4.9", "GLIBCXX_3.4.29"]), "glibcxx-too-old", "GLIBCXX_3.4.29"),
    "another CUDA": (item(needed=("libcudart.so.13",)), "wrong-cuda-major", "libcudart.so.13"),
    "another CUDA's nvrtc": (item(needed=("libnvrtc.so.11.2",)), "wrong-cuda-major", "libnvrtc.so.11.2"),
    "another ROCm": (item(needed=("libamdhip64.so.6",)), "wrong-rocm-major", "libamdhip64.so.6"),
    "another Python": (item("f.cpython-312-x86_64-linux-gnu.so"), "wrong-python", "3.12"),
    "another machine": (item(machine=EM_AARCH64), "wrong-arch", "aarch64"),
    "an unknown machine": (item(machine=243), "wrong-arch", "ELF machine 243"),
    "no code for the GPU": (item(gpus=({"8.0"}, ())), "no-gpu-code", "9.0"),
    "PTX that is too new": (item(gpus=({"8.0"}, {"10.0"})), "no-gpu-code", "9.0"),
    "a library that is not there": (item(needed=("libcudnn.so.9",)), "missing-library", "libcudnn.so.9"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_fault(case):
    at_fault, kind, subject = CASES[case]

    assert faults(at_fault) == [(kind, subject)]


def test_every_kind_has_a_case():
    of_the_file = {"wheel-unreadable", "wrong-distribution", "wrong-version", "not-compiled", "object-damaged"}
    assert {kind for _, kind, _ in CASES.values()} | of_the_file == set(get_args(FaultId))


@pytest.mark.parametrize(
    ("case", "unknown"),
    [
        ("a symbol that this torch lacks", {"torch": None}),
        ("a newer glibc", {"glibc": None}),
        ("a newer libstdc++", {"glibcxx": None}),
        ("another CUDA", {"cuda": None}),
        ("no code for the GPU", {"gpus": ()}),
        ("no code for the GPU", {"gpus": ("gfx942",)}),
    ],
)
def test_what_is_unknown_refuses_nothing(case, unknown):
    assert faults(CASES[case][0], place=Fake(**unknown)) == []


def test_words_for_the_other_abi():
    assert message(item(torch=[EAB, error(True)])) == (
        f"flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so needs c10::Error::Error ({error(True)}) and 1 more, "
        "which torch 2.6.0+cu124 does not have: it was compiled with the new C++ ABI of libstdc++, and this torch has "
        "the old one"
    )


def test_words_for_another_torch():
    words = message(item(torch=[EAB]))

    assert f"needs c10::cuda::SetDevice ({EAB}), which torch 2.6.0+cu124 does not have" in words
    assert words.endswith("it was compiled against another torch")


def test_the_abi_is_told_apart_where_no_single_name_corresponds():
    """Back references differ between the ABIs, so that a name need not become the other's by replacing the string."""
    symbol = "_ZN5torch4jit4nameERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEES7_"
    place = Fake(symbols=frozenset({"_ZN5torch4jit4nameERKSsS2_"}))

    assert "compiled with the new C++ ABI" in message(item(torch=[symbol]), place=place)
    assert "against another torch" in message(item(torch=[symbol]), place=Fake(cxx11abi=None))


def test_a_module_that_is_there_for_several_pythons():
    one, other = (item(f"demo/_C.cpython-{tag}-x86_64-linux-gnu.so") for tag in ("310", "312"))

    assert faults(one, other) == []
    assert faults(other, item("demo/_D.cpython-310-x86_64-linux-gnu.so")) == [("wrong-python", "3.12")]
    assert faults(other, item("demo/_C.abi3.so")) == []


def test_objects_share_the_gpus():
    old, new = item(gpus=({"8.0"}, ())), item("hopper.so", gpus=({"9.0"}, ()))

    assert faults(old, new) == []
    assert faults(old, new, place=Fake(gpus=("9.0", "12.0"))) == [("no-gpu-code", "12.0")]


def test_an_object_for_another_machine_is_judged_no_further():
    assert faults(item(machine=EM_AARCH64, torch=[EAB], needs=["GLIBC_2.99"])) == [("wrong-arch", "aarch64")]


def test_damage_comes_first():
    found = faults(item(needs=["GLIBC_2.99"]), unreadable=(("a.so", "is cut off"),))

    assert found == [("object-damaged", "is cut off"), ("glibc-too-old", "GLIBC_2.99")]


class TestLibraries:
    def test_of_the_driver_and_of_fabrics_come_with_the_node(self):
        names = ("libcuda.so.1", "libnvidia-ml.so.1", "libmlx5.so.1", "libibverbs.so.1", "libgdrapi.so.2")

        assert faults(item(needed=names)) == []

    def test_in_the_wheel_by_soname_and_by_file_name(self):
        module = item(needed=("libdeep.so.2", "libother.so"))
        deep = item("x.libs/libdeep-1234.so", soname="libdeep.so.2", module=False, needed=("libgone.so.1",))

        assert faults(module, deep, item("x.libs/libother.so", module=False)) == [("missing-library", "libgone.so.1")]

    def test_that_need_one_another(self):
        libraries = [item(f"lib{a}.so", module=False, needed=(f"lib{b}.so",)) for a, b in ("xy", "yx")]

        assert faults(item(needed=("libx.so",)), *libraries) == []

    def test_of_an_optional_module(self):
        lame, whole = item("sox.so", needed=("libsox.so",)), item("main.so")

        assert faults(lame, whole) == []
        assert faults(lame) == [("missing-library", "libsox.so")]

    def test_of_what_no_module_needs(self):
        assert faults(item(), item("libffmpeg6.so", module=False, needed=("libavutil.so.58",))) == []

    def test_of_another_cuda_are_not_looked_for(self):
        place = Fake(libraries=frozenset({"libc.so.6"}))

        assert faults(item(needed=("libcudart.so.13",)), place=place) == [("wrong-cuda-major", "libcudart.so.13")]
        assert place.asked == []


OBJECTS = st.builds(
    item,
    torch=st.lists(st.text(max_size=20), max_size=3),
    needs=st.lists(
        st.text(max_size=12) | st.sampled_from(["GLIBC_2.99", "GLIBC_", "GLIBCXX_3", "GLIBC_2..3"]), max_size=3
    ),
    needed=st.lists(st.text(max_size=12) | st.just("libcudart.so.999999"), max_size=3).map(tuple),
    machine=st.integers(0, 65535) | st.just(EM_X86_64),
    module=st.booleans(),
    gpus=st.none() | st.just(({"8.0"}, {"8.0"})),
)


@given(st.lists(OBJECTS, max_size=3), st.lists(st.text(max_size=5), max_size=2))
def test_no_facts_crash_the_judge(objects, gpus):
    found = check_wheel(CompiledWheel("x.whl", tuple(objects), ()), Fake(gpus=tuple(gpus)))

    assert all(fault.id in get_args(FaultId) and fault.message for fault in found)
