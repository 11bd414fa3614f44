"""Options of Celery's calls as members of a Tasklane task."""

from __future__ import annotations

import datetime
import json
from typing import Any, Dict, Mapping, Optional

from kombu.utils.json import dumps

_MAX_PRIORITY = 10
_MAX_ATTEMPTS = 100


def members(options: Mapping[str, Any], when: Optional[datetime.datetime], lanes: Mapping[str, str],
            task: Any) -> Dict[str, Any]:
    """What the options say. task is Celery's own, None if the app has none of that name; lanes are by queue."""
    made: Dict[str, Any] = {"retry": {"max_attempts": attempts_of(task)}}
    if when is not None:
        made["not_before"] = _rfc3339(when)
    end = _end(options.get("expires"))
    if end is not None:
        made["expires_at"] = _rfc3339(end)
    priority = options.get("priority")
    if priority is not None:
        made["priority"] = min(max(int(priority), 0), _MAX_PRIORITY)
    queue = options.get("queue")
    lane = lanes.get(str(getattr(queue, "name", queue)))
    if lane is not None:
        made["lane"] = lane
    for limit in ("soft_time_limit", "time_limit"):
        if options.get(limit):
            made[limit + "_ms"] = round(1000 * options[limit])
    return made


def attempts_of(task: Any) -> int:
    """How often a task of this kind is tried at most, as Celery counts it."""
    limit = getattr(task, "max_retries", 3)
    return _MAX_ATTEMPTS if limit is None else min(int(limit) + 1, _MAX_ATTEMPTS)


def due(countdown: Any, eta: Any) -> Optional[datetime.datetime]:
    """When a task is to run; None is at once."""
    if eta is not None:
        return _time(eta)
    return _now() + datetime.timedelta(seconds=countdown) if countdown else None


def _end(expires: Any) -> Optional[datetime.datetime]:
    if expires is None:
        return None
    if isinstance(expires, (int, float)):
        return _now() + datetime.timedelta(seconds=expires)
    return _time(expires)


def _time(given: Any) -> datetime.datetime:
    """A time, or its text. Celery takes one without a zone for UTC."""
    when: datetime.datetime = datetime.datetime.fromisoformat(given.replace("Z", "+00:00")) if isinstance(given, str) \
        else given
    return when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _rfc3339(when: datetime.datetime) -> str:
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """As Celery's json serializer writes it."""
    return json.loads(dumps(value))
