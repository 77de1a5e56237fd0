/**
 * Draws a receipt or estimate as PDF. Runs in a worker thread ({@link file://./thread.ts}): pure, no I/O but the two font files.
 * The same document gives the same bytes: the only date inside is the invoice's own.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import PDFDocument from 'pdfkit';
import type { InvoiceDocument } from '../../schemas/invoice-documents.schema';

/** Covers Latin, Greek, Cyrillic and much more; the standard PDF fonts end at Western Europe. */
const FONTS = join(require.resolve('dejavu-fonts-ttf/package.json'), '../ttf');
const REGULAR = readFileSync(join(FONTS, 'DejaVuSans.ttf'));
const BOLD = readFileSync(join(FONTS, 'DejaVuSans-Bold.ttf'));

/** Points: US letter, its margins, and the right edges of the columns. */
const PAGE = { width: 612, height: 792, margin: 50 } as const;
const RIGHT = PAGE.width - PAGE.margin;
const WIDTH = RIGHT - PAGE.margin;
/** Above the footer. */
const BOTTOM = PAGE.height - PAGE.margin - 20;
const COLUMNS = { quantity: 335, unitPrice: 415, tax: 480, total: RIGHT } as const;
const NAME_WIDTH = 230;
const COLUMN_WIDTH = 78;
const GAP = 6;
const INK = '#1c1f23';
const FAINT = '#5b6470';
const MARK = '#b3261e';

type Doc = PDFKit.PDFDocument;

/** The bytes of the file. */
export function renderInvoicePdf(document: InvoiceDocument): Promise<Buffer> {
  const moment = new Date(document.updatedAt);
  const doc = new PDFDocument({
    size: [PAGE.width, PAGE.height],
    margins: { top: PAGE.margin, left: PAGE.margin, right: PAGE.margin, bottom: 0 },
    bufferPages: true,
    autoFirstPage: false,
    lang: 'en',
    displayTitle: true,
    info: { Title: `${document.title} ${document.number}`, Author: document.shop, CreationDate: moment, ModDate: moment },
  });
  const chunks: Buffer[] = [];
  const done = new Promise<Buffer>((resolve, reject) => {
    doc.on('data', (chunk: Buffer) => chunks.push(chunk));
    doc.on('end', () => resolve(Buffer.concat(chunks)));
    doc.on('error', reject);
  });
  doc.registerFont('regular', REGULAR);
  doc.registerFont('bold', BOLD);
  draw(doc, document);
  doc.end();
  return done;
}

function draw(doc: Doc, document: InvoiceDocument): void {
  doc.addPage();
  let y = drawHead(doc, document);
  y = drawTableHead(doc, y);
  for (const line of document.lines) y = drawLine(doc, line, y);
  y = drawTotals(doc, document.totals, y + GAP);
  if (document.payments && document.payments.length > 0) drawPayments(doc, document.payments, y + 2 * GAP);
  finishPages(doc, document);
}

const write = (doc: Doc, font: 'regular' | 'bold', size: number, color = INK): Doc => doc.font(font).fontSize(size).fillColor(color);
const right = (doc: Doc, text: string, edge: number, y: number): Doc =>
  doc.text(text, edge - COLUMN_WIDTH, y, { width: COLUMN_WIDTH, align: 'right', lineBreak: false });

function drawHead(doc: Doc, { shop, title, number, invoiceId, facts, customer, vehicle }: InvoiceDocument): number {
  write(doc, 'bold', 18).text(shop, PAGE.margin, PAGE.margin, { width: WIDTH });
  write(doc, 'bold', 13).text(`${title} ${number}`, { width: WIDTH });
  write(doc, 'regular', 8, FAINT).text(`Invoice ${invoiceId}`, { width: WIDTH });
  const top = doc.y + 2 * GAP;
  const third = WIDTH / 3;
  const blocks: [string, string[]][] = [
    ['Details', facts.map(({ label, value }) => `${label}: ${value}`)],
    ['Customer', customer],
    ['Vehicle', vehicle],
  ];
  let bottom = top;
  for (const [index, [name, lines]] of blocks.entries()) {
    if (lines.length === 0) continue;
    const x = PAGE.margin + index * third;
    write(doc, 'bold', 9).text(name, x, top, { width: third - GAP });
    write(doc, 'regular', 9).text(lines.join('\n'), x, doc.y, { width: third - GAP });
    bottom = Math.max(bottom, doc.y);
  }
  return bottom + 3 * GAP;
}

