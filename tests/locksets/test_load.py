from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.locksets import samples
from verl_env import records
from verl_env.errors import EXIT_MISUSE, EXIT_NO
from verl_env.locksets.errors import LockFileChangedError, LockFileInvalidError, LocksetInvalidError
from verl_env.locksets.load import load_lockset, load_packages, lockset_from, parse_packages
from verl_env.locksets.model import GpuNeed, Package, Unmet

FILE = Path("/somewhere") / samples.ID / "lockset.toml"


def test_a_lockset_is_read_whole(tmp_path):
    lockset = load_lockset(samples.write_lockset(tmp_path))
    assert lockset.id == samples.ID
    assert (lockset.family, lockset.verl, lockset.order, lockset.preview, lockset.tier) == (
        "9.9", "9.9.1", 3, False, "locked",
    )  # fmt: skip
    assert (lockset.accelerator, lockset.cuda, lockset.rocm, lockset.torch) == ("cuda", "99.1", None, "8.8.0")
    assert lockset.provides == ("engine", "megatron")
    assert lockset.engines == {"engine": "1.2.post3"}
    assert lockset.variant.date == "2025-07-18"
    assert lockset.requires.driver is not None
    assert lockset.requires.driver.minimum == "525.60.13"
    assert lockset.requires.gpu[1] == GpuNeed("attention", (), "8.0", False, "README")
    assert lockset.requires.rocm == ()
    assert lockset.env == {"SPAWN": "1", "EMPTY": ""}
    assert lockset.natives[0].env == {"JOBS": "4"}
    assert lockset.checks[0].code == "import engine\nassert engine"
    assert lockset.notes == ('said "twice"', "ümlaut")
    assert lockset.python("3.10") is lockset.pythons[0]
    assert lockset.python("3.11") is None
    assert lockset.pythons[0].unmet == (Unmet("torch", "cudnn==9", "absent", "forced"),)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The sample with the value at a dotted path replaced; ``...`` takes it out."""
    table = samples.lockset()
    *outer, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = table
    for part in outer:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return table


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("schema", 2, "schema"),
        ("schema", ..., "schema"),
        ("id", ..., "id"),
        ("id", "other/one", "id"),
        ("verl", 9, "verl"),
        ("order", "first", "order"),
        ("tier", "good", "tier"),
        ("accelerator", "tpu", "accelerator"),
        ("env", ["A=1"], "env"),
        ("env.SPAWN", 1, "env.SPAWN"),
        ("colour", "red", "colour"),
        ("variant.commit", ..., "variant.commit"),
        ("variant.date", "yesterday", "variant.date"),
        ("requires.driver.minimum", "abc", "requires.driver.minimum"),
        ("requires.gpu.1.targets", ..., "requires.gpu[1].targets"),
        ("requires.gpu.0.targets.1", 9.0, "requires.gpu[0].targets[1]"),
        ("requires.glibc", "2.28", "requires.glibc"),
        ("natives.0.env.JOBS", 4, "natives[0].env.JOBS"),
        ("pythons.0.sha256", "feed", "pythons[0].sha256"),
        ("checks.0.needs", "luck", "checks[0].needs"),
        ("pythons.0.packages", -1, "pythons[0].packages"),
        ("pythons.0.unmet.0.reason", "", "pythons[0].unmet[0].reason"),
    ],
)
def test_errors_name_file_key_and_reason(path, value, key):
    with pytest.raises(LocksetInvalidError) as caught:
        lockset_from(changed(path, value), FILE)
    assert caught.value.file == FILE
    assert caught.value.key == key
    assert str(FILE) in caught.value.message
    assert caught.value.message.endswith(caught.value.reason)
    assert caught.value.exit_code == EXIT_MISUSE
    assert caught.value.to_json()["id"] == "lockset-invalid"


@pytest.mark.parametrize("content", [b"id = ", b"\xff\xfe", b"id = 1\nid = 2\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    file = tmp_path / "lockset.toml"
    file.write_bytes(content)
    with pytest.raises(LocksetInvalidError) as caught:
        load_lockset(file)
    assert caught.value.file == file


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LocksetInvalidError, match="No such file"):
        load_lockset(tmp_path / "lockset.toml")


def test_packages_of_a_lock(tmp_path):
    lockset = load_lockset(samples.write_lockset(tmp_path))
    packages = load_packages(tmp_path / samples.ID, lockset.pythons[0])
    assert packages == (
        Package(
            name="accelerate",
            version="1.9.0",
            hashes=(f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"),
            uploaded="2025-07-16T16:24:52Z",
            download_bytes=367073,
            disk_bytes=1432307,
        ),
        Package(
            name="antlr4-python3-runtime",
            version="4.9.3",
            hashes=(f"sha256:{'c' * 64}",),
            source="sdist",
            uploaded="2021-11-06T17:52:23Z",
            download_bytes=1000,
            disk_bytes=5000,
        ),
        Package(
            name="engine",
            version="1.0+cu9",
            hashes=(f"sha256:{'d' * 64}",),
            source="url",
            url="https://example.invalid/engine-1.0+cu9-py3-none-any.whl",
            download_bytes=7,
            disk_bytes=8,
        ),
        Package(name="plain", version="1", hashes=(f"sha256:{'a' * 64}",)),
    )


def test_a_lock_that_was_edited_is_refused(tmp_path):
    lockset = load_lockset(samples.write_lockset(tmp_path))
    file = tmp_path / samples.ID / "py3.10.txt"
    file.write_text(file.read_text().replace("4.9.3", "4.9.4"))
    with pytest.raises(LockFileChangedError) as caught:
        load_packages(tmp_path / samples.ID, lockset.pythons[0])
    assert str(caught.value.file) == str(file)
    assert caught.value.expected == lockset.pythons[0].sha256
    assert caught.value.actual in caught.value.message
    assert caught.value.exit_code == EXIT_NO


def test_a_lock_that_is_missing_is_named(tmp_path):
    lockset = load_lockset(samples.write_lockset(tmp_path))
    (tmp_path / samples.ID / "py3.10.txt").unlink()
    with pytest.raises(LockFileInvalidError, match=r"py3\.10\.txt: No such file"):
        load_packages(tmp_path / samples.ID, lockset.pythons[0])


LINES = samples.LOCK.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("line", "text", "at"),
    [
        (1, "Accelerate==1.9.0 \\\n", 2),
        (1, "accelerate>=1.9.0 \\\n", 2),
        (1, "accelerate==1.9.0\n", 2),
        (2, f"    --hash=sha256:{'a' * 63} \\\n", 2),
        (2, f"    --hash=md5:{'a' * 64} \\\n", 2),
        (3, f"    --hash=sha256:{'b' * 64} \\\n", 2),
        (4, "    # egg\n", 2),
        (4, "", 2),
        (6, "", 6),
        (5, "--index-url https://example.invalid\n" + LINES[5], 6),
    ],
)
def test_a_line_of_another_form_is_named(line, text, at):
    content = "".join([*LINES[:line], text, *LINES[line + 1 :]])
    with pytest.raises(LockFileInvalidError) as caught:
        parse_packages(content, Path("py3.10.txt"))
    assert caught.value.line == at
    assert f"py3.10.txt:{at}" in caught.value.message


@pytest.mark.parametrize("content", ["", "# nothing\n", "# no end of line"])
def test_a_lock_without_packages(content):
    assert parse_packages(content, Path("x")) == ()


NAMES = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(
    entries=st.lists(st.tuples(NAMES, st.lists(DIGESTS, min_size=1, max_size=5)), max_size=8),
    cut=st.integers(0, 5000),
)
def test_a_truncated_lock_is_never_taken_for_another_one(entries, cut):
    texts = [
        f"{name}==1.0 \\\n" + " \\\n".join(f"    --hash=sha256:{digest}" for digest in digests) + "\n    # wheel\n"
        for name, digests in entries
    ]
    whole = "".join(texts)
    packages = parse_packages(whole, Path("x"))
    assert [(package.name, [part[7:] for part in package.hashes]) for package in packages] == entries
    ends = {sum(map(len, texts[:count])) for count in range(len(texts) + 1)}
    if min(cut, len(whole)) in ends:
        assert len(parse_packages(whole[:cut], Path("x"))) <= len(packages)
    else:
        with pytest.raises(LockFileInvalidError):
            parse_packages(whole[:cut], Path("x"))


def split(tmp_path, own, *others, sha=None):
    """A lock of several files: the own one, and those that it includes."""
    folder = tmp_path / samples.ID
    texts = {"py3.10.txt": "".join(f"-r {name}\n" for name, _ in others) + own, **dict(others)}
    for name, text in texts.items():
        (folder / name).write_text(text)
    digest = hashlib.sha256("".join(texts.values()).encode()).hexdigest()
    lock = load_lockset(folder / "lockset.toml").pythons[0]
    return folder, records.replace(lock, sha256=sha or digest)


def line(name, digit="1"):
    return f"{name}==1 \\\n    --hash=sha256:{digit * 64}\n    # wheel\n"


def test_a_lock_holds_what_it_includes(tmp_path):
    samples.write_lockset(tmp_path)
    folder, lock = split(
        tmp_path, line("b"), ("py3.10-3.11.txt", "# head\n" + line("a") + line("d")), ("x.txt", line("c"))
    )
    assert [package.name for package in load_packages(folder, lock)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", ["py3.10.txt", "py3.10-3.11.txt"])
def test_a_change_of_any_file_of_a_lock_is_seen(tmp_path, name):
    samples.write_lockset(tmp_path)
    folder, lock = split(tmp_path, line("b"), ("py3.10-3.11.txt", line("a")))
    (folder / name).write_text((folder / name).read_text().replace("1" * 64, "2" * 64))
    with pytest.raises(LockFileChangedError):
        load_packages(folder, lock)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([("gone.txt", None)], "No such file"),
        ([("../py3.9.txt", None)], "cannot include '../py3.9.txt'"),
        ([("py3.10.txt", None)], "cannot include 'py3.10.txt'"),
        ([("a.txt", ""), ("a.txt", "")], "cannot include 'a.txt'"),
        ([("a.txt", "-r b.txt\n"), ("b.txt", "")], "includes it, and it includes another"),
        ([("a.txt", line("b", "2"))], "b is in another file of py3.10.txt too"),
    ],
)
def test_what_cannot_be_included_is_named(tmp_path, others, reason):
    samples.write_lockset(tmp_path)
    folder, lock = split(tmp_path, line("b"), *((name, text) for name, text in others if text is not None))
    head = "".join(f"-r {name}\n" for name, _ in others)
    (folder / "py3.10.txt").write_text(head + line("b"))
    with pytest.raises(LockFileInvalidError) as caught:
        load_packages(folder, lock, verify=False)
    assert reason in caught.value.message
