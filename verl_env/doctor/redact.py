"""Takes out of a report what should not be in a public issue: users, hosts, private paths, device ids.

Secrets (``verl_env.credentials``) are taken out of every report, asked for or not.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from verl_env.credentials import hide_numbers, hide_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_UUID = re.compile(r"\b((?:GPU|MIG)-)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d{1,2})"
#: Not a version of four numbers, as the packages of CUDA have: behind ``==`` or the name of one.
_IPV4 = re.compile(rf"(?<![\w.=<>~@+-])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.]*\d?\.\d)(?![\w])(?:/\d{{1,2}})?")
_CUDA_VERSION = re.compile(
    r"(?P<name>\b(?:nvidia|cuda|nvjitlink|libcu\w{1,20}|nccl|cudnn)[\w-]{0,60}[ \t:=]{1,40})$", re.IGNORECASE
)
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-fA-F:]{2,39}(?:%[\w.]{1,20})?(?:/\d{1,3})?(?![\w:])")
_MAC = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{2}:){5,19}[0-9a-fA-F]{2}(?![\w:])")
_LOCAL = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::", "127.0.0.0/8"})  # noqa: S104 (nothing is bound)
_MAIL = re.compile(r"(?<![\w.+:/-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b")
_LOGIN = re.compile(r"(?<![\w/])[a-z_][\w.-]{0,31}@[A-Za-z][\w-]{0,62}(?=:[~/\s]|[\s\]])(?!\s*[=<>])")
_URL_HOST = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{1,31}://(?:[^\s/@]{1,128}@)?)(?P<host>\[[0-9a-fA-F:%.]{2,60}\]|[\w.-]{1,253})"
)
_FQDN = re.compile(
    r"(?<![\w.@/-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?:local|internal|lan|corp|intra|intranet|private|cluster|hpc|home|arpa"
    r"|com|net|org|edu|gov|mil|int)(?![\w.-]*[\w(])|(?<![\w.@/-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){2,8}(?:de|fr|uk|ch|nl|eu|jp|cn"
    r"|kr|us|ca|au|se|fi|dk|il|sg|tw|hk|cz|ru|br|io|ai)(?![\w.-]*[\w(])"
)
#: Hosts that everybody asks, which say nothing of a site.
_KNOWN = re.compile(
    r"(?:.*\.)?(?:github\.com|githubusercontent\.com|pypi\.org|pythonhosted\.org|pytorch\.org|nvidia\.com|huggingface\.co|hf\.co"
    r"|python\.org|readthedocs\.io|vllm\.ai|sglang\.ai|amd\.com|docker\.com|docker\.io|ghcr\.io|quay\.io|anaconda\.org"
    r"|conda\.io|ray\.io|wandb\.ai|example\.(?:com|org|net)|localhost)|localhost|HOST|ADDRESS|USER"
)
_PATH = re.compile(
    r"(?:(?<![\w$}./\\])|(?<=\s-[A-Za-z])|(?<=file://)|(?<=^-[A-Za-z]))/(?:[\w.+@~=,%-]+/)*[\w.+@~=,%-]+"
)
_TILDE = re.compile(r"(?<![\w/])~[a-z_][\w.-]{0,31}(?=/)")
#: Trees of paths that every machine has; the rest of a path may name people, projects and sites.
_PUBLIC = re.compile(
    r"/(?:bin|boot|dev|etc|lib|lib32|lib64|proc|sbin|snap|sys|usr|opt/(?:rocm|conda|nvidia|hpcx|amazon|python|intel|slurm)[\w.-]*)(?:/|$)"
    r"|/(?:opt|tmp|var|run|home|mnt|var/tmp|tmp/ray|run/nvidia[\w-]*|var/lib|var/log|var/run)$"
)
_TAIL = re.compile(r"/(?:lib(?:64)?/python3[^/]*|site-packages|dist-packages|bin|include)(?:/|$)")
_OWNER = re.compile(
    r"/(?:home|Users|users|u|scratch|work|data|project|projects|storage|lustre|gpfs)/(?P<name>[A-Za-z_][\w.-]{2,31})(?=/|$|[:\s\"'])"
)
_USER = re.compile(
    r"(?P<name>\b(?:user(?:name)?|owner|login|logname|author)\s{0,4}[=:]\s{0,4}[\"']?)(?P<value>[A-Za-z_][\w.-]{1,31})",
    re.IGNORECASE,
)
_UID = re.compile(r"(?P<name>\b[ug]id=\d{1,10}\()[^)\s]{1,40}\)")
#: Variables whose value names hosts, alone or in a list; as variables and as texts give them.
_HOST_NAMES = (
    r"MASTER_ADDR|RAY_ADDRESS|RAY_HEAD_(?:NODE_)?(?:IP|ADDRESS)|HEAD_NODE(?:_IP|_ADDR)?|NO_PROXY|(?:HTTPS?|ALL|FTP|SOCKS)_PROXY|HOSTNAME"
    r"|VLLM_HOST_IP|SGLANG_HOST_IP|HOST_IP|NODE_IP|NODE_NAME|POD_(?:IP|NAME)|SLURMD_NODENAME|SLURM_\w{0,30}(?:NODELIST|NODE_ALIASES|HOST|IPADDR)"
    r"|PET_RDZV_ENDPOINT|RDZV_ENDPOINT|RDZV_HOST|TORCHELASTIC_\w{0,30}ADDR|NCCL_COMM_ID|GLOO_MASTER|MASTER_HOST|PBS_O_HOST|LSB_HOSTS|SSH_\w{0,20}"
)
_HOST_VARIABLE = re.compile(rf"(?:{_HOST_NAMES})", re.IGNORECASE)
_HOST_ASSIGNED = re.compile(
    rf"(?P<name>(?<![A-Za-z0-9_])[\"']?(?:{_HOST_NAMES})[\"']?\s{{0,4}}[=:]\s{{0,4}})(?P<quote>[\"']?)(?P<value>[^\s\"';}}]{{1,2000}})",
    re.IGNORECASE,
)
_PART = re.compile(r"[^,;\s]+")
#: Keys of a report whose values are versions and names of packages, and never of people.
_PLAIN_KEYS = frozenset({"packages", "python", "schema", "lockset", "torch_flavour"})
_KEPT_NAMES = frozenset(
    """
    bin lib tmp usr opt share local conda miniconda3 anaconda3 envs venv cache src work data root shared public models
    """.split()  # noqa: SIM905
)


def redact(text: str, *, names: Iterable[str] = ()) -> str:
    """A text without secrets, device ids, addresses, hosts, private paths and the given names.

    Args:
        text: Any text.
        names: User and host names to take out wherever they stand as a word.
    """
    names = {*names, *owners(text)}
    text = hide_numbers(hide_secrets(text))
    text = _HOST_ASSIGNED.sub(lambda match: f"{match['name']}{match['quote']}{_hosts(match['value'])}", text)
    text = _URL_HOST.sub(lambda match: f"{match['scheme']}{_host(match['host'])}", text)
    text = _MAIL.sub("USER@HOST", text)
    text = _LOGIN.sub("USER@HOST", text)
    text = _UUID.sub(lambda match: f"{match[1] or ''}UUID", text)
    text = _MAC.sub("ADDRESS", text)
    text = _IPV4.sub(lambda match: _ipv4(match, text), text)
    text = _IPV6.sub(lambda match: _ipv6(match[0]), text)
    text = _PATH.sub(lambda match: _public(match[0]), text)
    text = _TILDE.sub("~USER", text)
    text = _FQDN.sub(lambda match: _host(match[0]), text)
    text = _USER.sub(lambda match: match[0] if match["value"] in _KEPT else f"{match['name']}NAME", text)
    text = _UID.sub(lambda match: f"{match['name']}NAME)", text)
    for name in sorted({name for name in names if len(name) > 1}, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "NAME", text)
    return text


def redact_json(data: Any, *, names: Iterable[str] = ()) -> Any:
    """Decoded JSON with every string redacted; keys stay, and so do versions of packages."""
    return _redacted(data, tuple({*names, *(name for text in _texts(data) for name in owners(text))}))


def owners(text: str) -> set[str]:
    """The users whose directories a text names."""
    return {match["name"] for match in _OWNER.finditer(text)} - _KEPT_NAMES


_KEPT = frozenset({"root", "nobody", "NAME", "USER", "PASSWORD", "none", "None", "null"})


def _redacted(data: Any, names: tuple[str, ...], key: str = "") -> Any:
    if isinstance(data, str):
        return _hosts(data) if _HOST_VARIABLE.fullmatch(key) else redact(data, names=names)
    if isinstance(data, dict):
        return {each: value if each in _PLAIN_KEYS else _redacted(value, names, each) for each, value in data.items()}
    return [_redacted(value, names, key) for value in data] if isinstance(data, list) else data


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, (dict, list)):
        for value in data.values() if isinstance(data, dict) else data:
            yield from _texts(value)


def _hosts(value: str) -> str:
    """A list of hosts: schemes, ports and this machine's own names stay."""
    if "://" in value:
        return _URL_HOST.sub(lambda match: f"{match['scheme']}{_host(match['host'])}", hide_secrets(value))
    return _PART.sub(lambda match: _host_and_port(match[0]), value)


