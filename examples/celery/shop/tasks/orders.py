"""Orders, from the click to the parcel."""

import datetime
import uuid

from celery import chain, group, shared_task
from celery.exceptions import Ignore, Reject

from shop import store
from shop.app import app
from shop.tasks import mail


@app.task(bind=True)
def place(self, customer, lines):
    """Places an order and sets off what follows."""
    store.check_stock(lines)
    number = store.order_number(customer, lines)
    charge.apply_async((number, str(store.total_of(lines))), priority=9)
    mail.send.delay("%s@example.org" % customer, "Thank you for order %s" % number)
    return {"number": number, "total": store.total_of(lines), "task": self.name}


@app.task(bind=True, autoretry_for=(store.PaymentUnavailable,), retry_backoff=1, retry_backoff_max=1, retry_jitter=True,
          max_retries=2)
def charge(self, number, amount):
    """Takes the money; the bank is away at first."""
    if self.request.retries < 2:
        raise store.PaymentUnavailable("try %d" % self.request.retries)
    return {"number": number, "amount": amount, "tries": self.request.retries + 1}


@app.task(autoretry_for=(store.PaymentUnavailable,), retry_backoff=False, default_retry_delay=0, max_retries=1)
def refund(number):
    """Never succeeds: ends with the last attempt's error."""
    raise store.PaymentUnavailable(number)


@app.task
def price(lines):
    return store.total_of(lines)


@app.task
def add_fee(amount, fee):
    """Amounts come as texts or as Decimal, as the step before gave them."""
    return str(store.Decimal(str(amount)) + store.Decimal(fee))


@shared_task
def receipt(amount, customer):
    return "%s pays %s" % (customer, amount)


@app.task(bind=True)
def check_out(self, customer, lines):
    """A price, a fee, a receipt: each with what the one before gave."""
    chain(price.s(lines), add_fee.s("4.90"), receipt.s(customer)).apply_async()
    return "set off"


@app.task(bind=True)
def remind(self, customers):
    """Many mails at once, and a late one."""
    result = group(mail.send.s("%s@example.org" % customer, "A reminder") for customer in customers).apply_async()
    when = datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)
    mail.send.apply_async(("late@example.org", "A late reminder"), eta=when, expires=when + datetime.timedelta(days=1))
    mail.send.apply_async(args=["soon@example.org", "Soon"], countdown=3600, time_limit=20, soft_time_limit=10)
    return len(result.results)


@app.task
def parcel(number):
    """Values that JSON does not know."""
    return {
        "id": uuid.uuid5(uuid.NAMESPACE_URL, number),
        "opened": store.OPENED,
        "day": store.OPENED.date(),
        "weight": store.Decimal("1.250"),
        "label": b"fragile",
    }


@app.task
def tags(words):
    """A set: Celery's own json serializer takes none."""
    return set(words)


@app.task(bind=True)
def skip(self, why):
    if why == "ignore":
        raise Ignore()
    raise Reject(why, requeue=False)


@app.task
def settle(lines):
    """Fails as programs fail."""
    return {article: store.price_of(article) / pieces for article, pieces in lines}
