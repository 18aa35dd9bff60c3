"""Who owns a file, and whether it is as it was installed."""

from __future__ import annotations

from tests.doctor.conftest import Environment, digest
from verl_env.doctor.engines.metadata import read_distribution, scan_site
from verl_env.doctor.engines.record import clashes, damages, hash_matches, read_record


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
