/** The handler of the comparison, the same for every server: reads the body, takes 5 ms, answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';

const WORK_MS = 5;

export function handle(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => {
    setTimeout(() => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ pid: process.pid, bytes }));
    }, WORK_MS);
  });
}
