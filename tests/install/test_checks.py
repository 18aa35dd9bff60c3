import sys

import pytest

from tests.install.plans import check
from verl_env.install import checks as module
from verl_env.install.checks import NO_GPU, gpu_here, pick_checks, run_checks
from verl_env.installers.failures import CheckFailedError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs code as a check, in an environment whose interpreter is the one of the tests."""
    environment = tmp_path / "0003"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "stage").mkdir()
    (tmp_path / "user").mkdir()
    monkeypatch.chdir(tmp_path / "user")

    def go(*codes, running=lambda *_: None, apart=lambda _: None, **variables):
        done = []
        checks = [check(f"check {n}/x", code) for n, code in enumerate(codes)]
        places = (tmp_path / "logs", tmp_path / "stage")
        run_checks(
            checks,
            environment,
            variables,
            places,
            lambda id_, seconds: done.append((id_, seconds >= 0)),
            running=running,
            apart=apart,
        )
        return done

    return go


def test_one_process_runs_all_and_keeps_what_was_imported(run, tmp_path):
    code = f"import os; open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')"
    assert run(code, code, "import sys; assert 'decimal' not in sys.modules; import decimal", code) == [
        (f"check {n}/x", True) for n in range(4)
    ]
    assert len(set((tmp_path / "pids").read_text().split())) == 1


def test_what_a_check_changes_is_taken_back_for_the_next(run, tmp_path):
    run(
        "import os, sys; os.environ['LEFT'] = '1'; del os.environ['DEMO']; os.chdir('/'); sys.path.insert(0, '/x');"
        "sys.stdout = None; name = 1; sys.argv.append('x')",
        "import os, sys; assert 'LEFT' not in os.environ and os.environ['DEMO'] == '1'; assert '/x' not in sys.path;"
        f"assert os.getcwd() == {str(tmp_path / 'user')!r}; assert sys.stdout is not None; assert len(sys.argv) == 1;"
        "assert __name__ == '__main__' and 'name' not in vars(sys.modules['__main__'])",
        DEMO="1",
    )


def test_a_check_may_end_itself_as_a_script_may(run):
    assert (
        len(run("import sys; sys.exit()", "raise SystemExit(0)", "import os\nif not os.fork(): raise SystemExit")) == 3
    )
    assert len(run("import os; os.fork()", "pass")) == 2
    with pytest.raises(CheckFailedError, match="exit code 3"):
        run("pass", "raise SystemExit(3)")


@pytest.mark.parametrize(
    "code",
    [
        "import os, sys; assert 'decimal' not in sys.modules, 'beside the other'",
        "import os, sys; 'decimal' in sys.modules and os.kill(os.getpid(), 11)",
        "import os, sys; 'decimal' in sys.modules and os._exit(0)",
        "import atexit, os, sys; 'decimal' in sys.modules and atexit.register(os._exit, 7)",
    ],
    ids=["fails", "crashes", "leaves", "crashes at exit"],
)
def test_what_fails_only_beside_others_is_no_failure(run, code):
    done = [id_ for id_, _ in run("import decimal", code, "pass")]
    assert sorted(done[-3:]) == ["check 0/x", "check 1/x", "check 2/x"]
    assert len(done) > 3


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ValueError('mine')", "ValueError: mine"),
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("import atexit, os; atexit.register(os._exit, 7)", "exit code 7"),
        ("import atexit, os; atexit.register(os.kill, os.getpid(), 6)", "signal 6"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()", "did not end within"),
        ("import time; time.sleep(60)", "did not end within"),
    ],
    ids=["fails", "crashes", "ends badly", "crashes at exit", "hangs at exit", "hangs"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_whose_a_failure_is_the_check_alone_says(run, monkeypatch, code, reason, place):
    monkeypatch.setattr(module, "SECONDS", 1.5)
    codes = ["import json", "import decimal", "import csv"]
    codes[place] = code
    with pytest.raises(CheckFailedError, match=reason) as caught:
        run(*codes)
    assert caught.value.check == f"check {place}/x"


def test_what_runs_is_told_while_it_does(run):
    told = []
    run("import time; time.sleep(0.7)", "import time; time.sleep(0.5)", running=lambda *each: told.append(each))
    assert list(dict.fromkeys(what for what, _ in told))[:2] == ["check 0/x (1 of 2)", "check 1/x (2 of 2)"]
    first = [seconds for what, seconds in told if what.startswith("check 0/x")]
    assert first == sorted(first)
    assert first[-1] > 0.3


def test_each_check_has_all_of_its_time(run, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 1.5)
    assert len(run(*["import time; time.sleep(0.9)"] * 3)) == 3


def test_that_checks_run_apart_is_told(run):
    told = []
    with pytest.raises(CheckFailedError):
        run("pass", "raise ValueError", apart=told.append)
    assert told == ["check 1/x"]


def test_a_check_that_passes_says_and_leaves_nothing(run, tmp_path, capfd):
    run("print('fine')")
    assert capfd.readouterr().out == ""
    assert not (tmp_path / "logs").exists()


def test_the_variables_of_the_lockset_are_set(run):
    run("import os; assert os.environ['DEMO'] == '1'", DEMO="1")


def test_nothing_of_the_users_directory_can_be_imported(run, tmp_path):
    (tmp_path / "user" / "sneaky.py").write_text("")
    with pytest.raises(CheckFailedError, match="a module is missing: sneaky"):
        run("import sneaky")


def test_a_failure_keeps_its_log_and_shows_its_end(run, tmp_path):
    with pytest.raises(CheckFailedError) as caught:
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
    with pytest.raises(CheckFailedError) as caught:
        run(f"import sys; sys.stderr.write({output!r}); sys.exit(1)")
    assert caught.value.reason == reason


def test_a_crash_is_told_by_its_signal(run):
    with pytest.raises(CheckFailedError, match="signal 9; the kernel may have run out of memory"):
        run("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CheckFailedError, match=r"signal 11$"):
        run("import os; os.kill(os.getpid(), 11)")


def test_a_check_that_does_not_end_is_ended(run, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.3)
    with pytest.raises(CheckFailedError, match="did not end within"):
        run("import time; print('here', flush=True); time.sleep(60)")


def test_an_interpreter_that_is_gone(run, tmp_path):
    (tmp_path / "0003" / "bin" / "python").unlink()
    with pytest.raises(CheckFailedError, match="does not start"):
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
