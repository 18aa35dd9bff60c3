"""Every parser gets texts and files that are nearly right: it reads them or says why not, within seconds."""

import hashlib
import time
from pathlib import Path

import pytest

from tests.faults.parsers import ALLOWED, PARSERS
from tests.faults.worlds import seeded
from tests.rounds import rounds

CORPUS = Path(__file__).parent / "corpus"
#: Seconds of this process that one input may take.
SECONDS = 2.0
PIECES = (
    *(
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        "²٣".encode(),
        b"\r",
        b"\n" * 50,
        b" " * 300,
        b"\x1b[31m",
        b"%00",
        b"../" * 9,
    ),
    *(
        b"9" * 6000,
        b"-1",
        b"1e999",
        b"nan",
        b"[" * 3000,
        b'{"a":' * 3000,
        b"<a>" * 500,
        b'"',
        b"'",
        b"=" * 400,
        b"\\" * 99,
    ),
    *(
        b"../" * 9,
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"0",
        b"a" * 20_000,
        b"$(touch pwned)",
        "é日本\u202e".encode(),
    ),
)


def mutated(random, data):
    """The example with one to six changes."""
    data = bytearray(data)
    for _ in range(random.randint(1, 6)):
        at, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
        kind = random.randrange(7)
        if kind == 0:
            del data[at : min(end, at + 400)]
        elif kind == 1 and data:
            data[at % len(data)] = random.randrange(256)
        elif kind == 2:
            data[at:at] = random.choice(PIECES)
        elif kind == 3:
            data[at : min(end, at + 60)] = random.choice(PIECES)
        elif kind == 4:
            data[at:at] = data[at:end][:2000] * random.randint(2, 20)
        elif kind == 5:
            del data[at:]
        else:
            data += data[:at][:5000]
    return bytes(data[:400_000])


def fault(name, data, folder):
    """What is wrong with how a parser takes an input; None where nothing is."""
    parse, _ = PARSERS[name]
    started = time.process_time()
    try:
        parse(data, folder)
    except ALLOWED:
        pass
    except Exception as error:  # noqa: BLE001  what it is about
        return f"{type(error).__name__}: {error}"
    took = time.process_time() - started
    return f"{took:.1f} s" if took > SECONDS else None


@pytest.mark.parametrize("name", PARSERS)
def test_the_example_is_read(name, tmp_path):
    assert fault(name, PARSERS[name][1], tmp_path) is None


@pytest.mark.parametrize("name", PARSERS)
def test_what_failed_once_fails_no_more(name, tmp_path):
    inputs = sorted((CORPUS / name).glob("*.bin"))
    assert {path.name: found for path in inputs if (found := fault(name, path.read_bytes(), tmp_path))} == {}


@pytest.mark.parametrize("name", PARSERS)
def test_made_up_inputs(name, tmp_path):
    random, found = seeded(name), {}
    for _ in range(rounds(40, 10.0)):
        data = mutated(random, PARSERS[name][1])
        if (what := fault(name, data, tmp_path)) is not None and what[:60] not in found:
            found[what[:60]] = keep(name, data)
    assert found == {}


def keep(name, data):
    """Puts an input into the corpus."""
    path = CORPUS / name / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path.name
