from zipfile import ZipFile

import pytest

from tests.install.wheels import sha256, wheel_bytes
from verl_env.wheels.stage import stage_wheel


@pytest.mark.parametrize(
    ("file", "staged"),
    [
        ("flash_attn-2.7.4+cu12torch2.6cxx11abiFALSE-py3-none-any.whl", "flash_attn-2.7.4-py3-none-any.whl"),
        ("flash_attn-2.7.4-1build-cp310-cp310-linux_x86_64.whl", "flash_attn-2.7.4-cp310-cp310-linux_x86_64.whl"),
    ],
)
def test_a_wheel_gets_the_name_that_it_states(tmp_path, file, staged):
    content = wheel_bytes("flash-attn", "2.7.4", {"flash_attn.py": ""})
    (tmp_path / file).write_bytes(content)
    (tmp_path / "stage").mkdir()
    found = stage_wheel(tmp_path / file, tmp_path / "stage")
    assert (found.name, found.version, found.sha256) == ("flash-attn", "2.7.4", sha256(content))
    assert [path.name for path in (tmp_path / "stage").iterdir()] == [staged]


def test_one_that_is_there_already_is_staged(tmp_path):
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_bytes("demo", "1.0", {}))
    assert stage_wheel(wheel, tmp_path).version == "1.0"


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_wheel(tmp_path, content):
    (tmp_path / "demo-1.0-py3-none-any.whl").write_bytes(content)
    with pytest.raises(ValueError, match=r"demo-1\.0-py3-none-any\.whl is no wheel"):
        stage_wheel(tmp_path / "demo-1.0-py3-none-any.whl", tmp_path)


def test_a_wheel_without_a_version(tmp_path):
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        archive.writestr("demo-1.0.dist-info/METADATA", "Name: demo\n\nVersion: of the text\n")
    with pytest.raises(ValueError, match="states no Version"):
        stage_wheel(wheel, tmp_path)
