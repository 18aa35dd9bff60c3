"""NVML in a child: what it says, how far it came, and what is made of a damaged answer."""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.child import Abandoned, Children, Completed, NotStarted, TimedOut
from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia import nvml_child
from verl_env.machine.nvidia.nvml import NvmlAnswer, find_bindings, parse_nvml, read_nvml, start_nvml

from .scenes import binding, gpu, part, scenario


def ask(*bindings: Path, seconds: float = 30.0) -> NvmlAnswer:
    with Children(deadline=time.monotonic() + seconds) as children:
        return read_nvml(children.wait(start_nvml(children, {"PATH": "/bin"}, bindings=bindings)))


def play(directory: Path, *gpus: dict[str, Any], **changes: Any) -> NvmlAnswer:
    return ask(binding(directory, scenario(*gpus, **changes)))


def devices(answer: NvmlAnswer) -> list[Any]:
    assert answer.reading.devices is not None
    return list(answer.reading.devices)


def test_a_healthy_machine(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(0), gpu(1))
    assert (answer.code, answer.whole, answer.complete) == (0, True, True)
    assert (answer.reading.source, answer.reading.driver, answer.reading.cuda) == ("nvml", "580.65.06", "13.0")
    first, second = devices(answer)
    assert (first.index, first.name, first.uuid) == (0, "NVIDIA H200", "GPU-00000000-1111-2222-3333-444444444444")
    assert (first.compute_capability, first.memory_bytes, first.compute_mode) == ("9.0", 143771 << 20, "Default")
    assert (first.address, first.device_id, first.mig_mode, first.lost) == ("00000000:10:00.0", "2335", False, None)
    assert second.index == 1


def test_names_may_come_as_bytes(tmp_path: Path) -> None:
    assert devices(play(tmp_path, gpu(), bytes=True))[0].name == "NVIDIA H200"


def test_slices_follow_their_gpu(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(0), gpu(1, mig=1, slices=[part(3, 71), {"error": 6}, part(1, 18)]))
    found = [(reading.index, reading.slice_of, reading.memory_bytes) for reading in devices(answer)]
    assert found == [(0, None, 143771 << 20), (1, None, 143771 << 20), (1, 1, 71 << 30), (1, 1, 18 << 30)]


def test_slices_of_a_gpu_with_mig_off_are_not_asked_for(tmp_path: Path) -> None:
    assert len(devices(play(tmp_path, gpu(slices=[part(1, 18)])))) == 1


def test_a_lost_gpu_does_not_hide_the_others(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(0), {"error": 15}, gpu(2))
    assert [(reading.index, reading.lost) for reading in devices(answer)] == [(0, None), (1, "GPU is lost"), (2, None)]
    assert answer.complete


def test_a_gpu_that_is_lost_behind_its_handle(tmp_path: Path) -> None:
    lost = {"error": 15}
    answer = play(tmp_path, gpu(0, name=lost, uuid=lost, cc=lost, memory=lost, mode=lost, bus=lost, mig=lost), gpu(1))
    assert [reading.lost for reading in devices(answer)] == ["GPU is lost", None]


def test_unified_memory_is_no_memory_of_the_gpu(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(memory={"error": 3}))
    assert devices(answer)[0].memory_bytes is None
    assert answer.complete


@pytest.mark.parametrize("fact", ["name", "uuid", "cc", "memory"])
def test_a_call_that_fails_leaves_its_fact_open(tmp_path: Path, fact: str) -> None:
    failing: dict[str, Any] = {fact: {"error": 999}}
    answer = play(tmp_path, gpu(**failing))
    assert not answer.complete
    assert len(devices(answer)) == 1


@pytest.mark.parametrize("fact", ["mode", "bus", "device_id", "mig"])
def test_a_call_that_the_driver_does_not_know_is_no_matter(tmp_path: Path, fact: str) -> None:
    missing: dict[str, Any] = {fact: None}
    assert play(tmp_path, gpu(**missing)).complete


@pytest.mark.parametrize(("mode", "name"), [(0, "Default"), (2, "Prohibited"), (3, "Exclusive_Process"), (9, UNKNOWN)])
def test_compute_modes(tmp_path: Path, mode: int, name: object) -> None:
    reading = devices(play(tmp_path, gpu(mode=mode)))[0]
    assert (reading.compute_mode or UNKNOWN) == name


@pytest.mark.parametrize(
    ("fabric", "state"),
    [
        ({"fabric": [3, 0]}, "Completed"),
        ({"fabric": [3, 999]}, "Completed, status 999"),
        ({"fabric": [2, 0]}, "In Progress"),
        ({"fabric": [1, 0]}, "Not Started"),
        ({"fabric": [0, 0]}, None),
        ({"fabric": [9, 0]}, UNKNOWN),
        ({"fabric": {"error": 3}, "fabric_v1": [2, 0]}, "In Progress"),
        ({}, UNKNOWN),
    ],
)
def test_the_state_of_the_fabric(tmp_path: Path, fabric: dict[str, Any], state: object) -> None:
    assert devices(play(tmp_path, gpu(**fabric)))[0].fabric == state


