"""Drafts of recipes agree with the recipes that a person made of the same files, in every step of pip.

The cases have the forms that were seen in Dockerfiles of verl and in those of other projects (docs/evidence.md).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from verl_env.cli.main import main
from verl_env.constraints import parse_toml
from verl_env.locksets.draft.draft import draft, recipe_text
from verl_env.locksets.draft.shell import commands
from verl_env.locksets.errors import DockerfileUnreadError
from verl_env.locksets.recipe import load_recipe

CASES = sorted(Path(__file__).with_name("cases").glob("*.Dockerfile"))
EACH = pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
READ = ("title", "install", "unquoted", "uninstall", "virtual", "upgrade", "no_deps", "find_links", "index_url")


def drafted(file: Path, folder: Path) -> dict[str, object]:
    target = folder / "recipe.toml"
    target.write_text(recipe_text(draft(file), file, "family/variant"))
    return parse_toml(target)


@EACH
def test_steps_are_those_of_the_recipe_by_hand(file: Path, tmp_path: Path) -> None:
    by_hand = parse_toml(file.with_suffix(".toml"))
    made = drafted(file, tmp_path)
    steps = [{key: value for key, value in step.items() if key != "title"} for step in made["steps"]]
    assert steps == by_hand["steps"]
    assert made["env"] == by_hand.get("env", {})
    assert by_hand["base"] in made["notes"][0]


@EACH
def test_what_was_not_understood_is_listed(file: Path) -> None:
    text = recipe_text(draft(file), file, "family/variant")
    listed = text.partition("# Not understood")[2]
    for words in parse_toml(file.with_suffix(".toml")).get("unread", []):
        assert words in listed


@EACH
def test_conditions_and_sources_are_told(file: Path) -> None:
    text = recipe_text(draft(file), file, "family/variant")
    by_hand = parse_toml(file.with_suffix(".toml"))
    told = [line.partition("does not say: ")[2] for line in text.splitlines() if line.startswith("# only if")]
    assert told == by_hand.get("only_if", [])
    sources = [line.partition("# its source: ")[2] for line in text.splitlines() if line.startswith("# its source")]
    assert sources == by_hand.get("sources", sources)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("[ a = a ]", True),
        ("[ a == b ]", False),
        ("[[ a != b ]]", True),
        ("test -n ''", False),
        ("[ -z $EMPTY ]", True),
        ("[ ! -z x ]", True),
        ("! [ x ]", False),
        ("[ a = a ] && [ a = b ]", False),
        ("[ a = b ] || [ a = a ]", True),
        ("[ -f /etc/x ]", None),
        ("[[ abc == a* ]]", None),
        ("[ $UNKNOWN = a ]", None),
        ("[ $UNKNOWN = a ] && [ a = b ]", False),
        ("which nvcc", None),
    ],
)
def test_conditions_that_a_file_decides(condition: str, said: bool | None) -> None:
    found = {each.words[0]: each for each in commands(f"x; if {condition}; then yes; else no; fi", {"EMPTY": ""})}
    assert [bool(found["yes"].ruled_out), bool(found["no"].ruled_out)] == [said is False, said is True]
    assert bool(found["yes"].only_if) is bool(found["no"].only_if) is (said is None)


@EACH
def test_a_draft_has_only_keys_of_recipes_and_is_refused(file: Path, tmp_path: Path) -> None:
    assert all(set(step) <= set(READ) for step in drafted(file, tmp_path)["steps"])
    with pytest.raises(Exception, match=r"TODO|must be"):
        load_recipe(tmp_path / "recipe.toml")


@pytest.mark.parametrize(
    ("script", "words", "cut"),
    [
        ("pip install a>=1 'b>=2'", ["pip", "install", "a", "b>=2"], {2: "a>=1"}),
        ("pip install a > /dev/null 2>&1", ["pip", "install", "a"], {}),
        ("pip install a 2> log", ["pip", "install", "a"], {}),
        ("echo \"x && y\" '#' # comment", ["echo", "x && y", "#"], {}),
        ("pip install ${NAME}==${V:-1.0} $OTHER", ["pip", "install", "x==1.0", "$OTHER"], {}),
        ("a=$(pip install no) pip install yes", ["a=$(pip install no)", "pip", "install", "yes"], {}),
        (r"pip install a\ b", ["pip", "install", "a b"], {}),
        ("pip install ''", ["pip", "install", ""], {}),
    ],
)
def test_words_of_a_shell(script: str, words: list[str], cut: dict[int, str]) -> None:
    (found,) = commands(script, {"NAME": "x"})
    assert (found.words, found.cut) == (words, cut)


def test_commands_that_anything_joins() -> None:
    found = [each.words for each in commands("a && b; c || d | e\nif f; then g; fi & h", {})]
    assert [words[0] for words in found] == ["a", "b", "c", "d", "e", "f", "g", "h"]


def test_the_command_prints_a_draft_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    file = next(case for case in CASES if case.stem == "stages")
    assert main(["lock", "--new", str(file), "verl9/x"]) == 0
    assert 'id = "verl9/x"' in capsys.readouterr().out
    assert main(["lock", "--new", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["base"], len(document["steps"])) == ("ubuntu:24.04", 5)


@pytest.mark.parametrize(("text", "said"), [("127.0.0.1 localhost\n", "no FROM"), (None, "No such file")])
def test_a_file_that_is_none(text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "Dockerfile"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DockerfileUnreadError):
        draft(file)
    assert main(["lock", "--new", str(file)]) == 2
    assert said in capsys.readouterr().err


def test_flags_that_make_no_sense_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "--new", str(CASES[0]), "--check"]) == 2
    assert "verl-env lock --new FILE" in capsys.readouterr().err
