/** One appointment from booking to pick-up. @core */
import { createCustomer, createServiceOperation, createStaff, createTechnician, createTenant, createVehicle } from '../support/factories';
import { loginWithCookies, startApp, type TestApp } from '../support/server';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});

test('a day in the shop › booked, on the board, in the drawer, started, priced, ready, completed; by cookie, without a tenant header', async () => {
  const tenant = await createTenant();
  const customer = await createCustomer({ tenant });
  const vehicle = await createVehicle({ customer });
  const technician = await createTechnician({ tenant });
  const operation = await createServiceOperation({ tenant });
  const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Advisor' }));
  agent.set('X-Tenant-Id', '');
  const onBoard = async (id: string) =>
    (await agent.get('/api/admin/appointments/board')).body.cards.find((card: { id: string }) => card.id === id);

  const start = new Date().toISOString();
  const booked = await agent
    .post('/api/admin/appointments')
    .send({ customer_id: String(customer.id), vehicle_id: String(vehicle.id), start_ts: start });
  expect(booked.status).toBe(201);
  const { id } = booked.body;
  expect(id).toMatch(/^\d+$/);
  expect(await onBoard(id)).toMatchObject({ status: 'SCHEDULED', customerName: customer.name, price: 0 });

  expect(
    (await agent.patch(`/api/appointments/${id}`).send({ tech_id: technician.id, check_in_at: new Date().toISOString() })).status,
  ).toBe(200);
  expect((await agent.patch(`/api/admin/appointments/${id}/move`).send({ status: 'IN_PROGRESS', position: 1 })).status).toBe(200);
  const line = await agent.post(`/api/appointments/${id}/services`).send({ service_operation_id: operation.id });
  expect([line.status, line.body.appointment_total]).toEqual([201, 120]);
  expect(await onBoard(id)).toMatchObject({
    status: 'IN_PROGRESS',
    price: 120,
    techInitials: technician.initials,
    startedAt: expect.any(String),
  });

  expect((await agent.post(`/api/appointments/${id}/ready`).send({})).body.data).toEqual({ id, status: 'READY' });
  expect((await agent.post(`/api/appointments/${id}/complete`)).body.data).toEqual({ id, status: 'COMPLETED' });
  const drawer = await agent.get(`/api/admin/appointments/${id}`);
  expect(drawer.body.data).toMatchObject({
    appointment: {
      id,
      status: 'COMPLETED',
      total_amount: 120,
      customer_id: String(customer.id),
      vehicle_id: String(vehicle.id),
      version: 6,
    },
    customer: { id: String(customer.id) },
    services: [{ estimated_price: 120, operation: { id: operation.id } }],
  });
  expect(await onBoard(id)).toMatchObject({ status: 'COMPLETED', completedAt: drawer.body.data.appointment.completed_at });
});

test('a booking by cookie without the CSRF header › 403', async () => {
  const tenant = await createTenant();
  const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Advisor' }));
  const response = await agent.post('/api/admin/appointments').set('X-CSRF-Token', '').send({ start_ts: '2031-01-01T10:00:00Z' });
  expect(response.status).toBe(403);
});
