import { presentVisit, serviceType, warrantyOf } from '../../../presenters/visits.presenter';

describe('serviceType', () => {
  test.each<[string, string | null, string]>([
    ['Engine diagnosis', null, 'Diagnostic'],
    ['Check', 'ENGINE_DIAGNOSTICS', 'Diagnostic'],
    ['Labor', 'BRAKES', 'Labor'],
    ['Work', 'labor', 'Labor'],
    ['Oil filter', null, 'Parts'],
    ['Coolant FLUID exchange', null, 'Parts'],
    ['Pads', 'BRAKES', 'Parts'],
    ['Rotation', 'TIRES', 'Service'],
    ['Wash', null, 'Service'],
  ])('%s in %p › %s', (name, category, type) => {
    expect(serviceType(name, category)).toBe(type);
  });
});

describe('warrantyOf', () => {
  const end = new Date('2024-06-01T12:00:00Z');
  const none = { status: 'N/A', info: null, expires_at: null };

  test('years, still running › Active with the days left', () => {
    expect(warrantyOf('Warranty: 3 years / 36,000 miles', end, new Date('2027-05-30T12:00:00Z'))).toEqual({
      status: 'Active',
      info: '2 days remaining',
      expires_at: '2027-06-01T12:00:00.000Z',
    });
  });
  test('months › whole years; run out › Expired with the days since', () => {
    expect(warrantyOf('warranty: 30 months / 1 miles', end, new Date('2026-06-11T12:00:00Z'))).toEqual({
      status: 'Expired',
      info: 'Expired 10 days ago',
      expires_at: '2026-06-01T12:00:00.000Z',
    });
  });
  test.each([null, '', 'two years', 'warranty: none', 'warranty: 2 years'])('notes %p › N/A', (notes) => {
    expect(warrantyOf(notes, end, end)).toEqual(none);
  });
  test('no end of the appointment › N/A', () => {
    expect(warrantyOf('warranty: 2 years / 10 miles', null, end)).toEqual(none);
  });
});

describe('presentVisit', () => {
  test('a bare visit › arrays and zeros, never null', () => {
    const row = {
      id: 3,
      status: 'SCHEDULED',
      start_ts: new Date('2026-01-01T00:00:00Z'),
      end_ts: null,
      total_cents: 0,
      check_in_at: null,
      check_out_at: null,
      notes: '  ',
      vehicle: null,
      plate: null,
      services: [],
    };
    expect(presentVisit(row, new Date())).toEqual({
      id: '3',
      status: 'SCHEDULED',
      start: '2026-01-01T00:00:00.000Z',
      end: null,
      price: 0,
      checkInAt: null,
      checkOutAt: null,
      vehicle: null,
      plate: null,
      services: [],
      notes: [],
      service_summary: { parts: 0, labor: 0, diagnostic: 0, total_services: 0 },
      is_completed: false,
      has_warranty_active: false,
      major_services: [],
    });
  });
});
