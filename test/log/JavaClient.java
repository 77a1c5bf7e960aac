import java.time.Duration;
import java.util.*;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** BROKERS COUNT CODEC...: writes COUNT records to java-CODEC and prints count and CRC-32 of the values in ours-CODEC. */
class JavaClient {
  public static void main(String[] args) throws Exception {
    int count = Integer.parseInt(args[1]);
    for (String codec : Arrays.copyOfRange(args, 2, args.length)) {
      Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "compression.type", codec,
          "linger.ms", 200, "batch.size", 900_000, "isolation.level", "read_committed");
      try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
        for (int i = 0; i < count; i++) {
          byte[] key = ("key-" + i).getBytes(), value = ("value " + i + " ").repeat(1 + i % 50).getBytes();
          producer.send(new ProducerRecord<>("java-" + codec, 0, 1_700_000_000_000L + i, key, value));
        }
      }
      var crc = new CRC32();
      long seen = 0;
      try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
        var partition = List.of(new TopicPartition("ours-" + codec, 0));
        consumer.assign(partition);
        consumer.seekToBeginning(partition);
        while (seen < count) {
          for (var record : consumer.poll(Duration.ofSeconds(1))) {
            crc.update(record.value());
            seen++;
          }
        }
      }
      System.out.println(codec + " " + seen + " " + crc.getValue());
    }
  }
}
