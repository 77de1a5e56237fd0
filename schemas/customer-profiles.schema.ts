/** Profile pages of customers and vehicles, and what happened to them: history and visits. */
import { z } from 'zod';
import { Day, Instant } from './common.schema';
import { Amount, AppointmentStatusWord, IdText, Metrics } from './customers.schema';

const Text = z.string().nullable();

// ------------------------------------------------------------------ profile

/** Bad values are refused by the service, which has the words for them. */
export const GetCustomerProfile = z.object({
  limit_appointments: z.string().optional(),
  vehicle_id: z.string().optional(),
  include_invoices: z.string().optional(),
  cursor: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
});
export type GetCustomerProfile = z.infer<typeof GetCustomerProfile>;

const Bill = z.object({ id: z.uuid(), total: Amount, paid: Amount, unpaid: Amount });
const ServiceOfAppointment = z.object({ service_id: z.string(), name: z.string(), display_order: z.int() });
const PageInfo = z.object({ page_size: z.int(), has_more: z.boolean(), next_cursor: Text });

export const CustomerProfile = z
  .object({
    customer: z.object({
      id: IdText,
      full_name: z.string(),
      name: z.string(),
      phone: Text,
      email: Text,
      address: Text,
      is_vip: z.boolean(),
      isVip: z.boolean(),
      created_at: Instant,
      customerSince: Day,
      relationshipDurationDays: z.int(),
      tags: z.array(z.string()),
      notes: Text,
      sms_consent: z.boolean(),
      preferred_contact_method: z.string(),
      preferredContactMethod: z.string(),
      preferred_contact_time: Text,
      preferredContactTime: Text,
      _etag: z.string(),
    }),
    stats: Metrics.extend({
      lifetime_spend: Amount,
      unpaid_balance: Amount,
      total_visits: z.int(),
      last_visit_at: Instant.nullable(),
      last_service_at: Instant.nullable(),
      avg_ticket: Amount,
    }),
    vehicles: z.array(
      z.object({
        id: IdText,
        year: z.int().nullable(),
        make: z.string(),
        model: z.string(),
        plate: Text,
        license_plate: Text,
        vin: Text,
        notes: Text,
        is_primary: z.boolean(),
        is_active: z.boolean(),
      }),
    ),
    appointments: z.array(
      z.object({
        id: IdText,
        vehicle_id: IdText.nullable(),
        scheduled_at: Instant,
        status: AppointmentStatusWord,
        services: z.array(ServiceOfAppointment),
        invoice: Bill.nullable(),
        notes: Text,
        check_in_at: Instant.nullable(),
        check_out_at: Instant.nullable(),
      }),
    ),
    page: PageInfo,
  })
  .meta({ id: 'CustomerProfile' });

export const GetVehicleProfile = z.object({
  page_size: z.string().optional(),
  cursor: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  include_invoices: z.string().optional(),
  status: z.string().optional(),
  customer_id: z.string().optional(),
});
export type GetVehicleProfile = z.infer<typeof GetVehicleProfile>;

export const VehicleProfile = z
  .object({
    header: z.object({
      vehicle_id: IdText,
      year: z.int().nullable(),
      make: z.string(),
      model: z.string(),
      trim: Text,
      plate: Text,
      vin: Text,
      customer_id: IdText,
      customer_name: z.string(),
    }),
    stats: z.object({
      lifetime_spend: Amount,
      total_visits: z.int(),
      completed_visits: z.int(),
      last_service_at: Instant.nullable(),
      avg_ticket: Amount,
    }),
    timeline: z.array(
      z.object({
        id: IdText,
        type: z.literal('appointment'),
        occurred_at: Instant,
        status: AppointmentStatusWord,
        services: z.array(ServiceOfAppointment),
        invoice: Bill.nullable(),
      }),
    ),
    page: PageInfo,
    etag: z.string(),
  })
  .meta({ id: 'VehicleProfile' });

// ------------------------------------------------------------------ history and visits

const PaymentOfHistory = z.object({ id: z.uuid(), amount: Amount, method: z.string(), created_at: Instant });
export const CustomerHistory = z
  .object({
    pastAppointments: z.array(
      z.object({
        id: IdText,
        status: z.enum(['COMPLETED', 'NO_SHOW', 'CANCELED']),
        start: Instant,
        end: Instant.nullable(),
        total_amount: Amount,
        paid_amount: Amount,
        created_at: Instant,
        payments: z.array(PaymentOfHistory),
      }),
    ),
    payments: z.array(PaymentOfHistory),
  })
  .meta({ id: 'CustomerHistory' });

export const Visits = z
  .object({
    visits: z.array(
      z.object({
        id: IdText,
        status: AppointmentStatusWord,
        start: Instant,
        end: Instant.nullable(),
        price: Amount,
        checkInAt: Instant.nullable(),
        checkOutAt: Instant.nullable(),
        vehicle: Text,
        plate: Text,
        services: z.array(
          z.object({
            id: z.uuid(),
            name: z.string(),
            notes: Text,
            estimated_price: Amount.nullable(),
            service_operation_id: Text,
            service_type: z.enum(['Diagnostic', 'Labor', 'Parts', 'Service']),
            warranty: z.object({ status: z.enum(['Active', 'Expired', 'N/A']), info: Text, expires_at: Instant.nullable() }),
          }),
        ),
        notes: z.array(z.string()),
        service_summary: z.object({ parts: z.int(), labor: z.int(), diagnostic: z.int(), total_services: z.int() }),
        is_completed: z.boolean(),
        has_warranty_active: z.boolean(),
        major_services: z.array(z.string()),
      }),
    ),
  })
  .meta({ id: 'Visits' });
export type Visits = z.infer<typeof Visits>;
