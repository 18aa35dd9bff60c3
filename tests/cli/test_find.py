"""``verl-env find`` as a user sees it."""

import json

import pytest

from verl_env.cli.main import main

PLACE = ["--gpu", "h100", "--driver", "550.54.15", "--glibc", "2.28", "--arch", "x86_64"]
WORLD = ["--torch", "2.8.0", "--cuda", "12.8", "--python", "3.12"]


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    monkeypatch.setenv("VERL_ENV_MACHINE", "none")


def run(capsys, *words):
    code = main(["find", *words])
    return code, *capsys.readouterr()


def test_what_fits_is_shown_with_its_command(capsys):
    code, out, _ = run(capsys, "flash-attn", *WORLD, *PLACE)
    assert code == 0
    assert "flash-attn for torch 2.8.0, CUDA 12.8, Python 3.12" in out
    first = next(line for line in out.splitlines() if line.endswith(".whl"))
    assert "torch2.8" in first
    assert "cp312" in first
    assert "hint: pip install --no-deps 'flash-attn @ https://" in out
    assert "wheels that do not fit" in out


def test_every_wheel_with_all(capsys):
    _, out, _ = run(capsys, "flash-attn==2.8.1", *WORLD, *PLACE, "--all")
    assert "for architecture aarch64, not x86_64" in out
    assert "wheels that do not fit" not in out


def test_json_is_one_document(capsys):
    code, out, err = run(capsys, "flash-attn", *WORLD, *PLACE, "--json")
    found = json.loads(out)
    assert (code, err, found["schema"]) == (0, "", 1)
    assert found["best"]["fits"] is True


def test_nothing_is_an_answer_of_its_own(capsys):
    code, out, _ = run(capsys, "flash-attn==2.8.3", "--torch", "2.2.0", "--python", "3.12", "--gpu", "v100")
    assert code == 1
    assert "no known wheel fits" in out
    assert "a build of 2.8.3 from sdist: has sources for sm_80 or newer, not for sm_70" in out


@pytest.mark.parametrize(
    ("words", "id_"),
    [
        (["flash-atn"], "component-unknown"),
        (["flash-attn==0.1"], "component-version-unknown"),
        (["flash-attn", "--torch", "x"], "usage"),
        (["flash-attn", "--cuda", "x"], "usage"),
        (["flash-attn", "--python", "x"], "usage"),
        (["flash-attn[extra]"], "usage"),
        (["flash attn"], "usage"),
        (["flash-attn", "--glibc", "x"], "machine-flag-invalid"),
        (["flash-attn", "--into", "/nowhere/at/all"], "environment-missing"),
        ([], "usage"),
    ],
)
def test_wrong_use_has_an_id_and_a_way_on(capsys, words, id_):
    code, out, err = run(capsys, *words, "--json")
    error = json.loads(out)["error"]
    assert error["hint"]
    assert "Traceback" not in err
    assert (error["id"], code) == (id_, 2) or id_ in ("machine-flag-invalid", "environment-missing")


def test_an_environment_says_which_torch(capsys, tmp_path):
    site = tmp_path / "env/lib/python3.11/site-packages"
    (site / "torch").mkdir(parents=True)
    (site / "torch-2.9.1+cu128.dist-info").mkdir()
    (site / "torch-2.9.1+cu128.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1+cu128\n"
    )
    (site / "torch/version.py").write_text("cuda: str = '12.8'\n")
    (tmp_path / "env/bin").mkdir()
    (tmp_path / "env/bin/python").symlink_to("/usr/bin/python3")
    (tmp_path / "env/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    code, out, _ = run(capsys, "flash-attn", "--into", str(tmp_path / "env"), *PLACE, "--json")
    asked = json.loads(out)["asked"]
    assert (code, asked["torch"], asked["cuda"], asked["python"]) == (0, "2.9.1", "12.8", "3.11")
    _, out, _ = run(capsys, "flash-attn", "--into", str(tmp_path / "env"), "--python", "3.12", *PLACE, "--json")
    assert json.loads(out)["asked"]["python"] == "3.12"