def _host_and_port(part: str) -> str:
    if part.isdigit() or part in {"*", "auto", "local", "HOST", "ADDRESS"}:
        return part
    host, colon, port = part.rpartition(":")
    return f"{_host(host)}:{port}" if colon and port.isdigit() and host.count(":") != 1 else _host(part)


def _host(host: str) -> str:
    bare = host.strip("[].")
    if bare in _LOCAL or _KNOWN.fullmatch(bare) or bare.startswith("127."):
        return host
    return "ADDRESS" if ":" in host or _IPV4.fullmatch(bare) else "HOST"


def _ipv4(match: re.Match[str], text: str) -> str:
    before = text[max(0, match.start() - 120) : match.start()].rpartition("\n")[2]
    return match[0] if match[0] in _LOCAL or match[0].startswith("127.") or _CUDA_VERSION.search(before) else "ADDRESS"


def _ipv6(text: str) -> str:
    bare = text.partition("%")[0].partition("/")[0]
    if bare.count(":") < 2 or bare in _LOCAL:  # noqa: PLR2004
        return text
    try:
        IPv6Address(bare)
    except ValueError:
        return text
    return "ADDRESS"


def _public(path: str) -> str:
    """A path of the system as it is; of another, what follows the first directory that tells nothing of its owner."""
    if _PUBLIC.match(path):
        return path
    tail = _TAIL.search(path)
    return f"/PATH{path[tail.start() :]}" if tail else f"/PATH/{path.rpartition('/')[2]}"
