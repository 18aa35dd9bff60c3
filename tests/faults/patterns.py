"""Every regular expression of verl-env, and texts that make each one work hard: long runs of what it repeats."""

import ast
import importlib
import pkgutil
import re
import sys
from pathlib import Path

import verl_env

if sys.version_info >= (3, 11):
    from re import _constants as constants
    from re import _parser as parser
else:
    import sre_constants as constants
    import sre_parse as parser

PACKAGE = Path(verl_env.__file__).parent
#: What runs in other interpreters, or starts a process when it is imported.
NOT_IMPORTED = ("verl_env.runtime", "verl_env.verify.programs", "verl_env.__main__", "verl_env.installers.programs")
CALLS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
FLAGS = {"MULTILINE", "DOTALL", "IGNORECASE", "VERBOSE", "ASCII"}
#: Repetitions of at most so many cannot cost much.
FEW = 40
REPEATS = {constants.MAX_REPEAT, constants.MIN_REPEAT, getattr(constants, "POSSESSIVE_REPEAT", None)}


def modules():
    """Every module of the tool, imported."""
    for info in pkgutil.walk_packages([str(PACKAGE)], "verl_env."):
        if not info.name.startswith(NOT_IMPORTED):
            yield importlib.import_module(info.name)


def patterns():
    """Every pattern, as ``(where, text, flags, methods)``: where it stands, and by which methods it is asked."""
    from verl_env.doctor.checks import CHECKS

    found = {(text, re.MULTILINE): (f"check {check.id}", {"finditer"}) for check in CHECKS for text in check.log}
    loaded = list(modules())
    trees = {module: ast.parse(Path(module.__file__).read_text(encoding="utf-8")) for module in loaded}
    for module, tree in trees.items():
        asked = _asked(tree)
        for name, value in vars(module).items():
            for each in _compiled(value):
                methods = asked.get(name) if isinstance(value, re.Pattern) else None
                _put(found, each.pattern, each.flags & ~re.UNICODE, module.__name__, methods or {"finditer"})
        for text, flags, method, line in _written(module, tree):
            if method != "compile":
                _put(found, text, flags, f"{module.__name__}:{line}", {method})
    return [(where, text, flags, methods) for (text, flags), (where, methods) in found.items()]


def _put(found, text, flags, where, methods):
    before = found.get((text, flags), (where, set()))
    found[text, flags] = (before[0], before[1] | methods)


def _asked(tree):
    """The methods that a module calls on what has a name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CALLS and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, set()).add(node.attr)
    return found


def _compiled(value, depth=3):
    """The compiled patterns in a value."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset)) and depth:
        for each in value:
            yield from _compiled(each, depth - 1)
    elif isinstance(value, dict) and depth:
        yield from _compiled([*value, *value.values()], depth)


