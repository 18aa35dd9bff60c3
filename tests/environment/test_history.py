"""What was done to an environment, and the way back."""

import json

import pytest

from tests.install.plans import lockset
from verl_env.additions.errors import UnresolvedError
from verl_env.cli import main as program
from verl_env.environment.change import changeable
from verl_env.environment.errors import EnvironmentUnchangeableError, NothingToRollBackError
from verl_env.environment.reuse import packages_of
from verl_env.environment.rollback import rollback
from verl_env.errors import EXIT_NO
from verl_env.patches import change as patches


def commands(path):
    return [entry.command for entry in changeable(path).entries()]


def back(path):
    return rollback(changeable(path), waiting=print)


def test_every_change_is_written_down(world):
    world.add("thing")
    world.remove("thing")
    patches.remove(world.path)
    first, added, removed, unpatched = changeable(world.path).entries()
    assert first.command == f"install --stack vllm --lockset {world.state.lockset}"
    assert (first.before, first.after, first.replaced) == (None, world.state.lockset, None)
    assert added.command.startswith("pip install")
    assert added.command.endswith("thing")
    assert [(each["kind"], each["name"]) for each in added.packages] == [("+", "helper"), ("+", "thing")]
    assert (removed.command, unpatched.command) == ("pip uninstall thing", "patches remove")
    assert [each.replaced for each in (added, removed, unpatched)] == ["0001", "0002", "0003"]
    assert all("@" in each.who and each.when.endswith("+00:00") for each in (first, added, removed))


def test_back_and_forth(world):
    before = world.have
    world.add("thing")
    after = world.have
    assert back(world.path).generation == "0001"
    assert (world.have, world.extras) == (before, {})
    assert back(world.path).generation == "0002"
    assert world.have == after
    assert commands(world.path)[-2:] == ["rollback", "rollback"]


def test_what_was_replaced_stays_until_the_next_change(world):
    names = []
    for _ in range(2):
        world.add("thing")
        names.append(sorted(path.name for path in world.path.with_name(".venv.d").glob("0*")))
        world.remove("thing")
    assert names == [["0001", "0002"], ["0003", "0004"]]


def test_a_change_that_fails_leaves_the_way_back(world):
    world.add("thing")
    with pytest.raises(UnresolvedError):
        world.add("--allow-drift", "nowhere")
    assert back(world.path).generation == "0001"


def test_an_environment_that_moved_goes_back_to_where_it_is_now(world):
    world.add("thing")
    moved = world.path.parent.with_name("elsewhere")
    world.path.parent.rename(moved)
    back(moved / ".venv")
    assert "thing" not in packages_of(moved / ".venv")
    assert str(world.path) not in (moved / ".venv" / "bin" / "activate").read_text()


def test_nothing_to_go_back_to(world):
    with pytest.raises(NothingToRollBackError) as caught:
        back(world.path)
    assert "verl-env history" in caught.value.hint


def test_an_environment_of_another_tool(plain):
    patches.apply(plain)
    assert "verl-env-runtime" in packages_of(plain)
    assert (plain / "lib").is_dir()
    assert not plain.is_symlink()
    assert next(plain.glob("lib/python3*/site-packages/mine.py")).read_text() == "mine = 1\n"
    back(plain)
    assert packages_of(plain).keys() == {"old"}
    back(plain)
    assert "verl-env-runtime" in packages_of(plain)
    assert commands(plain) == ["patches apply", "rollback", "rollback"]


def test_what_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "lib").mkdir()
    with pytest.raises(EnvironmentUnchangeableError, match="neither"):
        changeable(tmp_path)


def test_the_commands(world, capsys):
    world.add("thing")
    into = ["--into", str(world.path)]
    assert program.main(["history", *into, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    keys = {"when", "who", "command", "from", "to", "generation", "current"}
    assert document["schema"] == 1
    assert all(keys <= each.keys() for each in document["changes"])
    assert [each["current"] for each in document["changes"]] == [False, True]
    assert program.main(["rollback", *into]) == 0
    assert "-2" in capsys.readouterr().out
    assert program.main(["history", *into, "-v"]) == 0
    assert "- thing 1.0" in capsys.readouterr().out
    assert program.main(["rollback", *into, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["change"]["command"] == "rollback"


def test_a_damaged_history_is_none(world):
    changeable(world.path).history.write_text("{")
    assert commands(world.path) == []
    assert program.main(["rollback", "--into", str(world.path)]) == EXIT_NO
    world.add("thing")
    assert len(commands(world.path)) == 1


def test_another_lockset_shows_both(world):
    world.install(lock=lockset(id="verl0.1/other"))
    last = changeable(world.path).entries()[-1]
    assert (last.before, last.after) == (lockset().id, "verl0.1/other")
