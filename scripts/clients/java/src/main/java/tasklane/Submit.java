package tasklane;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Puts tasks on a lane with the Java client.
 *
 * <p>Arguments: BROKERS TOPIC COUNT USER_PREFIX. Prints one line "task_id user_id" for every task
 * the broker has acknowledged; ends with 1 if one was not.
 */
public final class Submit {
  private record Sent(String taskId, String userId, Future<RecordMetadata> acknowledged) {}

  private Submit() {}

  public static void main(String[] args) throws InterruptedException {
    if (args.length != 4) {
      System.err.println("usage: Submit BROKERS TOPIC COUNT USER_PREFIX");
      System.exit(2);
    }
    Map<String, Object> config =
        Map.of("bootstrap.servers", args[0], "acks", "all", "delivery.timeout.ms", 60_000,
            "request.timeout.ms", 20_000, "max.block.ms", 30_000);
    int failed = 0;
    try (var producer =
        new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
      for (Sent sent : submit(producer, args[1], Integer.parseInt(args[2]), args[3])) {
        try {
          sent.acknowledged().get();
          System.out.println(sent.taskId() + " " + sent.userId());
        } catch (ExecutionException e) {
          failed++;
          System.err.println(sent.taskId() + ": " + e.getCause());
        }
      }
    }
    System.exit(failed == 0 ? 0 : 1);
  }

  private static List<Sent> submit(
      KafkaProducer<String, String> producer, String topic, int count, String prefix) {
    List<Sent> all = new ArrayList<>();
    for (int n = 0; n < count; n++) {
      String user = prefix + "-" + n % 4;
      String id = "java-" + UUID.randomUUID();
      var record = new ProducerRecord<>(topic, user, task(id, user));
      all.add(new Sent(id, user, producer.send(record)));
    }
    return all;
  }

  private static String task(String id, String user) {
    return """
        {"task_id": "%s", "user_id": "%s", "task_name": "detect_language",
         "mode": "chat", "service": "text_analyzer",
         "input_data": {"text": "Le colis est arrivé un jour plus tôt et tout fonctionne."}}
        """
        .formatted(id, user);
  }
}
