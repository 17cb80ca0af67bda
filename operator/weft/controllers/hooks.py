"""What the run loop tells the others, and what it asks them. The operator (`app`) fills it in."""

from collections.abc import Callable
from dataclasses import dataclass

from weft.api.objects import Key, Obj
from weft.controllers.live import LiveRun
from weft.engine.observation import Observation
from weft.engine.state import AttemptId


@dataclass(slots=True)
class Hooks:
    """What others are told (each status written, a run that ended before it began, with its phase and why, a fresher
    copy of a run), and what they know."""

    begins: Callable[[Obj], bool]
    idle: Callable[[LiveRun, list[AttemptId]], None]
    restored: Callable[[LiveRun], None]
    forgotten: Callable[[Key, str], None]
    written: Callable[[LiveRun, Obj], None]
    refused: Callable[[Obj, str, str], None]
    refresh: Callable[[Obj], None]
    vanished: Callable[[Obj], None]
    decisions: Callable[[LiveRun], list[Observation]]
    children: Callable[[LiveRun], list[Obj]]
    jobs_to_delete: Callable[[LiveRun], set[str]]
