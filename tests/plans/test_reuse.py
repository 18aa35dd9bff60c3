import pytest

from tests.install.environments import Environment
from tests.install.plans import PYTHON
from verl_env.plans.compare import RequiredDistribution
from verl_env.plans.reuse import keepable, reuse, unowned
from verl_env.wheels.runtime import NAME

SITE = f"lib/python{PYTHON}/site-packages"


@pytest.fixture
def old(tmp_path):
    return Environment(tmp_path / "0001")


@pytest.fixture
def new(tmp_path):
    return Environment(tmp_path / "0002")


def want(**versions):
    return {name: RequiredDistribution(name, version) for name, version in versions.items()}


def names(environment, wanted):
    return [kept.name for kept in keepable(environment.path, PYTHON, wanted)]


def test_what_is_wanted_as_it_is_can_be_kept(old):
    old.add("same")
    old.add("other", "2.0")
    old.add("extra")
    assert names(old, want(same="1.0", other="3.0", new="1.0")) == ["same"]


def test_nothing_is_kept_of_nothing():
    assert keepable(None, PYTHON, want(a="1.0")) == ()


@pytest.mark.parametrize("lost", ["a/__init__.py", "../../../bin/tool"])
def test_what_has_lost_a_file_is_not_kept(old, lost):
    old.add("a", scripts={"tool": "#!/x\n"})
    assert names(old, want(a="1.0")) == ["a"]
    (old.site / lost).unlink()
    assert names(old, want(a="1.0")) == []


def test_bytecode_may_be_missing(old):
    folder = old.add("a")
    with (folder / "RECORD").open("a") as record:
        record.write("a/__pycache__/__init__.cpython-310.pyc,,\n")
    assert names(old, want(a="1.0")) == ["a"]


def test_without_a_record_nothing_says_what_to_keep(old):
    old.add("a", record=False)
    assert names(old, want(a="1.0")) == []


def test_the_runtime_is_never_kept(old):
    old.add(NAME.replace("-", "_"))
    assert names(old, {NAME: RequiredDistribution(NAME, "1.0")}) == []


def test_an_editable_distribution_is_never_kept(old):
    folder = old.add("a")
    (folder / "direct_url.json").write_text('{"url": "file:///s", "dir_info": {"editable": true}}')
    assert names(old, {"a": RequiredDistribution("a", None, "file:///s", editable=True)}) == []


def record(folder, **digests):
    """The RECORD of a distribution whose files have these hashes."""
    lines = [f"{name}.py,{digest},1\n" for name, digest in digests.items()]
    (folder / "RECORD").write_text("".join(lines))


def test_what_another_may_have_overwritten_is_not_kept(old):
    for name in ("headless", "full", "apart"):
        record(old.add(name), **{"shared" if name != "apart" else "own": f"sha256={name}"})
    for name in ("shared", "own"):
        (old.site / f"{name}.py").touch()
    assert names(old, want(headless="1.0", apart="1.0")) == ["apart"]
    assert names(old, want(headless="1.0", full="1.0", apart="1.0")) == ["apart", "full", "headless"]


def test_what_is_not_kept_for_that_reason_makes_others_doubtful_in_turn(old):
    record(old.add("a"), x="sha256=a")
    record(old.add("b"), x="sha256=b", y="sha256=b")
    record(old.add("c"), y="sha256=c")
    for name in ("x", "y"):
        (old.site / f"{name}.py").touch()
    assert names(old, want(b="1.0", c="1.0")) == []


def test_a_shared_file_of_one_content_is_no_doubt(old):
    for name in ("a", "b"):
        record(old.add(name), namespace="sha256=same")
    (old.site / "namespace.py").touch()
    assert names(old, want(b="1.0")) == ["b"]


def test_files_are_shared_and_the_old_environment_is_untouched(old, new):
    old.add("a", scripts={"tool": "#!/x\n"})
    (old.site / "a" / "__pycache__").mkdir()
    (old.site / "a" / "__pycache__" / "__init__.cpython-310.pyc").write_text("code")
    (old.site / "a" / "__pycache__" / "other.cpython-310.pyc").write_text("foreign")
    before = old.files()
    reuse(keepable(old.path, PYTHON, want(a="1.0")), old.path, new.path)
    assert old.files() == before
    assert (new.site / "a" / "__init__.py").samefile(old.site / "a" / "__init__.py")
    assert (new.site / "a" / "__pycache__" / "__init__.cpython-310.pyc").read_text() == "code"
    assert not (new.site / "a" / "__pycache__" / "other.cpython-310.pyc").exists()
    assert (new.path / "bin" / "tool").read_text() == "#!/x\n"
    assert (new.site / "a-1.0.dist-info" / "RECORD").exists()


def test_scripts_are_copied_so_that_an_installer_may_write_into_them(old, new):
    old.add("a", scripts={"tool": "#!/x\n"})
    reuse(keepable(old.path, PYTHON, want(a="1.0")), old.path, new.path)
    (new.path / "bin" / "tool").write_text("changed in place")
    assert (old.path / "bin" / "tool").read_text() == "#!/x\n"
    assert (new.path / "bin" / "tool").stat().st_mode & 0o111


def test_what_the_installer_made_wins_where_two_share_a_file(old, new):
    old.add("headless", files={"cv2/__init__.py": "old", "cv2/data.py": "data"})
    new.add("full", files={"cv2/__init__.py": "new"})
    reuse(keepable(old.path, PYTHON, want(headless="1.0")), old.path, new.path)
    assert (new.site / "cv2" / "__init__.py").read_text() == "new"
    assert (new.site / "cv2" / "data.py").read_text() == "data"
    assert (old.site / "cv2" / "__init__.py").read_text() == "old"


def test_paths_that_leave_the_environment_are_left_alone(old, new, tmp_path):
    (tmp_path / "secret").write_text("s")
    folder = old.add("a")
    with (folder / "RECORD").open("a") as record:
        record.write("../../../../secret,,\n")
    reuse(keepable(old.path, PYTHON, want(a="1.0")), old.path, new.path)
    assert (tmp_path / "secret").stat().st_nlink == 1
    assert f"{SITE}/a/__init__.py" in new.files()


def test_what_no_package_owns_is_named(old):
    old.add("a", files={"a/__init__.py": "", "a_single.py": ""})
    old.add("b", record=False)
    (old.site / "__pycache__").mkdir()
    (old.site / "_virtualenv.pth").write_text("")
    assert unowned(old.path, PYTHON) == ("b",)
    (old.site / "mine.pth").write_text("/home/u/src")
    (old.site / "mine").mkdir()
    (old.site / "mine" / "a.py").write_text("")
    (old.site / "a.libs").mkdir()
    assert unowned(old.path, PYTHON) == ("b", "mine", "mine.pth")


def test_nothing_owns_nothing(tmp_path):
    assert unowned(None, PYTHON) == unowned(tmp_path, PYTHON) == ()
