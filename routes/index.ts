/** Every endpoint of the service, in the order in which they are matched. */
import { appointmentsEndpoints } from './appointments.routes';
import type { Endpoint } from './endpoint';
import { telemetryEndpoints } from './telemetry.routes';

export const endpoints: readonly Endpoint[] = [...appointmentsEndpoints, ...telemetryEndpoints];
