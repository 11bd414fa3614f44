import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Puts one task on the lane fast and prints its id once the broker has it. */
class Submit {
  public static void main(String[] args) throws Exception {
    Map<String, Object> config = Map.of("bootstrap.servers", "127.0.0.1:9092", "acks", "all");
    String id = UUID.randomUUID().toString();
    String task = """
        {"task_id": "%s", "user_id": "alice", "task_name": "moderate",
         "mode": "chat", "service": "text_analyzer",
         "input_data": {"text": "You are a stupid idiot and a liar."}}
        """.formatted(id);
    try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
      producer.send(new ProducerRecord<>("tasks.fast", "alice", task)).get();
    }
    System.out.println(id);
  }
}
