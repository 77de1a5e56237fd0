/** Starts the test database, unless the runner did. Called once for a jest run, however many projects name it. */
import { startTestCluster } from './test-cluster';

// biome-ignore lint/style/noDefaultExport: Jest takes the default export
export default async function globalSetup(): Promise<void> {
  if (process.env['TEST_CLUSTER']) return;
  const { stop, ...cluster } = await startTestCluster();
  process.env['TEST_CLUSTER'] = JSON.stringify(cluster);
  (globalThis as { stopTestCluster?: () => Promise<void> }).stopTestCluster = stop;
}
