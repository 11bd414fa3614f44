"""Stock, prices and orders. Pure functions over plain values: what tasks do to them is in shop.tasks."""

import datetime
import hashlib
from decimal import ROUND_HALF_UP, Decimal

PRICES = {
    "lamp": Decimal("49.90"),
    "chair": Decimal("129.00"),
    "desk": Decimal("349.50"),
    "shelf": Decimal("89.95"),
    "rug": Decimal("74.25"),
}
STOCK = {"lamp": 12, "chair": 4, "desk": 2, "shelf": 0, "rug": 7}
VAT = Decimal("0.19")
OPENED = datetime.datetime(2024, 3, 1, 9, 30, tzinfo=datetime.timezone.utc)


class OutOfStock(Exception):
    """There are fewer pieces of an article than were ordered."""


class UnknownArticle(KeyError):
    """No article has this name."""


class PaymentUnavailable(Exception):
    """The bank does not answer for the moment."""


def price_of(article):
    try:
        return PRICES[article]
    except KeyError:
        raise UnknownArticle(article) from None


def check_stock(lines):
    """Refuses an order that cannot be delivered. lines: [[article, pieces], ...]."""
    for article, pieces in lines:
        price_of(article)
        if STOCK[article] < pieces:
            raise OutOfStock("%s: %d ordered, %d there" % (article, pieces, STOCK[article]))


def total_of(lines):
    net = sum((price_of(article) * pieces for article, pieces in lines), Decimal(0))
    return (net * (1 + VAT)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def order_number(customer, lines):
    """The same order has the same number, however often it is placed."""
    text = customer + repr([list(line) for line in lines])
    return "O-" + hashlib.sha256(text.encode()).hexdigest()[:10]


def week_of(day):
    year, week, _ = datetime.date.fromisoformat(day).isocalendar()
    return "%d-W%02d" % (year, week)


def fit(size, box):
    """The size that a picture has when it is made to fit into a box."""
    width, height = size
    scale = min(box / width, box / height, 1)
    return [max(1, round(width * scale)), max(1, round(height * scale))]
