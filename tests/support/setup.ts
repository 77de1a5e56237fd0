/** Runs in every test file before its tests: the project's time limit, and the end of what helpers left open. */
import { runClosers } from './closers';

jest.setTimeout(Number(process.env['TEST_TIMEOUT_MS']));
afterAll(runClosers);
