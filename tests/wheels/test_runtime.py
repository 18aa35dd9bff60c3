import csv
import io
import subprocess
import sys
import zipfile

import pytest

from tests.install.wheels import sha256
from verl_env.environment.record import record_hash
from verl_env.wheels import runtime as runtime_wheel
from verl_env.wheels.runtime import build, fingerprint, runtime_version


@pytest.fixture
def wheel(tmp_path):
    return build("verl0.1/demo", tmp_path)


def test_the_name_states_the_version_of_the_source(wheel):
    assert wheel.name == f"verl_env_runtime-{runtime_version()}-py3-none-any.whl"


def test_the_same_source_and_lockset_give_the_same_bytes(wheel, tmp_path):
    (tmp_path / "again").mkdir()
    assert build("verl0.1/demo", tmp_path / "again").read_bytes() == wheel.read_bytes()
    assert sha256(build("verl0.1/other", tmp_path / "again").read_bytes()) != sha256(wheel.read_bytes())


def test_the_record_is_complete_and_right(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = f"verl_env_runtime-{runtime_version()}.dist-info"
        rows = list(csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode())))
        assert sorted(row[0] for row in rows) == sorted(archive.namelist())
        for name, digest, size in rows[:-1]:
            content = archive.read(name)
            assert (digest, size) == (record_hash(content), str(len(content)))
        assert rows[-1] == [f"{info}/RECORD", "", ""]
        assert archive.testzip() is None


def test_files_can_be_read_by_everybody(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_vllm_finds_it_as_a_plugin(wheel, tmp_path):
    code = (
        "from importlib.metadata import entry_points;"
        "print(*(point.value for point in entry_points(group='vllm.general_plugins') if point.name == 'verl_env'))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "verl_env_runtime:install"


def test_no_bytecode_travels(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc") or "__pycache__" in name]


def test_it_tells_its_lockset(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import verl_env_runtime as r; print(r.lockset(), r.__version__)"
    )
    printed = subprocess.check_output([sys.executable, "-I", "-c", code, tmp_path / "site"], text=True)
    assert printed.split() == ["verl0.1/demo", runtime_version()]


def test_the_fingerprint_follows_source_and_lockset(monkeypatch, tmp_path):
    before = fingerprint("a")
    assert before == fingerprint("a") != fingerprint("b")
    (tmp_path / "verl_env_runtime").mkdir()
    (tmp_path / "verl_env_runtime" / "__init__.py").write_text('__version__ = "9.9"\n')
    monkeypatch.setattr(runtime_wheel, "SOURCE", tmp_path)
    assert runtime_version() == "9.9"
    mine = fingerprint("a")
    assert mine != before
    (tmp_path / "verl_env_runtime" / "more.py").write_text("")
    assert fingerprint("a") != mine
