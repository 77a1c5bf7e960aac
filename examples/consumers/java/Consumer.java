import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Schema;
import org.apache.avro.generic.*;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.*;

/**
 * Prints the forecasts of a fleet, one JSON object a line.
 *
 *   mvn -q dependency:copy-dependencies -DoutputDirectory=lib
 *   java -cp 'lib/*' Consumer.java SCHEMA BROKERS [TOPIC [COUNT [GROUP]]]
 */
class Consumer {
  public static void main(String[] args) throws Exception {
    var schema = new Schema.Parser().parse(Files.readString(Path.of(args[0])));
    String topic = args.length > 2 ? args[2] : "forecasts", group = args.length > 4 ? args[4] : "java-example";
    long count = args.length > 3 ? Long.parseLong(args[3]) : 0, seen = 0;
    // Knows Avro single-object encoding; addSchema() makes it read what other versions have written.
    var decoder = new BinaryMessageDecoder<GenericRecord>(GenericData.get(), schema);
    Map<String, Object> settings = Map.of(
        "bootstrap.servers", args[1], "group.id", group, "auto.offset.reset", "earliest",
        "isolation.level", "read_committed"); // forecasts of transactions that were not committed do not exist
    try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(topic));
      while (count == 0 || seen < count) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          if (count == 0 || seen++ < count) System.out.println(decoder.decode(record.value()));
        }
      }
    }
  }
}
