"""Wheels in a directory: what their names say rules out, and no more."""

from pathlib import Path

import pytest

from verl_env.components.housed import House, with_wheels
from verl_env.components.load import load_catalogue

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "constraints")


def found(folder, *names, torch=None, version="2.8.3"):
    for name in names:
        (folder / name).write_bytes(name.encode())
    housed = with_wheels(CATALOGUE, House(folder, torch)).components["flash-attn"].release(version)
    return [wheel for wheel in housed.wheels if wheel.is_file]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flash_attn-2.8.3-cp312-cp312-linux_x86_64.whl", (("3.12",), None, None, "x86_64", None)),
        ("flash_attn-2.8.3+cu13torch2.11-cp312-cp312-linux_x86_64.whl", (("3.12",), "2.11", "13", "x86_64", None)),
        (
            "flash_attn-2.8.3+cu128torch28-cp310-cp310-manylinux_2_28_aarch64.whl",
            (("3.10",), "2.8", "12", "aarch64", "2.28"),
        ),
        ("flash_attn-2.8.3-cp313-abi3-linux_x86_64.whl", (("3.13", "3.14", "3.15"), None, None, "x86_64", None)),
    ],
)
def test_what_a_name_says(tmp_path, name, expected):
    [wheel] = found(tmp_path, name)
    assert (wheel.pythons, wheel.torch, wheel.cuda, wheel.arch, wheel.glibc) == expected
    assert (wheel.cxx11abi, wheel.file) == (None, name)


def test_the_environment_says_for_which_torch_its_own_wheels_are(tmp_path):
    [wheel] = found(tmp_path, "flash_attn-2.8.3-cp312-cp312-linux_x86_64.whl", torch="2.11")
    assert wheel.torch == "2.11"


def test_what_is_no_wheel_of_a_known_release_stays_out(tmp_path):
    names = (
        "flash_attn-9.9-cp312-cp312-linux_x86_64.whl",
        "flash_attn-2.8.3.whl",
        "numpy-1.0-py3-none-any.whl",
        "x.txt",
    )
    assert found(tmp_path, *names) == []
    assert with_wheels(CATALOGUE, House(tmp_path / "nowhere")) is CATALOGUE
