"""The catalogue that is shipped: whole, sourced, fresh, and with all that the locksets name."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from tests.each import each
from verl_env.components.compile import compiled_text, stale
from verl_env.components.families import check_rows, wheels_of
from verl_env.components.load import component_files, load_catalogue
from verl_env.components.model import Release
from verl_env.components.toolchain import torch_abi
from verl_env.constraints import constraints_directory
from verl_env.locksets.catalogue import load_catalogue as load_locksets
from verl_env.versions import at_least, dotted

ROOT = constraints_directory()
CATALOGUE = load_catalogue()
COMPONENTS = [CATALOGUE.components[name] for name in CATALOGUE.components]
RELEASES = [(component, release) for component in COMPONENTS for release in component.releases]
WHEELS = [(component, release, wheel) for component, release in RELEASES for wheel in release.wheels]
RECIPES = [(component, release, recipe) for component, release in RELEASES for recipe in release.recipes]
NATIVES = sorted({(native.name, native.version) for lockset in load_locksets() for native in lockset.natives})
PLACEHOLDER = re.compile(r"\{([^}]*)\}")
#: Hosts of package indexes: what they hold is named by name and version, so that any mirror serves it.
INDEXES = re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|/simple(/|$)", re.IGNORECASE)

EACH_WHEEL = each(("component", "release", "wheel"), WHEELS, lambda row: row[2].file)
EACH_RECIPE = each(
    ("component", "release", "recipe"), RECIPES, lambda row: f"{row[0].name} {row[1].version} from {row[2].source}"
)


def test_the_compiled_file_is_fresh():
    assert not stale(ROOT), "run: python -m verl_env.components.compile"


@each("name", sorted(component_files(ROOT / "components")))
def test_no_file_names_an_index_or_a_place_of_the_maintainers(name):
    text = (ROOT / "components" / f"{name}.toml").read_text()
    known = CATALOGUE.components[name].indexes if name in CATALOGUE.components else ()
    for index in known:  # of wheels by CUDA and torch, which no mirror of an ordinary index has
        text = text.replace(index.url, "")
    assert not INDEXES.search(text)
    assert not re.search(r"/(work|home|root)/", text)


def test_no_index_in_the_compiled_file():
    text = compiled_text(ROOT)
    for index in (index for component in COMPONENTS for index in component.indexes):
        text = text.replace(index.url, "")
    assert not INDEXES.search(text)


@each(("name", "version"), NATIVES)
def test_every_native_of_a_lockset_is_a_release(name, version):
    release = CATALOGUE.components[name].release(version)
    assert release is not None
    assert release.wheels or release.recipes


def test_names_are_canonical_and_versions_are_there_once():
    for component in COMPONENTS:
        assert canonicalize_name(component.name) == component.name
        versions = [release.version for release in component.releases]
        assert len(versions) == len(set(versions))


@EACH_WHEEL
def test_a_wheel_is_what_its_tags_say(component, release, wheel):
    name, version, _, tags = parse_wheel_filename(wheel.file)
    assert canonicalize_name(name) == component.name
    same = Version(version.public) == Version(release.version.partition("+")[0])
    assert same or str(version) == release.version
    for python in wheel.pythons:
        digits = python.replace(".", "")
        own = {f"cp{digits}-cp{digits}", "py3-none"} | {f"cp3{minor}-abi3" for minor in range(2, int(digits[1:]) + 1)}
        assert any(f"{tag.interpreter}-{tag.abi}" in own for tag in tags)
    assert any(tag.platform.endswith(wheel.arch or "any") for tag in tags)


@EACH_WHEEL
def test_a_wheel_has_an_address_a_source_and_if_any_a_digest(component, release, wheel):
    assert urlsplit(wheel.url).scheme == ("index" if wheel.on_index else "https")
    assert wheel.sha256 is not None or not wheel.on_index
    assert wheel.source.strip()
    assert wheel.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", wheel.sha256)
    assert "{" not in wheel.url


@EACH_WHEEL
def test_the_abi_of_a_wheel_is_one_that_torch_has(component, release, wheel):
    forced = "cxx11abiTRUE" in wheel.file
    for torch in (wheel.torch, *wheel.torch_also) if wheel.cxx11abi is not None else ():
        theirs = torch_abi(CATALOGUE, torch, wheel.cuda)
        assert theirs is None or theirs is wheel.cxx11abi or forced


@EACH_WHEEL
def test_where_a_wheel_was_made_counts_only_where_nobody_measured(component, release, wheel):
    assert wheel.glibc is None or wheel.built_on_glibc is None


def test_digests_that_came_from_a_collection_name_its_file_and_commit():
    for _, _, wheel in WHEELS:
        if "/flash-attention/releases/" in wheel.url and "flash_attn-2.8" in wheel.url and wheel.torch != "2.10":
            named = re.search(r"\S+/\S+ \S+\.nix at commit [0-9a-f]{40}", wheel.source)
            assert bool(named) is (wheel.sha256 is not None), wheel.file


def test_code_of_flash_attn_is_that_of_its_setup_where_the_toolkit_decides():
    made = [wheel for component, _, wheel in WHEELS if component.name == "flash-attn" and wheel.cuda == "13"]
    full = ("8.0", "9.0", "10.0", "12.0")
    assert {wheel.gpus for wheel in made if wheel.arch == "x86_64"} == {full}
    assert {wheel.gpus for wheel in made} == {full, ("9.0", "10.0")}  # verl's wheelhouse for aarch64: servers alone


MANYLINUX = re.compile(r"manylinux_(\d+_\d+)_")
FAMILIES = [(release, family) for _, release in RELEASES for family in release.families]


def test_the_collection_is_there_and_each_address_once():
    wheels = [wheel for _, release in RELEASES for wheel in wheels_of(release)]
    addresses = [wheel.url for wheel in wheels if not wheel.on_index]
    assert len(addresses) == len(set(addresses)) > len(WHEELS) + 500
    assert not any("{" in address for address in addresses)


@each(("release", "family"), FAMILIES, lambda row: f"{row[0].version} at {row[1].url}")
def test_a_file_of_the_collection_is_what_its_name_says(release, family):
    check_rows(family)
    for wheel in wheels_of(Release(release.version, (), (), families=(family,))):
        name, version, _, tags = parse_wheel_filename(wheel.file)
        assert (name, version.public) == ("flash-attn", release.version)
        assert version.local == f"cu{wheel.toolkit.replace('.', '')}torch{wheel.torch}"
        assert {tag.interpreter for tag in tags} == {f"cp{wheel.pythons[0].replace('.', '')}"}
        assert all(tag.platform.endswith(wheel.arch) for tag in tags)
        glibcs = sorted(dotted(found[1].replace("_", ".")) for tag in tags if (found := MANYLINUX.match(tag.platform)))
        assert (dotted(wheel.glibc) if wheel.glibc else None) == (glibcs[0] if glibcs else None)
        assert wheel.toolkit.startswith(f"{wheel.cuda}.")
        newest = "12.6" if wheel.torch == "2.6" and at_least(wheel.toolkit, "12.6") else wheel.toolkit
        assert wheel.cxx11abi is torch_abi(CATALOGUE, wheel.torch, newest)  # torch 2.6 ends at CUDA 12.6


@each(("release", "family"), FAMILIES, lambda row: f"{row[0].version} at {row[1].url}")
def test_code_for_blackwell_takes_a_toolkit_that_knows_it(release, family):
    for wheel in wheels_of(Release(release.version, (), (), families=(family,))):
        if wheel.gpus:
            assert ("12.0" in wheel.gpus) is at_least(wheel.toolkit, "12.8")


def test_transformer_engine_of_the_wheelhouse_is_for_three_kinds_of_gpus():
    release = CATALOGUE.components["transformer-engine"].release("2.16.1")
    assert [wheel.gpus for wheel in release.wheels if "verl-wheelhouse" in wheel.url] == [("8.0", "9.0", "10.0")]


def test_names_of_flash_attn_do_not_decide_the_abi():
    said_false = [wheel for _, _, wheel in WHEELS if "cxx11abiFALSE" in wheel.file]
    assert {wheel.cxx11abi for wheel in said_false if "+cu12torch2.8" in wheel.file} == {True}
    assert {wheel.cxx11abi for wheel in said_false if "flash_attn-2.8" in wheel.file} == {True}
    assert {wheel.cxx11abi for wheel in said_false if "flash_attn-2.7.4" in wheel.file} == {False}


def test_digests_and_addresses_are_there_once():
    once = {(wheel.url, wheel.sha256) for _, _, wheel in WHEELS}
    digests = [digest for _, digest in once if digest]
    addresses = [url for url, _ in once]
    ways = [(wheel.url, wheel.cuda) for _, _, wheel in WHEELS]
    assert len(ways) == len(set(ways))
    assert len(digests) == len(set(digests))
    assert len(addresses) == len(set(addresses))


@EACH_RECIPE
def test_a_recipe_has_a_source_that_can_be_had(component, release, recipe):
    assert recipe.sources
    if recipe.source == "sdist":
        assert recipe.sha256
        parse_sdist_filename(f"{component.name.replace('-', '_')}-{release.version}.tar.gz")
    else:
        assert urlsplit(recipe.source.removeprefix("git+")).scheme == "https"
        assert recipe.source.startswith("git+") or recipe.product != "wheel"


@EACH_RECIPE
def test_a_recipe_names_what_exists(component, release, recipe):
    for requirement in recipe.requires:
        Requirement(requirement.replace("{cuda}", "12.8"))
    assert set(recipe.after) <= set(CATALOGUE.components)
    for patch in recipe.patches:
        owner, _, path = patch.partition(":")
        assert owner in CATALOGUE.components
        assert not Path(path).is_absolute()
    if recipe.product == "prefix":
        assert recipe.commands
    else:  # what prepares the tree for the backend makes no prefix
        assert "{prefix" not in " ".join(word for command in recipe.commands for word in command)
    assert (recipe.arch_style == "gfx") is any(
        tool.name == "hipcc" for tool in recipe.tools
    ) or not recipe.arch_variable


@EACH_RECIPE
def test_a_recipe_has_only_placeholders_that_mean_something(component, release, recipe):
    words = [*recipe.env.values(), *recipe.links, *(word for command in recipe.commands for word in command)]
    for name in PLACEHOLDER.findall(" ".join(words)):
        kind, _, other = name.partition(":")
        assert kind in {"jobs", "site", "cuda", "prefix", "source"}
        if other and other != component.name:
            assert other in recipe.after
            made = {each.product for each in _recipes(other)}
            assert kind in made
    assert set(recipe.env) - {recipe.arch_variable} == set(recipe.env)


def _recipes(name):
    return [recipe for release in CATALOGUE.components[name].releases for recipe in release.recipes]


def test_what_is_built_first_does_not_wait_for_what_comes_later():
    def above(name, seen):
        assert name not in seen
        for recipe in _recipes(name):
            for other in recipe.after:
                above(other, {*seen, name})

    for component in COMPONENTS:
        above(component.name, set())


DEEPEP = {
    "verl0.4": {"gdrcopy": "2.3.1", "nvshmem": "3.2.5-1", "deep-ep": "a84a248"},
    "verl0.5": {"gdrcopy": "2.3.1", "nvshmem": "3.2.5-1", "deep-ep": "a84a248"},
    "verl0.7.1": {"gdrcopy": "2.5.1", "deep-ep": "hybrid-ep"},
    "verl0.9.0": {"gdrcopy": "2.5.1", "deep-ep": "3f601f7ac1c062c46502646ff04c535013bfca00"},
}


@pytest.mark.parametrize(("family", "chain"), DEEPEP.items(), ids=DEEPEP)
def test_a_lockset_with_deepep_has_its_whole_chain(family, chain):
    own = [
        lockset for lockset in load_locksets() if lockset.id.startswith(f"{family}-") and "deepep" in lockset.provides
    ]
    assert own
    for lockset in own:
        versions = {native.name: native.version for native in lockset.natives if "deepep" in native.needed_for}
        assert versions == chain
        recipe = CATALOGUE.components["deep-ep"].release(chain["deep-ep"]).recipes[0]
        assert set(recipe.after) == set(chain) - {"deep-ep"}


def test_nvshmem_is_built_as_the_dockerfiles_build_it():
    recipe = CATALOGUE.components["nvshmem"].release("3.2.5-1").recipes[0]
    assert recipe.patches == ("deep-ep:third-party/nvshmem.patch",)
    off = {"SHMEM_SUPPORT", "UCX_SUPPORT", "USE_NCCL", "MPI_SUPPORT", "PMIX_SUPPORT", "TIMEOUT_DEVICE_POLLING"}
    assert {name for name, value in recipe.env.items() if value == "0"} == {f"NVSHMEM_{name}" for name in off}
    assert recipe.env["NVSHMEM_IBGDA_SUPPORT"] == recipe.env["NVSHMEM_USE_GDRCOPY"] == "1"
    assert {file.name for file in recipe.files} == {"mpi.h", "libmlx5.so"}


def test_tables_of_the_toolchain_are_in_order_and_sourced():
    rows = (*CATALOGUE.compilers, *CATALOGUE.capabilities, *CATALOGUE.abi)
    assert all(row.source.strip() for row in rows)
    releases = [tuple(map(int, limit.cuda.split("."))) for limit in CATALOGUE.compilers]
    assert releases == sorted(set(releases))
    capabilities = [tuple(map(int, row.capability.split("."))) for row in CATALOGUE.capabilities]
    assert capabilities == sorted(set(capabilities))


def test_what_a_wheel_cannot_be_without_exists_in_its_version():
    for component, release, wheel in WHEELS:
        for name in wheel.after:
            other = CATALOGUE.components[name].release(release.version)
            assert other is not None, (component.name, release.version, name)
            cuda = [way.cuda for way in (*other.wheels, *other.recipes)]
            assert wheel.cuda in cuda, (component.name, release.version, name)
