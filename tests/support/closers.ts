/** What helpers opened during a test file and must close after its last test, latest first. */
type Closer = () => Promise<unknown> | unknown;

const closers: Closer[] = [];

/** Closes with the test file. Safe inside a test or hook, where Jest refuses `afterAll`. */
export function closeLater(closer: Closer): void {
  closers.push(closer);
}

export async function runClosers(): Promise<void> {
  for (let closer = closers.pop(); closer; closer = closers.pop()) await closer();
}
