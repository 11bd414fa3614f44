"""A shop's background work, as Celery apps are laid out: settings, app, tasks by subject."""

from shop.app import app

__all__ = ["app"]
