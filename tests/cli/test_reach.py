"""``verl-env install`` where GitHub is out of reach: refused, silent, without the file, slow; all before a download."""

import json
import os
import shlex
import shutil
import time

import pytest
import tomli_w

from tests.cli.test_install import ID, MACHINE, PREFIXES, Bench
from tests.install.reach.hosts import Host, Silent, refusing
from tests.install.server import Index
from tests.install.wheels import wheel_bytes
from verl_env.cli.main import main
from verl_env.components.decode import SCHEMA
from verl_env.components.without import FILE as TABLE
from verl_env.constraints import constraints_directory
from verl_env.install.completeness import COMPLETE
from verl_env.wheels import runtime as runtime_wheel

FILE = "flash_attn-2.8.3-py3-none-any.whl"
FIRST = "incomplete: without flash-attn verl's default attention stops"
GIVE = f"or give the wheel ({FILE} in the current directory): "


class Site(Bench):
    """A bench whose packages come from an index on this host, and whose flash-attn from an address of the test."""

    def __init__(self, tmp_path, capsys):
        super().__init__(tmp_path, capsys)
        self.index = Index(self.house.path)

    def offer(self, url):
        native = {"name": "flash-attn", "version": "2.8.3", "reason": "r"}
        self.lockset(ID, [self.demo, self.verl], verl="0.9.1", natives=[native])
        wheel = {"url": url, "pythons": [self.python], "source": "a test"}
        release = {"version": "2.8.3", "wheels": [wheel], "recipes": []}
        table = {"schema": SCHEMA, "name": "flash-attn", "imports": "flash_attn", "releases": [release]}
        (self.root / "components").mkdir(exist_ok=True)
        (self.root / "components" / "flash-attn.toml").write_text(tomli_w.dumps(table))

    @property
    def python(self):
        return ".".join(MACHINE["pythons"][0]["version"].split(".")[:2])

    def run(self, *flags):
        argv = ["install", "--stack", "demo", "--machine", str(self.machine), "--into", str(self.into), *flags]
        code = main(argv)
        return code, self.capsys.readouterr()

    @property
    def files_asked(self):
        return [path for path in self.index.asked if path.startswith("/files/")]


