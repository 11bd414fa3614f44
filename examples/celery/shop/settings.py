"""Celery's settings, read with config_from_object."""

import os

broker_url = os.environ.get("SHOP_BROKER", "redis://localhost:6379/0")
result_backend = os.environ.get("SHOP_RESULTS", "redis://localhost:6379/1")

task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
timezone = "UTC"
enable_utc = True

task_track_started = True
task_acks_late = True
task_time_limit = 600
task_soft_time_limit = 300
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False

task_routes = {
    "shop.tasks.reports.*": {"queue": "heavy_tasks"},
    "shop.tasks.mail.*": {"queue": "fast_tasks"},
}
task_annotations = {"shop.tasks.mail.send": {"rate_limit": "100/s"}}
