"""Prints the forecasts of a fleet, one JSON object a line.

    pip install -r requirements.txt
    python consumer.py BROKERS [TOPIC [COUNT [GROUP]]]
"""
import io, json, pathlib, sys

import fastavro
from confluent_kafka import Consumer

schema = fastavro.schema.load_schema(pathlib.Path(__file__).parents[3] / "schemas" / "forecast.avsc")
brokers, topic, count, group = (sys.argv[1:] + ["forecasts", "0", "python-example"][len(sys.argv) - 2:])[:4]
consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": group,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",  # forecasts of transactions that were not committed do not exist
})
consumer.subscribe([topic])
seen = 0
while int(count) == 0 or seen < int(count):
    message = consumer.poll(1)
    if message is None or message.error():
        continue
    # Avro single-object encoding: two bytes of marker, eight of the schema's fingerprint, then the record.
    forecast = fastavro.schemaless_reader(io.BytesIO(message.value()[10:]), schema)
    print(json.dumps(forecast, default=lambda time: round(time.timestamp() * 1000)), flush=True)
    seen += 1
consumer.close()
