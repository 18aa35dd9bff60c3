"""Parts run in an interpreter; here the programs are stand-ins that answer as the real ones do."""

import os
import sys

import pytest

from tests.verify.subjects import part, subject
from verl_env.verify.model import Training
from verl_env.verify.run import PROGRAMS, Room, variables, verify

GIVE = f"import sys; sys.path.insert(0, {str(PROGRAMS)!r}); from answer import give\n"


@pytest.fixture
def attempt(tmp_path):
    """Runs one stand-in program as a part; the result."""

    def run(code, *, packages=None, **changes):
        program = tmp_path / "program.py"
        program.write_text(GIVE + code)
        room = Room(tmp_path, tmp_path / "python", variables(os.environ, tmp_path))
        room.python.unlink(missing_ok=True)
        room.python.symlink_to(sys.executable)
        told = []
        found = verify(
            subject(packages=packages or {"torch": "2.11.0"}),
            [part(program=str(program), **changes)],
            room,
            started=told.append,
            ended=told.append,
            findings=lambda log: ("x",) if "undefined symbol" in log else (),
        )
        assert told[-1] is found
        return found

    return run


def test_what_answers_within_its_bounds_passed(attempt):
    found = attempt("give(error=0.001, shapes=3)", at_most={"error": 0.01})
    assert found.ok
    assert found.results[0].state == "passed"
    assert found.results[0].figures == {"error": 0.001, "shapes": 3}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("give(error=0.5)", "error is 0.5, at most 0.01 was expected"),
        ("give(error=float('nan'))", "error is nan, at most 0.01 was expected"),
        ("give(other=1)", "error was not measured"),
        ("pass", "it gave no answer"),
        ("give(error=0.001); sys.exit(3)", "it ended with code 3"),
    ],
)
def test_what_does_not_failed_with_the_reason(attempt, code, reason):
    found = attempt(code, at_most={"error": 0.01})
    assert not found.ok
    assert found.results[0].reason == reason


def test_a_part_that_hangs_failed_at_its_deadline(attempt):
    result = attempt("import time; time.sleep(600)", deadline=1.5).results[0]
    assert result.state == "failed"
    assert "killed at its deadline" in result.reason


def test_the_log_of_a_failure_is_kept_and_read(attempt, tmp_path):
    code = "print('a line', file=sys.stderr); raise ImportError('x.so: undefined symbol: y')"
    result = attempt(code).results[0]
    assert result.findings == ("x",)
    assert result.log.endswith("ImportError: x.so: undefined symbol: y")
    assert "a line" in (tmp_path / "p.log").read_text()


def test_what_is_impossible_is_neither_run_nor_a_failure(attempt):
    found = attempt("raise SystemExit(1)", needs=("absent",))
    assert found.results[0].state == "impossible"
    assert found.results[0].reason == "absent is not in the environment"
    assert not found.ok  # nothing was proved


def test_training_is_judged_by_its_last_step(tmp_path):
    """A stand-in for verl: a module of the trainer's name that prints what verl's console logger does."""
    trainer = tmp_path / "site" / "verl" / "trainer"
    trainer.mkdir(parents=True)
    (trainer / "__init__.py").touch()
    (trainer.parent / "__init__.py").touch()
    steps = "\n".join(
        f"print('step:{step} - actor/grad_norm:0.5 - actor/kl_loss:0.01 - training/rollout_probs_diff_mean:0.001 - "
        f"training/rollout_actor_probs_pearson_corr:{corr}')"
        for step, corr in ((1, 0.999), (2, "CORR"))
    )
    room = Room(
        tmp_path, tmp_path / "python", {**variables(os.environ, tmp_path), "PYTHONPATH": str(trainer.parents[1])}
    )
    room.python.symlink_to(sys.executable)
    room.models.mkdir()
    mine = subject(packages={"verl": "0.9.1", "flash-attn": "2.8.3"})
    training = part(needs=("verl",), train=Training("fsdp", "vllm", 1))

    def trained(source):
        (trainer / "main_ppo.py").write_text(source)
        return verify(
            mine, [training], room, started=lambda _: None, ended=lambda _: None, findings=lambda _: ()
        ).results[0]

    assert trained(steps.replace("CORR", "0.999")).state == "passed"
    assert trained(steps.replace("CORR", "0.4")).reason == "probs_correlation is 0.4, at least 0.99 was expected"
    assert trained(steps.splitlines()[0]).reason == "it made 1 of 2 steps"
    silent = trained("print('step:1 - actor/grad_norm:0.5'); print('step:2 - actor/grad_norm:0.5')")
    assert silent.state == "failed"
    assert "probs_difference was not measured" in silent.reason


def test_the_document_has_what_design_promises(attempt):
    document = attempt("give(error=0)", at_most={"error": 1}).to_json()
    assert document["schema"] == 1
    assert document.keys() >= {"lockset", "python", "gpu", "driver", "parts", "ok"}
    assert document["parts"][0].keys() == {"id", "state", "reason", "seconds", "figures", "findings"}
    assert document["packages"] == {"torch": "2.11.0"}


def test_what_is_known_is_given_after_each_part(tmp_path):
    room = Room(tmp_path, tmp_path / "python", variables(os.environ, tmp_path))
    room.python.symlink_to(sys.executable)
    told = []
    parts = [part(id="first", program="absent.py", gpus=9), part(id="second", program="absent.py", gpus=9)]
    found = verify(
        subject(packages={"torch": "2.11.0"}),
        parts,
        room,
        started=told.append,
        ended=told.append,
        findings=lambda _: (),
    )
    assert [[result.id for result in each.results] for each in told] == [["first"], ["first", "second"]]
    assert told[-1] is found


def test_nothing_of_the_users_cluster_gets_in(tmp_path):
    env = variables({"RAY_ADDRESS": "head:6379", "PYTHONPATH": "/x", "WANDB_API_KEY": "k", "HOME": "/h"}, tmp_path)
    assert env["RAY_ADDRESS"] == "local"
    assert env["HOME"] == "/h"
    assert not {"PYTHONPATH", "WANDB_API_KEY"} & env.keys()
