/** The car of an appointment: which one it is, and what an edit of the appointment says about it. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { query } from '../lib/db';
import { Conflict, ValidationFailed } from '../lib/errors';
import type { Appointment } from '../models/appointments.model';
import { pendingChanges } from '../models/row-changes';
import { Vehicle } from '../models/vehicles.model';
import type { UpdateAppointment } from '../schemas/appointments.schema';
import { Plate, plateKey, Vin } from '../schemas/identity.schema';
import { resolveVehicle } from './customer-resolution.service';
import { countServices } from './vehicle-services.service';

const FIELDS = ['license_plate', 'vin', 'vehicle_year', 'vehicle_make', 'vehicle_model'] as const;
type VehicleFields = Pick<UpdateAppointment, (typeof FIELDS)[number]>;

/** Blank fields say nothing about a car: an edit completes it, it never empties it. */
export const hasVehicleFields = (fields: VehicleFields): boolean => FIELDS.some((field) => (fields[field] ?? null) !== null);

/** Ties the appointment to another car, or to none; a completed visit counts for the car it is tied to. */
export async function relinkVehicle(appointment: Appointment, vehicleId: number | null): Promise<void> {
  const { id, vehicleId: previous, status, completedAt } = appointment;
  const values = [tenant().id, id, vehicleId];
  await query(
    {
      name: 'appointment_vehicles_unlink',
      text: 'DELETE FROM appointment_vehicles WHERE tenant_id = $1 AND appointment_id = $2::bigint AND vehicle_id IS DISTINCT FROM $3::bigint',
    },
    values,
  );
  if (vehicleId !== null) {
    await query(
      {
        name: 'appointment_vehicles_link',
        text: 'INSERT INTO appointment_vehicles (tenant_id, appointment_id, vehicle_id) VALUES ($1, $2::bigint, $3::bigint) ON CONFLICT DO NOTHING',
      },
      values,
    );
  }
  if (status === 'COMPLETED') {
    if (previous !== null) await countServices(previous, -1);
    if (vehicleId !== null) await countServices(vehicleId, 1, completedAt);
  }
  appointment.set({ vehicleId });
}

/**
 * Applies plate, VIN, year, make and model: to the car the appointment has, to the customer's other car that the plate
 * names, or to a new car of the customer.
 * @returns the wire names of the fields that changed something
 * @throws Conflict 'License plate already belongs to another customer'; ValidationFailed
 */
export async function applyVehicleFields(appointment: Appointment, fields: VehicleFields): Promise<string[]> {
  const linked = appointment.vehicleId === null ? null : await Vehicle.get<Vehicle>(appointment.vehicleId, { lock: true });
  const vin = checked('vin', Vin, fields.vin);
  let plate = checked('license_plate', Plate, fields.license_plate);
  // Screens fill the plate box with the VIN of a car that has no plate; saving them must not make it the plate.
  if (linked?.vin && plate === linked.vin) plate = null;
  if (!linked) return linkByDescription(appointment, { ...fields, vin, license_plate: plate });

  const car = (plate !== null && (await otherCarWithPlate(linked, plate))) || linked;
  const isRelinked = car.id !== linked.id;
  if (isRelinked) await relinkVehicle(appointment, car.id);
  const changed = await editCar(car, { ...fields, vin, license_plate: isRelinked ? null : plate });
  return isRelinked ? ['license_plate', ...changed] : changed;
}

async function linkByDescription(appointment: Appointment, fields: VehicleFields): Promise<string[]> {
  const { license_plate: plate, vin, vehicle_year: year, vehicle_make: make, vehicle_model: model } = fields;
  const { customerId } = appointment;
  const car = await resolveVehicle({ customerId, plate, vin, year, make, model });
  if (!car) {
    if (customerId !== null || [plate, vin, make, model].every((value) => (value ?? null) === null)) return [];
    throw new ValidationFailed({ customer_id: 'required' }, 'A vehicle needs a customer');
  }
  if (customerId === null) appointment.set({ customerId: car.customerId });
  await relinkVehicle(appointment, car.id);
  return FIELDS.filter((field) => (fields[field] ?? null) !== null);
}

/** Another active car of the tenant with this plate, when it is the same customer's. */
async function otherCarWithPlate(linked: Vehicle, plate: string): Promise<Vehicle | null> {
  const key = plateKey(plate);
  if (key === '' || key === plateKey(linked.licensePlate ?? '')) return null;
  const [found] = await query<{ id: number; customerId: number }>(
    {
      name: 'vehicles_by_plate',
      text: 'SELECT id, customer_id AS "customerId" FROM vehicles WHERE tenant_id = $1 AND plate_key = $2 AND is_active',
    },
    [tenant().id, key],
  );
  if (!found || found.id === linked.id) return null;
  if (found.customerId !== linked.customerId)
    throw new Conflict('License plate already belongs to another customer', { details: { license_plate: 'belongs_to_other' } });
  return Vehicle.get<Vehicle>(found.id, { lock: true });
}

async function editCar(car: Vehicle, fields: VehicleFields): Promise<string[]> {
  const { license_plate: plate, vin, vehicle_year: year, vehicle_make: make, vehicle_model: model } = fields;
  if (plate) car.set({ licensePlate: plate });
  if (vin) car.set({ vin });
  if (year) car.set({ year });
  if (make) car.set({ make });
  if (model) car.set({ model });
  const changes = pendingChanges(car);
  if (Object.keys(changes).length === 0) return [];
  car.set({ updatedAt: clock.now() });
  await car.save();
  // The trail of the car itself; the appointment's edit has its own audit row.
  await query(
    {
      name: 'vehicle_audits_insert',
      text: 'INSERT INTO vehicle_audits (tenant_id, vehicle_id, actor_id, fields_changed) VALUES ($1, $2::bigint, $3, $4::jsonb)',
    },
    [tenant().id, car.id, context().actor.id, JSON.stringify(changes)],
  );
  const WIRE: Record<string, string> = { year: 'vehicle_year', make: 'vehicle_make', model: 'vehicle_model' };
  return Object.keys(changes).map((column) => WIRE[column] ?? column);
}

interface Check {
  safeParse(value: unknown): { success: true; data: string | null } | { success: false; error: { issues: readonly { message: string }[] } };
}

function checked(field: string, schema: Check, value: unknown): string | null {
  const result = schema.safeParse(value ?? null);
  if (!result.success) throw new ValidationFailed({ [field]: result.error.issues[0]?.message ?? 'invalid' });
  return result.data;
}
