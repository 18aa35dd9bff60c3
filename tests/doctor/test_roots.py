"""One break has one root: what it brings with it hangs below it, in every output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.doctor.stack import TORCH_SYMBOL, using
from verl_env.cli.render.doctor import markdown, render, to_json
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.facts import Facts
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.link import linked
from verl_env.doctor.model import Diagnosis, Finding, Remedy, Severity
from verl_env.doctor.run import diagnose

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.doctor.stack import Stack

PINNED = ("torch==2.6.0",)
#: The environments of these tests have no base interpreter.
HEADERS = "python-headers"
LOST = "_ZN3c106detail4goneEv"


def swapped(stack: Stack) -> None:
    """torch of another release in an environment where everything is compiled for the former one."""
    for name, path in (
        ("vllm", "vllm/_C.abi3.so"),
        ("torchvision", "torchvision/_C.so"),
        ("xformers", "xformers/_C.so"),
    ):
        stack.install(name, "1.0", stack.compile(path, using(LOST)), requires=PINNED)
    stack.install("torchaudio", "2.6.0", requires=PINNED)
    (info,) = stack.site.glob("torch-2.6.0.dist-info")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(text.replace("Version: 2.6.0", "Version: 2.7.1"))


def second_metadata(stack: Stack) -> None:
    stack.environment.add("numpy", "1.24.0")
    stack.environment.add("numpy", "2.2.6")
    stack.environment.add("wants", "1", requires=("numpy>=2",))


def lost_library(stack: Stack) -> None:
    stack.install("vllm", "0.8.5", stack.compile("vllm/_C.abi3.so", using(TORCH_SYMBOL)), requires=PINNED)
    (stack.site / "torch/lib/libc10.so").unlink()


def old_click(stack: Stack) -> None:
    stack.environment.add("ray", "2.47.1", requires=("click!=8.3.*",))
    stack.environment.add("click", "8.3.0")


def new_transformers(stack: Stack) -> None:
    ovis = {"vllm/transformers_utils/configs/ovis.py": b'AutoConfig.register("aimv2", C)\n'}
    stack.environment.add("vllm", "0.8.5", ovis)
    stack.environment.add("tokenizers", "0.19.0")
    stack.environment.add("transformers", "4.55.4", requires=("tokenizers>=0.21",))


BREAKS: list[tuple[Callable[[Stack], None], str, set[str]]] = [
    (swapped, "torch-replaced", {"vllm-abi", "torchvision-torch", "extension-abi", "requirements-unmet"}),
    (second_metadata, "install-dirty", {"requirements-unmet"}),
    (lost_library, "files-damaged", {"vllm-abi"}),
    (old_click, "click-ray", {"requirements-unmet"}),
    (new_transformers, "transformers-aimv2", {"hub-too-new", "requirements-unmet"}),
]


def below(diagnosis: Diagnosis, root: str) -> set[str]:
    """Everything that a finding explains, near and far."""
    by_id = {finding.id: finding for finding in diagnosis.findings}
    direct = set(by_id[root].explains)
    return direct.union(*(below(diagnosis, name) for name in direct))


@pytest.mark.parametrize(("break_it", "root", "consequences"), BREAKS, ids=[root for _, root, _ in BREAKS])
def test_one_break_has_one_root(
    stack: Stack, break_it: Callable[[Stack], None], root: str, consequences: set[str]
) -> None:
    break_it(stack)

    diagnosis = stack.diagnose()

    assert [one.id for one in diagnosis.roots if one.severity != "info" and one.id != HEADERS] == [root]
    assert consequences <= below(diagnosis, root)


def test_every_output_shows_the_root_with_its_consequences(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    swapped(stack)
    diagnosis = stack.diagnose()

    render(diagnosis, Console(width=200), subject="here")
    shown = capsys.readouterr().out
    text = markdown(diagnosis, subject="here")
    data = to_json(diagnosis)

    assert "error [torch-replaced]" in shown
    assert "causes [vllm-abi]" in shown
    assert "1 root cause of severity error" in shown
    assert text.count("### error") == 1
    assert "- causes `vllm-abi`" in text
    assert data["roots"][0] == "torch-replaced"
    assert "vllm-abi" in next(one for one in data["findings"] if one["id"] == "torch-replaced")["explains"]


def test_a_pasted_list_has_the_same_root() -> None:
    facts = facts_of("torch==2.7.1\nvllm==0.8.5.post1\ntorchvision==0.21.0\ntorchaudio==2.6.0\nnumpy==1.26.4\n")

    diagnosis = diagnose(facts, CHECKS)

    (root,) = (one for one in diagnosis.roots if one.severity == "error")
    assert root.id == "torch-replaced"
    assert {"failures:A6", "failures:A12"} <= set(root.references)


def finding(name: str, *evidence: str, severity: Severity = "error") -> Finding:
    return Finding(name, "other", severity, "t", evidence, "c", Remedy("r"), ())


def test_what_speaks_of_many_packages_is_explained_only_where_all_of_them_are_named() -> None:
    drift = finding("lockset-drift", "click 8.3.0, locked: 8.2.1", "numpy 2.2.6, locked: 1.26.4", severity="warning")
    click = finding("click-ray", "ray 2.47.1", "click 8.3.0")
    numpy = finding("numpy-major", "numpy 2.2.6", "not because of click")

    def explained(*findings: Finding) -> list[str]:
        return [one.id for one in linked(findings, {}) if "lockset-drift" in one.explains]

    assert explained(drift, click) == []
    assert explained(drift, click, numpy) == []
    assert explained(finding("lockset-drift", drift.evidence[0], severity="warning"), click) == ["click-ray"]


def test_drift_that_is_all_there_is_stays_a_root() -> None:
    facts = Facts(packages={"click": "8.1.0"}, lockset="family/variant", locked={"click": "8.2.1"})

    assert [one.id for one in diagnose(facts, CHECKS).roots] == ["lockset-drift"]
