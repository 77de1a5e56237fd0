/** A server as pm2's documentation has it for reloads: says `ready` when it listens, closes on SIGINT. */
import { createServer } from 'node:http';
import { handle } from './handler';

const server = createServer(handle).listen(Number(process.env['PORT']), '127.0.0.1', () => process.send?.('ready'));
process.on('SIGINT', () => server.close(() => process.exit(0)));
