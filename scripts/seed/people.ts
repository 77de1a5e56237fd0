/** Invented customers and their vehicles. Names, streets and numbers are made up; mail addresses use reserved domains. */
import cars from '../../models/seeds/cars.json';
import people from '../../models/seeds/people.json';
import wording from '../../models/seeds/wording.json';
import type { Random } from './random';

const DAY_MS = 86_400_000;
/** How often a customer comes: few come often, most now and then. */
const VISITING = [
  [6, 0.08],
  [1.5, 0.5],
  [0.4, 0.42],
] as const;

export interface CustomerRow {
  readonly tenant_id: string;
  readonly id: number;
  readonly name: string;
  readonly email: string | null;
  readonly phone: string | null;
  readonly address: string;
  readonly address_line1: string;
  readonly city: string;
  readonly state: string;
  readonly zip_code: string;
  readonly is_vip: boolean;
  readonly tags: readonly string[];
  readonly notes: string | null;
  readonly preferred_contact_method: string;
  readonly preferred_contact_time: string | null;
  customer_since: Date;
  readonly sms_consent: boolean;
  sms_consent_date: Date | null;
  readonly sms_consent_ip: string | null;
  created_at: Date;
  updated_at: Date;
}

export interface VehicleRow {
  readonly tenant_id: string;
  readonly id: number;
  readonly customer_id: number;
  readonly make: string;
  readonly model: string;
  readonly year: number;
  readonly vin: string | null;
  readonly license_plate: string | null;
  readonly trim: string | null;
  readonly color: string;
  mileage: number;
  readonly notes: string | null;
  readonly is_primary: boolean;
  readonly is_active: boolean;
  last_service_date: string | null;
  total_services: number;
  created_at: Date;
  updated_at: Date;
}

interface CustomerOptions {
  tenantId: string;
  ids: readonly number[];
  now: Date;
  /** The mail address of the customer with this index, when it is not to be invented. */
  emailOf: (index: number) => string | undefined;
}

export function inventCustomers(random: Random, { tenantId, ids, now, emailOf }: CustomerOptions): CustomerRow[] {
  const taken = new Set<string>();
  return ids.map((id, index) => {
    const given = random.pick(people.given);
    const family = random.pick(people.family);
    const line = `${random.int(100, 9899)} ${random.pick(people.streets)}`;
    const city = random.pick(people.cities);
    const created = new Date(now.getTime() - random.int(20, 1400) * DAY_MS - random.int(0, DAY_MS));
    const consent = random.chance(0.6);
    const email = emailOf(index) ?? (random.chance(0.9) ? freeEmail(taken, given, family) : null);
    return {
      tenant_id: tenantId,
      id,
      name: `${given} ${family}`,
      email,
      phone: random.chance(0.97) ? phone(random) : null,
      address: `${line}, ${city.name}, CA ${city.zip}`,
      address_line1: line,
      city: city.name,
      state: 'CA',
      zip_code: city.zip,
      is_vip: random.chance(0.05),
      tags: random.chance(0.3) ? random.sample(people.tags, random.int(1, 2)) : [],
      notes: random.chance(0.2) ? random.pick(wording.customerFile) : null,
      preferred_contact_method: random.weighted([
        ['phone', 5],
        ['sms', 4],
        ['email', 2],
      ]),
      preferred_contact_time: random.chance(0.4) ? random.pick(people.contactTimes) : null,
      customer_since: created,
      sms_consent: consent,
      sms_consent_date: consent ? created : null,
      sms_consent_ip: consent ? `203.0.113.${random.int(1, 254)}` : null,
      created_at: created,
      updated_at: created,
    };
  });
}

function freeEmail(taken: Set<string>, given: string, family: string): string {
  const stem = `${given}.${family}`.toLowerCase();
  let email = `${stem}@example.com`;
  for (let suffix = 2; taken.has(email); suffix += 1) email = `${stem}${suffix}@example.com`;
  taken.add(email);
  return email;
}

/** 555-0100 to 555-0199 are kept free for fiction. */
const phone = (random: Random): string => `(${random.pick(people.areaCodes)}) 555-01${String(random.int(0, 99)).padStart(2, '0')}`;

