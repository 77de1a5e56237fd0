/** Reports and exports: files, streamed. One bucket of the limit for all of them together. */
import { type ReportFormat, ReportQuery } from '../schemas/reports.schema';
import { appointmentReport, invoiceReport, paymentReport, type ReportChunks } from '../services/reports.service';
import { badQuery } from './bad-query';
import { type Endpoint, endpoint, STAFF_READ, StreamReply } from './endpoint';

const CONTENT_TYPES: Readonly<Record<ReportFormat, string>> = { csv: 'text/csv; charset=utf-8', json: 'application/json; charset=utf-8' };

interface File {
  path: string;
  id: string;
  summary: string;
  tag: string;
  /** Name of the file without its ending. */
  name: string;
  rows: (query: ReportQuery) => Promise<ReportChunks>;
}

const file = ({ path, id, summary, tag, name, rows }: File): Endpoint =>
  endpoint({
    method: 'get',
    path,
    id,
    summary,
    tag,
    allow: STAFF_READ,
    query: ReportQuery,
    invalid: badQuery,
    reply: [200],
    media: ['text/csv', 'application/json'],
    limit: 'export',
    replica: true,
    importance: 'background',
    handle: async ({ query }) =>
      new StreamReply({ contentType: CONTENT_TYPES[query.format], filename: `${name}.${query.format}`, chunks: await rows(query) }),
  });

export const reportsEndpoints: readonly Endpoint[] = [
  file({
    path: '/api/admin/reports/appointments.csv',
    id: 'reportAppointments',
    summary: 'Appointments of a range of days as a file',
    tag: 'Reports',
    name: 'appointments_export',
    rows: appointmentReport,
  }),
  file({
    path: '/api/admin/reports/payments.csv',
    id: 'reportPayments',
    summary: 'Payments of a range of days as a file',
    tag: 'Reports',
    name: 'payments_export',
    rows: paymentReport,
  }),
  file({
    path: '/api/admin/export/appointments',
    id: 'exportAppointments',
    summary: 'Appointments of a range of days as a file',
    tag: 'Exports',
    name: 'appointments_export',
    rows: appointmentReport,
  }),
  file({
    path: '/api/admin/export/invoices',
    id: 'exportInvoices',
    summary: 'Invoices of a range of days as a file',
    tag: 'Exports',
    name: 'invoices_export',
    rows: invoiceReport,
  }),
];
