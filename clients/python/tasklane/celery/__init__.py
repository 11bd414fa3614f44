"""An existing Celery app as a service, with no line of it changed: python -m tasklane.celery proj:app.

Celery's own tracer runs the tasks, so handlers, signals, autoretry and canvas are Celery's. Two of its parts are
replaced: where results go (backend.py) and where new tasks go (publisher.py).
"""
