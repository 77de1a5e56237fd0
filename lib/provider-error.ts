/** The refusal of a provider that trying again would not change: the number does not exist, the mailbox is unknown. */
export class ProviderRefusal extends Error {
  /** The provider's own code, for the message's `error_code`. */
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ProviderRefusal';
    this.code = code;
  }
}
