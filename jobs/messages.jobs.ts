/** Messages on their way to customers. */
import { SendMessageJob } from '../schemas/jobs.schema';
import { deliverMessage, giveUpMessage } from '../services/message-delivery.service';
import { type Job, job } from './job';

export const messagesJobs: readonly Job[] = [
  job({
    name: 'message.send',
    outgoing: true,
    payload: SendMessageJob,
    // A second run finds the provider's id and does nothing, or hands the message over again under the same key.
    run: ({ messageId }) => deliverMessage(messageId),
    givenUp: ({ messageId }) => giveUpMessage(messageId),
  }),
];
