/** Query parameters of the reports, which are files. */
import { z } from 'zod';
import { queryText } from './fields.schema';

export const REPORT_FORMATS = ['csv', 'json'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

export const ReportQuery = z.object({
  from: queryText().meta({ description: 'First day (YYYY-MM-DD) of the shop' }),
  to: queryText().meta({ description: 'Last day (YYYY-MM-DD) of the shop' }),
  status: queryText(),
  format: z.enum(REPORT_FORMATS).default('csv').meta({ description: 'json: an array of objects, keys as the header in snake_case' }),
});
export type ReportQuery = z.output<typeof ReportQuery>;

export const INVOICE_STATUSES = ['DRAFT', 'SENT', 'PARTIALLY_PAID', 'PAID', 'VOID'] as const;
