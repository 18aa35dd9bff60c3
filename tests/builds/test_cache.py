import json
import os

import pytest

from tests.install.wheels import wheel_bytes
from verl_env.builds import cache as module
from verl_env.builds.cache import FILE, BuildCache, key_of, tree_digest
from verl_env.settings.digests import DigestChangedError, remember

FACTS = {"component": "demo", "torch": "2.6.0", "nvcc": "12.4.131", "gcc": "11.4.0"}
NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(wheel_bytes("demo", "1.0", {"demo.py": ""}))
    return path


@pytest.fixture
def cache(tmp_path):
    return BuildCache([tmp_path / "built"])


def test_what_is_put_is_taken(cache, wheel):
    assert cache.take("demo", FACTS) is None
    put = cache.put_wheel(wheel, "demo", FACTS, seconds=1.5)
    taken = cache.take("demo", FACTS)
    assert taken == put
    assert taken.path.read_bytes() == wheel.read_bytes()
    assert taken.record["facts"] == FACTS
    assert taken.record["seconds"] == 1.5


def test_the_first_of_two_stays(cache, wheel):
    first = cache.put_wheel(wheel, "demo", FACTS, made="first")
    assert cache.put_wheel(wheel, "demo", FACTS, made="second").record["made"] == "first"
    assert [path.name for path in first.path.parent.parent.iterdir()] == [key_of(FACTS)]


@pytest.mark.parametrize("change", [{"torch": "2.7.0"}, {"nvcc": "12.6"}, {"more": 1}])
def test_other_facts_are_another_result(cache, wheel, change):
    cache.put_wheel(wheel, "demo", FACTS)
    assert cache.take("demo", FACTS | change) is None


def test_without_tools_of_its_own_a_host_takes_what_others_made(cache, wheel):
    cache.put_wheel(wheel, "demo", FACTS)
    bare = FACTS | {"nvcc": None, "gcc": None}
    assert cache.take("demo", bare) is None
    assert cache.take("demo", bare, without=("nvcc",)) is None
    assert cache.take("demo", bare, without=("nvcc", "gcc")) is not None
    assert cache.take("demo", bare | {"torch": "2.7.0"}, without=("nvcc", "gcc")) is None


def damage_wheel(entry):
    entry.path.write_bytes(entry.path.read_bytes() + b"x")


def remove_wheel(entry):
    entry.path.unlink()


def cut_record(entry):
    (entry.path.parent / FILE).write_text('{"schema": 1')


def newer_record(entry):
    data = json.loads((entry.path.parent / FILE).read_text())
    (entry.path.parent / FILE).write_text(json.dumps(data | {"schema": 2}))


def other_file(entry):
    data = json.loads((entry.path.parent / FILE).read_text())
    (entry.path.parent / FILE).write_text(json.dumps(data | {"file": "../../../elsewhere.whl"}))


@pytest.mark.parametrize("harm", [damage_wheel, remove_wheel, cut_record, newer_record, other_file])
def test_what_is_damaged_is_not_taken(cache, wheel, harm):
    harm(cache.put_wheel(wheel, "demo", FACTS))
    assert cache.take("demo", FACTS) is None


def test_a_directory_counts_once_it_is_declared(cache):
    place = cache.place("base", FACTS)
    (place / "prefix" / "include").mkdir(parents=True)
    (place / "prefix" / "include" / "a.h").write_text("")
    assert cache.take("base", FACTS) is None
    cache.put_tree(place, "prefix", FACTS)
    assert cache.take("base", FACTS).path == place / "prefix"
    (place / "prefix" / "include" / "b.h").write_text("")
    assert cache.take("base", FACTS) is None


