/** What became of a campaign; `faults` are crashes, calls that do not end, errors of a wrong kind, and what was left behind. */
export interface Found {
  seed: number;
  calls: number;
  answers: number;
  errors: number;
  seconds: number;
  /** Most bytes that a child held. */
  rss: number;
  byArea: Record<string, [answers: number, errors: number]>;
  slowest: { seconds: number; name: string };
  faults: { call: number; name: string; problem: string }[];
}

export function campaign(order: { seed: number; calls: number; from?: number; areas?: string[] }): Promise<Found>;
