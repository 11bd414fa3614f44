"""Prints the events that count: fold.py BROKERS [TOPIC] [USER], from the start of the log to its end."""
import sys
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
brokers, topic, user = (sys.argv[1:] + ["task-events", ""][len(sys.argv) - 2:])[:3]
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "fold", "enable.auto.commit": False, "enable.partition.eof": True})
partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
MARGIN = 600_000  # ms that an epoch may lie beyond the time at which the broker took its record
last, ended = {}, set()  # (epoch, seq) of every shard; partitions read to their end
while len(ended) < len(partitions):
    record = consumer.poll(1.0)
    if record is not None and record.error():
        if record.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(record.error())
        ended.add(record.partition())
    elif record is not None and {"tl-shard", "tl-epoch", "tl-seq"} <= (h := dict(record.headers() or [])).keys():
        stamp = (int(h["tl-epoch"]), int(h["tl-seq"]))
        before = last.get(h["tl-shard"], (0, 0))
        if stamp[0] > max(before[0], record.timestamp()[1] + MARGIN):
            continue  # forged, or of an owner whose clock is wrong
        if stamp > before:  # else a superseded owner's, or a repeat
            last[h["tl-shard"]] = stamp
            if record.key() and user in ("", record.key().decode()):  # fences, marks, repeats have no key
                print(record.value().decode())
