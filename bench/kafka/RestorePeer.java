import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.state.*;

/**
 * Kafka Streams with the state of the benchmark (StreamsPeer.Stats), started a second time without its local state:
 *   RestorePeer BOOTSTRAP TOPIC RECORDS MORE
 * It handles RECORDS of TOPIC, closes, starts again with an empty state directory while MORE records wait, and tells how
 * long it took from the start to the first of them, and to the last. One line of JSON.
 */
public class RestorePeer {
  static final AtomicLong handled = new AtomicLong();
  static volatile long firstAt;

  static class Counted implements Processor<Bytes, byte[], Bytes, byte[]> {
    final StreamsPeer.Stats stats = new StreamsPeer.Stats();
    public void init(ProcessorContext<Bytes, byte[]> context) { stats.init(context); }
    public void process(org.apache.kafka.streams.processor.api.Record<Bytes, byte[]> record) {
      if (firstAt == 0) firstAt = System.nanoTime();
      stats.process(record);
      handled.incrementAndGet();
    }
  }

  public static void main(String[] args) throws Exception {
    String bootstrap = args[0], topic = args[1];
    long records = Long.parseLong(args[2]), more = Long.parseLong(args[3]);
    int keys = Integer.parseInt(args[4]);
    String id = "restore-" + Long.toString(System.currentTimeMillis(), 36);
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      admin.createTopics(List.of(new NewTopic(id + "-out", 4, (short) -1))).all().get();
    }
    run(bootstrap, topic, id, records);
    StreamsPeer.load(bootstrap, topic, more, keys);
    handled.set(0);
    firstAt = 0;
    long began = System.nanoTime();
    long ended = run(bootstrap, topic, id, more);
    System.out.printf(Locale.ROOT, "{\"firstMs\":%.0f,\"lastMs\":%.0f}%n", (firstAt - began) / 1e6, (ended - began) / 1e6);
  }

  static long run(String bootstrap, String topic, String id, long records) throws Exception {
    Topology topology = new Topology();
    Serde<Bytes> keySerde = Serdes.Bytes();
    Serde<byte[]> valueSerde = Serdes.ByteArray();
    topology.addSource("src", keySerde.deserializer(), valueSerde.deserializer(), topic);
    topology.addProcessor("p", Counted::new, "src");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("win"), keySerde, valueSerde)
            .withLoggingEnabled(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, "compact"))
            .withCachingEnabled(),
        "p");
    topology.addSink("sink", id + "-out", keySerde.serializer(), valueSerde.serializer(), "p");
    Path dir = Files.createTempDirectory("restore-peer-");
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, id);
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100");
    config.put(StreamsConfig.STATE_DIR_CONFIG, dir.toString());
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "-1");
    config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    KafkaStreams streams = new KafkaStreams(topology, config);
    streams.start();
    while (handled.get() < records) {
      Thread.sleep(2);
      if (streams.state() == KafkaStreams.State.ERROR) System.exit(1);
    }
    long ended = System.nanoTime();
    streams.close(new KafkaStreams.CloseOptions().leaveGroup(true).timeout(Duration.ofSeconds(20)));
    try (var files = Files.walk(dir)) {
      files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
    }
    return ended;
  }
}
