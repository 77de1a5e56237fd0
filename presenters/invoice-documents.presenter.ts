/** A receipt or estimate as an HTML page: no script, no image, nothing loaded; everything that came from a person is escaped. */
import type { InvoiceDocument } from '../schemas/invoice-documents.schema';

/** What a browser may do on the page: nothing but its own styles. */
export const DOCUMENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'";

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

const STYLE = `body{font:15px/1.45 system-ui,sans-serif;color:#1c1f23;margin:2rem auto;max-width:50rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:1.5rem 0 .4rem}table{border-collapse:collapse;width:100%}
th,td{padding:.35rem .5rem;text-align:left;vertical-align:top;border-bottom:1px solid #d8dce1}.n{text-align:right;white-space:nowrap}
small{color:#5b6470;display:block}.head{display:flex;flex-wrap:wrap;gap:2rem}.total td{font-weight:600}
.mark{color:#b3261e;border:3px solid;display:inline-block;padding:.1rem .8rem;font-size:1.5rem;font-weight:700}@media print{body{margin:0}}`;

const rows = <T>(items: readonly T[], row: (item: T) => string): string => items.map(row).join('\n');
const block = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `<section><h2>${title}</h2>${lines.map(escapeHtml).join('<br>')}</section>`;
const small = (text: string | null): string => (text ? `<small>${escapeHtml(text)}</small>` : '');

export function presentDocument(document: InvoiceDocument): string {
  const { title, shop, number, invoiceId, watermark, facts, customer, vehicle, lines, totals, payments } = document;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} ${number} · ${escapeHtml(shop)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(shop)}</h1>
<p>${escapeHtml(title)} ${number}<small>Invoice ${escapeHtml(invoiceId)}</small></p>
${watermark ? `<p class="mark">${escapeHtml(watermark)}</p>` : ''}
<div class="head">
${block(
  'Details',
  facts.map(({ label, value }) => `${label}: ${value}`),
)}
${block('Customer', customer)}
${block('Vehicle', vehicle)}
</div>
<h2>Services</h2>
<table>
<thead><tr><th>Service</th><th class="n">Quantity</th><th class="n">Price</th><th class="n">Tax</th><th class="n">Total</th></tr></thead>
<tbody>
${rows(
  lines,
  (line) =>
    `<tr><td>${escapeHtml(line.name)}${small(line.description)}${small(line.group)}</td><td class="n">${escapeHtml(line.quantity)}</td><td class="n">${escapeHtml(line.unitPrice)}</td><td class="n">${escapeHtml(line.tax)}</td><td class="n">${escapeHtml(line.total)}</td></tr>`,
)}
</tbody>
<tfoot>
${rows(totals, ({ label, value }) => `<tr class="total"><td colspan="4" class="n">${escapeHtml(label)}</td><td class="n">${escapeHtml(value)}</td></tr>`)}
</tfoot>
</table>
${
  payments && payments.length > 0
    ? `<h2>Payments</h2>
<table><tbody>
${rows(payments, ({ date, method, note, amount }) => `<tr><td>${escapeHtml(date)}</td><td>${escapeHtml(method)}${small(note)}</td><td class="n">${escapeHtml(amount)}</td></tr>`)}
</tbody></table>`
    : ''
}
</body>
</html>
`;
}
