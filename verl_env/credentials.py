"""Secrets in texts: passwords in addresses, signed addresses, tokens and keys. None is written down or shown.

What is written here is bounded in what it matches and linear in what it reads: it meets whole logs.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PASSWORD, TOKEN = "PASSWORD", "TOKEN"

#: ``user:password@`` and ``token@`` of an address; ``git@`` is no secret.
_USERINFO = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{1,31}://)(?P<user>[^\s/?#\"'<>@]{0,512})@")
#: Users that addresses name to everybody.
_PUBLIC_USERS = frozenset({"git", "hg", "anonymous", ""})
#: A parameter of an address whose value is, or signs, a permission.
_PARAMETER = re.compile(
    r"(?P<name>[?&;](?:X-(?:Amz|Goog|Ms|Oss|Obs)-[A-Za-z-]{1,40}|AWSAccessKeyId|GoogleAccessId|OSSAccessKeyId|Signature"
    r"|Key-Pair-Id|Policy|Expires|sig|sv|se|sp|sr|st|spr|skoid|sktid|ske|sks|skt|skv|token|(?:access|auth|id|refresh|private|job)[_-]?token"
    r"|api[_-]?key|key|auth|authorization|password|passwd|pwd|secret|client_secret|code|credential|jwt)=)[^&;\s\"'<>]{1,4096}",
    re.IGNORECASE,
)
#: Tokens and keys that show by their form what they are.
_FORMS = (
    r"hf_[A-Za-z0-9]{8,200}",
    r"api_org_[A-Za-z0-9]{16,200}",
    r"gh[pousr]_[A-Za-z0-9]{20,255}",
    r"github_pat_\w{20,255}",
    r"gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt)-[\w.-]{16,255}",
    r"sk-[A-Za-z0-9_-]{16,255}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,255}",
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA|APKA)[A-Z0-9]{16}",
    r"AIza[A-Za-z0-9_-]{35}",
    r"ya29\.[A-Za-z0-9_-]{20,512}",
    r"GOCSPX-[A-Za-z0-9_-]{20,64}",
    r"LTAI[A-Za-z0-9]{12,30}",
    r"AKID[A-Za-z0-9]{13,40}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,255}",
    r"xapp-[A-Za-z0-9-]{10,255}",
    r"npm_[A-Za-z0-9]{30,64}",
    r"pypi-[A-Za-z0-9_-]{16,512}",
    r"dckr_pat_[A-Za-z0-9_-]{20,64}",
    r"nvapi-[A-Za-z0-9_-]{20,255}",
    r"hvs\.[A-Za-z0-9_-]{20,255}",
    r"dop_v1_[a-f0-9]{64}",
    r"dapi[a-f0-9]{32}(?:-\d)?",
    r"r8_[A-Za-z0-9]{30,64}",
    r"gsk_[A-Za-z0-9]{30,64}",
    r"tskey-[a-z]{1,12}-[A-Za-z0-9-]{10,128}",
    r"SG\.[\w-]{20,24}\.[\w-]{39,50}",
    r"ATATT3[\w=-]{60,512}",
    r"gl(?:sa|c)_[A-Za-z0-9_=+/-]{20,255}",
    r"lin_api_[A-Za-z0-9]{30,64}",
    r"(?:pplx-|xai-|csk-|fw_|pul-|jina_|shpat_|shpss_)[A-Za-z0-9]{30,255}",
    r"AKLT[A-Za-z0-9_=-]{30,80}",
    r"dp\.(?:pt|st|ct|sa)\.[A-Za-z0-9._-]{30,128}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
    r"[0-9]{8,12}:AA[A-Za-z0-9_-]{30,40}",
    r"eyJ[\w-]{10,4096}\.[\w-]{10,4096}\.[\w-]{0,4096}",
)
_TOKENS = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(_FORMS)})(?![A-Za-z0-9])")
_BLOCK = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?")
_NAMED = (
    r"(?:[A-Za-z0-9]{1,40}[_-]){0,6}(?:tokens?|api[_-]?keys?|access[_-]?keys?(?:[_-]id)?|secret[_-]?(?:access[_-])?keys?|(?:account|storage|subscription|encryption|signing|master|shared|deploy|ssh)[_-]?keys?"
    r"|private[_-]?keys?|passwords?|passwd|passphrase|secrets?|credentials?|client[_-]secret|sas)"
)
#: ``NAME_TOKEN=value``, ``"password": "value"``, ``AccountKey=value``, ``--token value``.
_ASSIGNED = re.compile(
    rf"(?P<name>(?<![A-Za-z0-9_])(?:{_NAMED}|AccountKey|SharedAccess(?:Key|Signature))[\"']?(?:\s{{0,8}}[:=]\s{{0,8}}|\s{{1,8}}))"
    r"(?P<quote>[\"']?)(?P<value>[^\s\"',;&]{6,4096})",
    re.IGNORECASE,
)
#: Addresses that are their own permission: whoever knows one may write there.
_WEBHOOK = re.compile(
    r"(?P<name>\b(?:hooks\.slack\.com/\w{1,20}|discord(?:app)?\.com/api/webhooks|webhook\.office\.com/webhookb2"
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook)/)[^\s\"'<>]{6,512}"
)
#: ``curl -u name:password``, ``sshpass -p password``.
_FLAG = re.compile(
    r"(?P<name>\bcurl\s[^\n]{0,200}?(?:-u|-U|--user|--proxy-user)[ =]?[\"']?[^\s:\"']{1,64}:|\bsshpass\s{1,4}-p\s{0,4})"
    r"(?P<value>[^\s\"']{3,256})"
)
_BEARER = re.compile(
    r"(?P<name>\b(?:bearer|basic|authorization:\s{0,8}\w{1,20})\s{1,8})(?P<value>[A-Za-z0-9._~+/=-]{6,4096})",
    re.IGNORECASE,
)
#: Long numbers in hexadecimal that no ``sha256:`` or the like says are digests: keys of wandb, of Azure and of others.
_HEX = re.compile(r"(?<![\w:=/@.+-])(?:[0-9a-f]{32,256}|[0-9A-F]{32,256})(?![\w/.])")
_HEX_NAMED = re.compile(
    r"(?P<name>(?<!\w)\w{0,60}?(?:key|token|secret|login|auth)\w{0,60}[\"']?\s{0,4}[:= ]\s{0,4}[\"']?)"
    r"[0-9a-fA-F]{32,256}\b",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """A text whose addresses have neither users with passwords nor signatures; the rest of each stays."""
    if "://" not in text:
        return text
    text = _USERINFO.sub(lambda match: match[0] if match["user"] in _PUBLIC_USERS else match["scheme"], text)
    return _without_signatures(text)


def hide_secrets(text: str) -> str:
    """A text without passwords, tokens and keys; what a text says of a name is kept (``HF_TOKEN=TOKEN``)."""
    if "://" in text:
        text = _USERINFO.sub(_hidden_user, text)
    if "=" in text:
        text = _PARAMETER.sub(lambda match: f"{match['name']}{TOKEN}", text)
    if "PRIVATE KEY" in text:
        text = _BLOCK.sub(TOKEN, text)
    text = _TOKENS.sub(TOKEN, text)
    text = _WEBHOOK.sub(lambda match: f"{match['name']}{TOKEN}", text)
    text = _FLAG.sub(lambda match: f"{match['name']}{PASSWORD}", text)
    text = _BEARER.sub(_hidden_value, text)
    text = _ASSIGNED.sub(_hidden_value, text)
    return _HEX_NAMED.sub(lambda match: f"{match['name']}{TOKEN}", text)


def hide_numbers(text: str) -> str:
    """A text without long numbers in hexadecimal that nothing calls a digest: many keys look so."""
    return _HEX.sub(TOKEN, text)


def without_credentials_in(data: Any) -> Any:
    """Decoded JSON whose addresses have no credentials; keys stay."""
    return _each_text(data, without_credentials)


def hide_secrets_in(data: Any) -> Any:
    """Decoded JSON with every text so; keys stay."""
    return _each_text(data, hide_secrets)


def _each_text(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, dict):
        return {key: _each_text(value, change) for key, value in data.items()}
    return [_each_text(each, change) for each in data] if isinstance(data, (list, tuple)) else data


def _without_signatures(text: str) -> str:
    if not _PARAMETER.search(text):
        return text
    text = _PARAMETER.sub(lambda match: match["name"][0] if match["name"][0] == "?" else "", text)
    return re.sub(r"\?(?=$|[\s\"'<>])", "", text).replace("?&", "?").replace("?;", "?")


def _hidden_user(match: re.Match[str]) -> str:
    user = match["user"]
    return match[0] if user in _PUBLIC_USERS else f"{match['scheme']}USER:{PASSWORD}@"


def _hidden_value(match: re.Match[str]) -> str:
    groups = match.groupdict()
    value = groups["value"]
    # A word of a sentence ("token expired"), a path or a variable is no secret.
    plain = value.isalpha() and ("=" not in groups["name"] and ":" not in groups["name"])
    plain = plain or (value.isdigit() and "token" in groups["name"].lower())
    known = value in {TOKEN, PASSWORD, "USER:PASSWORD@"} or value.startswith(("$", "<", "/", "USER:"))
    return match[0] if plain or known else f"{groups['name']}{groups.get('quote') or ''}{TOKEN}"
