"""Who owns a file, and whether it is as it was installed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doctor.conftest import Environment, digest
from verl_env.doctor.engines.metadata import read_distribution, scan_site
from verl_env.doctor.engines.record import clashes, damages, hash_matches, is_cut, read_record
from verl_env.environment.damage import Damage


def records(environment: Environment) -> list[object]:
    return [read_record(one) for one in scan_site(environment.site).distributions]


def test_a_whole_install_has_no_damage(environment: Environment) -> None:
    info = environment.add("a", "1", {"a/__init__.py": b"x = 1\n", "a/b,c.py": b""})

    owned = read_record(read_distribution(str(info)))

    assert list(damages(owned)) == []
    assert list(damages(owned, deep=True)) == []


def test_missing_and_cut_and_edited(environment: Environment) -> None:
    info = environment.add("a", "1", {"a/gone.py": b"1", "a/cut.so": b"12345678", "a/edited.py": b"abc"})
    (environment.site / "a/gone.py").unlink()
    (environment.site / "a/cut.so").write_bytes(b"1234")
    (environment.site / "a/edited.py").write_bytes(b"abd")
    owned = read_record(read_distribution(str(info)))

    assert {(d.path.rpartition("/")[2], d.what) for d in damages(owned)} == {("gone.py", "missing"), ("cut.so", "size")}
    assert {d.what for d in damages(owned, deep=True)} == {"missing", "size", "hash"}


def test_a_clash_names_the_holder(environment: Environment) -> None:
    environment.add("one", "1", {"shared/x.so": b"first"})
    environment.add("two", "1", {"shared/x.so": b"the second"})

    found = clashes(records(environment))  # type: ignore[arg-type]

    assert [(clash.path, clash.owners, clash.holder) for clash in found] == [("shared/x.so", ("one", "two"), "two")]


def test_equal_files_are_no_clash(environment: Environment) -> None:
    environment.add("one", "1", {"nvidia/__init__.py": b""})
    environment.add("two", "1", {"nvidia/__init__.py": b""})

    assert clashes(records(environment)) == []  # type: ignore[arg-type]


def test_foreign_paths_are_left_out(environment: Environment) -> None:
    info = environment.add("a", "1", {"a/x.so": b"12"})
    (environment.site / "a/x.so").write_bytes(b"1")

    assert list(damages(read_record(read_distribution(str(info))), foreign=frozenset({"a/x.so"}))) == []


def test_quoted_paths_and_byte_code(environment: Environment) -> None:
    info = environment.add("a", "1", {"a/x.py": b"1"})
    (info / "RECORD").write_text(
        '"a/with,comma.py",sha256=x,3\na/__pycache__/x.cpython-310.pyc,,\na/x.py,,\nbad line\n'
    )

    entries = read_record(read_distribution(str(info))).entries

    assert entries == (("a/with,comma.py", "sha256=x", 3), ("a/x.py", None, None))


def test_no_record(environment: Environment) -> None:
    info = environment.add("a", "1")
    (info / "RECORD").unlink()

    assert read_record(read_distribution(str(info))).entries == ()


def test_unknown_hash_algorithms_are_not_judged(environment: Environment) -> None:
    path = environment.site / "f"
    path.write_bytes(b"x")

    assert hash_matches(path, "nosuch=abc")
    assert hash_matches(path, digest(b"x"))
    assert not hash_matches(path, digest(b"y"))


MODULE = b"""import os


def first(path):
    return os.path.join(
        path,
        "name",
    )


TEXT = '''several
lines'''


class Last:
    value = {"a": [1, 2]}
"""


def damage_after(environment: Environment, content: bytes) -> list[Damage]:
    info = environment.add("m", "1", {"m/module.py": MODULE})
    (environment.site / "m/module.py").write_bytes(content)
    return list(damages(read_record(read_distribution(str(info)))))


@pytest.mark.parametrize(
    "end",
    [b"os.path.join(\n        path,", b"several\nli", b"class Last:\n", b'{"a": [1, ', b"value = "],
)
def test_a_module_that_ends_in_the_midst_is_cut(environment: Environment, end: bytes) -> None:
    content = MODULE[: MODULE.index(end) + len(end)]

    (found,) = damage_after(environment, content)

    assert (found.there, found.recorded) == (len(content), len(MODULE))
    assert is_cut(found)


@pytest.mark.parametrize(
    "content",
    [
        MODULE.replace(b"        path,\n", b""),
        MODULE.replace(b"TEXT = '''several\nlines'''\n", b""),
        MODULE.replace(b"import os", b"import  os  # patched"),
        MODULE.replace(b"import os\n", b"x: int = =\n"),
    ],
)
def test_an_edited_module_is_not_cut(environment: Environment, content: bytes) -> None:
    (found,) = damage_after(environment, content)

    assert not is_cut(found)


def test_a_module_of_which_little_is_left_is_cut(environment: Environment) -> None:
    (found,) = damage_after(environment, b"import os\n")

    assert is_cut(found)


@given(cut=st.integers(min_value=1, max_value=len(MODULE) - 1))
def test_no_cut_is_taken_for_damage_unless_python_cannot_read_it(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.py"
        path.write_bytes(MODULE[:cut])
        found = is_cut(Damage("m", str(path), "size", "", cut, len(MODULE)))

    assert found or _parses(MODULE[:cut])


def _parses(source: bytes) -> bool:
    try:
        compile(source, "m", "exec")
    except SyntaxError:
        return False
    return True
