/** A wish that cannot be met now, and why; what whoever asked is told. */
export type RefusalCode = 'roll_under_way' | 'not_running' | 'replacement_under_way' | 'no_such_worker' | 'last_worker';

export class Refusal extends Error {
  readonly code: RefusalCode;
  /** The roll that is in the way. */
  readonly roll: number | null;
  constructor(code: RefusalCode, message: string, roll: number | null = null) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.roll = roll;
  }
}
