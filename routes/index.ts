/** Every endpoint of the service, in the order in which they are matched. */
import type { Endpoint } from './endpoint';

export const endpoints: readonly Endpoint[] = [];
