import sys
import time

import pytest

from tests.install.plans import check
from verl_env.install import checks as module
from verl_env.install.checks import NO_GPU, gpu_here, pick_checks, run_checks
from verl_env.installers.failures import CheckFailed
from verl_env.machine.child import Completed


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs code as a check, in an environment whose interpreter is the one of the tests."""
    environment = tmp_path / "0003"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "stage").mkdir()
    (tmp_path / "user").mkdir()
    monkeypatch.chdir(tmp_path / "user")

    def go(*codes, **variables):
        done = []
        checks = [check(f"check {n}/x", code) for n, code in enumerate(codes)]
        places = (tmp_path / "logs", tmp_path / "stage")
        run_checks(checks, environment, variables, places, lambda id_, seconds: done.append((id_, seconds > 0)))
        return done

    return go


@pytest.fixture
def processors(monkeypatch):
    """Says how many processors there are."""
    return lambda number: monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(number)))


@pytest.mark.parametrize(("number", "together"), [(1, 1), (2, 1), (4, 2), (64, 3)])
def test_checks_run_side_by_side_where_there_are_processors(run, tmp_path, processors, number, together):
    processors(number)
    code = (
        "import os, pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "mark = here / f'{os.getpid()}.running'\n"
        "mark.touch()\n"
        f"deadline = time.monotonic() + (10 if {together} > 1 else 0.1)\n"
        f"while len(list(here.glob('*.running'))) < {together} and time.monotonic() < deadline: time.sleep(0.01)\n"
        "(here / f'{os.getpid()}.seen').write_text(str(len(list(here.glob('*.running')))))\n"
        "time.sleep(0.1)\n"
        "mark.unlink()\n"
    )
    assert run(*[code] * together) == [(f"check {n}/x", True) for n in range(together)]
    assert max(int(path.read_text()) for path in tmp_path.glob("*.seen")) == together


def test_what_runs_is_told_while_it_does(run, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(module, "run_all", lambda commands, **_: time.sleep(2.2) or [Completed((), 0, b"", b"", 2.2)])
    places = (tmp_path / "logs", tmp_path / "stage")
    run_checks([check("vllm", "pass")], tmp_path / "0003", {}, places, lambda *_: None, lambda *each: told.append(each))
    assert [ids for ids, _ in told][:2] == ["vllm", "vllm"]
    assert told[1][1] > told[0][1] >= 1
    count = len(told)
    time.sleep(1.2)
    assert len(told) == count


def test_the_first_in_order_that_fails_is_told(run, processors):
    processors(64)
    with pytest.raises(CheckFailed) as caught:
        run("pass", "import time; time.sleep(0.2); raise ValueError('second')", "raise ValueError('third')")
    assert (caught.value.check, caught.value.reason) == ("check 1/x", "ValueError: second")


def test_a_check_that_passes_says_and_leaves_nothing(run, tmp_path, capfd):
    run("print('fine')")
    assert capfd.readouterr().out == ""
    assert not (tmp_path / "logs").exists()


def test_the_variables_of_the_lockset_are_set(run):
    run("import os; assert os.environ['DEMO'] == '1'", DEMO="1")


def test_nothing_of_the_users_directory_can_be_imported(run, tmp_path):
    (tmp_path / "user" / "sneaky.py").write_text("")
    with pytest.raises(CheckFailed, match="a module is missing: sneaky"):
        run("import sneaky")


def test_a_failure_keeps_its_log_and_shows_its_end(run, tmp_path):
    with pytest.raises(CheckFailed) as caught:
        run("print('before')\nassert 1 == 2, 'one is not two'")
    error = caught.value
    assert error.check == "check 0/x"
    assert error.reason == "AssertionError: one is not two"
    assert error.tail[-1] == "AssertionError: one is not two"
    assert error.log == tmp_path / "logs" / "0003-check-0-x.log"
    assert "before" in error.log.read_text()
    assert "assert 1 == 2" in error.log.read_text()
    assert str(error.log) in error.hint


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
            "it needs the NVIDIA driver, and this host has none",
        ),
        ("OSError: libcudnn.so.9: cannot open shared object file", "a shared library is not found: libcudnn.so.9"),
        ("/lib/libc.so.6: version `GLIBC_2.32' not found", "it needs a newer C library: GLIBC_2.32"),
        ("libstdc++.so.6: version `GLIBCXX_3.4.29' not found", "it needs a newer libstdc++: GLIBCXX_3.4.29"),
        (
            "ImportError: x.so: undefined symbol: _ZN3c105ErrorC2E",
            "a compiled part was built against another version of what it uses: _ZN3c105ErrorC2E",
        ),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "a module is missing: pkg_resources"),
        ("ValueError: numpy.dtype size changed, may indicate", "a compiled part was built against another numpy"),
        ("something else", "something else"),
        ("", "exit code 1"),
    ],
)
def test_the_likely_reason(run, output, reason):
    with pytest.raises(CheckFailed) as caught:
        run(f"import sys; sys.stderr.write({output!r}); sys.exit(1)")
    assert caught.value.reason == reason


def test_a_crash_is_told_by_its_signal(run):
    with pytest.raises(CheckFailed, match="signal 9; the kernel may have run out of memory"):
        run("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CheckFailed, match=r"signal 11$"):
        run("import os; os.kill(os.getpid(), 11)")


def test_a_check_that_does_not_end_is_ended(run, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.3)
    with pytest.raises(CheckFailed, match="did not end within"):
        run("import time; print('here', flush=True); time.sleep(60)")


def test_an_interpreter_that_is_gone(run, tmp_path):
    (tmp_path / "0003" / "bin" / "python").unlink()
    with pytest.raises(CheckFailed, match="does not start"):
        run("pass")


@pytest.mark.parametrize(("gpu", "chosen", "skipped"), [(True, ["a", "b"], {}), (False, ["a"], {"b": NO_GPU})])
def test_checks_that_need_a_gpu_run_where_there_is_one(gpu, chosen, skipped):
    picked, left = pick_checks((check("a"), check("b", needs="gpu")), gpu=lambda: gpu)
    assert [each.id for each in picked] == chosen
    assert left == skipped


def test_nobody_looks_for_a_gpu_where_no_check_needs_one():
    picked, _ = pick_checks((check("a"),), gpu=lambda: pytest.fail("looked"))
    assert len(picked) == 1


@pytest.mark.parametrize(
    ("names", "there"),
    [(["null", "nvidiactl", "nvidia-uvm"], False), (["nvidia0", "nvidiactl"], True), (["kfd"], True), ([], False)],
)
def test_a_gpu_shows_as_a_device_file(tmp_path, monkeypatch, names, there):
    for name in names:
        (tmp_path / name).write_text("")
    monkeypatch.setattr(module, "DEVICES", tmp_path)
    assert gpu_here() is there


def test_without_device_files_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DEVICES", tmp_path / "none")
    assert not gpu_here()
