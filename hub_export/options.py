"""Options, each written once.

A settings class is a frozen dataclass of options. The flags of its command, the checks of its
values and the documentation of its function in Python are made from it.
"""

import dataclasses
import textwrap
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar, get_args, get_type_hints

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


def option(
    help: str,
    default: Any = dataclasses.MISSING,
    *,
    choices: Sequence[str] = (),
    least: float | None = None,
    recorded: bool = True,
) -> Any:
    """An option.

    Args:
        help: what it does, for the command and for Python.
        default: its value where none is given; without one, it must be given.
        choices: the values that it may have, or the entries where it is a list of words.
        least: the least number that it may be.
        recorded: whether a report states it: not what concerns one machine alone.
    """
    metadata = {"help": help, "choices": choices, "least": least, "recorded": recorded}
    return dataclasses.field(default=default, metadata=metadata)


def named(kind: type[S], *arguments: Any, **options: Any) -> S:
    """Settings of these arguments, lists as tuples.

    Raises:
        TypeError: there is no such option, or one that must be given is missing.
    """
    made: Any = kind(*arguments, **options)
    listed = {key: tuple(value) for key, value in vars(made).items() if isinstance(value, list)}
    settings: S = dataclasses.replace(made, **listed)
    return settings


def broken(settings: Any) -> Iterator[str]:
    """What is wrong with values by themselves, in the words of their options."""
    for field in of(type(settings)):
        value, least = getattr(settings, field.name), field.metadata["least"]
        choices = field.metadata["choices"]
        if least is not None and value is not None:
            for each in value if isinstance(value, tuple) else (value,):
                if not each >= least:
                    yield f"{field.name} must be {least} or more, not {each}"
        if choices and isinstance(value, str) and value not in choices:
            yield f"{field.name} must be one of {', '.join(choices)}, not {value}"
        elif choices and not isinstance(value, str) and not _are_some(value, field):
            found = ", ".join(value) or "none"
            yield f"{field.name} must be some of {', '.join(choices)}, not {found}"


def _are_some(values: Sequence[str], field: dataclasses.Field[Any]) -> bool:
    """Whether they are some of an option's choices; none where that is the default."""
    return {*values} <= {*field.metadata["choices"]} and bool(values or not field.default)


def of(settings: type) -> list[dataclasses.Field[Any]]:
    """The options of a settings class, in their order."""
    return [field for field in dataclasses.fields(settings) if "help" in field.metadata]


class ValueKind(NamedTuple):
    """The type of an option's value.

    Attributes:
        type: of the value itself, of the entries of a list, of the values of a mapping.
        many: whether it is a list of them.
        named: whether it is a mapping, name -> value.
    """

    type: type
    many: bool = False
    named: bool = False


def kinds(settings: type) -> dict[str, ValueKind]:
    """Option -> the type of its value."""
    hints = get_type_hints(settings)
    return {field.name: _kind(hints[field.name]) for field in of(settings)}


def recorded(settings: Any) -> dict[str, Any]:
    """What a report states of settings."""
    names = [each.name for each in of(type(settings)) if each.metadata["recorded"]]
    return {name: getattr(settings, name) for name in names}


def taking(settings: Callable[P, Any]) -> Callable[[Callable[[Any], R]], Callable[P, R]]:
    """Makes a function of settings one of their options, documented by them."""

    def decorate(function: Callable[[Any], R]) -> Callable[P, R]:
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            return function(named(settings, *arguments, **options))  # type: ignore[arg-type]

        call.__name__ = call.__qualname__ = function.__name__
        call.__module__ = function.__module__
        call.__doc__ = _documented(function.__doc__ or "", settings)
        vars(call)["__wrapped__"] = settings  # inspect takes its signature
        return call

    return decorate


def _documented(text: str, settings: Any) -> str:
    summary, _, rest = text.partition("\n\n")
    lines = ["    Args:"]
    for field in of(settings):
        entry = f"{field.name}: {field.metadata['help']}"
        lines += textwrap.wrap(entry, 100, initial_indent=" " * 8, subsequent_indent=" " * 12)
    return "\n\n".join([summary, "\n".join(lines), rest])


def _kind(hint: Any) -> ValueKind:
    """That of the first type of a union."""
    if isinstance(hint, types.UnionType):
        return _kind(get_args(hint)[0])
    inner = get_args(hint)
    if not inner:
        return ValueKind(hint)
    return ValueKind(_kind(inner[-1]).type, many=len(inner) == 1, named=len(inner) == 2)
