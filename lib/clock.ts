/** The wall clock, in one place so that tests can set it. */
let source: () => Date = () => new Date();

export const clock = {
  now: (): Date => source(),
  /** Tests only: replaces the source; returns the function that restores it. */
  override(replacement: () => Date): () => void {
    const previous = source;
    source = replacement;
    return () => {
      source = previous;
    };
  },
};
