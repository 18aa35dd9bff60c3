"""The compiled content of wheels that are made here, whole and damaged."""

from __future__ import annotations

import contextlib
import struct
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.binaries.test_cubin import blob, entry, record
from verl_env.binaries import wheel as reading
from verl_env.binaries.cubin import Architectures
from verl_env.binaries.elf import read_elf
from verl_env.binaries.wheel import CompiledWheel, WheelError, read_wheel

if TYPE_CHECKING:
    from tests.conftest import Compile

NAME = "demo-1.0-cp310-cp310-linux_x86_64.whl"
SET_DEVICE = "_ZN3c104cuda9SetDeviceEab"
SOURCE = f"""
void {SET_DEVICE}(void); void _ZN2at5helpEv(void); void cudaMalloc(void); void other(void);
void _ZN5torch4weakEv(void) __attribute__((weak));
void go(void) {{ {SET_DEVICE}(); _ZN2at5helpEv(); cudaMalloc(); other(); if (_ZN5torch4weakEv) _ZN5torch4weakEv(); }}
void *PyInit_demo(void) {{ return 0; }}
"""


def pack(path: Path, files: dict[str, Path | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, content in files.items():
            archive.writestr(inside, content.read_bytes() if isinstance(content, Path) else content)
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return path


def test_what_one_object_says(tmp_path: Path, compile_so: Compile) -> None:
    built = compile_so(tmp_path / "x.so", SOURCE, "-Wl,-soname,demo.so.1")
    inside = "demo.cpython-310-x86_64-linux-gnu.so"

    wheel = read_wheel(pack(tmp_path / NAME, {inside: built, "demo.py": b"import torch"}))

    assert (wheel.file, wheel.unreadable, len(wheel.objects)) == (NAME, (), 1)
    item = wheel.objects[0]
    assert (item.path, item.python, item.module, item.gpus) == (inside, "3.10", True, None)
    assert set(item.torch) == {SET_DEVICE, "_ZN2at5helpEv"}
    assert item.cuda == ("cudaMalloc",)
    assert (item.elf.soname, item.elf.path) == ("demo.so.1", inside)
    assert item.elf.needed == read_elf(built).needed
    assert item.cxx11abi is None


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("a/b.cpython-312-x86_64-linux-gnu.so", "3.12"),
        ("b.cpython-39-aarch64-linux-gnu.so", "3.9"),
        ("b.cpython-313t-x86_64-linux-gnu.so", "3.13"),
        ("b.cpython-311.so", "3.11"),
        ("b.abi3.so", "abi3"),
        ("b.so", None),
        ("cpython-310.so", None),
        ("libb.so.2", None),
    ],
)
def test_the_python_of_a_module(tmp_path: Path, compile_so: Compile, name: str, python: str | None) -> None:
    built = compile_so(tmp_path / "x.so", "int x;")

    assert [item.python for item in read_wheel(pack(tmp_path / NAME, {name: built})).objects] == [python]


def test_symbols_that_another_object_of_the_wheel_has(tmp_path: Path, compile_so: Compile) -> None:
    built = compile_so(tmp_path / "x.so", SOURCE)
    helper = compile_so(tmp_path / "libhelp.so", "void _ZN2at5helpEv(void) {} void cudaMalloc(void) {}")

    wheel = read_wheel(pack(tmp_path / NAME, {"demo.so": built, "demo.libs/libhelp.so.1": helper}))

    assert wheel.objects[0].torch == (SET_DEVICE,)
    assert wheel.objects[0].cuda == ()
    assert [item.module for item in wheel.objects] == [True, False]


def test_an_object_of_a_data_directory_lands_beside_the_others(tmp_path: Path, compile_so: Compile) -> None:
    built = compile_so(tmp_path / "x.so", "int x;")

    wheel = read_wheel(pack(tmp_path / NAME, {"demo-1.0.data/platlib/demo/x.so": built}))

    assert [item.path for item in wheel.objects] == ["demo/x.so"]


def test_gpu_code(tmp_path: Path, compile_so: Compile) -> None:
    built = blob(tmp_path / "x.so", record(entry(2, 80, 9000), entry(1, 90, 9000)), compile_so)

    assert read_wheel(pack(tmp_path / NAME, {"x.so": built})).objects[0].gpus == Architectures(
        frozenset({"8.0"}), frozenset({"9.0"})
    )


