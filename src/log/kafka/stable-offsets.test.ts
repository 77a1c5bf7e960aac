import { expect, test } from 'vitest';
import { isPassing, type KafkaError } from './kafka-errors.ts';
import { decodeResponse, encodeRequest } from './stable-offsets.ts';

const NAME = 't'.repeat(200);

test('asks for stable offsets, with the compact types of OffsetFetch 7', () => {
  expect(encodeRequest('g', ['ab', NAME], 3).toString('hex')).toBe(
    [
      '00',
      '0267',
      '03',
      '036162',
      '02',
      '00000003',
      '00',
      `c901${'74'.repeat(200)}`,
      '02',
      '00000003',
      '00',
      '01',
      '00',
    ].join(''),
  );
});

function answer(offset: bigint, error: number, groupError = 0): Buffer {
  const int16 = (n: number) => n.toString(16).padStart(4, '0');
  const one = (topic: string, at: bigint, code: number) =>
    `${topic}02${'00000003'}${BigInt.asUintN(64, at).toString(16).padStart(16, '0')}${'00000007'}${'026d'}${int16(code)}${'00'}${'00'}`;
  const topics = `03${one('036162', offset, error)}${one(`c901${'74'.repeat(200)}`, -1n, 0)}`;
  return Buffer.from(`010502beef${'00000000'}${topics}${int16(groupError)}00`, 'hex');
}

test('reads what is committed, and leaves out what is not', () => {
  expect(decodeResponse(answer(2n ** 40n, 0), 'g')).toEqual(new Map([['ab', 2 ** 40]]));
});

test.each([
  [88, 0, /ab\/3: Kafka answers error 88/],
  [0, 14, /offsets of g: Kafka answers error 14/],
])('tries again where an offset is not stable (%i) or the coordinator loads (%i)', (error, groupError, message) => {
  let thrown: unknown;
  try {
    decodeResponse(answer(5n, error, groupError), 'g');
  } catch (problem) {
    thrown = problem;
  }
  expect((thrown as KafkaError).message).toMatch(message);
  expect(isPassing(thrown)).toBe(true);
});