def _written(module, tree):
    """The patterns that stand in calls of a module, where they are texts or names of texts."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.args):
            continue
        first = node.args[0]
        value = first.value if isinstance(first, ast.Constant) else None
        if isinstance(first, ast.Name):
            value = vars(module).get(first.id)
        if isinstance(value, (str, bytes)):
            places = [*(keyword.value for keyword in node.keywords), *node.args[1:]]
            named = {word.attr for each in places for word in ast.walk(each) if isinstance(word, ast.Attribute)}
            flags = 0
            for word in named & FLAGS:
                flags |= getattr(re, word)
            yield value, flags, node.func.attr, node.lineno


def attacks(pattern, flags, size):
    """Texts of about a size, made of what a pattern repeats: alone, after what stands before it, and mixed."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    tree = parser.parse(text, flags & ~re.LOCALE if isinstance(pattern, str) else 0)
    made = dict.fromkeys(_attacks(list(tree), "", size))
    whole = _sample(list(tree))
    if whole:
        made[whole * (size // len(whole))] = None
        made[whole[:-1] * (size // max(1, len(whole) - 1))] = None
    return [each.encode("latin-1", "replace") if isinstance(pattern, bytes) else each for each in made if each]


def _attacks(nodes, before, size):
    prefix = before
    for number, (op, value) in enumerate(nodes):
        if op in REPEATS:
            least, most, body = value
            inner = list(body)
            units = [unit for unit in _samples(inner) if unit]
            if most is constants.MAXREPEAT or most > FEW:
                yield from _runs(prefix, units, _units_after(nodes[number + 1 :]), size)
            yield from _attacks(inner, prefix, size)
            prefix += (units[0] if units else "") * least
        elif op is constants.SUBPATTERN:
            yield from _attacks(list(value[-1]), prefix, size)
            prefix += _sample(list(value[-1]))
        elif op is constants.BRANCH:
            for branch in value[1]:
                yield from _attacks(list(branch), prefix, size)
            prefix += _sample(list(value[1][0]))
        elif op in {constants.ASSERT, constants.ASSERT_NOT}:
            yield from _attacks(list(value[1]), prefix, size)
        elif str(op) == "ATOMIC_GROUP":
            yield from _attacks(list(value), prefix, size)
            prefix += _sample(list(value))
        else:
            prefix += _sample([(op, value)])


def _runs(prefix, units, later, size):
    for unit in units[:6]:
        run = unit * (size // len(unit))
        yield prefix + run
        yield run + "\x01"
        yield prefix + run[: size // 2] + "\x01\n"
        if prefix:
            yield prefix * (size // len(prefix))
            some = prefix + unit * 20
            yield some * (size // len(some))
        for other in later[:3]:
            yield prefix + (unit + other) * (size // (len(unit) + len(other)))
            yield prefix + run[: size // 2] + other * (size // 2 // len(other))


def _units_after(nodes):
    found = []
    for op, value in nodes[:4]:
        found += _samples(list(value[2]) if op in REPEATS else [(op, value)])
    return [each for each in found if each]


def _sample(nodes):
    return next(iter(_samples(nodes)), "")


def _samples(nodes):
    """A few texts that nodes match, shortest first; what they look around for is left out."""
    parts = [""]
    for op, value in nodes:
        choices = _choices(op, value)
        parts = [part + choice for part in parts[:4] for choice in choices[:4]]
    return list(dict.fromkeys(parts))


def _choices(op, value):  # noqa: PLR0911
    if op is constants.LITERAL:
        return [chr(value)]
    if op is constants.NOT_LITERAL:
        return ["a" if chr(value) != "a" else "b"]
    if op is constants.ANY:
        return ["a", " "]
    if op is constants.IN:
        return _members(value)
    if op in REPEATS:
        return [one * max(1, value[0]) for one in _samples(list(value[2]))] if value[1] else [""]
    if op is constants.SUBPATTERN:
        return _samples(list(value[-1]))
    if op is constants.BRANCH:
        return [text for branch in value[1] for text in _samples(list(branch))[:1]]
    if op is constants.CATEGORY:
        return _members([(op, value)])
    if str(op) == "ATOMIC_GROUP":
        return _samples(list(value))
    return [""]


_OF_CATEGORY = {
    "CATEGORY_DIGIT": ["1"],
    "CATEGORY_SPACE": [" ", "\n", "\t"],
    "CATEGORY_WORD": ["a", "1", "_"],
    "CATEGORY_NOT_SPACE": ["a", "(", "1"],
    "CATEGORY_NOT_DIGIT": ["a", " "],
    "CATEGORY_NOT_WORD": [" ", "("],
}


def _members(items):
    negated = any(op is constants.NEGATE for op, _ in items)
    if negated:
        excluded = set()
        for op, value in items:
            if op is constants.LITERAL:
                excluded.add(chr(value))
            elif op is constants.RANGE:
                excluded |= {chr(code) for code in range(value[0], min(value[1], 0x250) + 1)}
            elif op is constants.CATEGORY:
                excluded |= {each for each in "a1_ \n\t(.-/" if _in_category(str(value), each)}
        return [each for each in ("a", "1", " ", "(", "\n", ".", "-", "/", "=", "[") if each not in excluded][:5]
    found = []
    for op, value in items:
        if op is constants.LITERAL:
            found.append(chr(value))
        elif op is constants.RANGE:
            found.append(chr(value[0]))
        elif op is constants.CATEGORY:
            found += _OF_CATEGORY.get(str(value), ["a"])
    return list(dict.fromkeys(found))


def _in_category(category, character):
    kinds = {
        "DIGIT": character.isdigit(),
        "SPACE": character.isspace(),
        "WORD": character.isalnum() or character == "_",
    }
    name = category.rpartition("_")[2]
    return kinds[name] != ("_NOT_" in category)
