import re

import pytest

from tests.install.environments import Environment
from verl_env.environment.record import read_record, record_hash
from verl_env.environment.relocate import relocate


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / ".venv.d" / "0001")


def moved(environment, tmp_path, *more):
    names = [environment.path, *more]
    return relocate(environment.path, environment.site, names=names, to=tmp_path / ".venv")


def test_scripts_and_settings_speak_of_the_new_path(environment, tmp_path):
    gen = environment.path
    environment.add("a", scripts={"tool": f"#!{gen}/bin/python\nprint(1)\n", "plain": "#!/bin/sh\n"})
    (gen / "bin" / "activate").write_text(f"VIRTUAL_ENV='{gen}'\nexport VIRTUAL_ENV\n")
    (gen / "pyvenv.cfg").write_text(f"home = /usr/bin\ncommand = python -m venv {gen}\n")
    assert set(moved(environment, tmp_path)) == {"bin/tool", "bin/activate", "pyvenv.cfg"}
    stable = tmp_path / ".venv"
    assert (gen / "bin" / "tool").read_text() == f"#!{stable}/bin/python\nprint(1)\n"
    assert f"VIRTUAL_ENV='{stable}'" in (gen / "bin" / "activate").read_text()
    assert (gen / "pyvenv.cfg").read_text().endswith(f"-m venv {stable}\n")


def test_records_are_brought_up_to_date(environment, tmp_path):
    gen = environment.path
    folder = environment.add("a", scripts={"tool": f"#!{gen}/bin/python\n"})
    other = environment.add("b")
    before = (other / "RECORD").read_text()
    moved(environment, tmp_path)
    content = (gen / "bin" / "tool").read_bytes()
    rows = {row[0]: row[1:] for row in read_record(str(folder))}
    assert rows["../../../bin/tool"] == [record_hash(content), str(len(content))]
    for path, (digest, size) in rows.items():
        if digest:
            content = (environment.site / path).read_bytes()
            assert (digest, size) == (record_hash(content), str(len(content)))
    assert (other / "RECORD").read_text() == before


def test_nothing_is_written_in_place(environment, tmp_path):
    tool = environment.path / "bin" / "tool"
    tool.write_text(f"#!{environment.path}/bin/python\n")
    tool.chmod(0o755)
    (tmp_path / "shared").hardlink_to(tool)
    moved(environment, tmp_path)
    assert (tmp_path / "shared").read_text() == f"#!{environment.path}/bin/python\n"
    assert tool.stat().st_mode & 0o111


@pytest.mark.parametrize("tail", ["0", ".stage", "-old", "_x"])
def test_longer_names_are_other_paths(environment, tmp_path, tail):
    text = f"see {environment.path}{tail}\n"
    (environment.path / "bin" / "note").write_text(text)
    assert moved(environment, tmp_path) == ()
    assert (environment.path / "bin" / "note").read_text() == text


def test_programs_and_links_are_left_alone(environment, tmp_path):
    binary = b"\x7fELF\0" + str(environment.path).encode()
    (environment.path / "bin" / "ninja").write_bytes(binary)
    (environment.path / "bin" / "python").symlink_to("/usr/bin/python3")
    assert moved(environment, tmp_path) == ()
    assert (environment.path / "bin" / "ninja").read_bytes() == binary


def test_an_older_path_is_replaced_too(environment, tmp_path):
    (environment.path / "bin" / "tool").write_text("#!/before/.venv/bin/python\n")
    assert moved(environment, tmp_path, tmp_path.__class__("/before/.venv")) == ("bin/tool",)
    assert (environment.path / "bin" / "tool").read_text() == f"#!{tmp_path}/.venv/bin/python\n"


def test_the_real_path_behind_a_linked_parent_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to("real")
    environment = Environment(tmp_path / "home" / ".venv.d" / "0001")
    (environment.path / "bin" / "tool").write_text(f"#!{tmp_path}/real/.venv.d/0001/bin/python\n")
    relocate(environment.path, environment.site, names=[environment.path], to=tmp_path / "home" / ".venv")
    assert (environment.path / "bin" / "tool").read_text() == f"#!{tmp_path}/home/.venv/bin/python\n"


def test_paths_with_odd_characters(tmp_path):
    odd = tmp_path / "a (b) [c] \\1 'd'"
    environment = Environment(odd / ".venv.d" / "0001")
    (environment.path / "bin" / "tool").write_text(f"'''exec' \"{environment.path}/bin/python\"\n")
    relocate(environment.path, environment.site, names=[environment.path], to=odd / ".venv")
    assert re.fullmatch(r"'''exec' \".*/\.venv/bin/python\"\n", (environment.path / "bin" / "tool").read_text())
