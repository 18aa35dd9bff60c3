"""The same facts in every form that people paste are the same facts, and lead to the same findings."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.reports import diagnose_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DRIVERS = st.sampled_from(["570.86.10", "535.288.01", "580.65.06"])
GPUS = {"NVIDIA H100 80GB HBM3": "9.0", "NVIDIA GeForce RTX 5090": "12.0", "NVIDIA A100-SXM4-80GB": "8.0"}
LABELS = {
    "torch": "PyTorch",
    "vllm": "vLLM",
    "transformers": "Transformers",
    "flash-attn": "Flash Attention",
    "ray": "Ray",
}


def _rows(packages: Mapping[str, str], row: str) -> str:
    return "\n".join(
        row.format(name=name, label=LABELS.get(name, name), version=version) for name, version in packages.items()
    )


def _wrapped(row: str, fact: str, *, before: str = "", after: str = "") -> Callable[[Mapping[str, str], str, str], str]:
    def render(packages: Mapping[str, str], gpu: str, driver: str) -> str:
        facts = "\n".join(
            fact.format(key=key, value=value) for key, value in (("GPU", gpu), ("NVIDIA driver version", driver))
        )
        return f"{before}{_rows(packages, row)}\n{facts}{after}\n"

    return render


def _collect_env(packages: Mapping[str, str], gpu: str, driver: str) -> str:
    rows = _rows(packages, "[pip3] {name}=={version}")
    head = "Collecting environment information...\nGPU models and configuration: GPU 0:"
    return f"{head} {gpu}\nNvidia driver version        : {driver}\n{rows}\n"


def _smi(packages: Mapping[str, str], gpu: str, driver: str) -> str:
    smi = f"| NVIDIA-SMI {driver}   Driver Version: {driver}   CUDA Version: 12.8  |\n|===\n|   0  {gpu}     On  |   00"
    return f"{_rows(packages, '{name}=={version}')}\n{smi}\n"


def _uv_lock(packages: Mapping[str, str], gpu: str, driver: str) -> str:
    rows = _rows(packages, '[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "x" }}\n')
    return f"{rows}\nGPU: {gpu}\ndriver: {driver}\n"


def _html(packages: Mapping[str, str], gpu: str, driver: str) -> str:
    rows = _rows(packages, "<tr><td>{name}</td><td><code>{version}</code></td></tr>")
    more = f"<p>GPU: {gpu}</p><p>Driver Version: {driver}</p>"
    return f"<details><summary>env</summary><table>{rows}</table></details>{more}"


def _encoded(packages: Mapping[str, str], gpu: str, driver: str) -> str:
    return quote(_rows(packages, "{name}=={version}") + f"\nGPU: {gpu}\nDriver Version: {driver}\n", safe="")


def _prefixed(packages: Mapping[str, str], gpu: str, driver: str) -> str:
    lines = f"{_rows(packages, '{name}=={version}')}\nGPU 0: {gpu}\nDriver Version: {driver}".split("\n")
    return "\n".join(
        f"\x1b[36m(TaskRunner pid=12, ip=10.0.0.1)\x1b[0m 2026-01-08 11:19:33,123 {line}" for line in lines
    )


FORMS: dict[str, Callable[[Mapping[str, str], str, str], str]] = {
    "pip list": _wrapped("{name:30} {version}", "{key}: {value}", before="Package   Version\n--------- -------\n"),
    "pip freeze": _wrapped("{name}=={version}", "{key}: {value}"),
    "markdown table": _wrapped(
        "| {label} | {version} |", "| {key} | {value} |", before="| Field | Value |\n|---|---|\n"
    ),
    "bold list": _wrapped("- **{label} version**: {version}", "- **{key}**: {value}"),
    "backticks": _wrapped("* `{name}`: `{version}`", "* {key}: `{value}`"),
    "pins in a list": _wrapped("- `{name}=={version}`", "- {key}: {value}"),
    "key value": _wrapped("{label} version             : {version}", "{key}       : {value}"),
    "json": _wrapped('  "{name}": "{version}",', '  "{key}": "{value}",', before="Env {{\n".format(), after="\n}"),
    "quote": _wrapped("> {name}=={version}", "> {key}: {value}"),
    "fence with CRLF": lambda packages, gpu, driver: "```\n{}\nGPU: {}\nDriver Version: {}\n```\n".format(
        _rows(packages, "{name} {version}"), gpu, driver
    ).replace("\n", "\r\n"),
    "conda export": _wrapped(
        "    - {name}=={version}", "# {key}: {value}", before="dependencies:\n  - python=3.12\n  - pip:\n"
    ),
    "uv pip list tree": _wrapped("├── {name} v{version}", "{key}: {value}"),
    "collect_env": _collect_env,
    "nvidia-smi cut": _smi,
    "uv.lock": _uv_lock,
    "html": _html,
    "percent": _encoded,
    "worker prefixes": _prefixed,
}

packages = st.fixed_dictionaries(
    {
        "torch": st.sampled_from(["2.9.1+cu128", "2.6.0+cu124", "2.11.0+cu130"]),
        "vllm": st.sampled_from(["0.8.5", "0.11.0", "0.14.1", "0.19.0"]),
        "transformers": st.sampled_from(["4.51.3", "4.57.3", "5.5.3"]),
    },
    optional={"flash-attn": st.sampled_from(["2.7.4.post1", "2.8.3"]), "ray": st.sampled_from(["2.47.1", "2.53.0"])},
)


@pytest.mark.parametrize("form", FORMS)
@given(stated=packages, gpu=st.sampled_from(sorted(GPUS)), driver=DRIVERS)
@settings(max_examples=12, deadline=None)
def test_every_form_states_the_same(form: str, stated: Mapping[str, str], gpu: str, driver: str) -> None:
    facts = facts_of(FORMS[form](stated, gpu, driver))

    assert {name: facts.packages.get(name) for name in stated} == stated
    assert facts.capabilities == (GPUS[gpu],)
    assert facts.driver == driver


@given(stated=packages, gpu=st.sampled_from(sorted(GPUS)), driver=DRIVERS)
@settings(max_examples=6, deadline=None)
def test_every_form_leads_to_the_same_findings(stated: Mapping[str, str], gpu: str, driver: str) -> None:
    found = {
        form: frozenset(one.id for one in diagnose_report(facts_of(render(stated, gpu, driver)), CHECKS).findings)
        for form, render in FORMS.items()
    }

    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize(
    "sentence",
    [
        "flash-attn was compiled with torch 2.9.1",
        "it requires torch 2.9.1 or so",
        "vllm wants torch 2.9.1",
        "it worked with torch 2.9.1",
        "Want a newer vllm than 0.19.1 / torch 2.9.1",
        "please upgrade to torch 2.9.1",
        "built against torch 2.9.1",
        "fixed in torch 2.9.1",
        "the wheel for torch 2.9.1",
    ],
)
def test_what_is_spoken_of_is_not_installed(sentence: str) -> None:
    assert "torch" not in facts_of(sentence).packages


def test_what_is_used_is() -> None:
    assert facts_of("I am running vLLM 0.11.0 with torch 2.8.0 on an H100").packages == {
        "vllm": "0.11.0",
        "torch": "2.8.0",
    }


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("- `VLLM_USE_V1=0`", "VLLM_USE_V1", "0"),
        ("| LD_LIBRARY_PATH | /usr/local/cuda/lib64 |", "LD_LIBRARY_PATH", "/usr/local/cuda/lib64"),
        ("- **NCCL_CUMEM_ENABLE**: 1", "NCCL_CUMEM_ENABLE", "1"),
        ('"HF_HUB_OFFLINE": "1",', "HF_HUB_OFFLINE", "1"),
        ("export TMPDIR=/scratch", "TMPDIR", "/scratch"),
    ],
)
def test_variables_in_every_form(text: str, name: str, value: str) -> None:
    assert facts_of(f"env\n{text}\n").environment[name] == value
