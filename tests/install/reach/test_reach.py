import threading
import time

import pytest

from verl_env.install.reach.ask import ask
from verl_env.install.reach.probe import THERE, Answer, Place
from verl_env.install.reach.reach import ROUND, TOTAL, Reach

A, B, C = "https://a.example/1.whl", "https://a.example/2.whl", "https://c.example/1.whl"
LOST = Answer("a.example cannot be reached (refused)", host=True)


class Prober:
    """Answers by URL, THERE for what it was not told of; ``asked`` are the URLs."""

    def __init__(self, **_):
        self.answers = {}
        self.asked = []

    def __call__(self, place, seconds):
        self.asked.append(place.url)
        return self.answers.get(place.url, THERE)


@pytest.fixture
def prober():
    return Prober()


def test_nothing_is_known_against_what_was_not_asked(prober):
    reach = Reach(prober=prober)
    assert reach.why_not(A) is None
    reach.ask([A, C])
    assert (reach.why_not(A), reach.barred) == (None, {})
    reach.ask([A, C])
    assert sorted(prober.asked) == [A, C]


def test_a_host_that_is_lost_is_lost_for_all_of_its_files(prober):
    prober.answers[A] = LOST
    reach = Reach(prober=prober)
    reach.ask([A, C])
    assert reach.why_not(A) == reach.why_not(B) == LOST.reason
    assert reach.why_not(C) is None
    assert reach.barred == {A: LOST.reason, "a.example": LOST.reason}


def test_a_file_that_is_absent_is_alone(prober):
    prober.answers[A] = Answer("a.example answers 404 Not Found")
    reach = Reach(prober=prober)
    reach.ask([A])
    assert (reach.why_not(A), reach.why_not(B)) == ("a.example answers 404 Not Found", None)


def test_a_host_that_gave_something_else_is_not_to_blame(prober):
    prober.answers[A] = LOST
    reach = Reach(prober=prober)
    reach.ask([A, B])
    assert (reach.why_not(A), reach.why_not(B)) == (LOST.reason, None)


def test_what_is_here_does_not_go_out_of_reach_with_its_host(prober):
    prober.answers[A] = LOST
    reach = Reach(lambda address: address == B, prober=prober)
    reach.ask([A])
    assert reach.why_not(B) is None
    reach.at_hand.add(A)
    assert reach.why_not(A) is None


def test_what_was_found_another_time_holds_without_asking(prober):
    reach = Reach(known={"a.example": "no"}, prober=prober)
    assert (reach.why_not(A), reach.why_not("git+https://a.example/x.git@v1"), prober.asked) == ("no", "no", [])


def test_an_index_answers_for_itself_only(prober):
    prober.answers["torch"] = LOST
    prober.answers["apex"] = Answer("i.example answers 404 Not Found")
    reach = Reach(prober=prober)
    reach.ask(["packages:uv:torch", "packages:uv:apex", "sdist:apex==0.1", "sdist:flash-attn==2.8"])
    assert set(reach.barred) == {"packages:uv:torch", "sdist:apex==0.1"}
    assert set(reach.lacking) == {"packages:uv:apex"}


def test_there_is_no_asking_after_the_time_is_over(prober):
    now = [0.0]
    reach = Reach(prober=prober, clock=lambda: now[0])
    reach.ask([A])
    now[0] = TOTAL
    reach.ask([C])
    assert prober.asked == [A]


def test_all_of_it_is_said_within_ten_seconds():
    assert ROUND < TOTAL < 10


def test_the_deadline_is_for_all_together():
    stuck = threading.Event()
    started = time.monotonic()
    places = {f"https://{n}.example/": Place(f"https://{n}.example/") for n in range(20)}
    found = ask(places, 0.3, lambda *_: stuck.wait(30) and THERE)
    stuck.set()
    assert time.monotonic() - started < 3
    assert set(found) == set(places)
    assert all(answer.host and "did not answer" in answer.reason for answer in found.values())


def test_a_fault_in_asking_is_an_answer():
    def broken(*_):
        raise KeyError("x")

    assert ask({A: Place(A)}, 1.0, broken) == {A: Answer("a.example cannot be asked (KeyError: 'x')")}


def test_the_hosts_that_would_be_asked():
    reach = Reach(prober=Prober())
    hosts = ["a.example", "the package index of pip"]
    assert reach.hosts([A, B, "sdist:apex==0.1", "s3://x/y"]) == hosts
