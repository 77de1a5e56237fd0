/** Every endpoint of the service, in the order in which they are matched. */

import { appointmentServicesEndpoints } from './appointment-services.routes';
import { appointmentsEndpoints } from './appointments.routes';
import { authEndpoints } from './auth.routes';
import { customerAccountEndpoints } from './customer-account.routes';
import { customersEndpoints } from './customers.routes';
import type { Endpoint } from './endpoint';
import { serviceOperationsEndpoints } from './service-operations.routes';
import { techniciansEndpoints } from './technicians.routes';
import { telemetryEndpoints } from './telemetry.routes';
import { vehiclesEndpoints } from './vehicles.routes';

export const endpoints: readonly Endpoint[] = [
  ...authEndpoints,
  ...customerAccountEndpoints,
  ...customersEndpoints,
  ...vehiclesEndpoints,
  ...appointmentsEndpoints,
  ...techniciansEndpoints,
  ...serviceOperationsEndpoints,
  ...appointmentServicesEndpoints,
  ...telemetryEndpoints,
];
