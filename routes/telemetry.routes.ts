import { TELEMETRY_BODY_BYTES, TelemetryBatch } from '../schemas/telemetry.schema';
import { countEvents } from '../services/telemetry.service';
import { type Endpoint, endpoint } from './endpoint';

export const telemetryEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'post',
    path: '/api/telemetry',
    id: 'reportTelemetry',
    importance: 'background',
    summary: 'Report events of the browser client',
    tag: 'Telemetry',
    allow: 'public',
    tenant: 'optional',
    csrf: 'exempt',
    limit: 'telemetry',
    bodyLimit: TELEMETRY_BODY_BYTES,
    textBody: true,
    body: TelemetryBatch,
    reply: [204],
    errors: [413, 415],
    queries: 0,
    handle: async ({ body }) => {
      countEvents(body);
    },
  }),
];
