/** The refusal of query parameters where clients read the message and nothing else: it names the parameter. */
import type { z } from 'zod';
import { BadRequest } from '../lib/errors';

export const badQuery = (error: z.ZodError): BadRequest =>
  new BadRequest(`Invalid '${String(error.issues[0]?.path[0] ?? 'query')}' parameter`);
