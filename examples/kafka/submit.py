"""Puts one task on the lane fast and prints its id once the broker has it."""
import json, uuid
from confluent_kafka import Producer

producer = Producer({
    "bootstrap.servers": "127.0.0.1:9092",
    "acks": "all",
    "partitioner": "murmur2_random",  # the same partition as the API and the Java client
})
task = {
    "task_id": str(uuid.uuid4()), "user_id": "alice",
    "task_name": "analyze_sentiment", "mode": "chat", "service": "text_analyzer",
    "input_data": {"text": "La entrega fue rápida y el embalaje perfecto."},
}
producer.produce("tasks.fast", key=task["user_id"], value=json.dumps(task).encode(),
                 on_delivery=lambda error, _: print(error or task["task_id"]))
producer.flush()
