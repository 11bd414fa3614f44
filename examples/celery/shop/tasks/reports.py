"""Long work with limits."""

import collections
import time

from celery import chord
from celery.exceptions import SoftTimeLimitExceeded

from shop import store
from shop.app import app


@app.task
def weekly(sales):
    """Sales by week. sales: [[day, article, pieces], ...]."""
    weeks = collections.defaultdict(lambda: store.Decimal(0))
    for day, article, pieces in sales:
        weeks[store.week_of(day)] += store.price_of(article) * pieces
    return {week: str(amount) for week, amount in sorted(weeks.items())}


@app.task(bind=True, soft_time_limit=1.5, time_limit=30)
def slow(self, pages):
    """Stops in time with the pages that there are."""
    done = 0
    try:
        for done in range(pages):
            self.update_state(state="PROGRESS", meta={"current": done, "total": pages})
            time.sleep(60)
    except SoftTimeLimitExceeded:
        return {"pages": done, "complete": False}
    return {"pages": pages, "complete": True}


@app.task
def best(articles):
    """The dearest article."""
    return max(articles, key=lambda article: store.price_of(article))


@app.task
def compare(articles):
    """Needs all parts before it goes on."""
    from shop.tasks.catalogue import index

    return chord(index.s(article) for article in articles)(best.s()).id


@app.task
def wait_for_another(sales):
    """Waits for a task in a task, which Celery advises against too."""
    return weekly.delay(sales).get(timeout=1)