interface VehicleOptions {
  tenantId: string;
  ids: readonly number[];
  owners: readonly CustomerRow[];
  now: Date;
}

/** One for each owner first, the rest spread over them; every owner's first is the primary one. */
export function inventVehicles(random: Random, { tenantId, ids, owners, now }: VehicleOptions): VehicleRow[] {
  const plates = new Set<string>();
  const makes = cars.makes.map((make) => [make, make.share] as const);
  return ids.map((id, index) => {
    const owner = owners[index] ?? random.pick(owners);
    const make = random.weighted(makes);
    const year = random.int(2006, Math.min(2025, now.getUTCFullYear()));
    const isPrimary = index < owners.length;
    return {
      tenant_id: tenantId,
      id,
      customer_id: owner.id,
      make: make.make,
      model: random.pick(make.models),
      year,
      vin: random.chance(0.85) ? vin(random, make.wmi, year, index) : null,
      license_plate: random.chance(0.97) ? freePlate(random, plates) : null,
      trim: random.chance(0.6) ? random.pick(cars.trims) : null,
      color: random.pick(cars.colors),
      mileage: Math.max(200, (now.getUTCFullYear() - year) * random.int(8_000, 13_000)) + random.int(0, 4_000),
      notes: random.chance(0.1) ? random.pick(cars.notes) : null,
      is_primary: isPrimary,
      is_active: isPrimary || !random.chance(0.08),
      last_service_date: null,
      total_services: 0,
      created_at: owner.created_at,
      updated_at: owner.created_at,
    };
  });
}

const VIN_LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ';
const VIN_YEARS = 'ABCDEFGHJKLMNPRSTVWXY123456789';
const VIN_VALUES: Readonly<Record<string, number>> = Object.fromEntries(
  [...'ABCDEFGH']
    .map((letter, index) => [letter, index + 1] as const)
    .concat(
      [...'JKLMN'].map((letter, index) => [letter, index + 1] as const),
      [
        ['P', 7],
        ['R', 9],
      ],
      [...'STUVWXYZ'].map((letter, index) => [letter, index + 2] as const),
    ),
);
const VIN_WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/** A vehicle identification number with a right check digit; `serial` makes it unique. */
export function vin(random: Random, wmi: string, year: number, serial: number): string {
  const attributes = Array.from({ length: 5 }, () => random.pick([...VIN_LETTERS])).join('');
  const yearLetter = VIN_YEARS.charAt((year - 1980) % VIN_YEARS.length);
  const rest = `${yearLetter}${random.pick([...VIN_LETTERS])}${String(serial).padStart(6, '0')}`;
  return `${wmi}${attributes}${vinCheckDigit(`${wmi}${attributes}0${rest}`)}${rest}`;
}

/** The ninth place of a VIN: weighted sum of all others modulo 11, where 10 is written X. */
export function vinCheckDigit(number: string): string {
  const sum = [...number].reduce((total, sign, index) => total + (VIN_VALUES[sign] ?? Number(sign)) * (VIN_WEIGHTS[index] ?? 0), 0);
  return sum % 11 === 10 ? 'X' : String(sum % 11);
}

function freePlate(random: Random, taken: Set<string>): string {
  for (;;) {
    const letters = Array.from({ length: 3 }, () => random.pick([...VIN_LETTERS])).join('');
    const plate = `${random.int(6, 9)}${letters}${String(random.int(0, 999)).padStart(3, '0')}`;
    if (taken.has(plate)) continue;
    taken.add(plate);
    return plate;
  }
}

/** The vehicles that come in, each as often as its owner's habit says. */
export function visitors(random: Random, owners: readonly CustomerRow[], vehicles: readonly VehicleRow[]): VehicleRow[] {
  const habits = new Map(owners.map(({ id }) => [id, random.weighted(VISITING)]));
  return vehicles
    .filter((vehicle) => vehicle.is_active)
    .flatMap((vehicle) => Array.from({ length: Math.max(1, Math.round((habits.get(vehicle.customer_id) ?? 1) * 4)) }, () => vehicle));
}
