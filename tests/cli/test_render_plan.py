import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.choose.build import ALL, CU128, FIRST, PREVIEW, ROCM7, choose
from tests.choose.test_explain import ASK, machine
from tests.machine.strategies import machines
from verl_env.choose.model import Build, Choice, Rejected, Request
from verl_env.cli.render.plan import hang, render_choice, render_refusal
from verl_env.machine.model import Machine, Nvidia, NvidiaDevice
from verl_env.records import replace

A100 = machine("535.54.03", *["8.0"] * 8)
V100 = machine("580.65.06", "7.0", "7.0")
ALONE = "a native component, is the only obstacle"


def shown(described=A100, locksets=ALL, request=ASK, *, terminal=False, width=160, **options):
    found = choose(locksets, described, request)
    stream = io.StringIO()
    options.setdefault("unicode", True)
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None, soft_wrap=True)
    render = render_choice if isinstance(found, Choice) else render_refusal
    render(console, found, request, described, **options)
    return stream.getvalue()


def test_a_choice():
    minor = (
        "driver 535.54.03 runs CUDA 12.8 by minor-version compatibility only (CUDA 12.8 itself asks for 570.124.06): "
        "the driver cannot compile its PTX, and newer driver features are missing"
    )
    assert shown().splitlines() == [
        "verl0.6-cu128/app.vllm (locked)",
        "  contents  verl 0.6.1, vllm 0.11.0, torch 2.8.0, CUDA 12.8",
        "  python    3.12 (/p/3.12)",
        "  machine   8 x GPU-8.0, driver 535.54.03, glibc 2.35, x86_64",
        "  because   6 of 12 locksets fit; verl 0.6 is the newest family among them",
        "            newer, but refused: 1 by architecture x86_64, 1 by driver < 580, 1 by no AMD GPU",
        f"warning: {minor}",
    ]


def test_a_choice_without_an_interpreter_says_so():
    text = shown(request=Request(("vllm",), python="3.11"), locksets=FIRST)
    assert "3.11 (no interpreter yet)" in text
    assert "warning: there is no CPython 3.11 on this machine; get one with: uv python install 3.11" in text


def test_a_preview_is_called_one():
    assert "(locked, a preview)" in shown(request=Request(("vllm",), lockset=PREVIEW.id)).splitlines()[0]


def test_an_explained_choice_shows_what_is_met_and_every_refusal():
    text = shown(explain=True)
    assert "✓ compute-capability: flash-attn 2.8.1 has code for sm_80" in text
    assert "! driver: driver 535.54.03 runs CUDA 12.8" in text
    assert "7 locksets refused" in text
    refused = [each.lockset.id for each in choose(ALL, A100, ASK).refused]
    assert len(refused) == 7
    assert all(f"   {id_}\n" in text for id_ in refused)
    assert "accelerator: needs an AMD GPU; this machine has 8 x GPU-8.0" in text


def test_an_explained_choice_shows_the_further_ways_of_a_component():
    other = Build("fast", "1", "build", "built from sdist")
    build = Build(
        "fast", "1", "prebuilt", "published wheel fast.whl", rejected=(Rejected("old.whl", "r"),), others=(other,)
    )
    found = replace(choose(FIRST, A100, ASK), builds=(build,))
    stream = io.StringIO()
    render_choice(Console(file=stream, width=160), found, ASK, A100, explain=True, unicode=False)
    lines = "    + fast 1: published wheel fast.whl\n        else 1: built from sdist\n        x old.whl: r\n"
    assert lines in stream.getvalue()


def test_an_explained_choice_that_refused_nothing():
    assert "refused" not in shown(machine("550.54.15", "8.0"), FIRST, explain=True)


def test_a_refusal():
    assert shown(V100, FIRST).splitlines() == [
        "  × No lockset for vllm fits: 2 x GPU-7.0, driver 580.65.06, glibc 2.35, x86_64",  # noqa: RUF001
        "  ╰─▶ 4 locksets by sm_70, such as verl0.4-cu124/app.vllm",
        "      flash-attn 2.7.4.post1 has no code for sm_70 (GPU-7.0); it is built for sm_80 and sm_90",
        "nearest: verl0.4-cu124/app.vllm, which would take",
        "  - other GPUs: compute capability 8.0, 8.6, 8.9 or 9.0",
        f"  - nothing else: flash-attn 2.7.4.post1, {ALONE}; or do without: --native skip",
        "hint: so it fits: verl-env plan --stack vllm --native skip",
        "hint: every reason: verl-env plan --stack vllm --explain",
    ]


