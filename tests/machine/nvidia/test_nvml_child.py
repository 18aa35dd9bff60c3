"""NVML in a child: what it says of healthy, broken and hanging machines."""

from __future__ import annotations

import ctypes
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from verl_env.machine.child import Children, Completed
from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia import nvml_child
from verl_env.machine.nvidia.nvml import MODULE, start_nvml
from verl_env.machine.nvidia.nvml_answer import NvmlAnswer, read_nvml

from .scenes import gpu, nvml, part, scenario


def ask(script: Path, *, cuda_init: bool = False, seconds: float = 30.0) -> NvmlAnswer:
    with Children(deadline=time.monotonic() + seconds) as children:
        child = start_nvml(children, {"PATH": "/bin"}, cuda_init=cuda_init, module=script)
        return read_nvml(children.wait(child))


def play(directory: Path, *gpus: dict[str, Any], **changes: Any) -> NvmlAnswer:
    return ask(nvml(directory, scenario(*gpus, **changes)))


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
        ({"fabric": [9, 0]}, "state 9"),
        ({"fabric": [2, 0], "fabric_version": 2}, "In Progress"),
        ({"fabric": [2, 0], "fabric_version": 1}, UNKNOWN),
        ({"fabric": {"error": 3}}, UNKNOWN),
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


def test_no_devices(tmp_path: Path) -> None:
    answer = play(tmp_path)
    assert (answer.code, answer.reading.devices, answer.complete) == (0, (), True)


def test_a_count_that_fails(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(), count={"error": 999})
    assert (answer.code, answer.text, answer.reading.devices) == (999, "Unknown Error", None)


def test_a_library_that_ends_the_process_is_contained(tmp_path: Path) -> None:
    answer = play(tmp_path, gpu(0), {"do": "crash"})
    assert answer.signal == 11
    assert [reading.index for reading in devices(answer)] == [0]
    assert not answer.complete


def test_what_was_said_before_a_hang_is_kept(tmp_path: Path) -> None:
    answer = ask(nvml(tmp_path, scenario(gpu(0), gpu(1), {"do": "hang"})), seconds=3.0)
    assert answer.hung is not None
    assert answer.killable
    assert answer.reading.driver == "580.65.06"
    assert [reading.index for reading in devices(answer)] == [0, 1]


def test_an_error_without_words(tmp_path: Path) -> None:
    assert play(tmp_path, init={"error": 777}).text == "error 777"


def test_a_library_that_is_nowhere(tmp_path: Path) -> None:
    answer = ask(nvml(tmp_path, {}))
    assert (answer.code, answer.reading.devices, answer.whole) == (12, None, True)


def test_the_child_itself_ends_well_on_any_host() -> None:
    answer = ask(MODULE)
    assert answer.whole
    assert answer.signal is None
    assert answer.code is not None


def test_the_child_gets_no_site_and_no_python_variables(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nraise SystemExit(repr((sys.flags.no_site, sys.flags.isolated)))\n")
    with Children(deadline=time.monotonic() + 30) as children:
        outcome = children.wait(start_nvml(children, {"PYTHONPATH": "/nowhere"}, module=script))
    assert isinstance(outcome, Completed)
    assert outcome.stderr.strip() == b"(1, 1)"


def test_the_child_loads_little() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(MODULE).parent)!r}); import nvml_child; print(*sys.modules)"
    with Children(deadline=time.monotonic() + 30) as children:
        outcome = children.wait(children.start([sys.executable, "-I", "-S", "-c", code]))
    assert isinstance(outcome, Completed)
    loaded = set(outcome.stdout.decode().split())
    assert "ctypes" in loaded
    assert loaded.isdisjoint({"re", "json", "typing", "dataclasses", "subprocess", "verl_env"})


@pytest.mark.parametrize(
    ("changes", "cuda_init", "libcuda", "code"),
    [
        ({"libcuda": 12050, "mapped": "/x/libcuda.so.555.42.06"}, False, ("/x/libcuda.so.555.42.06", "12.5"), None),
        ({"libcuda": 12050, "cu_init": 802}, True, (None, "12.5"), 802),
        ({"libcuda": {"error": 34}, "cu_init": 34}, True, (None, UNKNOWN), 34),
        ({}, True, (None, UNKNOWN), None),
    ],
)
def test_libcuda_tells_the_version_that_programs_load(
    tmp_path: Path, changes: dict[str, Any], cuda_init: bool, libcuda: tuple[Any, Any], code: int | None
) -> None:
    answer = ask(nvml(tmp_path, scenario(gpu(), **changes)), cuda_init=cuda_init)
    assert answer.libcuda == libcuda
    assert answer.cuda_init == code
    assert answer.complete


def test_libcuda_is_asked_although_nvml_is_nowhere(tmp_path: Path) -> None:
    assert ask(nvml(tmp_path, {"libcuda": 12050})).libcuda[1] == "12.5"


