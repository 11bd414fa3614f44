"""A service that writes documents, for old_calls.py."""

from tasklane import Context, Service

service = Service()


@service
def generate_document(ctx: Context, topic: str, length: str, style: str) -> dict:
    """Makes a document and says where it is."""
    if style == "unknown":
        raise ValueError("no style %s" % style)
    ctx.progress(50, message="writing")
    return {"document_id": "about " + topic}


service.run()
