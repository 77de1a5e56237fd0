/** Every endpoint of the service, in the order in which they are matched. */

import { analyticsEndpoints } from './analytics.routes';
import { appointmentServicesEndpoints } from './appointment-services.routes';
import { appointmentsEndpoints } from './appointments.routes';
import { auditLogsEndpoints } from './audit-logs.routes';
import { authEndpoints } from './auth.routes';
import { customersEndpoints } from './customers.routes';
import type { Endpoint } from './endpoint';
import { invoicesEndpoints } from './invoices.routes';
import { messageTemplatesEndpoints } from './message-templates.routes';
import { messagesEndpoints } from './messages.routes';
import { ownAccountEndpoints } from './own-account.routes';
import { reportsEndpoints } from './reports.routes';
import { serviceOperationsEndpoints } from './service-operations.routes';
import { settingsEndpoints } from './settings.routes';
import { techniciansEndpoints } from './technicians.routes';
import { telemetryEndpoints } from './telemetry.routes';
import { vehiclesEndpoints } from './vehicles.routes';
import { webhooksEndpoints } from './webhooks.routes';

export const endpoints: readonly Endpoint[] = [
  ...authEndpoints,
  ...ownAccountEndpoints,
  ...customersEndpoints,
  ...vehiclesEndpoints,
  ...appointmentsEndpoints,
  ...techniciansEndpoints,
  ...serviceOperationsEndpoints,
  ...appointmentServicesEndpoints,
  ...invoicesEndpoints,
  ...analyticsEndpoints,
  ...reportsEndpoints,
  ...settingsEndpoints,
  ...auditLogsEndpoints,
  ...messagesEndpoints,
  ...messageTemplatesEndpoints,
  ...webhooksEndpoints,
  ...telemetryEndpoints,
];
