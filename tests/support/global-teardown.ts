/** Stops what the global setup of this jest run started. */
// biome-ignore lint/style/noDefaultExport: Jest takes the default export
export default async function globalTeardown(): Promise<void> {
  await (globalThis as { stopTestCluster?: () => Promise<void> }).stopTestCluster?.();
}
