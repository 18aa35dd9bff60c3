from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

from tests.locksets import samples
from verl_env.locksets.index import IndexFile
from verl_env.locksets.load import includes, parse_packages
from verl_env.locksets.recipe import load_recipe
from verl_env.locksets.replay import Pinned
from verl_env.locksets.target import LockTarget
from verl_env.locksets.wheelfacts import WheelFacts
from verl_env.locksets.write import entry, lock_files, package_of

if sys.version_info >= (3, 11):
    pass
else:
    pass

TARGET = LockTarget("3.10", "x86_64", "2.35")


def pinned(
    name: str, version: str, *digests: str, source: bool = False, by_url: bool = False, dated: bool = True
) -> Pinned:
    suffix = ".tar.gz" if source else "-py3-none-any.whl"
    stamp = "2025-01-01T00:00:00Z" if dated else None
    files = tuple(
        IndexFile(
            f"{name.replace('-', '_')}-{version}{suffix}", f"https://e.invalid/{name}-{version}{suffix}", digest, stamp
        )
        for digest in digests
    )
    return Pinned(name, version, (), False, WheelFacts("", 12, 34), files[0], files, by_url=by_url)


def lock_text(recipe, pins):
    """The one file of a lockset for one Python."""
    (text,) = lock_files(recipe, {"3.10": [package_of(pin, TARGET, "2.17") for pin in pins]}).values()
    return text


def test_a_lock_reads_back_as_what_was_written(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path))
    pins = [
        pinned("zlib-like", "1.0", "b" * 64, "a" * 64),
        pinned("old", "2", "c" * 64, source=True),
        pinned("away", "3.0+cu9", "d" * 64, by_url=True, dated=False),
    ]
    text = lock_text(recipe, pins)
    packages = parse_packages(text, Path("x"))
    assert [(p.name, p.version, p.source, p.url, p.uploaded) for p in packages] == [
        ("away", "3.0+cu9", "url", "https://e.invalid/away-3.0+cu9-py3-none-any.whl", None),
        ("old", "2", "sdist", None, "2025-01-01T00:00:00Z"),
        ("zlib-like", "1.0", "index", None, "2025-01-01T00:00:00Z"),
    ]
    assert packages[2].hashes == (f"sha256:{'a' * 64}", f"sha256:{'b' * 64}")
    assert {(p.download_bytes, p.disk_bytes) for p in packages} == {(12, 34)}
    assert text.endswith("-r FILE.\n" + "".join(map(entry, packages)))


def test_a_lock_says_what_it_is_for(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path))
    first = lock_text(recipe, []).splitlines()[0]
    assert first == f"# {samples.ID}, Python 3.10 on Linux x86_64, as of 2025-07-18T09:23:19Z"


def test_the_order_of_pins_and_of_files_makes_no_difference(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path))
    one, other = pinned("a", "1", "1" * 64, "2" * 64), pinned("b", "1", "3" * 64)
    turned = pinned("a", "1", "2" * 64, "1" * 64)
    assert lock_text(recipe, [one, other]) == lock_text(recipe, [other, turned])


def test_what_pythons_take_alike_is_written_once(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path))
    all_, two, own = pinned("all", "1", "1" * 64), pinned("two", "1", "2" * 64), pinned("own", "1", "3" * 64)
    later, other = pinned("two", "2", "4" * 64), pinned("own", "1", "5" * 64)
    locks = {"3.12": [all_, two, own], "3.9": [all_, later], "3.10": [other, two, all_]}
    files = lock_files(recipe, {on: [package_of(pin, TARGET, "2.17") for pin in pins] for on, pins in locks.items()})
    assert {name: [each.name for each in parse_packages(text, name)] for name, text in files.items()} == {
        "py3.9.txt": ["two"],
        "py3.10.txt": ["own"],
        "py3.12.txt": ["own"],
        "py3.9-3.10-3.12.txt": ["all"],
        "py3.10-3.12.txt": ["two"],
    }
    assert {name: includes(text.encode()) for name, text in files.items() if includes(text.encode())} == {
        "py3.9.txt": ["py3.9-3.10-3.12.txt"],
        "py3.10.txt": ["py3.9-3.10-3.12.txt", "py3.10-3.12.txt"],
        "py3.12.txt": ["py3.9-3.10-3.12.txt", "py3.10-3.12.txt"],
    }


def test_a_lock_is_in_the_syntax_of_requirement_files(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path))
    text = lock_text(recipe, [pinned("a", "1.0.post1", "1" * 64, "2" * 64), pinned("b", "2", "3" * 64, by_url=True)])
    joined = text.replace("\\\n", " ").splitlines()
    requirements = [Requirement(line.split("--hash")[0].strip()) for line in joined if line and line.lstrip()[0] != "#"]
    assert [requirement.name for requirement in requirements] == ["a", "b"]
    assert [line.count("--hash=sha256:") for line in joined if line.startswith(("a", "b"))] == [2, 1]
