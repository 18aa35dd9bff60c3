"""The commands of a RUN line, as a shell reads them: words with their quotes taken off, and what redirections ate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::?(?P<sign>[-+])(?P<other>[^}]{0,500}))?\}|(?P<plain>[A-Za-z_]\w*))")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
#: Words of the shell around commands, which are read whatever they decide.
_AROUND = frozenset({"then", "do", "else", "if", "elif", "while", "!", "{", "(", "fi", "done"})


@dataclass
class ShellCommand:
    """One simple command: its words, and the words that an unquoted ``>`` or ``<`` cut short, as they were written."""

    words: list[str] = field(default_factory=list)
    cut: dict[int, str] = field(default_factory=dict)
    text: str = ""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """A text with the variables that are known put in; the others stay as they are written."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match["braced"] or match["plain"])
        if match["sign"] == "+":
            return match["other"] if known else ""
        if known or match["sign"] is None:
            return match[0] if known is None else known
        return str(match["other"])

    return _VARIABLE.sub(value, text)


def assignments(words: Iterable[str]) -> dict[str, str]:
    """The variables that words such as ``NAME=value`` set."""
    parts = (word.partition("=") for word in words)
    return {name: value for name, sign, value in parts if sign and name.isidentifier()}


def without_heredocs(text: str) -> str:
    """The script with the bodies of its here-documents taken out."""
    lines = iter(text.split("\n"))
    kept = []
    for line in lines:
        kept.append(line)
        for _, end in _HEREDOC.findall(line):
            for body in lines:
                if body.strip() == end:
                    break
    return "\n".join(kept)


def commands(script: str, variables: Mapping[str, str]) -> Iterator[ShellCommand]:
    """The simple commands of a script in order, whatever joins them; substitutions and conditions are not run."""
    known = dict(variables)
    for text in _split(without_heredocs(script)):
        found = _command(text, known)
        while found.words and found.words[0] in _AROUND:
            found.words.pop(0)
            found.cut = {place - 1: word for place, word in found.cut.items()}
        settings = found.words[1:] if found.words[:1] == ["export"] else found.words
        if settings and all(re.match(r"\w+=", word) for word in settings):
            known.update((name, value) for name, value in assignments(settings).items() if "$(" not in value)
        if found.words:
            yield found


def _split(script: str) -> Iterator[str]:
    """The script cut at ``&&``, ``||``, ``;``, ``|``, ``&`` and line ends that no quote or bracket holds."""
    piece, quote, depth, place = "", "", 0, 0
    while place < len(script):
        char = script[place]
        two = script[place : place + 2]
        if char == "\\" and quote != "'":
            piece, place = piece + two, place + 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif two == "$(":
            depth += 1
        elif char == ")" and depth:
            depth -= 1
        elif char == "#" and (not piece or piece[-1].isspace()) and not depth:
            place = script.find("\n", place) if "\n" in script[place:] else len(script)
            continue
        elif not depth and char in ";|&\n" and not (char == "&" and piece[-1:] == ">"):
            yield piece
            piece, place = "", place + (2 if two in {"&&", "||", ";;"} else 1)
            continue
        piece, place = piece + char, place + 1
    yield piece


def _command(text: str, variables: Mapping[str, str]) -> ShellCommand:
    """The words of one command without its redirections; a word that one of them cut is noted as it was written."""
    found, target = ShellCommand(text=" ".join(text.split())), False
    for letters in _words(text):
        if target:
            target = False
            continue
        sign = next((place for place, (char, quoted) in enumerate(letters) if char in "<>" and not quoted), None)
        word = "".join(char for char, _ in letters[:sign])
        if sign is not None:
            target = all(char in "<>&" for char, _ in letters[sign:])
            if not word or word.isdigit() or word == "&":
                continue
            found.cut[len(found.words)] = "".join(char for char, _ in letters)
        found.words.append(expand(word, variables))
    return found


def _words(text: str) -> Iterator[list[tuple[str, bool]]]:
    """The words of a command as their letters, each with whether a quote held it."""
    letters: list[tuple[str, bool]] = []
    quote, depth, place, open_ = "", 0, 0, False
    while place < len(text):
        char = text[place]
        if char == "\\" and quote != "'":
            letters += [(letter, True) for letter in text[place + 1 : place + 2] if letter != "\n"]
            place += 2
            continue
        depth += text[place : place + 2] == "$(" and quote != "'"
        if quote and char == quote:
            quote = ""
        elif not quote and not depth and char in "\"'":
            quote, open_ = char, True
        elif char.isspace() and not quote and not depth:
            if letters or open_:
                yield letters
            letters, open_ = [], False
        else:
            letters.append((char, bool(quote) or depth > 0))
            depth -= char == ")" and depth > 0
        place += 1
    if letters or open_:
        yield letters
