import io
import json

from rich.console import Console

from tests.install.plans import options
from verl_env.builds.build_plan import build_plan_of
from verl_env.builds.outline import outline
from verl_env.cli.render.builds import builds, builds_json
from verl_env.components.model import Tool


def shown(yard, *made, without=()):
    works = build_plan_of(yard.plan(*made), options(yard.tmp_path, machine=yard.machine, wheelhouse=yard.house.path))
    return outline(works, without)


def text(found):
    console = Console(width=300, file=io.StringIO())
    builds(console, *found)
    return console.file.getvalue()


def test_a_build_is_told_before_it_begins(yard, monkeypatch):
    monkeypatch.setenv("MAX_JOBS", "1")
    tool = Tool("nvcc", None, None, "cuda", "")
    made = yard.build("demo-ext", tools=(tool,), arch_variable="TORCH_CUDA_ARCH_LIST", job_bytes=10**9, minutes=5)
    ((one,), problems) = found = shown(yard, made)
    assert (one.jobs, one.targets, one.minutes, one.needs, problems) == (1, "9.0", 80, ("nvcc",), ())
    line = "build demo-ext 1.0: from sdist; 1 job of 1.00 GB; for 9.0; about 80 min; needs nvcc"
    assert text(found).strip() == line


def test_what_stands_in_the_way_is_told_with_it(yard):
    yard.tools(nvcc="11.8.89")
    found = shown(yard, yard.build("demo-ext", tools=(Tool("nvcc", None, None, "cuda", ""),)))
    assert "[nvcc-major-mismatch]" in text(found)
    data = json.loads(json.dumps(builds_json(*found)))
    assert data["builds"][0]["name"] == "demo-ext"
    assert [problem["id"] for problem in data["build_problems"]] == ["nvcc-major-mismatch"]


def test_what_is_built_upon_is_told_too_and_what_is_there_is_not(yard):
    yard.build("base", source="https://example.org/base.tar.gz", product="prefix", torch=False)
    made = yard.build("demo-ext", after=("base",))
    assert [one.name for one in shown(yard, made)[0]] == ["base", "demo-ext"]
    assert shown(yard, made, without=("demo-ext",)) == ((), ())


def test_what_was_built_before_needs_nothing(yard):
    made = yard.sdist("demo-ext")
    yard.install(made)
    ((one,), problems) = found = shown(yard, made)
    assert one.ready
    assert problems == ()
    assert "taken from the cache" in text(found)


def test_where_nothing_is_built_there_is_nothing_to_tell(yard):
    assert build_plan_of(yard.plan(), options(yard.tmp_path)) is None
