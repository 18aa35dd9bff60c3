"""What counts as damage of an installed distribution: existence and size, and not what others write."""

import pytest

from tests.install.environments import Environment
from verl_env.environment.damage import spoiled
from verl_env.environment.installed import installed
from verl_env.environment.record import recorded_files


@pytest.fixture
def made(tmp_path):
    return Environment(tmp_path / "env")


def look(made, known=None):
    found = spoiled(made.site, installed(made.site), known or {})
    return {name: dict(each.files) for name, each in found.items()}


def test_files_with_their_sizes_are_named(made):
    made.add("a", files={"a/__init__.py": "x\n", "a/gone.py": "y\n", "a/empty.so": "library"})
    made.add("b")
    assert look(made) == {}
    (made.site / "a" / "gone.py").unlink()
    (made.site / "a" / "empty.so").write_text("")
    assert look(made) == {"a": {"a/gone.py": None, "a/empty.so": 0}}
    assert look(made, {"a": {"a/gone.py": None, "a/empty.so": 0}}) == {}
    assert look(made, {"a": {"a/gone.py": 2, "a/empty.so": 0}}) == {"a": {"a/gone.py": None}}


def test_metadata_that_is_gone_counts_though_its_size_is_not_recorded(made):
    folder = made.add("a")
    (folder / "METADATA").unlink()
    assert look(made) == {}, "it is not whole by its metadata, which the comparison of versions says"
    (folder / "METADATA").write_text("")
    (folder / "RECORD").write_text(
        f"{folder.name}/WHEEL,,\n{folder.name}/RECORD,,\n{folder.name}/INSTALLER,sha256=a,3\n"
    )
    assert look(made) == {"a": {f"{folder.name}/WHEEL": None}}


def test_a_record_that_cannot_be_read_is_damage(made):
    (made.add("a") / "RECORD").unlink()
    found = spoiled(made.site, installed(made.site))
    assert found["a"].text == "its RECORD cannot be read"


def test_a_path_of_two_distributions_may_have_the_size_of_either(made):
    made.add("a", files={"both/__init__.py": "a\n"})
    made.add("b", files={"both/__init__.py": "from b\n"})
    assert look(made) == {}
    (made.site / "both" / "__init__.py").write_text("")
    assert look(made) == {"a": {"both/__init__.py": 0}, "b": {"both/__init__.py": 0}}
    (made.site / "both" / "__init__.py").unlink()
    assert set(look(made)) == {"a", "b"}


def test_scripts_may_be_rewritten_but_not_empty_and_what_is_outside_is_not_looked_at(made):
    folder = made.add("a", scripts={"tool": "#!python\n"})
    with (folder / "RECORD").open("a") as file:
        file.write("/nowhere/at/all,sha256=a,3\n../../../../outside,sha256=a,3\na/__pycache__/x.pyc,,\n")
    (made.path / "bin" / "tool").write_text("#!/another/python\n")
    assert look(made) == {}
    (made.path / "bin" / "tool").write_text("")
    assert look(made) == {"a": {"../../../bin/tool": 0}}


def test_quoted_paths_are_read(tmp_path):
    (tmp_path / "RECORD").write_text('"a,b.py",sha256=x,3\nplain.py,sha256=y,4\nodd line\n')
    assert recorded_files(str(tmp_path)) == (("a,b.py", "sha256=x", 3), ("plain.py", "sha256=y", 4))
    assert recorded_files(str(tmp_path / "none")) is None