def test_libraries_are_looked_for_in_the_other_places(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(path: str) -> str | None:
        asked.append(path)
        return path if path.startswith("/run") else None

    monkeypatch.setattr(nvml_child, "load", load)
    assert list(nvml_child.libraries("libx.so.1")) == ["/run/opengl-driver/lib/libx.so.1"]
    assert asked[0] == "libx.so.1"
    assert asked[1:] == [f"{directory}/libx.so.1" for directory in nvml_child.DIRECTORIES]


class Stub:
    """A library whose start gives a code."""

    def __init__(self, code: int) -> None:
        self.code = code

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.code


@pytest.mark.parametrize(
    ("codes", "place", "code"),
    [([9, 0, 0], 1, 0), ([0], 0, 0), ([9, 18], 0, 9), ([], None, nvml_child.LIBRARY_NOT_FOUND)],
)
def test_the_first_library_that_starts_counts(
    codes: list[int], place: int | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Stub(code) for code in codes]
    monkeypatch.setattr(nvml_child, "libraries", lambda _: iter(found))
    assert nvml_child.init() == (None if place is None else found[place], code)


def test_a_library_that_does_not_load_is_none() -> None:
    assert nvml_child.load("libno-such-library.so.9") is None
    assert isinstance(nvml_child.load(""), ctypes.CDLL)


def test_a_function_that_a_library_does_not_have() -> None:
    assert nvml_child.call(nvml_child.load(""), "nvmlNoSuchFunction") == nvml_child.FUNCTION_NOT_FOUND


def test_the_file_of_a_loaded_library() -> None:
    loaded = nvml_child.mapped("libc.so") or nvml_child.mapped("libc-") or nvml_child.mapped("ld-musl")
    assert loaded is not None
    assert Path(loaded).exists()
    assert nvml_child.mapped("libno-such-library") is None


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, -1, 1 << 70, "", "NVIDIA H200", {}, {"a": None, "b": {"c": [1] and 2}}],
)
def test_the_encoding_is_json(value: Any) -> None:
    assert json.loads(nvml_child.encode(value)) == value


def test_odd_characters_do_not_break_the_encoding() -> None:
    assert json.loads(nvml_child.encode('a"b\\c\n\u00e9\0')) == "a?b?c???"


DECLARED = [
    ("SUCCESS", "NVML_SUCCESS"),
    ("NOT_SUPPORTED", "NVML_ERROR_NOT_SUPPORTED"),
    ("LIBRARY_NOT_FOUND", "NVML_ERROR_LIBRARY_NOT_FOUND"),
    ("FUNCTION_NOT_FOUND", "NVML_ERROR_FUNCTION_NOT_FOUND"),
    ("GPU_IS_LOST", "NVML_ERROR_GPU_IS_LOST"),
    ("RESET_REQUIRED", "NVML_ERROR_RESET_REQUIRED"),
    ("TEXT_SIZE", "NVML_DEVICE_NAME_V2_BUFFER_SIZE"),
]


@pytest.mark.parametrize(("ours", "theirs"), DECLARED)
def test_numbers_agree_with_nvidia_ml_py(ours: str, theirs: str) -> None:
    pynvml = pytest.importorskip("pynvml")
    assert getattr(nvml_child, ours) == getattr(pynvml, theirs)


def test_structures_agree_with_nvidia_ml_py() -> None:
    pynvml = pytest.importorskip("pynvml")
    for ours, theirs in (
        (nvml_child.Memory, pynvml.c_nvmlMemory_t),
        (nvml_child.PciInfo, pynvml.nvmlPciInfo_t),
        (nvml_child.FabricInfo, pynvml.c_nvmlGpuFabricInfo_v3_t),
    ):
        assert ctypes.sizeof(ours) == ctypes.sizeof(theirs)
        ours_at = [getattr(ours, field[0]).offset for field in ours._fields_]
        assert ours_at == [getattr(theirs, field[0]).offset for field in theirs._fields_]
    assert (pynvml.nvmlGpuFabricInfo_v3, pynvml.nvmlGpuFabricInfo_v2) == nvml_child.FABRIC_VERSIONS


def test_modes_and_states_agree_with_nvidia_ml_py() -> None:
    pynvml = pytest.importorskip("pynvml")
    for place, name in enumerate(nvml_child.COMPUTE_MODES):
        assert getattr(pynvml, f"NVML_COMPUTEMODE_{name.upper()}") == place
    for place, state in enumerate(nvml_child.FABRIC_STATES):
        name = (state or "Not Supported").upper().replace(" ", "_")
        assert getattr(pynvml, f"NVML_GPU_FABRIC_STATE_{name}") == place


def test_every_function_is_one_of_nvidia_ml_py() -> None:
    pynvml = pytest.importorskip("pynvml")
    known, source = Path(pynvml.__file__).read_text(encoding="utf-8"), Path(MODULE).read_text(encoding="utf-8")
    asked = set(re.findall(r'"(nvml[A-Z]\w+)"', source))
    assert len(asked) > 12
    assert {name for name in asked if f'"{name}"' not in known} <= {"nvmlInit_v2"}
