import { presentDocument } from '../../../presenters/invoice-documents.presenter';
import type { InvoiceDocument } from '../../../schemas/invoice-documents.schema';

const EVIL = `<script>alert("1")</script>&'`;
const ESCAPED = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;';

const document = (text: string): InvoiceDocument => ({
  type: 'receipt',
  title: 'Invoice Receipt',
  shop: text,
  invoiceId: text,
  number: 7,
  watermark: text,
  facts: [{ label: text, value: text }],
  customer: [text, text],
  vehicle: [text],
  lines: [{ name: text, description: text, group: text, quantity: text, unitPrice: text, tax: text, total: text }],
  totals: [{ label: text, value: text }],
  payments: [{ date: text, method: text, note: text, amount: text }],
  updatedAt: '2026-01-01T00:00:00.000Z',
});

test('a text that is markup, in every field › shown as text', () => {
  const html = presentDocument(document(EVIL));
  expect(html).not.toContain('<script');
  expect(html.split(ESCAPED).length - 1).toBe(22);
});

test('no vehicle, no payments › their parts are left out', () => {
  const html = presentDocument({ ...document('x'), vehicle: [], payments: [] });
  expect(html).not.toMatch(/Vehicle|Payments/);
  expect(html).toContain('Invoice Receipt');
});
