"""The whole of ``verl-env install`` against a stand-in for GitHub: which wheel lands, which does not, and why."""

import json

import pytest

from tests.cli.test_install import ID
from tests.install.native_wheels import error, functions
from tests.install.plans import PYTHON
from tests.install.stand_in import ARCH, GITHUB, REBUILT, RELEASE, SOURCE, VERSION, World, wheel_name
from tests.install.wheels import sha256
from verl_env.environment.state import read_state
from verl_env.environment.wheelhouse import FOLDER
from verl_env.machine.probe import probe_without_gpus
from verl_env.wheels import fetch

PUBLISHED, OTHER = RELEASE + wheel_name(), REBUILT + wheel_name()


@pytest.fixture
def world(tmp_path, capsys, compile_so, monkeypatch):
    world = World(tmp_path, capsys, compile_so)
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(world.root))
    monkeypatch.setenv("VERL_ENV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    world.on()
    yield world
    world.close()


def right(world, url=RELEASE):
    return world.wheel(world.module(error(False)), url)


def wrong_abi(world):
    return world.wheel(world.module(error(True)))


def wrong_python(world):
    other = "3.9"
    return world.wheel(world.module(error(False), python=other))


def newer_glibc(world):
    world.on(glibc="2.28")
    libc = world.make.library("libc.so.6", functions("log2"), "GLIBC_2.32")
    return world.wheel(world.module(error(False), "log2", libraries=[libc]))


def cuda_13(world):
    cudart = world.make.library("libcudart.so.13", functions("cudaMalloc"), "libcudart.so.13")
    return world.wheel(world.module(error(False), libraries=[cudart]))


def another_file(world):
    return {**right(world), "sha256": "0" * 64}


def fault(kind):
    def make(world):
        world.github.fail(PUBLISHED, kind)
        return right(world)

    return make


#: What is wrong with a wheel that the catalogue says nothing against: the id of the error, and words that are said.
REFUSED = {
    "wrong ABI under a right name": (wrong_abi, "native-mismatch", [error(True), "with the new C++ ABI"]),
    "a module of another Python": (
        wrong_python,
        "native-mismatch",
        [f"module for Python 3.9, and the environment has {PYTHON}"],
    ),
    "GLIBC_2.32 on 2.28": (newer_glibc, "native-mismatch", ["needs glibc 2.32, and this machine has 2.28"]),
    "CUDA 13 on cu12": (cuda_13, "native-mismatch", ["needs libcudart.so.13, and torch here is built for CUDA 12.4"]),
    "another file than recorded": (
        another_file,
        "hash-mismatch",
        ["the lock says sha256:0000", "(mirror of https://github.com/"],
    ),
    "a download that is cut": (fault("cut"), "download-interrupted", ["broke off", "(mirror of https://github.com/"]),
    "gone": (fault("gone"), "native-unavailable", ["answers 404", "(mirror of https://github.com/"]),
    "a server that stops half-way": (fault("stall"), "download-interrupted", ["broke off"]),
    "a server that never answers": (
        fault("silent"),
        "native-unavailable",
        ["did not answer within", "(mirror of https://github.com/"],
    ),
}
#: What is known before the download: such a wheel never is the chosen one.
FORESEEN = ("gone", "a server that never answers")
CASES = pytest.mark.parametrize(("make", "id_", "words"), REFUSED.values(), ids=REFUSED.keys())
LANDING = {name: case for name, case in REFUSED.items() if name not in FORESEEN}


def test_the_right_wheel(world):
    world.component(right(world))
    code, said = world.install()
    assert code == 0, said
    assert "warning" not in said
    assert world.way == f"{VERSION} from {PUBLISHED.replace('+', '%2B')}"
    code, said = world.install()
    assert (code, said.startswith("nothing to do")) == (0, True)
    assert world.downloads(PUBLISHED) == 1


@pytest.mark.parametrize(("make", "id_", "words"), LANDING.values(), ids=LANDING.keys())
def test_what_does_not_fit_gives_way_to_the_next(world, make, id_, words):
    world.component(make(world), right(world, REBUILT))
    code, said = world.install("--with", "flash-attn")
    assert code == 0, said
    for text in words:
        assert text in said
    assert f"taken instead: {wheel_name()}" in said
    assert world.way == f"{VERSION} from {OTHER.replace('+', '%2B')}"
    assert world.install("--with", "flash-attn")[1].startswith("nothing to do")
    assert world.downloads(OTHER) == 1


def test_what_is_gone_is_passed_over_before_the_download(world):
    world.component(fault("gone")(world), right(world, REBUILT))
    code, said = world.install("--with", "flash-attn")
    assert code == 0, said
    assert "taken instead" not in said
    assert world.way == f"{VERSION} from {OTHER.replace('+', '%2B')}"
    assert world.downloads(PUBLISHED) == 0


def test_a_silent_server_takes_all_its_wheels_with_it(world):
    world.component(fault("silent")(world), right(world, REBUILT))
    code, said = world.install("--with", "flash-attn")
    assert code == 1
    assert "error[native-unavailable]" in said
    assert "2 published wheels of flash-attn" in said
    assert not world.into.exists()


@CASES
@pytest.mark.parametrize("flags", [["--native", "prebuilt"], ["--with", "flash-attn"]], ids=["prebuilt", "with"])
def test_what_was_asked_for_is_not_left_out(world, make, id_, words, flags):
    world.component(make(world))
    code, said = world.install(*flags)
    assert code == 1
    assert f"error[{id_}]" in said
    for text in words:
        assert text in said
    assert not world.into.exists()


def test_a_mirror_is_named_where_it_fails(world):
    world.component(fault("gone")(world))
    _, said = world.install("--native", "prebuilt")
    assert world.github.address in said


def test_else_it_is_left_out_with_every_reason(world):
    second = world.wheel(world.module(error(False), libraries=[]), REBUILT)
    world.github.fail(OTHER, "gone")
    world.component(wrong_abi(world), second)
    code, said = world.install("--json")
    assert code == 0
    (reason,) = json.loads(said[said.index("{") : said.rindex("}") + 1])["left_out"].values()
    assert error(True) in reason
    assert "answers 404" in reason
    assert world.way is None
    assert read_state(world.into).left_out == {"flash-attn": reason}
    code, said = world.install()
    assert "nothing to do" in said
    code, said = world.install("--with", "flash-attn")
    assert (code, "error[native-unavailable]" in said) == (1, True)
    assert error(True) in said
    assert "answers 404" in said


def test_what_is_measured_to_be_too_new_is_not_downloaded(world):
    world.component({**newer_glibc(world), "glibc": "2.32"}, right(world, REBUILT))
    (native,) = world.plan()["native"]
    assert native["url"] == OTHER.replace("+", "%2B")
    assert native["others"] == []
    assert native["rejected"] == [{"what": wheel_name(), "reason": "needs glibc 2.32, and this machine has 2.28"}]
    assert world.install()[0] == 0
    assert world.way == f"{VERSION} from {OTHER.replace('+', '%2B')}"
    assert world.downloads(PUBLISHED) == 0


def test_a_wheel_named_false_for_torch_2_8_is_of_the_new_abi(world):
    world.torch("2.8.0", abi=True, cuda="12.8")
    world.component(world.wheel(world.module(error(True)), torch="2.8"))
    code, said = world.install()
    assert code == 0, said
    assert "torch2.8cxx11abiFALSE" in world.way


def test_a_refused_wheel_gives_way_to_a_build(world):
    for name in ("setuptools", "wheel"):
        world.house.add(name, "1.0")
    world.component(wrong_abi(world), recipes=[world.recipe()])
    (native,) = world.plan()["native"]
    assert (native["how"], native["others"]) == ("prebuilt", [f"{VERSION} built from {SOURCE}"])
    code, said = world.install()
    assert code == 0, said
    assert error(True) in said
    assert f"taken instead: a build of flash-attn {VERSION} from {SOURCE}" in said
    assert world.way, said
    assert world.way == f"{VERSION} built from {SOURCE}"
    assert read_state(world.into).built == {"flash-attn": VERSION}
    assert world.install()[1].startswith("nothing to do")
    assert world.downloads(SOURCE) == 1
    # What was built for an environment lies in its verl-env-wheels: a wheel of its own, before any published one.
    (built,) = (world.into / FOLDER).glob("flash_attn-*.whl")
    code, said = world.install("--native", "prebuilt")
    assert code == 0, said
    assert f"given wheel {built.name}" in said
    assert world.way == f"{VERSION} from the wheel sha256:{sha256(built.read_bytes())}"
    assert (world.downloads(SOURCE), world.downloads(PUBLISHED)) == (1, 1)


def test_what_cannot_be_built_either_is_left_out(world):
    right(world, REBUILT)
    recipe = {**world.recipe(), "tools": [{"name": "mpicc", "reason": "its sources"}]}
    unrecorded = wrong_abi(world)
    del unrecorded["sha256"]
    world.component(unrecorded, recipes=[recipe])
    code, said = world.install()
    assert code == 0, said
    assert world.way is None
    assert "hash-unrecorded" in said
    assert error(True) in said
    assert "mpicc" in said
    assert "(to try again: --with flash-attn; where its wheel lies in a directory, with --wheelhouse DIR)" in said
    given = (world.github.directory / _path(OTHER)).read_bytes()
    world.house.path.joinpath(wheel_name()).write_bytes(given)
    code, said = world.install("--with", "flash-attn", "--wheelhouse", str(world.house.path))
    assert code == 0, said
    assert world.way == f"{VERSION} from the wheel sha256:{sha256(given)}"


def _path(url):
    return url.removeprefix(GITHUB)


def test_a_python_without_a_wheel_gives_way_to_one_that_has_one(world):
    first, second = "3.12", "3.10"
    found = {".".join(python.version.split(".")[:2]): python for python in probe_without_gpus().pythons}
    if not {first, second} <= found.keys():
        pytest.skip(f"no Python {first} and {second} here")
    world.torch("2.6.0", abi=False, pythons=(first, second))
    world.on(pythons=[{"version": found[each].version, "path": found[each].path} for each in (first, second)])
    entry = world.wheel(world.module(error(False), python=second), python=second)
    world.component({**entry, "pythons": [second]})
    plan = world.plan()
    (native,) = plan["native"]
    assert (plan["lockset"], plan["python"], native["how"]) == (ID, second, "prebuilt")
    assert f"-cp310-cp310-linux_{ARCH}" in native["url"]
    assert [each["python"] for each in plan["passed"]] == [first]
    said = "Python 3.10 is taken: flash-attn cannot be had on 3.12"
    assert any(said in each and "made for Python 3.10, not 3.12" in each for each in plan["warnings"])
    code, said = world.install()
    assert code == 0, said
    assert (world.into / "lib" / "python3.10" / "site-packages" / "flash_attn").is_dir()
