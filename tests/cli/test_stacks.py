import io
import json

import pytest
from rich.console import Console

from tests.choose.build import ALL, CU128, CU130, FIRST, PREVIEW, RECORDED, ROCM7, SGLANG_VLLM
from tests.choose.test_explain import machine
from verl_env.choose.choose import evaluate, evaluate_all
from verl_env.choose.fits import CAPABILITIES
from verl_env.cli.main import main
from verl_env.cli.stacks import EVERYTHING, HEADINGS, ranges, render, row, to_json, verdict
from verl_env.locksets.model import Install, Proof
from verl_env.machine.record import machine_to_json
from verl_env.records import replace

A100 = machine("535.54.03", "8.0", "8.0")


def shown(locksets=ALL, described=A100, *, terminal=False, width=160, **options):
    stream = io.StringIO()
    options.setdefault("unicode", True)
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None, soft_wrap=True)
    render(console, evaluate_all(locksets, described, EVERYTHING), described, **options)
    return stream.getvalue()


@pytest.fixture
def catalogue(monkeypatch):
    monkeypatch.setattr("verl_env.locksets.catalogue.load_catalogue", lambda: ALL)


@pytest.fixture
def recorded(tmp_path):
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(machine_to_json(A100)))
    return str(file)


def test_a_tier_says_which_natives_nobody_had_in_it():
    install = Install("2026-11-20", "3.10", "docs/evidence.md#x", ("apex", "flash-attn"), {"megatron-core": "0.12.2"})
    tried = replace(FIRST[0], tier="installed", installed=("3.10",), installs=(install,))
    assert row(evaluate(tried, A100, EVERYTHING))[HEADINGS.index("tier")] == "installed without flash-attn + 1"
    [found] = to_json([evaluate(tried, A100, EVERYTHING)])["locksets"]
    assert found["natives"] == {"apex": None, "flash-attn": None, "megatron-core": "0.12.2"}
    done = Proof("2026-11-28T00:00:00Z", "3.10", True, {"train": "passed"}, {"flash-attn": "2.8.3"}, "H200", 1, "580.1")
    [found] = to_json([evaluate(replace(tried, tier="proven", proofs=(done,)), A100, EVERYTHING)])["locksets"]
    proof = {"gpu": "H200", "driver": "580.1", "python": "3.10", "date": done.date, "parts": {"train": "passed"}}
    assert (found["tier"], found["proofs"]) == ("proven", [proof])


@pytest.mark.parametrize(
    ("capabilities", "text"),
    [
        ((), ""),
        (("8.0",), "8.0"),
        (("8.0", "8.6", "8.9", "9.0"), "8.0-9.0"),
        (("8.0", "9.0"), "8.0, 9.0"),
        (("8.0", "8.6", "9.0", "10.0", "12.1"), "8.0-8.6, 9.0-10.0, 12.1"),
        (CAPABILITIES, "6.0-12.1"),
        (("gfx90a", "gfx942"), "gfx90a, gfx942"),
    ],
)
def test_ranges(capabilities, text):
    assert ranges(capabilities) == text


@pytest.mark.parametrize(
    ("lockset", "text"),
    [
        (CU128, "fits, with warnings: driver"),
        (CU130, "no: driver < 580"),
        (ROCM7, "no: no AMD GPU"),
        (PREVIEW, "fits, with warnings: driver"),
        (RECORDED, "no: recorded only"),
    ],
)
def test_verdict(lockset, text):
    assert verdict(evaluate(lockset, A100, EVERYTHING)) == text


def test_a_machine_that_fits_without_any_doubt():
    assert verdict(evaluate(SGLANG_VLLM, machine("550.54.15", "9.0"), EVERYTHING)) == "fits"


def test_a_row():
    assert row(evaluate(SGLANG_VLLM, A100, EVERYTHING)) == (
        "verl0.4-cu124/app.sglang.vllm",
        "0.4.1",
        "vllm 0.8.5.post1, sglang 0.4.6.post5",
        "2.6.0",
        "CUDA 12.4",
        "3.10 3.11 3.12",
        ">= 525.60.13",
        "8.0-9.0",
        "locked",
        "fits, with warnings: driver",
    )


def test_without_a_terminal_every_lockset_is_one_whole_line():
    lines = shown().splitlines()
    assert len(lines) == 1 + len(ALL)
    assert lines[0].split()[0] == "LOCKSET"
    assert {line.split()[0] for line in lines[1:]} == {lockset.id for lockset in ALL}
    assert len({line.index("CUDA") for line in lines[1:] if "CUDA" in line}) == 1


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200, 300])
def test_on_a_terminal_no_line_is_wider_than_it(width):
    text = shown(terminal=True, width=width, unicode=width > 100)
    lines = text.splitlines()[:-1]
    assert max(map(len, lines)) <= width
    for lockset in ALL:
        assert lockset.id.rpartition("/")[2] in text
    assert "driver < 580" in text


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_says_what_is_missing():
    wide, narrow = shown(terminal=True, width=300), shown(terminal=True, width=80)
    assert all(heading in wide.splitlines()[0] for heading in HEADINGS)
    assert "wider terminal" not in wide
    assert "GPUs" not in narrow.splitlines()[0]
    assert "--all and --json show" in narrow


def test_a_terminal_is_told_how_many_fit():
    assert "7 of 13 fit this machine: 2 x GPU-8.0, driver 535.54.03" in shown(terminal=True)


def test_ascii_where_the_terminal_is_not_utf8():
    assert shown(terminal=True, unicode=False).isascii()
    assert shown(verdicts=True, unicode=False).isascii()


def test_all_shows_every_requirement():
    text = shown(FIRST, verdicts=True, unicode=False)
    assert text.count("+ compute-capability: torch 2.6.0 has code for sm_80") == 4
    assert text.count("! driver: driver 535.54.03 runs CUDA 12.4") == 4
    assert "x compute-capability: flash-attn" in shown(FIRST, machine("550.54.15", "7.0"), verdicts=True, unicode=False)


def test_json_lists_every_lockset():
    document = to_json(evaluate_all(ALL, A100, EVERYTHING))
    assert document["schema"] == 1
    assert len(document["locksets"]) == len(ALL)
    assert {each["id"] for each in document["locksets"] if each["fits"]} >= {CU128.id, PREVIEW.id}


@pytest.mark.usefixtures("catalogue")
def test_the_command_prints_json_and_nothing_else(recorded, capsys):
    assert main(["stacks", "--machine", recorded, "--json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["locksets"]) == len(ALL)
    assert captured.err == ""


@pytest.mark.usefixtures("catalogue")
def test_the_command_with_all_adds_verdicts(recorded, capsys):
    assert main(["stacks", "--machine", recorded, "--json", "--all"]) == 0
    assert all(each["verdicts"] for each in json.loads(capsys.readouterr().out)["locksets"])


@pytest.mark.usefixtures("catalogue")
def test_the_command_says_yes_though_nothing_fits(tmp_path, capsys):
    nothing = tmp_path / "none.json"
    nothing.write_text('{"schema": 1, "nvidia": null, "amd": null}')
    assert main(["stacks", "--machine", str(nothing)]) == 0
    assert "fits" not in capsys.readouterr().out


@pytest.mark.usefixtures("catalogue")
def test_the_command_with_a_broken_machine_file(tmp_path, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text('{"schema": 1,')
    assert main(["stacks", "--machine", str(broken)]) == 2
    assert "machine-file-invalid" in capsys.readouterr().err