@pytest.mark.parametrize(
    ("changes", "cuda"),
    [
        ({"cuda_v2": 12040}, "12.4"),
        ({"cuda_v2": {"error": 13}, "cuda": 11080}, "11.8"),
        ({"cuda_v2": 0, "cuda": 12020}, "12.2"),
        ({"cuda_v2": {"error": 12}, "cuda": {"error": 999}}, UNKNOWN),
    ],
)
def test_the_cuda_version(tmp_path: Path, changes: dict[str, Any], cuda: object) -> None:
    assert play(tmp_path, gpu(), **changes).reading.cuda == cuda


@pytest.mark.parametrize("code", [4, 9, 18, 999])
def test_an_nvml_that_does_not_start(tmp_path: Path, code: int) -> None:
    answer = play(tmp_path, gpu(), init={"error": code})
    assert (answer.code, answer.reading.devices, answer.complete) == (code, None, False)
    assert answer.text


def test_an_error_that_cannot_be_worded(tmp_path: Path) -> None:
    assert play(tmp_path, init={"error": 777}).text == "NVMLError"


def test_a_library_that_is_nowhere(tmp_path: Path) -> None:
    assert play(tmp_path, init={"error": 12}).code == 12


def test_no_devices(tmp_path: Path) -> None:
    answer = play(tmp_path)
    assert (answer.code, answer.reading.devices, answer.complete) == (0, (), True)


def test_a_count_that_fails(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(), count={"error": 999})
    assert (answer.code, answer.text, answer.reading.devices) == (999, "Unknown Error", None)


def test_a_binding_that_is_another_module_is_passed_over(tmp_path: Path) -> None:
    foreign = tmp_path / "other/pynvml.py"
    foreign.parent.mkdir()
    foreign.write_text("def unrelated(): pass\n")
    broken = tmp_path / "broken/pynvml.py"
    broken.parent.mkdir()
    broken.write_text("import a_module_that_is_not_there\n")
    answer = ask(foreign, broken, binding(tmp_path, scenario(gpu())))
    assert answer.complete
    assert answer.foreign == (str(foreign), str(broken))


def test_without_a_binding(tmp_path: Path) -> None:
    answer = ask(tmp_path / "pynvml.py")
    assert (answer.code, answer.reading.devices) == (-1, None)
    assert ask().code == -1


def test_a_binding_that_ends_the_process_is_contained(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(0), {"do": "crash"})
    assert answer.signal == 11
    assert [reading.index for reading in devices(answer)] == [0]
    assert not answer.complete


def test_what_was_said_before_a_hang_is_kept(tmp_path: Path) -> None:
    answer = ask(binding(tmp_path, scenario(gpu(0), gpu(1), {"do": "hang"})), seconds=3.0)
    assert answer.hung is not None
    assert answer.killable
    assert answer.reading.driver == "580.65.06"
    assert [reading.index for reading in devices(answer)] == [0, 1]


def test_the_child_gets_no_site_and_no_python_variables(tmp_path: Path) -> None:
    script = tmp_path / "pynvml.py"
    script.write_text("import sys\nraise SystemExit(repr((sys.flags.no_site, sys.flags.isolated)))\n")
    with Children(deadline=time.monotonic() + 30) as children:
        child = start_nvml(children, {"PYTHONPATH": "/nowhere"}, bindings=[script])
        outcome = children.wait(child)
    assert isinstance(outcome, Completed)
    assert outcome.stderr.strip() == b"(1, 1)"


def test_cuda_is_started_only_when_asked_for() -> None:
    with Children(deadline=time.monotonic() + 30) as children:
        plain = start_nvml(children, {}, bindings=[])
        asked = start_nvml(children, {}, bindings=[], cuda_init=True)
    assert "--cuda-init" not in plain.argv
    assert "--cuda-init" in asked.argv


def test_the_installed_binding_is_found_by_its_file() -> None:
    files = find_bindings()
    assert files
    assert all(file.name == "pynvml.py" for file in files)


def test_the_installed_binding_can_be_loaded() -> None:
    answer = ask(*find_bindings())
    assert answer.foreign == ()
    assert answer.code != -1
    assert answer.whole


def test_a_package_of_the_same_name_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a/pynvml"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    module = binding(tmp_path / "b", scenario())
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "b")])
    assert find_bindings() == (module,)


