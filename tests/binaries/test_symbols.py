"""Names of symbols as torch's and extensions' libraries really have them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.binaries.symbols import CUDA, TORCH, cxx11abi, other_abi, qualified_name

NEW_ERROR = "_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_ERROR = "_ZN3c105ErrorC2ENS_14SourceLocationESs"


@pytest.mark.parametrize(
    ("symbol", "abi"),
    [
        (NEW_ERROR, True),
        (OLD_ERROR, False),
        ("_ZN5torch3jit17parseSchemaOrNameERKSsb", False),
        ("_ZN5torch3jit17parseSchemaOrNameERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEb", True),
        ("_ZNK3c104Type3strB5cxx11Ev", True),
        ("_ZN3c104cuda9SetDeviceEa", None),
        ("_ZN3c107ClassesEv", None),
    ],
)
def test_the_abi_that_a_name_tells(symbol: str, abi: bool | None) -> None:
    assert cxx11abi([symbol]) is abi
    assert cxx11abi(["_ZN3c104cuda9SetDeviceEa", symbol]) is abi


def test_either_abis_name_becomes_the_others() -> None:
    assert other_abi(NEW_ERROR) == OLD_ERROR
    assert other_abi(OLD_ERROR) == NEW_ERROR


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        (NEW_ERROR, "c10::Error::Error"),
        ("_ZN3c105ErrorD1Ev", "c10::Error::~Error"),
        ("_ZN3c104cuda9SetDeviceEab", "c10::cuda::SetDevice"),
        ("_ZNK3c106SymInt6sym_neERKS0_", "c10::SymInt::sym_ne"),
        ("_ZTIN3c105ErrorE", "c10::Error"),
        ("_ZN2at4_ops5zeros4callEN3c108ArrayRefINS2_6SymIntEEE", "at::_ops::zeros::call"),
        ("_ZNSt6vectorIiE4sizeEv", None),
        ("aoti_torch_device_type", None),
        ("_ZN99short", None),
        ("", None),
    ],
)
def test_the_plain_name(symbol: str, name: str | None) -> None:
    assert qualified_name(symbol) == name


@pytest.mark.parametrize(
    "symbol", [NEW_ERROR, OLD_ERROR, "_ZTVN5torch8autograd4NodeE", "aoti_torch_new", "THPVariable"]
)
def test_torchs_symbols(symbol: str) -> None:
    assert TORCH.match(symbol.encode())
    assert not CUDA.match(symbol.encode())


@given(st.text(alphabet="_ZNKSs0123456789abcCDE\u00b2", max_size=60))
def test_no_name_crashes(symbol: str) -> None:
    found = qualified_name(f"_ZN{symbol}")

    assert found is None or re.search("::", found)
    assert isinstance(other_abi(symbol), str)
