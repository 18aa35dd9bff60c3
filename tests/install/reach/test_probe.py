import subprocess
import time

import pytest

from tests.install.reach.hosts import Host, refusing
from verl_env.install.reach import probe as module
from verl_env.install.reach.probe import Answer, Place, place_of, probe
from verl_env.records import replace


def ask(url, seconds=1.0, **more):
    return probe(replace(place_of(url), **more), seconds)


def test_the_first_byte_of_a_file_is_asked_for(host):
    assert ask(host.url("/a.whl")) == Answer()
    assert host.asked == [("/a.whl", "bytes=0-0")]


@pytest.mark.parametrize(("code", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (503, "503 ")])
def test_an_error_is_that_of_the_file(host, code, words):
    host.codes["/a.whl"] = code
    answer = ask(host.url("/a.whl"))
    assert answer.reason.startswith(f"{host.name} answers {words}")
    assert not answer.host


def test_who_refuses_is_out_of_reach_as_a_whole():
    name = refusing()
    assert ask(f"http://{name}/a.whl") == Answer(f"{name} cannot be reached (Connection refused)", host=True)


def test_who_never_answers_is_silent(silent):
    started = time.monotonic()
    assert ask(silent.url("/a.whl"), 0.3) == Answer(f"{silent.name} did not answer within 0 s", host=True)
    assert time.monotonic() - started < 2


def test_who_is_slow_is_there():
    slow = Host(wait=0.3)
    try:
        assert ask(slow.url("/a.whl"), 3.0) == Answer()
    finally:
        slow.close()


def test_a_name_that_nobody_knows():
    answer = ask("https://no-such-host.invalid/a.whl", 3.0)
    assert answer.host
    assert answer.reason.startswith("no-such-host.invalid ")


def test_the_proxy_is_asked_in_place_of_the_server(host, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{host.name}")
    assert ask("http://no-such-host.invalid/a.whl") == Answer()
    assert host.asked[0][0] == "http://no-such-host.invalid/a.whl"
    host.codes["http://no-such-host.invalid/a.whl"] = 407
    assert ask("http://no-such-host.invalid/a.whl").host


def test_the_mirror_is_asked_in_place_of_the_address(host, tmp_path, monkeypatch):
    config = tmp_path / "config.toml"
    monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
    config.write_text(f'[mirrors]\n"https://releases.invalid" = "{host.url("/m")}"\n')
    assert ask("https://releases.invalid/a.whl") == Answer()
    assert host.asked[0][0] == "/m/a.whl"
    config.write_text(f'[mirrors]\n"https://releases.invalid" = "file://{tmp_path}"\n')
    assert not ask("https://releases.invalid/a.whl").host
    (tmp_path / "a.whl").write_bytes(b"x")
    assert ask("https://releases.invalid/a.whl") == Answer()


def test_a_repository_is_asked_by_git(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "there")], check=True)
    assert place_of(f"git+file://{tmp_path}/there@v1") == Place(f"file://{tmp_path}/there", git=True)
    assert ask(f"git+file://{tmp_path}/there@v1", 5.0) == Answer()
    gone = ask(f"git+file://{tmp_path}/gone", 5.0)
    assert (gone.host, "does not appear to be a git repository" in gone.reason) == (False, True)
    assert ask(f"git+http://{refusing()}/x.git@v1", 5.0).host


def test_a_repository_that_never_answers(silent):
    assert ask(f"git+{silent.url('/x.git')}", 0.5) == Answer(f"{silent.name} did not answer within 0 s", host=True)


def test_without_git_the_tools_of_the_build_are_to_say_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask("git+https://no-such-host.invalid/x.git") == Answer()


def test_what_cannot_be_asked_has_no_place():
    assert place_of("s3://bucket/a.whl") is None
    assert place_of("") is None


def test_the_project_of_an_index(host, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", host.url("/simple"))
    assert probe(Place("torch", installer="uv"), 1.0) == Answer()
    assert host.asked[0][0] == "/simple/torch/"
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{refusing()}/simple")
    assert probe(Place("torch", installer="uv"), 1.0).host
    monkeypatch.setenv("UV_INDEX", "https://another.invalid/simple")
    assert probe(Place("torch", installer="uv"), 1.0) == module.THERE
