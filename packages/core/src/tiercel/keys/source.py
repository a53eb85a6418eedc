"""Writes the source of a function that builds keys, with the signature of the cached function."""

from __future__ import annotations

import inspect
import linecache
import weakref
from collections.abc import Callable, Sequence
from inspect import Parameter
from itertools import count, pairwise
from typing import Any, Final

from tiercel.contracts.backend import Key
from tiercel.keys.escape import digest, quote
from tiercel.keys.layout import Layout
from tiercel.keys.parts import PlannedField, PlannedPart

_serial: Final = count(1)
_STARS: Final[dict[inspect._ParameterKind, str]] = {
    Parameter.VAR_POSITIONAL: "*",
    Parameter.VAR_KEYWORD: "**",
}


class Writer:
    """Collects the lines of the function and the objects that they refer to.

    Names of its own get a prefix that none of the parameters has, builtins included, since a
    parameter may well be called `type`.
    """

    def __init__(
        self, signature: inspect.Signature, layout: Layout, fields: Sequence[PlannedField]
    ) -> None:
        self.signature = signature
        self.layout = layout
        self.mark = "_"
        while any(name.startswith(self.mark) for name in signature.parameters):
            self.mark += "_"
        self.globals: dict[str, Any] = {}
        helpers = (type, int, str, len, ValueError, Key, digest, quote)
        self.type, self.int, self.str, self.len, self.error, self.key, self.digest, self.quote = (
            self.name(helper.__name__, helper) for helper in helpers
        )
        self.partition = [each for each in fields if each.field.partition]
        self.suffix = [each for each in fields if not each.field.partition]
        parts = (part for field in fields for part in field.parts)
        self.texts = {part: self.name(f"x{n}", part.text) for n, part in enumerate(parts)}

    def name(self, name: str, value: Any) -> str:
        """Give an object a name that the source can use."""
        self.globals[self.mark + name] = value
        return self.mark + name

    def write(self) -> str:
        """The source of a function `key`."""
        lead = "" if self.partition else f"{self.layout.head}:"
        # int() of a huge number has a limit: then the canonical way builds all texts again.
        lines = [f"def key({self._parameters()}):", " try:"]
        for fast in (True, False):
            lines += [] if fast else [f" except {self.error}:"]
            for index, field in enumerate(self.partition):
                lines += self._assign(f"{self.mark}p{index}", "", [field], fast)
            lines += self._assign(f"{self.mark}s", lead, self.suffix, fast)
        lines += self._with_partition() if self.partition else self._without_partition()
        return "\n".join(lines) + "\n"

    def _without_partition(self) -> list[str]:
        s, start = f"{self.mark}s", len(self.layout.head) + 1
        scopes = self.name("scopes", (self.layout.scope(),))
        return [
            f" if {self.len}({s}) > {start + self.layout.suffix_limit}:",
            f'  {s} = f"{self.layout.head}:{{{self.digest}({s}[{start}:])}}"',
            f" return {self.key}({s}, {scopes}, {s})",
        ]

    def _with_partition(self) -> list[str]:
        s, head, mark = f"{self.mark}s", self.layout.head, self.layout.mark
        levels = [f"{self.mark}p{index}" for index in range(len(self.partition))]
        lines = [f' {this} = f"{{{before}}}:{{{this}}}"' for before, this in pairwise(levels)]
        for text, limit in [
            *((level, self.layout.partition_limit) for level in levels),
            (s, self.layout.suffix_limit),
        ]:
            lines += [f" if {self.len}({text}) > {limit}:", f"  {text} = {self.digest}({text})"]
        function = self.name("function", self.layout.scope())
        scopes = "".join(f', f"{head}:{{{level}}}{mark}"' for level in levels)
        text = f'f"{head}:{{{levels[-1]}}}:{{{s}}}"'
        return [*lines, f" return {self.key}({text}, ({function}{scopes}), {levels[0]})"]

    def _assign(
        self, variable: str, lead: str, fields: Sequence[PlannedField], fast: bool
    ) -> list[str]:
        lines, texts = list[str](), list[str]()
        for field in fields:
            text = ",".join(f"{part.name}={self._value(part, fast)}" for part in field.parts)
            if field.field.hash_value:
                secret = f"{self.mark}h{len(lines)}"
                lines.append(f'  {secret} = f"{text}"')
                text = f"{field.label}={{{self.digest}({secret})}}"
            texts.append(text)
        return [*lines, f'  {variable} = f"{lead}{",".join(texts)}"']

    def _value(self, part: PlannedPart, fast: bool) -> str:
        if part.constant is not None:
            return part.constant
        call = f"{self.texts[part]}({', '.join(part.arguments)})"
        if part.extract is not None or not fast:
            return f"{{{call}}}"
        a = part.arguments[0]
        return (
            f"{{{a} if {self.type}({a}) is {self.int} else "
            f"{self.quote}({a}) if {self.type}({a}) is {self.str} else {call}}}"
        )

    def _parameters(self) -> str:
        written = list[str]()
        kind: inspect._ParameterKind = Parameter.POSITIONAL_ONLY
        parameters = list(self.signature.parameters.values())
        for index, each in enumerate(parameters):
            if kind is Parameter.POSITIONAL_ONLY is not each.kind and index:
                written.append("/")
            if each.kind is Parameter.KEYWORD_ONLY and kind < Parameter.VAR_POSITIONAL:
                written.append("*")
            written.append(self._parameter(index, each))
            kind = each.kind
        if parameters and kind is Parameter.POSITIONAL_ONLY:
            written.append("/")
        return ", ".join(written)

    def _parameter(self, index: int, parameter: Parameter) -> str:
        default = ""
        if parameter.default is not Parameter.empty:
            default = f"={self.name(f'd{index}', parameter.default)}"
        return f"{_STARS.get(parameter.kind, '')}{parameter.name}{default}"


def compile_key(
    target: Callable[..., Any],
    signature: inspect.Signature,
    layout: Layout,
    fields: Sequence[PlannedField],
) -> Callable[..., Key]:
    """Compile the function that builds the key of a call; it raises TypeError as the target does.

    Its source is put where tracebacks find it, for as long as it lives.
    """
    writer = Writer(signature, layout, fields)
    source = writer.write()
    filename = f"<tiercel key {next(_serial)} of {layout.head}>"
    exec(compile(source, filename, "exec"), writer.globals)
    key: Any = writer.globals["key"]
    key.__name__ = getattr(target, "__name__", "key")
    key.__qualname__ = getattr(target, "__qualname__", "key")
    key.__module__ = __name__
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(key, linecache.cache.pop, filename, None).atexit = False
    return key  # type: ignore[no-any-return]
