"""Locksets that a site forbids or allows alone."""

import json

import pytest

from tests.cli.test_install import ID, bench  # noqa: F401 (a fixture)
from verl_env.cli.main import main


@pytest.fixture
def site(tmp_path, monkeypatch):
    def write(text):
        folder = tmp_path / "etc" / "verl-env"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(text)
        monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
        return folder / "config.toml"

    return write


@pytest.mark.parametrize(
    "text",
    ['locksets = { forbid = ["app.demo"] }', 'locksets = { only = ["verl9.8*", "*/other"] }'],
    ids=["forbid", "only"],
)
def test_a_lockset_that_the_site_does_not_want_is_refused_with_its_file(bench, site, text):  # noqa: F811
    file = site(text)
    for words in (["plan", "--stack", "demo"], ["plan", "--lockset", ID]):
        assert main([*words, "--machine", str(bench.machine), "--json"]) == 1
        document = json.loads(bench.capsys.readouterr().out)
        (failed,) = [each for each in document["refused"][0]["failed"] if each["requirement"] == "site"]
        assert str(file) in failed["message"]
    code, captured = bench.run()
    assert (code, bench.into.exists()) == (1, False)
    assert "configuration" in captured.err


@pytest.mark.parametrize("text", ['locksets = { forbid = ["verl0*"] }', 'locksets = { only = ["verl9.9*"] }'])
def test_the_others_are_there(bench, site, text):  # noqa: F811
    site(text)
    assert bench.run("--dry-run")[0] == 0


def test_the_list_of_stacks_says_it(bench, site):  # noqa: F811
    site('locksets = { forbid = ["*"] }')
    main(["stacks", "--machine", str(bench.machine), "--json"])
    (row,) = json.loads(bench.capsys.readouterr().out)["locksets"]
    assert (row["fits"], [each["requirement"] for each in row["failed"]]) == (False, ["site"])
