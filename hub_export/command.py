"""A command made of a settings class: flags, help, exit codes, one line for an error."""

import dataclasses
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from absl import flags, logging

from hub_export import options, terminal
from hub_export.errors import ExportError
from hub_export.options import ValueKind

S = TypeVar("S")

_DEFINE: dict[type, Callable[..., object]] = {
    bool: flags.DEFINE_bool,
    float: flags.DEFINE_float,
    int: flags.DEFINE_integer,
    Path: flags.DEFINE_string,
    str: flags.DEFINE_string,
}
_FORMS = {bool: "", float: "number", int: "number", Path: "path", str: "text"}
_WIDTH, _INDENT = 84, " " * 6


class Command(Generic[S]):
    """A command line over a settings class."""

    def __init__(
        self,
        name: str,
        usage: str,
        kind: type[S],
        run: Callable[[S], None],
        *,
        interrupted: str,
        arguments: str = "",
        aliases: dict[str, str] | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        """Takes its parts; nothing is parsed yet.

        Args:
            name: of the command.
            usage: what stands above the flags in its help.
            kind: its settings.
            run: does the work.
            interrupted: what to say where it is interrupted.
            arguments: the option that takes what stands on the line without a flag.
            aliases: another name of a flag -> the flag.
            defaults: option -> its default here, where it is another one than in Python.
        """
        self.name, self._usage, self._kind, self._run = name, usage, kind, run
        self._interrupted, self._arguments = interrupted, arguments
        self._aliases, self._defaults = aliases or {}, defaults or {}

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Runs it; returns the exit code: 0, or 1 after a line that says what is wrong."""
        line = [self.name, *(sys.argv[1:] if argv is None else argv)]
        values = self._flags()
        try:
            rest = values(line)[1:]
            if values.help:
                terminal.show(self.help())
                return 0
            made = self._settings(values, rest)
        except (flags.Error, ExportError) as error:
            return self._fail(f"{_plain(error)}; see {self.name} --help")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        logging.set_verbosity(logging.ERROR)
        terminal.heed_signals()
        try:
            self._run(made)
        except ExportError as error:
            return self._fail(str(error))
        except KeyboardInterrupt:
            return self._fail(f"interrupted; {self._interrupted}")
        return 0

    def help(self) -> str:
        """What `--help` shows."""
        kinds, lines = options.kinds(self._kind), [self._usage.strip(), ""]
        for field in options.of(self._kind):
            head = self._head(field, kinds[field.name])
            body = textwrap.fill(field.metadata["help"], _WIDTH)
            lines += [head, textwrap.indent(body, _INDENT)]
        return "\n".join([*lines, "  --help", f"{_INDENT}Show this."])

    def _head(self, field: Any, kind: ValueKind) -> str:
        """A flag with the form of its value, and its default."""
        default = self._default(field)
        value = "|".join(field.metadata["choices"]) or _FORMS[kind.type]
        value = f"name:{value},..." if kind.named else value + ",..." * kind.many
        switch = kind.type is bool
        head = f"  --{'[no]' * switch}{field.name}{'' if switch else f'=<{value}>'}"
        if field.name == self._arguments:
            head = f"  {field.name}{' ...' * kind.many}"
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        return head + ("" if shown in (None, "", _REQUIRED) else f"  (default: {shown})")

    def _flags(self) -> flags.FlagValues:
        values = flags.FlagValues()
        values.set_gnu_getopt(True)
        flags.DEFINE_bool("help", False, "", short_name="h", flag_values=values)
        kinds = options.kinds(self._kind)
        for field in options.of(self._kind):
            kind, default = kinds[field.name], self._default(field)
            default = None if default is _REQUIRED else default
            if field.name == self._arguments:
                continue
            if kind.many or kind.named:
                entries = [str(each) for each in default or ()]
                flags.DEFINE_list(field.name, entries, "", flag_values=values)
            else:
                _DEFINE[kind.type](field.name, default, "", flag_values=values)
        for alias, name in self._aliases.items():
            flags.DEFINE_alias(alias, name, flag_values=values)
        return values

    def _default(self, field: Any) -> Any:
        found = self._defaults.get(field.name, field.default)
        return _REQUIRED if found is dataclasses.MISSING else found

    def _settings(self, values: flags.FlagValues, rest: Sequence[str]) -> S:
        """The settings that a command line asks for."""
        if rest and not self._arguments:
            raise ExportError(f"unexpected arguments: {' '.join(rest)}")
        given: dict[str, Any] = {}
        kinds = options.kinds(self._kind)
        for field in options.of(self._kind):
            is_flag = field.name != self._arguments
            default = self._default(field)
            value = values[field.name].value if is_flag else _argument(kinds[field.name], rest)
            if value in (None, "", []) and default is _REQUIRED:
                name = f"--{field.name}" if is_flag else field.name
                raise ExportError(f"{name} is missing: {field.metadata['help'].removesuffix('.')}")
            if is_flag or value is not None:
                given[field.name] = _value(field.name, kinds[field.name], value)
        made = options.named(self._kind, **given)
        if problems := [*options.broken(made)]:
            raise ExportError("; ".join(problems))
        return made

    def _fail(self, message: str) -> int:
        print(f"{self.name}: {message}", file=sys.stderr)
        return 1


class _Required:
    """Stands for a default that there is none of."""


_REQUIRED = _Required()


def _argument(kind: ValueKind, rest: Sequence[str]) -> Any:
    """What stands on the line without a flag, where it may be one thing only or many."""
    if kind.many:
        return rest
    if len(rest) > 1:
        raise ExportError(f"unexpected arguments: {' '.join(rest[1:])}")
    return next(iter(rest), None)


def _value(name: str, kind: ValueKind, value: Any) -> Any:
    """What a flag's value is in Python."""
    try:
        if kind.named:
            parted = (each.rpartition(":") for each in value)
            return {key: kind.type(entry) for key, _, entry in parted} or None
        if kind.many:
            return tuple(kind.type(each) for each in value)
        return Path(value) if kind.type is Path and value else value
    except ValueError as error:
        form = "names and numbers, such as canary:2" if kind.named else "numbers"
        raise ExportError(f"{name}: expected {form}, found {','.join(value)}") from error


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())
