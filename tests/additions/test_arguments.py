"""The words after ``pip install`` and ``pip uninstall``."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from verl_env.additions.arguments import parse_install, parse_uninstall, parse_wish
from verl_env.additions.model import ExtraRequirement
from verl_env.errors import UsageError


def texts(wishes):
    return [wish.text for wish in wishes.wishes]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("wandb", "wandb"),
        ("Wandb_X.y>=1,<2", "wandb-x-y"),
        ("ray[default,tune]==2.4", "ray"),
        ("a ; python_version < '3.12'", "a"),
        ("a~=1.0", "a"),
        ("a!=1", "a"),
        ("a @ https://h/a-1-py3-none-any.whl", "a"),
        ("https://h/a-1-py3-none-any.whl", None),
        ("git+https://h/a.git@v1", None),
        ("git+ssh://git@h/a.git", None),
    ],
)
def test_a_wish_and_its_name(tmp_path, text, name):
    assert parse_wish(text, tmp_path) == ExtraRequirement(text, name)


@pytest.mark.parametrize("text", ["", "-", "=1", "a b", "a,b", "[x]"])
def test_what_is_no_requirement(tmp_path, text):
    with pytest.raises(UsageError, match="no requirement"):
        parse_wish(text, tmp_path)


@given(st.text(max_size=20))
@example("~nobody-of-that-name/x")
def test_any_text_is_a_wish_or_wrong_use(text):
    from pathlib import Path

    try:
        wish = parse_wish(text, Path("/nowhere-at-all"))
    except UsageError:
        return
    assert wish.text


def test_paths_become_absolute(tmp_path):
    (tmp_path / "my pkg").mkdir()
    (tmp_path / "a-1-py3-none-any.whl").write_text("")
    assert parse_wish("./my pkg", tmp_path) == ExtraRequirement(f"{tmp_path}/my pkg", None)
    assert parse_wish("./my pkg[extra]", tmp_path) == ExtraRequirement(f"{tmp_path}/my pkg[extra]", None)
    assert parse_wish("a-1-py3-none-any.whl", tmp_path) == ExtraRequirement(f"{tmp_path}/a-1-py3-none-any.whl", None)
    assert parse_wish("my pkg", tmp_path, editable=True) == ExtraRequirement(f"{tmp_path}/my pkg", None, editable=True)
    with pytest.raises(UsageError, match="there is no"):
        parse_wish("./gone", tmp_path)


def test_options_go_to_the_installer(tmp_path):
    words = ["-i", "https://i/", "--extra-index-url=https://e/", "-f", "wheels", "--no-index", "--only-binary", "a"]
    wishes = parse_install([*words, "-U", "--pre", "--no-build-isolation", "-q", "x", "--dry-run"], tmp_path)
    assert wishes.options == (
        *("--only-binary", ":all:", "--index-url", "https://i/", "--extra-index-url", "https://e/"),
        *("--find-links", f"{tmp_path}/wheels", "--no-index", "--only-binary", "a"),
    )
    assert wishes.resolving == ("--upgrade", "--pre")
    assert (wishes.isolated, wishes.dry_run, wishes.allow_drift, wishes.installer) == (False, True, False, None)


def test_settings_of_ours(tmp_path):
    wishes = parse_install(["x", "--allow-drift", "--installer", "pip", "-c", "mine.txt"], tmp_path)
    assert (wishes.allow_drift, wishes.installer, wishes.constraints) == (True, "pip", (f"{tmp_path}/mine.txt",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "x"], "does not take --target"),
        (["--user", "x"], "does not take --user"),
        (["x", "-i"], "-i needs a value"),
        (["--installer", "conda", "x"], "conda is none of uv and pip"),
        (["-r", "gone.txt"], "cannot be read"),
        (["--pre"], "nothing to install"),
    ],
)
def test_what_makes_no_sense(tmp_path, words, said):
    with pytest.raises(UsageError, match=said):
        parse_install(words, tmp_path)


def test_requirements_files(tmp_path):
    (tmp_path / "sub" / "pkg").mkdir(parents=True)
    (tmp_path / "sub" / "r.txt").write_text(
        "# all of it\n--extra-index-url https://e/\n-i https://i/\n\na==1 \\\n    --hash=sha256:00 --hash=sha256:11\n"
        "b>=2  # why\n-e ./pkg\n-c c.txt\n-r more.txt\nhttps://h/x.whl#sha256=00\n"
    )
    (tmp_path / "sub" / "more.txt").write_text("a==1\nd ; python_version >= '3.8'\n")
    wishes = parse_install(["-r", "sub/r.txt"], tmp_path)
    assert texts(wishes) == [
        *("a==1", "b>=2", f"{tmp_path}/sub/pkg", "d ; python_version >= '3.8'", "https://h/x.whl#sha256=00"),
    ]
    assert wishes.options == ("--extra-index-url", "https://e/", "--index-url", "https://i/")
    assert wishes.constraints == (f"{tmp_path}/sub/c.txt",)
    assert wishes.texts[2] == f"-e {tmp_path}/sub/pkg"


def test_hashes_of_a_requirements_file_are_kept(tmp_path):
    (tmp_path / "r.txt").write_text("a==1 \\\n    --hash=sha256:00 --hash sha256:11  # both\nb\n-r more.txt\n")
    (tmp_path / "more.txt").write_text("c @ https://h/c.whl --hash=sha256:22\n")
    wishes = parse_install(["-r", "r.txt"], tmp_path)
    assert [(wish.text, wish.hashes) for wish in wishes.wishes] == [
        ("a==1", ("sha256:00", "sha256:11")),
        ("b", ()),
        ("c @ https://h/c.whl", ("sha256:22",)),
    ]
    (tmp_path / "r.txt").write_text("https://h/c.whl --hash=sha256:22\n")
    with pytest.raises(UsageError, match=r"NAME @ https://h/c\.whl"):
        parse_install(["-r", "r.txt"], tmp_path)


def test_a_requirements_file_cannot_allow_drift(tmp_path):
    (tmp_path / "r.txt").write_text("--allow-drift\na\n")
    with pytest.raises(UsageError, match="does not take --allow-drift"):
        parse_install(["-r", "r.txt"], tmp_path)


@pytest.mark.parametrize("files", [{"r": "-r r.txt"}, {"r": "a\n-r sub/../o.txt", "o": "--requirement=r.txt"}])
def test_a_requirements_file_that_includes_itself_is_an_error(tmp_path, files):
    (tmp_path / "sub").mkdir()
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_text(text)
    with pytest.raises(UsageError, match=r"r\.txt includes itself"):
        parse_install(["-r", "r.txt"], tmp_path)


def test_a_requirements_file_may_be_included_twice(tmp_path):
    (tmp_path / "a.txt").write_text("-r c.txt\n-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r c.txt\n")
    (tmp_path / "c.txt").write_text("demo\n")
    assert {wish.text for wish in parse_install(["-r", "a.txt"], tmp_path).wishes} == {"demo"}


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["x", "--into", "/env"], "verl-env pip --into DIR {} ..."),
        (["--into=/env", "x"], "verl-env pip --into DIR {} ..."),
        (["x", "--json"], "verl-env pip --json {} ..."),
    ],
)
def test_options_of_pip_itself_stand_before_its_command(tmp_path, words, right):
    with pytest.raises(UsageError, match="stands before install") as caught:
        parse_install(words, tmp_path)
    assert right.format("install") in caught.value.message
    with pytest.raises(UsageError, match="stands before uninstall") as caught:
        parse_uninstall(words)
    assert right.format("uninstall") in caught.value.message


def test_what_is_to_be_removed():
    assert parse_uninstall(["-y", "My_Pkg", "my-pkg", "b"]) == (("my-pkg", "b"), False)
    assert parse_uninstall(["a", "--allow-drift"]) == (("a",), True)
    with pytest.raises(UsageError, match="--break"):
        parse_uninstall(["--break-system-packages", "a"])


@pytest.mark.parametrize(
    ("wish", "origin", "is_it"),
    [
        (ExtraRequirement("/srv/my pkg", None), "file:///srv/my%20pkg", True),
        (ExtraRequirement("/srv/my pkg[x]", None), "file:///srv/my%20pkg", True),
        (ExtraRequirement("/srv/pkg", None), "file:///srv/pkg2", False),
        (ExtraRequirement("git+https://h/a.git@v1", None), "https://h/a.git", True),
        (ExtraRequirement("git+https://h/a.git@v1", None), "git+https://h/a.git@0123", True),
        (ExtraRequirement("https://h/a.whl", None), "https://h/a.whl", True),
        (ExtraRequirement("https://h/a.whl", None), None, False),
        (ExtraRequirement("a", "a"), "https://h/a.whl", False),
    ],
)
def test_what_came_of_a_wish_is_known_by_its_origin(wish, origin, is_it):
    assert wish.names(origin) is is_it
