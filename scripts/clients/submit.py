"""Puts tasks on a lane with confluent-kafka and its own default partitioner.

    submit.py BROKERS TOPIC COUNT USER_PREFIX

Prints one line "task_id user_id" for every task the broker has acknowledged and
ends with 1 if one was not. The tasks belong to up to four users, USER_PREFIX-0
to USER_PREFIX-3. Nothing here agrees with Tasklane about which partition a user
has: it need not.
"""
import json
import sys
import uuid

from confluent_kafka import Producer

TEXTS = [
    "The delivery was quick and the box arrived without a scratch.",
    "Die Lieferung kam schnell und der Karton war unbeschädigt.",
    "La livraison était rapide et le carton est arrivé sans une égratignure.",
    "La entrega fue rápida y la caja llegó sin un solo rasguño.",
]


def task(user: str, n: int) -> dict:
    return {
        "task_id": f"python-{uuid.uuid4()}",
        "user_id": user,
        "task_name": "detect_language",
        "mode": "chat",
        "service": "text_analyzer",
        "input_data": {"text": TEXTS[n % len(TEXTS)]},
    }


def main() -> int:
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    brokers, topic, count, prefix = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True})
    failed = 0

    def report(sent: dict):
        def acknowledged(error, _message):
            nonlocal failed
            if error is not None:
                failed += 1
                print(f"{sent['task_id']}: {error}", file=sys.stderr)
            else:
                print(sent["task_id"], sent["user_id"])
        return acknowledged

    for n in range(count):
        one = task(f"{prefix}-{n % 4}", n)
        value = json.dumps(one).encode()
        while True:
            try:
                producer.produce(topic, key=one["user_id"], value=value, on_delivery=report(one))
                break
            except BufferError:  # the queue of the client is full: let it send
                producer.poll(0.1)
        producer.poll(0)
    failed += producer.flush(60)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