def test_a_refusal_in_ascii():
    lines = shown(V100, unicode=False).splitlines()
    assert lines[0].startswith("  x No lockset")
    assert lines[1].startswith("  |-> 8 locksets by sm_70, such as verl0.5-cu126/app.vllm.deepep")
    assert any(line.startswith("  `-> 1 lockset not asked for") for line in lines)
    assert "\n".join(lines).isascii()


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "  ╰─▶ "), ("ascii", "  `-> "), ("latin-1", "  `-> ")])
def test_the_stream_decides_on_the_characters(encoding, mark):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    found = choose(FIRST, V100, ASK)
    render_refusal(Console(file=stream, width=160, soft_wrap=True), found, ASK, V100)
    stream.flush()
    assert mark in raw.getvalue().decode(encoding)


def test_a_group_speaks_of_its_own_reason_first():
    described = machine("470.1", "12.0", glibc="2.17")
    lines = shown(described, [CU128], unicode=False).splitlines()
    place = next(number for number, line in enumerate(lines) if "by glibc < " in line)
    assert "glibc 2.17 is older" in lines[place + 1]


def test_locksets_for_other_hardware_are_one_line():
    lines = shown(V100).splitlines()
    assert [line for line in lines if "AMD" in line or "aarch64" in line] == [
        "  ├─▶ 2 locksets for AMD GPUs, 1 for aarch64"
    ]
    assert "made of aarch64 wheels" in shown(V100, explain=True)


def test_where_all_is_for_other_hardware_each_reason_is_said():
    assert "needs an AMD GPU" in shown(V100, [ROCM7])


def test_a_long_group_is_cut_and_says_so():
    described = machine("470.1", "12.0", glibc="2.17")
    assert "and 2 more" in shown(described, FIRST)
    assert "and 2 more" not in shown(described, FIRST, explain=True)


def test_an_explained_refusal_names_every_failed_requirement():
    text = shown(V100, explain=True)
    found = choose(ALL, V100, ASK)
    for evaluation in found.evaluations:
        assert evaluation.lockset.id in text
        for verdict in evaluation.failed:
            assert f"{verdict.requirement}: {verdict.message}" in text
    assert "--explain" not in text


def test_no_gpu_shows_both_ways_on():
    lines = shown(machine(), FIRST).splitlines()
    assert lines[1:4] == [
        "hint: describe the GPU node, for example: verl-env plan --stack vllm --gpu h100 --driver 550.54.15",
        "hint: or record it, on the GPU node: verl-env probe -o node.json",
        "      then here: verl-env plan --stack vllm --machine node.json",
    ]


def test_brackets_in_a_name_are_not_markup():
    volta = NvidiaDevice(0, name="[red]V[/]", compute_capability="7.0")
    odd = Machine(nvidia=Nvidia(driver="535.54.03", devices=(volta,)))
    assert "1 x [red]V[/], driver 535.54.03" in shown(odd, FIRST)


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_gets_wrapped_lines_that_keep_the_chain(width):
    text = shown(V100, terminal=True, width=width, explain=True)
    lines = text.splitlines()
    commands = [line for line in lines if line.startswith("  verl-env ")]
    assert max(len(line) for line in lines if line not in commands) <= width
    assert all(command.endswith(("--native skip", "--explain")) for command in commands)
    chain = lines[1 : next(number for number, line in enumerate(lines) if line.startswith("nearest"))]
    assert all(line.startswith(("  ├─▶ ", "  │ ", "  ╰─▶ ", "      ")) for line in chain)


def test_without_a_terminal_nothing_wraps():
    stream = io.StringIO()
    hang(Console(file=stream, width=20, soft_wrap=True), "head: ", "a long text " * 10)
    assert stream.getvalue().count("\n") == 1


@given(machines, st.booleans(), st.booleans(), st.sampled_from([30, 80, 200]))
def test_every_answer_can_be_shown(described, explain, terminal, width):
    text = shown(described, explain=explain, terminal=terminal, width=width)
    assert "nearest: " in text or "because" in text