LINES: list[tuple[str, Any]] = [
    ("init", {"code": 0}),
    ("driver", "580.65.06"),
    ("nvml", "13.580.65.06"),
    ("cuda", 13000),
    ("device", {"index": 0, "name": "NVIDIA H200", "uuid": "GPU-1", "cc": "9.0", "memory": 1 << 37, "mig": True}),
    ("slice", {"index": 0, "name": "MIG 1g.18gb", "uuid": "MIG-1", "memory": 1 << 34}),
    ("count", 1),
    ("libcuda", {"cuda": 13010, "path": "/usr/lib/libcuda.so.580.65.06"}),
    ("cuInit", 802),
    ("end", None),
]
TEXT = "".join(json.dumps(line) + "\n" for line in LINES)


def test_the_lines_of_the_child() -> None:
    answer = parse_nvml(TEXT)
    assert answer.complete
    assert answer.library == "13.580.65.06"
    assert answer.libcuda == ("/usr/lib/libcuda.so.580.65.06", "13.1")
    assert answer.cuda_init == 802
    assert len(devices(answer)) == 2


@given(st.integers(0, len(TEXT)))
def test_a_cut_anywhere_leaves_whole_lines(place: int) -> None:
    answer = parse_nvml(TEXT[:place].encode())
    assert answer.whole == (place >= TEXT.index('["end"') + len('["end", null]'))
    assert len(answer.reading.devices or ()) <= 2


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "code", "text", "name", "cc", "memory", "mig", "fabric"]), inner, max_size=5
        )
    ),
    max_leaves=8,
)
kinds = st.sampled_from([kind for kind, _ in LINES]) | st.text(max_size=5)


@given(st.lists(st.tuples(kinds, values) | values, max_size=8), st.binary(max_size=10))
def test_no_answer_breaks_the_reader(lines: list[Any], tail: bytes) -> None:
    data = "\n".join(json.dumps(line) for line in lines).encode() + tail
    for reading in parse_nvml(data).reading.devices or ():
        assert reading.index is not None
        assert reading.index >= 0


@given(st.binary())
def test_no_bytes_break_the_reader(data: bytes) -> None:
    parse_nvml(data)


def test_outcomes() -> None:
    data = TEXT.encode()
    argv = ("python",)
    assert read_nvml(Completed(argv, 0, data, b"", 0.1)).complete
    assert read_nvml(Completed(argv, -6, b"", b"", 0.1)).signal == 6
    assert read_nvml(TimedOut(argv, data, b"", 4.5)).hung == 4.5
    abandoned = read_nvml(Abandoned(argv, 1, 4.6, data))
    assert (abandoned.hung, abandoned.killable, abandoned.reading.driver) == (4.6, False, "580.65.06")
    assert read_nvml(NotStarted(argv, "no memory")).code is None


class FakeCuda:
    """A libcuda as far as the child asks it."""

    def __init__(self, version: int, code: int = 0, init: int = 0) -> None:
        self.version, self.code, self.init = version, code, init

    def cuDriverGetVersion(self, reference: Any) -> int:  # noqa: N802
        reference._obj.value = self.version
        return self.code

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self.init


@pytest.mark.parametrize(
    ("cuda", "cuda_init", "lines"),
    [
        (FakeCuda(12050), False, [["libcuda", {"cuda": 12050, "path": "/x/libcuda.so.1"}]]),
        (FakeCuda(0, code=34), False, []),
        (FakeCuda(12050, init=802), True, [["libcuda", {"cuda": 12050, "path": "/x/libcuda.so.1"}], ["cuInit", 802]]),
        (None, True, []),
    ],
)
def test_libcuda_tells_the_version_that_programs_load(
    cuda: FakeCuda | None,
    cuda_init: bool,
    lines: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(nvml_child, "libraries", lambda _: [cuda] if cuda else [])
    monkeypatch.setattr(nvml_child, "mapped", lambda _: "/x/libcuda.so.1")
    nvml_child.say_libcuda(cuda_init=cuda_init)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines


def test_nvml_is_looked_for_in_the_other_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader's path has none; the second place has one."""
    library = ctypes.CDLL(None)
    monkeypatch.setattr(nvml_child, "libraries", lambda _: [library])
    module = SimpleNamespace(nvmlLib=None)

    def start() -> None:
        if module.nvmlLib is not library:
            raise _NvmlError(nvml_child.NOT_FOUND)

    module.nvmlInit = start
    binding: Any = module
    assert nvml_child.init(binding) is None


class _NvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value


def test_libraries_are_those_that_load() -> None:
    assert list(nvml_child.libraries("libno-such-library.so.9")) == []
    assert all(directory.startswith("/") for directory in nvml_child.DIRECTORIES)


def test_the_file_of_a_loaded_library() -> None:
    loaded = nvml_child.mapped("libc.so") or nvml_child.mapped("libc-") or nvml_child.mapped("ld-musl")
    assert loaded is not None
    assert Path(loaded).exists()
    assert nvml_child.mapped("libno-such-library") is None
