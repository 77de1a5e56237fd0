/** The last figures of the database server that this process read, for its report; null in every process but one of an instance. */
import type { DatabaseFigures } from '../../lib/database-figures';

export type FiguresReport = DatabaseFigures & { read_at: string };

let latest: FiguresReport | null = null;

export const keepFigures = (figures: FiguresReport): void => {
  latest = figures;
};

export const figuresReport = (): FiguresReport | null => latest;
