/**
 * The gate at the door: under overload it refuses a share of the requests before anything is spent on them, no session look-up, no body,
 * no statement. The connection is kept: opening a new one would cost more than the refusal. Behind the probes, so these never meet it.
 */
import type { RequestHandler } from 'express';
import { Unavailable } from '../../../lib/errors';
import { metrics } from '../../../lib/metrics';
import type { Endpoint } from '../../../routes/endpoint';
import { type Importance, judge, NO_PRESSURE, retryAfter, worstOf } from '../../cluster/shedding';
import { type OverloadMeter, overloadMeter } from '../overload-meter';
import { PathIndex } from '../path-index';
import { OVERLOADED, refuse } from './errors';

interface GateOptions {
  meter?: OverloadMeter;
  /** True when paths that no endpoint has are files, which cost neither a connection nor much time. */
  servesFiles?: boolean;
  random?: () => number;
}

/** The class of a request; null for what is never refused. */
export type Classify = (method: string, path: string) => Importance | null;

export function shedOverload(
  endpoints: readonly Endpoint[],
  { meter = overloadMeter, servesFiles = false, random = Math.random }: GateOptions = {},
): RequestHandler {
  const classify = classifier(endpoints, servesFiles);
  meter.start();
  return (req, res, next) => {
    const pressures = meter.read();
    const pressure = pressures[worstOf(pressures)];
    if (pressure <= NO_PRESSURE) return next();
    const importance = classify(req.method, req.path);
    const cause = importance === null ? null : judge(pressures, importance, random());
    if (cause === null) return next();
    meter.count(cause);
    metrics.shed.inc({ reason: cause });
    return refuse(req, res, new Unavailable(OVERLOADED, { retryAfter: retryAfter(pressure, random()) }));
  };
}

/** From the declarations alone, so that the class is known before the caller is. */
export function classifier(endpoints: readonly Endpoint[], servesFiles: boolean): Classify {
  const paths = new PathIndex<Map<string, Importance | null>>();
  for (const { method, path, aliases = [], importance = 'normal' } of endpoints) {
    for (const each of [path, ...aliases]) {
      const verbs = paths.get(each) ?? new Map<string, Importance | null>();
      verbs.set(method.toUpperCase(), importance === 'vital' ? null : importance);
      paths.add(each, verbs);
    }
  }
  return (method, path) => {
    const verb = method === 'HEAD' ? 'GET' : method;
    let known = false;
    let found: Importance | null | undefined;
    // Nothing is accepted, so that no parameter is decoded: it may be malformed, and nobody asks for it here.
    paths.find(path, (verbs) => {
      known = true;
      if (found === undefined) found = verbs.get(verb);
      return false;
    });
    if (found !== undefined) return found;
    return servesFiles && !known && !path.startsWith('/api') ? null : 'normal';
  };
}
