"""YAML as a person means it: no duplicate keys, no surprises of YAML 1.1.

Differences from ``yaml.safe_load``: a key given twice is an error; ``1e-3`` is
a number although it has no dot; ``02:30:00`` and ``2024-01-31`` stay text
(YAML 1.1 makes a base-60 number and a date of them), and so does ``010``,
which YAML 1.1 silently reads as octal 8.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from compress_mpi.errors import RuncardError

__all__ = ["parse_yaml"]

_INT, _FLOAT, _TIMESTAMP = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))
_INT_PATTERN = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)$")
_FLOAT_PATTERN = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)


class _Loader(yaml.SafeLoader):
    # Checked where nodes are composed: constructing them mixes '<<' merges in,
    # and a key that overrides a merged one is no duplicate.
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], yaml.ScalarNode] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            earlier = first.setdefault((key.tag, key.value), key)
            if earlier is not key:
                line = earlier.start_mark.line + 1
                problem = f"the key {key.value!r} is given twice (first in line {line}); keep one"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
        return node


_Loader.yaml_implicit_resolvers = {
    start: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT, _TIMESTAMP)]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, _INT_PATTERN, list("-+0123456789"))
_Loader.add_implicit_resolver(_FLOAT, _FLOAT_PATTERN, list("-+.0123456789"))


def parse_yaml(text: str, where: str) -> Any:
    """Content of one YAML document.

    Parameters
    ----------
    text : str
        The document.
    where : str
        What to call it in messages: a file or an option.

    Returns
    -------
    object
        Dictionaries, lists, text, numbers, booleans and None.

    Raises
    ------
    RuncardError
        If it is not YAML; names line, column and the problem.
    """
    try:
        # _Loader is a SafeLoader: it builds plain data and nothing else.
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise RuncardError(f"{where}: {_position(error.problem_mark)}{_problem(error)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RuncardError(
            f"{where}: line {line}: character {_code(error)} is not allowed in YAML"
        ) from error
    except (ValueError, KeyError, AttributeError) as error:
        # PyYAML raises these for an integer of thousands of digits, '!!bool maybe', '!!timestamp x'.
        raise RuncardError(
            f"{where}: a number with too many digits, or a value unfit for its '!!' tag"
        ) from error
    except RecursionError as error:
        raise RuncardError(f"{where}: brackets or indentation nested too deeply") from error


def _position(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    if r"'\t'" in problem:
        return f"{problem}; indent with spaces, not tabs"
    start = f" from line {error.context_mark.line + 1}" if error.context_mark else ""
    return problem + (f" ({error.context}{start})" if error.context else "")


def _code(error: yaml.reader.ReaderError) -> str:
    character = error.character
    return f"U+{character if isinstance(character, int) else ord(character):04X}"
