"""The Celery app, its base task and its signals."""

from celery import Celery, Task, signals

from shop.journal import journal


class ShopTask(Task):
    """Notes how each task ended."""

    abstract = True

    def before_start(self, task_id, args, kwargs):
        journal.note("before_start", self.name)

    def on_success(self, retval, task_id, args, kwargs):
        journal.note("on_success", self.name)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        journal.note("on_failure", self.name, type(exc).__name__)

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        journal.note("on_retry", self.name)

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        journal.note("after_return", self.name, status)


app = Celery("shop", task_cls=ShopTask, include=[
    "shop.tasks.catalogue", "shop.tasks.mail", "shop.tasks.orders", "shop.tasks.reports",
])
app.config_from_object("shop.settings")


@signals.worker_process_init.connect
def open_connections(**kwargs):
    journal.note("worker_process_init")


@signals.task_prerun.connect
def note_start(task_id=None, task=None, **kwargs):
    journal.note("prerun", task.name)


@signals.task_postrun.connect
def note_end(task_id=None, task=None, state=None, **kwargs):
    journal.note("postrun", task.name, state)
