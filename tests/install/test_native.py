import pytest

from tests.install.plans import lockset, native, prebuilt, wheel
from verl_env.install.errors import NativeBuildUnavailable, NativeUnavailable
from verl_env.install.native import choose_natives

WHEEL = "https://example.org/flash_attn-2.7.4%2Bcu12torch2.6-cp310-cp310-linux_x86_64.whl"


def choose(natives, mode=None, *, stack=("vllm",), python="3.10", glibc="2.35", arch="x86_64"):
    return choose_natives(lockset(natives=tuple(natives)), stack, mode, python=python, glibc=glibc, arch=arch)


@pytest.mark.parametrize(
    ("wheel", "machine", "how", "word"),
    [
        ({}, {}, "prebuilt", "flash_attn-2.7.4+cu12torch2.6"),
        ({"glibc": "2.32"}, {"glibc": "2.32"}, "prebuilt", "published"),
        ({"glibc": "2.32"}, {"glibc": None}, "prebuilt", "published"),
        ({"glibc": "2.32"}, {"glibc": "2.28"}, "skip", "needs glibc 2.32, and this machine has 2.28"),
        ({"pythons": ("3.11", "3.12")}, {}, "skip", "for Python 3.11, 3.12, not 3.10"),
        ({}, {"arch": "aarch64"}, "skip", "for linux_x86_64, not aarch64"),
    ],
)
def test_a_wheel_is_taken_only_where_it_fits(wheel, machine, how, word):
    wheel = prebuilt(WHEEL, **({"pythons": ("3.10",)} | wheel))
    (choice,) = choose([native(wheels=[wheel])], **machine)
    assert choice.how == how
    assert word in choice.reason
    assert (choice.wheel is not None) == (how == "prebuilt")


def test_the_first_wheel_that_fits_wins():
    wheels = [
        prebuilt(f"https://example.org/{n}-py3-none-any.whl", pythons=(python,))
        for n, python in enumerate(["3.9", "3.10", "3.10"])
    ]
    (choice,) = choose([native(wheels=wheels)])
    assert choice.wheel.url == wheels[1].url


@pytest.mark.parametrize("mode", [None, "skip"])
def test_what_has_no_wheel_is_left_out(mode):
    (choice,) = choose([native()], mode)
    assert choice.how == "skip"
    assert choice.reason == ("no wheel of it is published" if mode is None else "on request (--native skip)")


def test_prebuilt_on_request_must_be_there():
    with pytest.raises(NativeUnavailable) as caught:
        choose([native()], "prebuilt")
    assert caught.value.build.name == "flash-attn"
    assert "no wheel of it is published" in caught.value.message
    assert "--native skip" in caught.value.hint


def test_building_is_refused_before_anything_is_done():
    with pytest.raises(NativeBuildUnavailable) as caught:
        choose([native(), native("apex")], "build")
    assert caught.value.names == ("flash-attn", "apex")
    assert caught.value.id == "native-build-unavailable"


def test_building_is_no_question_where_nothing_is_native():
    assert choose([], "build") == ()


@pytest.mark.parametrize(
    ("stack", "names"), [(("vllm",), ["flash-attn"]), (("vllm", "megatron"), ["flash-attn", "transformer-engine"])]
)
def test_only_what_the_stack_needs_is_chosen(stack, names):
    natives = [native(), native("transformer-engine", needed_for=["megatron"])]
    assert [choice.name for choice in choose(natives, stack=stack)] == names


def test_the_warning_says_what_is_missing_and_how_to_get_it():
    wheel = prebuilt(WHEEL, pythons=("3.12",))
    (choice,) = choose([native(wheels=[wheel])])
    (text,) = choice.warnings
    for part in ["flash-attn 2.7.4", "not 3.10", WHEEL, "a build from sdist", "nvcc 12.4"]:
        assert part in text


def test_the_warning_offers_no_way_where_there_is_none():
    (choice,) = choose([native(build=None)])
    assert "to get it" not in choice.warnings[0]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (WHEEL, "flash_attn-2.7.4+cu12torch2.6-cp310-cp310-linux_x86_64.whl"),
        ("https://example.org/a/b-1-py3-none-any.whl#sha256=00", "b-1-py3-none-any.whl"),
    ],
)
def test_the_file_name_of_an_address(url, name):
    assert wheel(url).file == name
