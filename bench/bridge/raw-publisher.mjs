// Publishes prepared QoS 1 messages over a bare socket, so that the publisher costs little of the machine it shares.
//   node raw-publisher.mjs PORT MESSAGES DEVICES WINDOW [RATE]
// With RATE (messages a second) the sending time stands in every message. Prints one line of JSON at the end.
import { connect } from 'node:net';

const [port, messages, devices, window, rate] = process.argv.slice(2).map(Number);

function packet(type, body) {
  const header = [type];
  for (let length = body.length; ; length >>= 7) {
    header.push(length > 127 ? (length & 127) | 128 : length);
    if (length <= 127) break;
  }
  return Buffer.concat([Buffer.from(header), body]);
}
function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}
const connectPacket = packet(
  0x10,
  Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(`bench-${process.pid}`)]),
);

// A payload of 150 bytes with four values.
const PAYLOAD = 150;
function publishPacket(n) {
  const values = { temperature: 20 + (n % 100) / 10, pressure: 1013.25, humidity: 45.5, vibration: 0.0125, n };
  const time = rate > 0 ? Date.now() : 1_700_000_000_000 + n;
  return packet(
    0x32,
    Buffer.concat([
      text(`fleet/device-${n % devices}`),
      Buffer.from([((n % 65_535) + 1) >> 8, ((n % 65_535) + 1) & 255]),
      Buffer.from(filled(JSON.stringify({ time, ...values }))),
    ]),
  );
}

function filled(json) {
  return `${json.slice(0, -1).padEnd(PAYLOAD - 1)}}`;
}

// In chunks prepared before the clock starts.
const CHUNK = 100;
const chunks = [];
if (!(rate > 0)) {
  for (let from = 0; from < messages; from += CHUNK) {
    const count = Math.min(CHUNK, messages - from);
    chunks.push(Buffer.concat(Array.from({ length: count }, (_, i) => publishPacket(from + i))));
  }
}

const socket = connect(port, '127.0.0.1');
socket.setNoDelay(true);
let sent = 0;
let acknowledged = 0;
let started = 0;
let rest = 0;
let awake = false;
socket.on('connect', () => socket.write(connectPacket));
socket.on('data', (data) => {
  let bytes = data.length + rest;
  if (!awake) {
    awake = true;
    started = performance.now();
    bytes -= 4;
    if (rate > 0) pace();
  }
  acknowledged += bytes >> 2;
  rest = bytes & 3;
  if (acknowledged >= messages) {
    const seconds = (performance.now() - started) / 1000;
    console.log(JSON.stringify({ published: acknowledged, seconds, rate: Math.round(acknowledged / seconds) }));
    socket.destroy();
    return;
  }
  if (!(rate > 0)) fill();
});

function fill() {
  while (sent < messages && sent - acknowledged <= window - CHUNK) {
    socket.write(chunks[sent / CHUNK]);
    chunks[sent / CHUNK] = undefined;
    sent += Math.min(CHUNK, messages - sent);
  }
}

function pace() {
  const due = Math.min(messages, Math.floor(((performance.now() - started) / 1000) * rate));
  while (sent < due) socket.write(publishPacket(sent++));
  if (sent < messages) setTimeout(pace, 1);
}
