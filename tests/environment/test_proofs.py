"""Proofs that are kept in an environment."""

import os

import pytest

from verl_env.environment.proofs import FILE, keep_proof, kept_proofs

DOCUMENT = {
    "date": "2026-11-28T08:50:29+00:00",
    "gpu": "NVIDIA H200",
    "driver": "580.159.04",
    "parts": [{"id": "attention", "state": "passed", "figures": {"forward_error": 0.002}}],
}


@pytest.fixture
def env(tmp_path):
    """An environment that is a link to a generation, as verl-env makes it."""
    (tmp_path / ".venv.d" / "0001").mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(".venv.d/0001")
    return tmp_path / ".venv"


def test_every_proof_is_kept(env):
    keep_proof(env, DOCUMENT)
    keep_proof(env, {**DOCUMENT, "gpu": None, "driver": None})
    first, second = kept_proofs(env)
    assert first.document == DOCUMENT
    assert first.to_json() == {
        "date": "2026-11-28T08:50:29+00:00",
        "gpu": "NVIDIA H200",
        "driver": "580.159.04",
        "parts": {"attention": "passed"},
        "current": True,
    }
    assert second.to_json()["gpu"] is None


def test_a_proof_is_of_the_state_that_it_was_made_of(env):
    file = keep_proof(env, DOCUMENT)
    new = env.parent / ".venv.d" / "0002"
    new.mkdir()
    (new / FILE).write_bytes(file.read_bytes())
    env.unlink()
    env.symlink_to(".venv.d/0002")
    assert [proof.current for proof in kept_proofs(env)] == [False]
    keep_proof(env, DOCUMENT)
    assert [proof.current for proof in kept_proofs(env)] == [False, True]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"proofs": 1}', '{"proofs": [1]}', '{"proofs": [{"document": {}}]}'])
def test_what_cannot_be_read_is_no_proof(env, text):
    (env / FILE).write_text(text)
    assert kept_proofs(env) == ()
    keep_proof(env, DOCUMENT)
    assert len(kept_proofs(env)) == 1


def test_a_fifo_in_its_place_is_not_waited_for(env):
    os.mkfifo(env / FILE)
    assert kept_proofs(env) == ()
