"""The bill of materials of a bundle, read by the validator of the format's own library."""

import json

import pytest

from tests.bundle.bundles import CONTENTS, PLAN, manifest
from verl_env.bundle.bom import bill_of_materials
from verl_env.bundle.model import File, Manifest

pytest.importorskip("cyclonedx")


def whole():
    named = File("wheels/torch-2.6.0-cp312-cp312-linux_x86_64.whl", 3, "a" * 64, "package", "torch", "2.6.0")
    built = File("wheels/x-1-py3-none-any.whl", 3, "b" * 64, "sdist-wheel", "x", "1", "wheels/x-1.tar.gz")
    small = manifest(CONTENTS)
    return Manifest((named, built), (PLAN,), small.tool, small.tool_pythons)


def test_the_library_that_knows_the_format_accepts_it():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    content = bill_of_materials(whole()).decode()
    version = SchemaVersion.from_version(json.loads(content)["specVersion"])
    try:
        wrong = JsonStrictValidator(version).validate_str(content)
    except ImportError as error:
        pytest.skip(f"the library's validator needs its own extra: {error}")
    assert wrong is None
    assert JsonStrictValidator(version).validate_str(content.replace('"CycloneDX"', '"Other"')) is not None


def test_it_names_packages_with_their_hashes_and_is_the_same_each_time():
    document = json.loads(bill_of_materials(whole()))
    torch = next(each for each in document["components"] if each["name"] == "torch")
    assert (torch["version"], torch["hashes"]) == ("2.6.0", [{"alg": "SHA-256", "content": "a" * 64}])
    assert torch["purl"].startswith("pkg:pypi/torch@2.6.0")
    assert bill_of_materials(whole()) == bill_of_materials(whole())