def test_a_digest_sees_names_contents_and_links(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    seen = set()
    for change in (
        lambda: (tree / "a").write_text("1"),
        lambda: (tree / "a").write_text("2"),
        lambda: (tree / "a").rename(tree / "b"),
        lambda: (tree / "c").symlink_to("b"),
        (tree / "d").mkdir,
    ):
        change()
        seen.add(tree_digest(tree))
    assert len(seen) == 5


class TestShared:
    """A directory of the site, which this user may only read, before one of the user's own."""

    @pytest.fixture
    def shared(self, tmp_path, monkeypatch, wheel):
        directory = tmp_path / "site"
        BuildCache([directory]).put_wheel(wheel, "demo", FACTS)
        allowed = os.access
        monkeypatch.setattr(
            os, "access", lambda path, mode, **more: "/site/" not in f"{path}/" and allowed(path, mode, **more)
        )
        return BuildCache([directory, tmp_path / "own"])

    def test_it_is_read(self, shared):
        assert shared.take("demo", FACTS).path.is_relative_to(shared.directories[0])

    def test_what_is_new_goes_into_the_users_own(self, shared, wheel):
        put = shared.put_wheel(wheel, "demo", FACTS | {"torch": "2.7.0"})
        assert put.path.is_relative_to(shared.directories[1])

    def test_one_that_cannot_even_be_made_is_passed_over(self, tmp_path, wheel):
        (tmp_path / "file").write_text("")
        cache = BuildCache([tmp_path / "file" / "below", tmp_path / "own"])
        assert cache.put_wheel(wheel, "demo", FACTS).path.is_relative_to(tmp_path / "own")
        assert cache.take("demo", FACTS) is not None

    def test_where_none_may_be_written_the_refusal_is_told(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="file"):
            BuildCache([tmp_path / "file" / "below"]).place("demo", FACTS)


def test_two_hosts_with_one_process_number_keep_out_of_each_others_way(cache, wheel, monkeypatch):
    """On a directory that nodes share a process number names nobody; each puts its wheel while the other does."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    write, inner = module._write, []

    def meanwhile(part, facts, record):
        if not inner:
            inner.append(part)
            cache.put_wheel(wheel, "demo", FACTS, made="other host")
        write(part, facts, record)

    monkeypatch.setattr(module, "_write", meanwhile)
    assert cache.put_wheel(wheel, "demo", FACTS, made="this host").record["made"] == "other host"
    assert [path.name for path in (cache.directories[0] / "demo").iterdir()] == [key_of(FACTS)]


def test_two_hosts_keep_one_source(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)
    link, to, inner = module.link_or_copy, tmp_path / "sources" / NAME, []

    def meanwhile(source, part):
        link(source, part)
        if not inner:
            inner.append(part)
            module.keep_source(wheel, to)

    monkeypatch.setattr(module, "link_or_copy", meanwhile)
    assert module.keep_source(wheel, to).read_bytes() == wheel.read_bytes()
    assert [path.name for path in to.parent.iterdir()] == [NAME]


def test_what_a_killed_build_left_goes(cache):
    place = cache.place("demo", FACTS)
    part = place.with_name(f".{place.name}.0123.part")
    part.mkdir()
    other = place.with_name(".another.0123.part")
    other.mkdir()
    with cache.locked(place, lambda: None):
        assert (part.exists(), other.exists()) == (False, True)


def test_files_have_the_modes_of_the_umask(cache, wheel):
    wheel.chmod(0o600)
    before = os.umask(0o002)
    try:
        entry = cache.put_wheel(wheel, "demo", FACTS)
    finally:
        os.umask(before)
    assert entry.path.stat().st_mode & 0o777 == 0o664
    assert entry.path.parent.stat().st_mode & 0o777 == 0o775


def test_a_lock_that_is_held_is_waited_for_and_told(cache):
    place = cache.place("demo", FACTS)
    told = []
    with cache.locked(place, lambda: told.append("first")):
        assert not told
    place.with_name(f".{place.name}.lock").unlink(missing_ok=True)
    place.with_name(f".{place.name}.lock").mkdir()
    with cache.locked(place, lambda: told.append("second")):
        assert told == []


class TestTrust:
    """What others may have put there is no result."""

    def test_what_everyone_may_write_is_not_taken(self, cache, wheel):
        entry = cache.put_wheel(wheel, "demo", FACTS)
        entry.path.chmod(0o666)
        assert cache.take("demo", FACTS) is None
        ((place, reason),) = cache.refused.items()
        assert place == entry.path.parent
        assert "may be written by everyone" in reason

    def test_nor_is_it_a_place_for_what_is_new(self, cache, wheel, tmp_path):
        cache.put_wheel(wheel, "demo", FACTS)
        cache.directories[0].chmod(0o777)
        with pytest.raises(PermissionError, match="everyone"):
            cache.place("demo", FACTS)
        put = BuildCache([*cache.directories, tmp_path / "own"]).put_wheel(wheel, "demo", FACTS)
        assert put.path.is_relative_to(tmp_path / "own")

    def test_a_record_beside_it_makes_no_other_file_right(self, cache, wheel):
        entry = cache.put_wheel(wheel, "demo", FACTS)
        entry.path.write_bytes(b"another")
        record = entry.path.with_name(module.FILE)
        told = json.loads(record.read_text()) | {"sha256": module.file_sha256(entry.path)}
        record.write_text(json.dumps(told))
        with pytest.raises(DigestChangedError, match=f"build:demo/{key_of(FACTS)}"):
            cache.take("demo", FACTS)
        remember(f"build:demo/{key_of(FACTS)}", told["sha256"])
        assert cache.take("demo", FACTS) is not None

    def test_what_came_with_a_bundle_has_the_digest_of_its_manifest(self, cache, wheel):
        cache.put_wheel(wheel, "demo", FACTS)
        cache.directories[0].chmod(0o777)
        assert BuildCache(cache.directories, vouched=True).take("demo", FACTS) is not None
