"""How errors are worded: format strings over their values, with forms for what may be empty, lists and commands."""

from pathlib import Path

import pytest

from verl_env.errors import VerlEnvError
from verl_env.wording import worded


class ExampleError(VerlEnvError):
    id = "example"
    path: Path = Path("/my env/x")
    said: str = ""
    tail: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        ("{path} {path.name} {path!r}", {}, f"/my env/x x {Path('/my env/x')!r}"),
        ("rm {path!q}", {}, "rm '/my env/x'"),
        ("pip install {tail!q}", {"tail": ["a b", "c"]}, "pip install 'a b' c"),
        ("{said:-it said nothing}", {}, "it said nothing"),
        ("{said:-it said nothing}", {"said": "no: {x}"}, "no: {x}"),
        ("done{said:+: {said}; see {path!q}}", {}, "done"),
        ("done{said:+: {said}; see {path!q}}", {"said": "a-b"}, "done: a-b; see '/my env/x'"),
        ("{tail:, }", {"tail": ["a", "b"]}, "a, b"),
        ("{tail:and}, {tail:or}", {"tail": ["a", "b", "c"]}, "a, b and c, a, b or c"),
        ("said:{tail:*\n  }", {"tail": ["a", "b"]}, "said:\n  a\n  b"),
        ("said:{tail:*\n  }", {}, "said:"),
        ("{tail:#} of {{}}", {"tail": ["a"]}, "1 of {}"),
    ],
)
def test_forms(text, values, shown):
    assert worded(text, ExampleError(**values)) == shown


def test_a_text_goes_before_a_method_of_a_base():
    class BaseError(VerlEnvError):
        id = "base"
        name: str

        @property
        def hint(self):
            return f"the base's for {self.name}"

    class OwnError(BaseError):
        helps = "its own for {name}"

    assert (BaseError("x").hint, OwnError("x").hint) == ("the base's for x", "its own for x")
