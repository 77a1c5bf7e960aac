import { GenericContainer, Wait } from 'testcontainers';
import { MOSQUITTO_IMAGE } from './docker.ts';

const PORT = 1883;

/** A Mosquitto in a container; for anybody who has Docker. */
export async function startMosquittoContainer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const container = await new GenericContainer(MOSQUITTO_IMAGE)
    .withExposedPorts(PORT)
    .withCopyContentToContainer([
      {
        content: `listener ${PORT}\nallow_anonymous true\nmax_queued_messages 0\n`,
        target: '/mosquitto/config/mosquitto.conf',
      },
    ])
    .withWaitStrategy(Wait.forListeningPorts())
    .withStartupTimeout(60_000)
    .start();
  return {
    url: `mqtt://${container.getHost()}:${container.getMappedPort(PORT)}`,
    stop: async () => {
      await container.stop({ timeout: 1000 });
    },
  };
}
