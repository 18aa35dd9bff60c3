"""Many forms of secrets and identities: none gets through, and what a diagnosis needs stays.

The secrets were generated for this file; none of them was ever valid anywhere.
"""

import json
from pathlib import Path

from tests.each import each
from verl_env.credentials import hide_secrets
from verl_env.doctor.facts import Facts
from verl_env.doctor.redact import redact, redact_json
from verl_env.doctor.reporting import report_of

CORPUS = Path(__file__).parent / "corpus"


def rows(name):
    return [line.split("\t") for line in (CORPUS / name).read_text().splitlines()]


@each("row", rows("secrets.tsv"))
def test_no_secret_is_in_any_report(row):
    text, *secrets = row
    shared = redact(text)
    assert not [secret for secret in secrets if secret in shared], shared
    always = json.dumps(report_of(Facts(log=text)))
    bare = [secret for secret in secrets if len(secret) > 39 and set(secret) <= set("0123456789abcdef")]
    assert not [secret for secret in secrets if secret not in bare and secret in always], always


@each("row", rows("identities.tsv"))
def test_no_identity_is_in_a_redacted_report(row):
    text, *names = row
    shared = redact(text)
    assert not [name for name in names if name in shared], shared
    name, equals, value = text.partition("=")
    if equals and name.isidentifier() and name.upper() not in {"USER", "UID"}:
        shared = json.dumps(redact_json({"environment": {name: value}}))
        assert not [each for each in names if each in shared], shared


@each("text", (CORPUS / "stays.txt").read_text().splitlines())
def test_what_a_diagnosis_needs_stays(text):
    assert redact(text) == text
    assert hide_secrets(text) == text


@each("row", [*rows("secrets.tsv"), *rows("identities.tsv")])
def test_redacting_twice_changes_nothing_more(row):
    once = redact(row[0])
    assert redact(once) == once


def test_versions_of_packages_are_no_addresses():
    facts = Facts(packages={"nvidia-cublas-cu12": "12.4.5.8"}, log="pip: nvidia-cublas-cu12==12.4.5.8")
    assert json.dumps(report_of(facts, hide=True)).count("12.4.5.8") == 2


def test_long_texts_take_no_time():
    for piece in ("a:", "/home/", "x@", "eyJ", "token=", "0f", "://", "a.", "?sig=", "-----BEGIN PRIVATE KEY-----"):
        redact(piece * 20_000)
