/** Who may undo an invoice or a payment, where the shop decides it; pure. Which roles reach an endpoint at all is declared with the endpoint. */
import type { Actor } from '../lib/context';

export const canVoid = ({ role }: Actor, { advisorCanVoid }: { advisorCanVoid: boolean }): boolean =>
  role === 'Owner' || role === 'Accountant' || (role === 'Advisor' && advisorCanVoid);