function rule(doc: Doc, y: number, color = '#d8dce1'): void {
  doc.moveTo(PAGE.margin, y).lineTo(RIGHT, y).lineWidth(0.5).strokeColor(color).stroke();
}

function drawTableHead(doc: Doc, y: number): number {
  write(doc, 'bold', 9).text('Service', PAGE.margin, y, { lineBreak: false });
  right(doc, 'Quantity', COLUMNS.quantity, y);
  right(doc, 'Price', COLUMNS.unitPrice, y);
  right(doc, 'Tax', COLUMNS.tax, y);
  right(doc, 'Total', COLUMNS.total, y);
  rule(doc, y + 14, INK);
  return y + 14 + GAP;
}

function nextPage(doc: Doc): number {
  doc.addPage();
  return PAGE.margin;
}

function drawLine(doc: Doc, line: InvoiceDocument['lines'][number], at: number): number {
  const details = [line.description, line.group].filter((text) => text !== null).join('\n');
  const nameHeight = write(doc, 'regular', 9).heightOfString(line.name, { width: NAME_WIDTH });
  const available = BOTTOM - PAGE.margin - 60;
  // A note longer than a page is cut: the row must fit somewhere.
  const detailHeight = details === '' ? 0 : Math.min(write(doc, 'regular', 7.5).heightOfString(details, { width: NAME_WIDTH }), available);
  const height = nameHeight + detailHeight + GAP;
  const y = at + height > BOTTOM ? drawTableHead(doc, nextPage(doc)) : at;
  write(doc, 'regular', 9).text(line.name, PAGE.margin, y, { width: NAME_WIDTH });
  right(doc, line.quantity, COLUMNS.quantity, y);
  right(doc, line.unitPrice, COLUMNS.unitPrice, y);
  right(doc, line.tax, COLUMNS.tax, y);
  right(doc, line.total, COLUMNS.total, y);
  if (details !== '')
    write(doc, 'regular', 7.5, FAINT).text(details, PAGE.margin, y + nameHeight, {
      width: NAME_WIDTH,
      height: detailHeight,
      ellipsis: true,
    });
  rule(doc, y + height - GAP / 2);
  return y + height;
}

function drawTotals(doc: Doc, totals: InvoiceDocument['totals'], at: number): number {
  const height = totals.length * 16;
  let y = at + height > BOTTOM ? nextPage(doc) : at;
  for (const { label, value } of totals) {
    write(doc, 'bold', 10).text(label, COLUMNS.unitPrice - 120, y, { width: 180, align: 'right', lineBreak: false });
    right(doc, value, COLUMNS.total, y);
    y += 16;
  }
  return y;
}

function drawPayments(doc: Doc, payments: NonNullable<InvoiceDocument['payments']>, at: number): void {
  let y = at + 40 > BOTTOM ? nextPage(doc) : at;
  write(doc, 'bold', 10).text('Payments', PAGE.margin, y, { lineBreak: false });
  y += 16;
  for (const { date, method, note, amount } of payments) {
    const text = [date, method, note].filter((part) => part !== null).join(' · ');
    const height = write(doc, 'regular', 9).heightOfString(text, { width: COLUMNS.tax - PAGE.margin }) + 3;
    if (y + height > BOTTOM) y = nextPage(doc);
    doc.text(text, PAGE.margin, y, { width: COLUMNS.tax - PAGE.margin });
    right(doc, amount, COLUMNS.total, y);
    y += height;
  }
}

/** Page numbers need the number of pages, and the mark goes over everything: both come last. */
function finishPages(doc: Doc, { watermark, shop, number }: InvoiceDocument): void {
  const { count } = doc.bufferedPageRange();
  for (let page = 0; page < count; page += 1) {
    doc.switchToPage(page);
    write(doc, 'regular', 7.5, FAINT).text(`${shop} · Invoice ${number}`, PAGE.margin, PAGE.height - PAGE.margin, {
      width: WIDTH - 100,
      height: 10,
      ellipsis: true,
    });
    doc.text(`Page ${page + 1} of ${count}`, RIGHT - 100, PAGE.height - PAGE.margin, { width: 100, align: 'right', lineBreak: false });
    if (watermark === null) continue;
    doc.save();
    doc.rotate(-35, { origin: [PAGE.width / 2, PAGE.height / 2] });
    write(doc, 'bold', 120, MARK).opacity(0.18);
    doc.text(watermark, 0, PAGE.height / 2 - 70, { width: PAGE.width, align: 'center', lineBreak: false });
    doc.restore();
  }
}
