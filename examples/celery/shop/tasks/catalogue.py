"""Pictures and texts of articles."""

from shop import store
from shop.app import app


@app.task(bind=True)
def thumbnails(self, sizes, box=100):
    """Says how far it is."""
    made = []
    for done, size in enumerate(sizes):
        self.update_state(state="PROGRESS", meta={"current": done, "total": len(sizes), "status": "picture %d" % done})
        made.append(store.fit(size, box))
    return made


@app.task
def fit(width, height):
    return store.fit((width, height), 50)


@app.task
def index(article):
    return [article, len(article), str(store.price_of(article))]


@app.task(bind=True, name="catalogue.about")
def about(self, *args, **kwargs):
    """What a task can know of itself."""
    request = self.request
    return {
        "name": self.name, "args": request.args, "kwargs": request.kwargs, "retries": request.retries,
        "direct": request.called_directly, "eager": bool(request.is_eager), "same": request.id == self.request.id,
        "root": request.root_id == request.id, "parent": request.parent_id,
    }
