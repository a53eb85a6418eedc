"""The cached function that a job is: what a job decides that other functions leave to a policy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

from msgspec import structs

from tiercel.cached import CachedFunction, arguments_of
from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher, Task
from tiercel.dispatch import refresh_task, renewal_task
from tiercel.dispatch.arguments import pack_call
from tiercel.engine.anew import fetch_anew
from tiercel.engine.effects import Enqueue, Gather, Run, Steps
from tiercel.engine.peek import peek, peek_many
from tiercel.engine.read import fetch
from tiercel.engine.refresh import refresh
from tiercel.engine.retire import retire
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.engine.turns import Turns, end_turn, renew, seize_turn, take_turn
from tiercel.errors import ConfigurationError
from tiercel.events import Cause, Status, Tier
from tiercel.jobs import hooks
from tiercel.jobs.hooks import JOB, USED, JobHooks, job_of, overrides, prepares, without_job
from tiercel.jobs.texts import KeyTexts
from tiercel.keys.plan import KeyPlan, compile_plan
from tiercel.outcomes import value_of
from tiercel.policy import seconds
from tiercel.settings import Home, Settings

if TYPE_CHECKING:
    from tiercel.jobs.functions import FunctionJob

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Arguments = Sequence[Any]
Keywords = Mapping[str, Any]
Found = tuple[Outcome, int, bool | None]
"""What was found for a call, the status that its job is told, and whether it was fetched."""

Asked = tuple[Arguments, Keywords, hooks.Call | None]
"""The arguments of a call, and how its caller has written it if that is another way."""

_HOOKS: Final = (
    "expiry",
    "process_result",
    "should_missing_item_be_fetched_synchronously",
    "should_stale_item_be_fetched_synchronously",
    "thaw",
    "timeout",
)
"""What gets arguments, or the last word on a result."""


class JobFunction(CachedFunction[P, R, T]):
    """What a job fetches, cached.

    Calling it does what the `get` of its job does. What is stored, who computes, who waits, and
    which drops a result survives is up to the engine, as for every cached function.

    Attributes:
        owner: The job that fetches; or the class of such jobs, if a call says which one it is.
        lead: What the hooks of the job get before the arguments of a call.
        is_told_recipes: Whether a call says how its job was made.
        texts: The keys that `key` of the job has returned.
        has_fast_hits: Whether no hook is to see the arguments of a call as they were written.
        fn: The function itself, if one was decorated.
        job: Its job.
    """

    fn: Callable[P, R]
    job: FunctionJob

    def __init__(
        self,
        func: Callable[P, R],
        settings: Settings,
        home: Callable[[], Home],
        *,
        owner: JobHooks | type[JobHooks],
        lead: tuple[Any, ...] = (),
        shared: bool = False,
        follows: bool = False,
    ) -> None:
        self.owner = owner
        self.lead = lead
        self._prepares = not isinstance(owner, type) and prepares(owner)
        self.has_fast_hits = not (self._prepares or overrides(owner, *_HOOKS))
        self.is_told_recipes = JOB in inspect.signature(func).parameters
        self.texts = KeyTexts(self)
        super().__init__(func, settings, home, shared=shared, follows=follows)

    def check_carried(self, args: Arguments, kwargs: Keywords) -> None:
        """Refuse a call that its dispatcher could not bring to a worker as it is.

        Raises:
            ConfigurationError: The dispatcher has no such options.
            TypeError: An argument cannot be carried; names it.
        """
        job = job_of(self.owner, kwargs)
        if self.carrier(job).crosses_processes:
            if isinstance(self.owner, type):
                job._check_carried(*args, **without_job(kwargs))
            pack_call(self.name, self.subject.target, args, kwargs)

    def carrier(self, job: JobHooks) -> Dispatcher:
        """Return what carries the refreshes of a job.

        Raises:
            ConfigurationError: It has no such options as the job's.
        """
        _ = self.subject
        name = self.settings.dispatcher or job.find_dispatcher()
        otherwise = "asyncio" if self.asynchronous else "threadpool"
        return self._dispatcher_for(name, job.task_options, otherwise)

    def named_for(self, cache: str) -> Self:
        """Return the function of the same class on the cache of another alias."""
        of_alias = getattr(self.owner, "function_on", None)
        if of_alias is None or not isinstance(self.owner, type):
            return self
        try:
            if self.subject.engine.name == cache:
                return self
            self.owner.find_cache(cache)
        except ConfigurationError:
            return self
        found: Self = of_alias(cache)
        return found

    def call(self, args: Arguments, kwargs: Keywords) -> Call:
        """Return a call with its keys; of a decorated function, once its job has prepared it."""
        used = USED.get()
        if self._prepares and (used is None or used.job is not self.owner):
            args, kwargs = self.prepared(args, kwargs)
        return super().call(args, kwargs)

    def prepared(self, args: Arguments, kwargs: Keywords) -> tuple[Arguments, Keywords]:
        """Return the arguments of a decorated function as its job prepares them.

        They are put into their positions before, as they are when the function itself is called.
        """
        bound, job = self.plan.signature.bind(*args, **kwargs), job_of(self.owner, kwargs)
        bound.apply_defaults()
        _, *prepared = job.prepare_args(self.func, *bound.args)
        return prepared, job.prepare_kwargs(**bound.kwargs)

    def planned_as(self, fields: Any, target: Callable[..., Any]) -> KeyPlan:
        """Return what builds other keys of the same name, on the cache of this function."""
        return compile_plan(
            fields,
            target,
            function=self.subject.name,
            prefix=self._prefix,
            version=self.settings.version,
            encoders=self._home().encoders,
        )

    # What differs from other cached functions

    def _remade(self, home: Home, **more: Any) -> Self:
        return super()._remade(home, owner=self.owner, lead=self.lead, **more)

    def _make_subject(self, home: Home) -> Subject:
        subject = super()._make_subject(home)
        subject.turns = Turns()
        self.texts.clear()
        return subject

    def _codec(self, home: Home) -> Codec:
        codec, kind = super()._codec(home), self.owner.data_type
        return codec if kind is None else codec.for_type(kind)

    def _callable_ttl(self) -> Callable[..., Any]:
        return self._life

    def _life(self, value: Any, /, *args: Any, **kwargs: Any) -> float:
        """Return for how long data is fresh."""
        job = job_of(self.owner, kwargs)
        if not overrides(job, "expiry"):
            return seconds(job.lifetime)
        own = job.expiry(*self.lead, *args, **without_job(kwargs))
        return own - self.subject.engine.clock.time()

    def _predicate(self) -> Callable[..., Any] | None:
        asked, thaw = super()._predicate(), self.owner.thaw
        if asked is None:
            return None
        return lambda kept, *args, **kwargs: asked(thaw(kept), *args, **kwargs)

    def _fetching(self) -> Callable[..., Any]:
        """Return what fetches data as its job says."""
        if isinstance(self.owner, type):
            return self.func
        job, func = self.owner, self.func
        return wraps(func)(lambda *args, **kwargs: job.fetch(func, *args, **kwargs))

    def _target(self) -> Callable[..., Any]:
        """Return what fetches data as it is kept."""
        fetching, freeze = self._fetching(), self.owner.freeze

        async def afrozen(*args: Any, **kwargs: Any) -> Any:
            return freeze(await fetching(*args, **kwargs))

        def frozen(*args: Any, **kwargs: Any) -> Any:
            return freeze(fetching(*args, **kwargs))

        return wraps(self.func)(afrozen if self.asynchronous else frozen)

    def _value(self, outcome: Outcome, args: Arguments, kwargs: Keywords) -> Any:
        return self.owner.thaw(value_of(outcome))

    # Getting

    def _served(
        self, args: Arguments, kwargs: Keywords, *, described: bool = True
    ) -> Steps[Outcome]:
        if self._is_bypassed(args, kwargs):
            return self._bypassed(args, kwargs)
        return self._found_and_processed(args, kwargs)

    def _bypassed(
        self, args: Arguments, kwargs: Keywords, written: hooks.Call | None = None
    ) -> Steps[Outcome]:
        value = yield Run(self._fetching(), args, kwargs, self.asynchronous)
        found = Outcome(value, Status.BYPASS, Tier.FUNCTION), JobHooks.MISS, True
        return (yield from self._processed(found, args, kwargs, written))

    def _found_and_processed(self, args: Arguments, kwargs: Keywords) -> Steps[Outcome]:
        call = self.call(args, kwargs)
        found = yield from self._found(call, (yield from peek(self.subject, call)))
        return (yield from self._processed(found, args, kwargs))

    def _many(self, calls: Arguments) -> Steps[list[T]]:
        return self.got_many([(*arguments_of(call), None) for call in calls])

    def got_many(self, asked: Sequence[Asked]) -> Steps[list[T]]:
        """Return what many calls return, each as if it was alone, after one look at the tiers."""
        calls = {
            number: self.call(args, kwargs)
            for number, (args, kwargs, _) in enumerate(asked)
            if not self._is_bypassed(args, kwargs)
        }
        present = yield from self._peeked_many(list(calls.values()))
        known = dict(zip(calls, present, strict=True))
        outcomes = yield Gather(
            [
                self._one_of_many(each, calls.get(number), known.get(number))
                for number, each in enumerate(asked)
            ]
        )
        return [
            self._value(outcome, args, kwargs)
            for (args, kwargs, _), outcome in zip(asked, outcomes, strict=True)
        ]

    def _peeked_many(self, calls: Sequence[Call]) -> Steps[list[Outcome | None]]:
        subject = self.subject
        if subject.engine.pending:  # each has to find out whether its drop is among them
            each: list[Outcome | None] = yield Gather([peek(subject, call) for call in calls])
            return each
        return (yield from peek_many(subject, calls, stale=True))

    def _one_of_many(
        self, asked: Asked, call: Call | None, present: Outcome | None
    ) -> Steps[Outcome]:
        args, kwargs, written = asked
        if call is None:
            return (yield from self._bypassed(args, kwargs, written))
        found = yield from self._found(call, present)
        return (yield from self._processed(found, args, kwargs, written))

    def _found(self, call: Call, present: Outcome | None) -> Steps[Found]:
        if present is None:
            return (yield from self._missing(call))
        if present.status is Status.STALE:
            return (yield from self._stale(call, present))
        return present, JobHooks.HIT, None

    def _missing(self, call: Call) -> Steps[Found]:
        job, args, own = self._of(call)
        self.check_carried(call.args, call.kwargs)
        if job.should_missing_item_be_fetched_synchronously(*args, **own):
            outcome = yield from fetch(self.subject, call)
            hit = outcome.status is Status.HIT
            return (outcome, JobHooks.HIT, None) if hit else (outcome, JobHooks.MISS, True)
        nothing = Outcome(job.empty(), Status.MISS, Tier.FUNCTION, Cause.ABSENT)
        yield from self._have_renewed(call, floor=0.0)
        return nothing, JobHooks.MISS, False

    def _stale(self, call: Call, present: Outcome) -> Steps[Found]:
        job, args, own = self._of(call)
        grace = self.settings.policy.grace
        if job.should_stale_item_be_fetched_synchronously(grace - present.left, *args, **own):
            return (yield from fetch_anew(self.subject, call)), JobHooks.STALE, True
        if present.tier is Tier.SHARED:
            self.subject.stats.stale += 1
        yield from self._have_renewed(call, floor=grace)
        return present, JobHooks.STALE, False

    def _of(self, call: Call) -> tuple[JobHooks, Arguments, dict[str, Any]]:
        """Return the job of a call, and the arguments that its hooks get."""
        job = job_of(self.owner, call.kwargs)
        return job, (*self.lead, *call.args), without_job(call.kwargs)

    def _processed(
        self, found: Found, args: Arguments, kwargs: Keywords, written: hooks.Call | None = None
    ) -> Steps[Outcome]:
        """Let the job have the last word on what a caller gets, who has `written` the call so."""
        outcome, status, fetched = found
        if outcome.error:
            return outcome
        value, job, used = self.owner.thaw(outcome.value), job_of(self.owner, kwargs), USED.get()
        process = job.process_result
        if overrides(job, "process_result"):
            known = used.call if used is not None and used.job is job else None
            call = written or known or hooks.Call((*self.lead, *args), without_job(kwargs))
            said = {} if fetched is None else {"sync_fetch": fetched}
            awaited = inspect.iscoroutinefunction(process)
            value = yield Run(process, (value, call, status), said, awaited)
        return structs.replace(outcome, value=value)

    # Refreshing

    def _have_renewed(self, call: Call, floor: float) -> Steps[None]:
        """Have data fetched in the background, unless somebody has seen to that.

        What no dispatcher takes is done here and now, once for all as well.
        """
        job, _, _ = self._of(call)
        dispatcher = self.carrier(job)
        turn = yield from take_turn(self.subject, call, self._pause(call), stale=floor > 0)
        if turn is not None:
            yield from self._renewed(dispatcher, call, floor, turn)

    def requested(self, args: Arguments, kwargs: Keywords) -> Steps[None]:
        """Have data fetched in the background, however fresh what is kept may be."""
        call, dispatcher = self.call(args, kwargs), self.carrier(job_of(self.owner, kwargs))
        task = refresh_task(self.subject, call)
        yield from self._enqueued(dispatcher, task, refresh(self.subject, call))

    def invalidated(self, args: Arguments, kwargs: Keywords) -> Steps[bool]:
        """Make data stale and have it fetched anew in the background; tell whether there is any.

        Should the task be lost, it is stale data as any other: readers ask again in their turn.
        """
        call, dispatcher = self.call(args, kwargs), self.carrier(job_of(self.owner, kwargs))
        if (yield from peek(self.subject, call)) is None:
            return False
        turn = yield from seize_turn(self.subject, call, self._pause(call))
        yield from retire(self.subject, call)
        yield from self._renewed(dispatcher, call, self.settings.policy.grace, turn)
        return True

    def _renewed(
        self, dispatcher: Dispatcher, call: Call, floor: float, turn: bytes
    ) -> Steps[None]:
        """Have stale or missing data fetched in a turn that was taken."""
        subject = self.subject
        task = renewal_task(subject, call, floor, turn)
        yield from self._enqueued(dispatcher, task, renew(subject, call, floor, turn))

    def _pause(self, call: Call) -> float:
        """Return the seconds for which a refresh that is enqueued now keeps others away."""
        job, args, own = self._of(call)
        return max(job.timeout(*args, **own) - self.subject.engine.clock.time(), 0.0)

    def _enqueued(self, dispatcher: Dispatcher, task: Task, here: Steps[Any]) -> Steps[None]:
        """Have a task done by a dispatcher; its work is done here and now if that refuses it."""
        try:
            yield Enqueue(dispatcher, task)
        except Exception as error:
            self.subject.report("a refresh was not accepted, so it is done at once", error)
            yield from self._tried(here)

    def _tried(self, steps: Steps[Any]) -> Steps[None]:
        try:
            yield from steps
        except Exception as error:
            self.subject.report("a refresh failed", error)

    def _deleted(self, args: Arguments, kwargs: Keywords) -> Steps[bool]:
        existed = yield from super()._deleted(args, kwargs)
        yield from end_turn(self.subject, self.call(args, kwargs))
        return existed
