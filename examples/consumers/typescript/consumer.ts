// Prints the forecasts of a fleet, one JSON object a line.
//
//   npm install kafkajs fleetcast
//   npx tsx consumer.ts BROKERS [TOPIC [COUNT [GROUP]]]
import { decodeRecord } from 'fleetcast';
import { Kafka } from 'kafkajs';

const [brokers = 'localhost:9092', topic = 'forecasts', count = '0', group = 'typescript-example'] =
  process.argv.slice(2);
const consumer = new Kafka({ brokers: brokers.split(',') }).consumer({
  groupId: group,
  readUncommitted: false, // forecasts of transactions that were not committed do not exist
});
let seen = 0;
await consumer.connect();
await consumer.subscribe({ topics: [topic], fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    if (message.value === null || (Number(count) > 0 && seen >= Number(count))) return;
    seen += 1;
    console.log(JSON.stringify(decodeRecord(message.value)));
    if (seen === Number(count)) setImmediate(() => void consumer.disconnect());
  },
});
