"""Writes the source of a hit path: what the policy does not use is not in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from inspect import Parameter

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

_SERVICES = """\
def hits():
    return {hits}

def reset():
    nonlocal {hits}
    counted, {hits} = {hits}, 0
    return counted

return locals()"""

_STARS: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


class Names:
    """The generated code's own names, kept apart from the target's parameters."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def __getattr__(self, role: str) -> str:
        name = role if role in ("type", "int", "str", "Exception") else f"_{role}"
        while name in self._taken:
            name = f"_{name}"
        return name


@dataclass(frozen=True, slots=True)
class Source:
    """Writes the source of a hit path; the options are those of `compile_hit_path`."""

    parameters: list[Parameter]
    arguments: Sequence[str] | None
    ttl: bool
    count: bool
    told: bool
    asynchronous: bool
    method: str | None
    partitions: int
    glances: bool
    names: Names

    def text(self) -> str:
        """The source of `make`, which returns the functions by name.

        All else that they need are globals: to a call, those cost less than free variables, each
        of which is copied into its frame. Only counting is quicker on a free variable.
        """
        n = self.names
        inner = [*self._call("call", self.parameters, ""), "", *self._key()]
        if self.method:
            holder = self.parameters[0].replace(name=n.bound)
            receiver = f"{n.bound}.instance"
            inner += ["", *self._call("bound", [holder, *self.parameters[1:]], receiver)]
        inner += ["", *_SERVICES.format(hits=n.hits).splitlines()]
        lines = ["def make():", f"    {n.hits} = 0", "", *_indented(inner)]
        return "\n".join(lines) + "\n"

    def _call(self, name: str, parameters: list[Parameter], receiver: str) -> list[str]:
        n = self.names
        prefix, wait = ("async ", "await ") if self.asynchronous else ("", "")
        forward = _forwarded(parameters, receiver)
        missed = f"return {wait}{n.slow}({forward})"
        head = f"{prefix}def {name}({_declared(parameters)}):"
        if self.arguments is None:
            return [head, *_indented([*self._glance(forward), missed])]
        body = [f"nonlocal {n.hits}"] if self.count else []
        if variadic := self._variadic():
            body += [f"if {' or '.join(variadic)}:", f"    {missed}"]
        body += ["try:", *_indented(self._lookup(receiver or self._receiver()))]
        body += [f"except {n.Exception}:", "    pass", missed]
        return [head, *_indented(body)]

    def _glance(self, forward: str) -> list[str]:
        n = self.names
        if not self.glances:
            return []
        seen = f"{n.value} = {n.glance}({forward})"
        return [seen, f"if {n.value} is not None:", f"    return {n.value}"]

    def _lookup(self, receiver: str) -> list[str]:
        n = self.names
        lines = self._identify(receiver)
        lines.append(f"{n.entry} = {n.table}[{self._fast_key(receiver)}]")
        checks = [f"{n.clock}() < {n.entry}.deadline"] if self.ttl else []
        checks += [f"{n.entry}.part{'.parent' * level}.alive" for level in range(self.partitions)]
        marks = [f"{n.hits} += 1"] if self.count else []
        marks += [f"{n.entry}.visited = True"]
        marks += [f"{n.on_hit}()"] if self.told else []
        if self.ttl:
            serve = [*marks, f"return {n.entry}.value"]
        else:  # A reservation has no value: it must not count as a hit.
            serve = [f"{n.value} = {n.entry}.value", *marks, f"return {n.value}"]
        if checks:
            return [*lines, f"if {' and '.join(checks)}:", *_indented(serve)]
        return [*lines, *serve]

    def _key(self) -> list[str]:
        n = self.names
        head = f"def key({_declared(self.parameters)}):"
        if self.arguments is None:
            return [head, "    return None"]
        receiver = self._receiver()
        kinds = [f"{n.type}({name})" for name in self._keyed()]
        kinds += [f"{n.type}({n.identity})"] if self.method == "keyed" else []
        checks = [f"not {name}" for name in self._variadic()]
        checks += [f"{n.vetted}({kind})" for kind in kinds]
        body = self._identify(receiver)
        if body:  # an object that fields or an encoder identify has no `__cache_key__`
            body = ["try:", *_indented(body), f"except {n.Exception}:", "    return None"]
        body += [f"if {' and '.join(checks) or True}:", f"    return {self._fast_key(receiver)}"]
        return [head, *_indented(body), "    return None"]

    def _identify(self, receiver: str) -> list[str]:
        if self.method == "keyed":
            return [f"{self.names.identity} = {receiver}.__cache_key__()"]
        return []

    def _fast_key(self, receiver: str) -> str:
        n = self.names
        keyed = self._keyed()
        parts = [part for name in keyed for part in (f"{n.type}({name})", name)]
        if self.method == "keyed":
            parts = [f"{n.type}({receiver})", f"{n.type}({n.identity})", n.identity, *parts]
        elif len(keyed) == 1:  # What nothing else in a table equals spares its type.
            (name,), kind = keyed, n.kind
            return (
                f"{name} if ({kind} := {n.type}({name})) is {n.int} or {kind} is {n.str}"
                f" else ({kind}, {name})"
            )
        return f"({', '.join(parts)})"

    def _receiver(self) -> str:
        return self.parameters[0].name if self.method else ""

    def _keyed(self) -> list[str]:
        """The parameters in the fast key, in the order of the signature."""
        wanted = self.arguments or ()
        own = self.parameters[1:] if self.method else self.parameters
        return [p.name for p in own if p.name in wanted and p.kind not in _VARIADIC]

    def _variadic(self) -> list[str]:
        wanted = self.arguments or ()
        return [p.name for p in self.parameters if p.name in wanted and p.kind in _VARIADIC]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _declared(parameters: list[Parameter]) -> str:
    """The parameters as in a `def`; defaults are filled in afterwards."""
    parts: list[str] = []
    for index, parameter in enumerate(parameters):
        before = parameters[index - 1].kind if index else None
        if before is Parameter.POSITIONAL_ONLY and parameter.kind is not before:
            parts.append("/")
        if parameter.kind is Parameter.KEYWORD_ONLY and before not in (
            Parameter.KEYWORD_ONLY,
            Parameter.VAR_POSITIONAL,
        ):
            parts.append("*")
        default = "" if parameter.default is Parameter.empty else "=None"
        parts.append(f"{_STARS.get(parameter.kind, '')}{parameter.name}{default}")
    if parameters and parameters[-1].kind is Parameter.POSITIONAL_ONLY:
        parts.append("/")
    return ", ".join(parts)


def _forwarded(parameters: list[Parameter], receiver: str) -> str:
    """The parameters as in a call; `receiver` stands for the first of them unless empty."""
    parts = [
        f"{parameter.name}={parameter.name}"
        if parameter.kind is Parameter.KEYWORD_ONLY
        else f"{_STARS.get(parameter.kind, '')}{parameter.name}"
        for parameter in parameters
    ]
    return ", ".join([receiver, *parts[1:]] if receiver else parts)