def test_the_highest_version_is_by_number(tmp_path: Path, compile_so: Compile) -> None:
    script = tmp_path / "map"
    script.write_text("GLIBC_2.9 { global: a; }; GLIBC_2.34 { global: b; }; GLIBC_PRIVATE { global: c; };")
    flags = ("-nostdlib", f"-Wl,--version-script={script}", "-Wl,-soname,libc.so.6")
    libc = compile_so(tmp_path / "libc.so.6", "void a(void) {} void b(void) {} void c(void) {}", *flags)
    user = "void a(void); void b(void); void c(void); void go(void) { a(); b(); c(); }"
    built = compile_so(tmp_path / "x.so", user, "-nostdlib", str(libc))

    item = read_wheel(pack(tmp_path / NAME, {"x.so": built})).objects[0]

    assert item.needs("GLIBC") == "2.34"
    assert item.needs("GLIBCXX") is None


def test_a_wheel_without_objects(tmp_path: Path) -> None:
    path = pack(tmp_path / NAME, {"demo.py": b"", "link.so": b"INPUT(x)", "folder.so/": b""})

    assert read_wheel(path) == CompiledWheel(NAME, (), ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content[:3000], "is cut off"),
        (lambda content: content[:4] + b"\x01" + content[5:], "is no 64-bit little-endian object"),
        (lambda content: content[:54] + struct.pack("<HH", 56, 60000) + content[58:], "is cut off"),
    ],
)
def test_damaged_objects_do_not_hide_the_others(
    tmp_path: Path, compile_so: Compile, change: object, reason: str
) -> None:
    built = compile_so(tmp_path / "x.so", SOURCE)
    damaged = change(built.read_bytes())  # type: ignore[operator]

    wheel = read_wheel(pack(tmp_path / NAME, {"bad.so": damaged, "demo.so": built}))

    assert wheel.unreadable == (("bad.so", reason),)
    assert [item.path for item in wheel.objects] == ["demo.so"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "zip"),
        (b"<html>404</html>", "zip"),
        (b"PK\x05\x06" + b"\0" * 18, "no metadata of a wheel"),
        (b"PK\x05\x06" + b"\xff" * 18, "."),
    ],
)
def test_what_is_no_wheel(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)

    with pytest.raises(WheelError, match=reason):
        read_wheel(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_download(tmp_path: Path, compile_so: Compile, share: float) -> None:
    whole = pack(tmp_path / "whole.whl", {"demo.so": compile_so(tmp_path / "x.so", SOURCE)}).read_bytes()
    path = tmp_path / NAME
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(WheelError):
        read_wheel(path)


def test_a_hole_in_a_download(tmp_path: Path, compile_so: Compile) -> None:
    whole = bytearray(pack(tmp_path / "whole.whl", {"demo.so": compile_so(tmp_path / "x.so", SOURCE)}).read_bytes())
    whole[200:1200] = b"\0" * 1000
    path = tmp_path / NAME
    path.write_bytes(whole)

    with pytest.raises(WheelError):
        read_wheel(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_wheel(tmp_path / NAME)


def test_images_are_closed(tmp_path: Path, compile_so: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    image_of = reading.image_of
    monkeypatch.setattr(reading, "image_of", lambda *given: opened.append(image_of(*given)) or opened[-1])
    built = compile_so(tmp_path / "x.so", SOURCE)
    path = pack(tmp_path / NAME, {"a.so": built, "b.so": built.read_bytes()[:2000], "c.so": b"text"})

    read_wheel(path)

    assert [image.closed for image in opened if image is not None] == [True, True]


@pytest.fixture(scope="module")
def module() -> bytes:
    """A module of this interpreter: an object that is on every host."""
    found = sorted(
        Path(sysconfig.get_config_var("DESTSHARED") or ".").glob("_*.so"), key=lambda path: path.stat().st_size
    )
    if not found:
        pytest.skip("the modules of this interpreter are built in")
    return found[0].read_bytes()


@given(st.data())
def test_no_damage_crashes_the_reader(module: bytes, data: st.DataObject) -> None:
    """Bytes of a real object and of its wheel are overwritten; the reader answers, or says that it cannot."""
    content = bytearray(module)
    last = len(content) - 9
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.one_of(st.integers(0, 4000), st.integers(0, last), st.integers(max(0, last - 6000), last)))
        size = data.draw(st.sampled_from([1, 4, 8]))
        content[place : place + size] = data.draw(
            st.one_of(st.binary(min_size=size, max_size=size), st.just(b"\xff" * size))
        )
    with tempfile.TemporaryDirectory() as folder:
        path = pack(Path(folder, NAME), {"demo.so": bytes(content)})
        whole = bytearray(path.read_bytes())
        for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=2)):
            whole[place] ^= data.draw(st.integers(0, 255))
        path.write_bytes(whole)
        with contextlib.suppress(WheelError):
            assert isinstance(read_wheel(path), CompiledWheel)
