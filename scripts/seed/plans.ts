/** The two scales of seed data: one shop to look at, and two large ones to load. */

import type { ShopPlan } from './shop';
import { newPassword, type StaffMember } from './staff';

export type Scale = 'demo' | 'load';

/** The tenant of anonymous requests; see DEFAULT_TENANT_ID. */
export const FIRST_TENANT = '00000000-0000-0000-0000-000000000001';
export const SECOND_TENANT = '00000000-0000-0000-0000-000000000002';

const TIME_ZONE = 'America/Los_Angeles';
const LOAD_LOGINS = 50;

/** One account as it is shown to people and kept for them. */
export interface Account {
  readonly role: string;
  readonly username: string;
  readonly password: string;
}

/** One shop with passwords made anew on every call; keep what it returns. */
export function demoPlans(): ShopPlan[] {
  const member = (role: StaffMember['role'], username: string, name: string): StaffMember => ({
    id: `demo-${username}`,
    role,
    name,
    username,
    email: `${username}@demo-shop.example`,
    password: newPassword(),
  });
  return [
    {
      tenantId: FIRST_TENANT,
      slug: 'edgar-auto-shop',
      name: 'Demo Auto Shop',
      timeZone: TIME_ZONE,
      customers: 200,
      vehicles: 300,
      appointments: 1_000,
      technicians: 5,
      regularVisits: 6,
      past: 0.83,
      occupancy: 0.35,
      invoiceShare: 0.94,
      staff: [
        member('Owner', 'owner', 'Odile Marchbanks'),
        member('Advisor', 'advisor', 'Avery Dunmore'),
        member('Accountant', 'accountant', 'Corin Bellweather'),
        member('Technician', 'tech', 'Rosa Whitfield'),
      ],
      logins: [{ email: 'customer@demo-shop.example', password: newPassword() }],
      seed: 20_261_121,
    },
  ];
}

/** Two tenants with fixed, public passwords: for load runs and comparisons on databases that hold nothing else. */
export function loadPlans(): ShopPlan[] {
  const member = (role: StaffMember['role'], username: string, email: string): StaffMember => ({
    id: `load-${username}`,
    role,
    name: `Load ${role}`,
    username,
    email,
    password: 'admin123',
  });
  const common = { timeZone: TIME_ZONE, regularVisits: 20, past: 0.88, occupancy: 0.7 };
  return [
    {
      ...common,
      tenantId: FIRST_TENANT,
      slug: 'edgar-auto-shop',
      name: 'Load Shop One',
      customers: 4_000,
      vehicles: 6_400,
      appointments: 16_000,
      technicians: 14,
      invoiceShare: 0.32,
      staff: [
        member('Owner', 'admin', 'admin@example.com'),
        member('Advisor', 'advisor', 'advisor@load.example'),
        member('Accountant', 'accountant', 'accountant@load.example'),
        member('Technician', 'technician', 'technician@load.example'),
      ],
      logins: Array.from({ length: LOAD_LOGINS }, (_, index) => ({ email: `customer${index + 1}@load.example`, password: 'Load-test-1!' })),
      seed: 1_001,
    },
    {
      ...common,
      tenantId: SECOND_TENANT,
      slug: 'load-shop-two',
      name: 'Load Shop Two',
      customers: 1_000,
      vehicles: 1_600,
      appointments: 4_000,
      technicians: 6,
      invoiceShare: 0.32,
      staff: [member('Owner', 'admin-two', 'admin-two@load.example'), member('Advisor', 'advisor-two', 'advisor-two@load.example')],
      logins: [],
      seed: 2_002,
    },
  ];
}

/** Everybody who can log in after this plan, staff first. */
export const accountsOf = (plan: ShopPlan): Account[] => [
  ...plan.staff.map(({ role, username, password }) => ({ role, username, password })),
  ...plan.logins.map(({ email, password }) => ({ role: 'Customer', username: email, password })),
];
