"""execute_task and execute_heavy_task, as code for the Celery worker that Tasklane replaces calls them."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from tasklane.client import FAST, HEAVY, Client
from tasklane.handle import Handle


class LaneTask:
    """Submits to one lane. The client is made from the environment at every call."""

    def __init__(self, name: str, lane: str) -> None:
        self.__name__ = self.name = name
        self._lane = lane

    def delay(self, task_name: str, user_id: Optional[str] = None, task_id: Optional[str] = None, step: int = 1,
              mode: str = "", service: str = "", input_data: Optional[Dict[str, Any]] = None,
              context: Optional[Dict[str, Any]] = None, **members: Any) -> Handle:
        """Submits a task and returns at once. user_id may be left out where a token says it; other members are those of
        task.schema.json."""
        return Client().submit(self._lane, task_name, mode=mode, service=service, user_id=user_id, task_id=task_id,
                               step=step, input_data=input_data, context=context or {}, **members)

    def apply_async(self, args: Sequence[Any] = (), kwargs: Optional[Mapping[str, Any]] = None,
                    **members: Any) -> Handle:
        """delay(*args, **kwargs) with further members of the task, such as priority or not_before."""
        return self.delay(*args, **{**(kwargs or {}), **members})


execute_task = LaneTask("execute_task", FAST)
execute_heavy_task = LaneTask("execute_heavy_task", HEAVY)
