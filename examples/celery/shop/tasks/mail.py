"""Mail to customers. No app is imported: shared tasks belong to whichever app loads them."""

from celery import shared_task
from celery.utils.log import get_task_logger

logger = get_task_logger(__name__)
# How often the servers of these are busy.
BUSY = {"busy": 2, "busiest": 3}


class MailboxFull(Exception):
    pass


@shared_task
def render(template, **values):
    """Fills in a template."""
    return template.format(**values)


@shared_task(bind=True, max_retries=3, default_retry_delay=0)
def send(self, address, text):
    """Sends a mail; a server that is busy is tried again."""
    logger.info("mail to %s, attempt %d", address, self.request.retries + 1)
    if "@" not in address:
        raise ValueError("no address: %s" % address)
    if self.request.retries < BUSY.get(address.partition("@")[0], 0):
        raise self.retry(countdown=0)
    if address.startswith("full"):
        try:
            raise MailboxFull(address)
        except MailboxFull as error:
            raise self.retry(exc=error, countdown=0, max_retries=1)
    return {"to": address, "characters": len(text), "attempts": self.request.retries + 1}


@shared_task(ignore_result=True)
def remember(address):
    """Whose result nobody wants."""
    return {"secret": address}


@shared_task
async def deliver_many(addresses):
    """Delivers to all at the same time."""
    import asyncio

    async def deliver(address):
        await asyncio.sleep(0)
        return address.upper()

    return await asyncio.gather(*(deliver(address) for address in addresses))