@pytest.fixture
def site(tmp_path, capsys, monkeypatch):
    for name in [name for name in os.environ if name.startswith(PREFIXES) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    site = Site(tmp_path, capsys)
    shutil.copy(constraints_directory() / TABLE, site.root)
    shutil.copytree(runtime_wheel.SOURCE, tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(runtime_wheel, "SOURCE", tmp_path / "runtime")
    variables = {
        "VERL_ENV_CONSTRAINTS": str(site.root),
        "VERL_ENV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": site.index.simple,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": site.index.simple,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield site
    site.index.close()


@pytest.fixture(params=["refused", "silent", "absent"])
def lost(request):
    """An address of the wheel from which nothing can be had, and what is said of it."""
    host = {"refused": lambda: None, "silent": Silent, "absent": Host}[request.param]()
    if isinstance(host, Host):
        host.codes[f"/{FILE}"] = 404
    name = host.name if host else refusing()
    words = {
        "refused": "cannot be reached (Connection refused)",
        "silent": "did not answer within 4 s",
        "absent": "answers 404 Not Found",
    }
    yield f"http://{name}/{FILE}", f"{name} {words[request.param]}"
    if host:
        host.close()


def test_what_is_missing_is_said_before_the_download_and_at_the_end(site, lost):
    url, reason = lost
    site.offer(url)
    started = time.monotonic()
    code, captured = site.run("--dry-run")
    assert time.monotonic() - started < 10
    assert (code, site.files_asked) == (0, [])
    assert reason in captured.out
    assert captured.out.splitlines()[-2] == FIRST
    command = captured.out.rpartition(GIVE)[2].strip()
    assert "(seen to train)" in captured.out.splitlines()[-1]
    code, captured = site.run()
    assert code == 0
    assert captured.err.index(FIRST) < captured.err.index("[1/")
    assert captured.out.splitlines()[-2] == FIRST
    assert captured.out.rpartition(GIVE)[2].strip() == command


def test_asked_for_it_is_an_error_before_the_download(site, lost):
    url, reason = lost
    site.offer(url)
    code, captured = site.run("--with", "flash-attn")
    assert (code, site.files_asked, site.into.exists()) == (1, [], False)
    assert "error[native-unavailable]" in captured.err
    assert reason in captured.err


def test_the_command_works_as_printed(site, lost, tmp_path, monkeypatch):
    site.offer(lost[0])
    _, captured = site.run()
    words = shlex.split(captured.out.rpartition(GIVE)[2])
    here = tmp_path / "here"
    here.mkdir()
    (here / FILE).write_bytes(wheel_bytes("flash-attn", "2.8.3", {"flash_attn.py": ""}))
    monkeypatch.chdir(here)
    assert words[0] == "verl-env"
    code = main(words[1:])
    captured = site.capsys.readouterr()
    assert code == 0, captured.err
    assert "+ flash-attn 2.8.3" in captured.out
    assert captured.out.splitlines()[-1] == COMPLETE


def test_again_nobody_is_asked(site, lost):
    site.offer(lost[0])
    site.run()
    before = list(site.index.asked)
    started = time.monotonic()
    code, captured = site.run()
    assert (code, captured.err, site.index.asked) == (0, "", before)
    assert time.monotonic() - started < 3
    assert captured.out.splitlines()[0].startswith("nothing to do")
    assert captured.out.splitlines()[-2] == FIRST


def test_as_json(site, lost):
    site.offer(lost[0])
    data = json.loads(site.run("--dry-run", "--json")[1].out)
    assert (data["complete"], [each["name"] for each in data["incomplete"]]) == (False, ["flash-attn"])
    entry = data["incomplete"][0]
    assert set(entry) >= {"name", "reason", "stops", "instead"}
    assert (entry["stops"], lost[1] in entry["reason"]) == ("verl's default attention stops", True)


def test_a_slow_host_has_it(site):
    slow = Host(wait=1.0)
    try:
        site.offer(slow.url(f"/{FILE}"))
        code, captured = site.run("--dry-run")
        assert (code, captured.out.splitlines()[-1]) == (0, COMPLETE)
    finally:
        slow.close()


def test_offline_asks_nobody(site):
    host = Host()
    try:
        site.offer(host.url(f"/{FILE}"))
        code, captured = site.run("--offline", "--wheelhouse", str(site.house.path), "--dry-run")
        assert (code, host.asked, site.index.asked) == (0, [], [])
        assert f"offline, and {FILE} is not in {site.house.path} or the cache" in captured.out
        assert FIRST in captured.out
    finally:
        host.close()


def test_an_index_that_is_lost_is_said_before_anything_is_made(site, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{refusing()}/simple")
    code, captured = site.run()
    assert (code, site.into.exists()) == (1, False)
    assert "error[packages-unreachable]" in captured.err


def test_plan_asks_nobody_and_says_so(site, lost, capsys):
    site.offer(lost[0])
    code = main(["plan", "--stack", "demo", "--machine", str(site.machine)])
    out = capsys.readouterr().out
    assert (code, site.index.asked) == (0, [])
    assert f"verl-env install --stack demo --machine {site.machine} --dry-run" in out
    assert out.splitlines()[-2] == COMPLETE


def test_what_is_asked_for_and_is_on_no_index_is_refused_before_the_download(site):
    for flags in (["--dry-run"], []):
        code, captured = site.run("--with", "nosuch>=1", *flags)
        assert code == 1
        assert "error[package-unknown]: no index has nosuch (" in captured.err
        assert site.files_asked == []
    assert not site.into.exists()
