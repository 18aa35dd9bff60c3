"""What uv and pip say, in the words that they say it in."""

import json

import pytest

from verl_env.additions.model import Cause, ResolvedPackage
from verl_env.additions.outputs import causes, pip_found, reasons, uv_found

UV = """\
Using Python 3.11.7 environment at: /srv/shadow
Resolved 5 packages in 12ms
Would uninstall 1 package
Would install 5 packages
 - numpy==1.26.4
 + numpy==2.1.0
 + Thing.One==1.0+cu12
 + mine==3 (from file:///home/u/my%20project)
 + other @ file:///srv/other-1-py3-none-any.whl
 + repo==0.1 (from git+https://git.example/a/repo@0123456789abcdef0123456789abcdef01234567)
"""


def test_what_uv_would_install():
    assert uv_found(UV, ["/home/u/my project"]) == (
        ResolvedPackage("numpy", "2.1.0"),
        ResolvedPackage("thing-one", "1.0+cu12"),
        ResolvedPackage("mine", "3", "file:///home/u/my%20project", editable=True),
        ResolvedPackage("other", "", "file:///srv/other-1-py3-none-any.whl"),
        ResolvedPackage("repo", "0.1", "git+https://git.example/a/repo@0123456789abcdef0123456789abcdef01234567"),
    )
    assert uv_found("Audited 1 package in 2ms\nWould make no changes\n", []) == ()


def test_a_package_is_a_line_of_a_requirements_file():
    lines = [each.line for each in uv_found(UV, ["/home/u/my project"])]
    assert lines[0] == "numpy==2.1.0"
    assert lines[2] == "--editable file:///home/u/my%20project"
    assert lines[3] == "other @ file:///srv/other-1-py3-none-any.whl"
    assert [each.text for each in uv_found(UV, [])][2:4] == [
        "3 (from file:///home/u/my%20project)",
        "(from file:///srv/other-1-py3-none-any.whl)",
    ]


def item(name, version, *, direct=False, **info):
    return {"metadata": {"name": name, "version": version}, "is_direct": direct, "download_info": info}


def test_what_pip_would_install():
    commit = "0123456789abcdef0123456789abcdef01234567"
    report = {
        "install": [
            item("Thing.One", "1.0", url="https://index.example/thing.whl", archive_info={}),
            item("mine", "3", direct=True, url="file:///srv/mine", dir_info={"editable": True}),
            item("tree", "1", direct=True, url="file:///srv/tree", dir_info={}),
            item("repo", "0.1", direct=True, url="https://git.example/a", vcs_info={"vcs": "git", "commit_id": commit}),
        ]
    }
    assert pip_found(json.dumps(report).encode()) == (
        ResolvedPackage("thing-one", "1.0"),
        ResolvedPackage("mine", "3", "file:///srv/mine", editable=True),
        ResolvedPackage("tree", "1", "file:///srv/tree"),
        ResolvedPackage("repo", "0.1", f"git+https://git.example/a@{commit}"),
    )


@pytest.mark.parametrize("report", [b"", b"{}", b'{"install": [{}]}', b'{"install": 3}'])
def test_what_is_no_report(report):
    with pytest.raises(ValueError, match=r"."):
        pip_found(report)


PINS = {"numpy": "1.26.4", "torch": "2.6.0"}
UV_REFUSALS = [
    (
        "  cause: Because thing>=2.0 depends on torch>=2.7 and torch==2.6.0, we can\n         conclude that",
        [Cause("torch", "2.6.0", "thing>=2.0", "torch>=2.7")],
    ),
    (
        "Because all versions of mid depend on torch>=2.7,<3 and torch==2.6.0, we can conclude",
        [Cause("torch", "2.6.0", "every version of mid", "torch>=2.7,<3")],
    ),
    (
        "Because thing==1.0 depends on numpy{sys_platform == 'linux'}>=2 and thing==1.0 depends on helper>=3,",
        [Cause("numpy", "1.26.4", "thing==1.0", "numpy>=2")],
    ),
    ("Because nosuch was not found in the package registry and you require nosuch", []),
]


@pytest.mark.parametrize(("output", "expected"), UV_REFUSALS)
def test_why_uv_finds_nothing(output, expected):
    assert list(causes(output, PINS)) == expected


def test_why_pip_finds_nothing():
    output = """\
ERROR: Cannot install thing==1.0 and thing==2.0 because these package versions have conflicting dependencies.

The conflict is caused by:
    thing 2.0 depends on numpy>=2
    thing 1.0 depends on Torch<3,>=2.7
    thing 1.0 depends on helper>=1
    The user requested (constraint) numpy==1.26.4
"""
    assert causes(output, PINS) == (
        Cause("numpy", "1.26.4", "thing 2.0", "numpy>=2"),
        Cause("torch", "2.6.0", "thing 1.0", "torch<3,>=2.7"),
    )


def test_reasons_are_what_is_left_without_the_noise():
    output = "Using Python 3.11 environment at: x\nLooking in links: y\n\nERROR: No matching distribution found for z\n"
    assert reasons(output) == ["ERROR: No matching distribution found for z"]
