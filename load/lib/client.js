/** Talks to the service under test: signing in, the sessions of this virtual user, and the one measured request of an iteration. */
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Rate } from 'k6/metrics';
import { PASSWORD, recipes } from './recipes.js';

export const BASE_URL = __ENV.BASE_URL ?? 'http://127.0.0.1:3001';
export const STAFF = { login: __ENV.STAFF_LOGIN ?? 'admin@example.com', password: __ENV.STAFF_PASSWORD ?? 'admin123' };

/** Requests that prepare a measured one carry no row, so no threshold counts them. */
const SETUP = { kind: 'setup' };
const RENEW_BEFORE_MS = 60_000;
const REPORTED_FAILURES = 3;

const samples = new Counter('row_samples');
const errors = new Rate('row_errors');

/** State of this virtual user: its sessions by role, and how often it complained. */
const sessions = {};
let signIns = 0;
let complaints = 0;

function headers(token) {
  return { Accept: 'application/json', 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

/** @throws when the service refuses: without sessions nothing can be measured. */
export function signIn(login, password) {
  const reply = http.post(`${BASE_URL}/api/auth/login`, JSON.stringify({ email: login, password }), {
    headers: headers(),
    tags: SETUP,
    jar: new http.CookieJar(),
  });
  if (reply.status !== 200) throw new Error(`sign-in of ${login} answered ${reply.status}: ${String(reply.body).slice(0, 200)}`);
  const { token, expires_at } = reply.json('data');
  return { token, expiresAt: Date.parse(expires_at) };
}

/** A session of the role that was opened beforehand, later this user's own: signed in before it expires, as another customer each time. */
function session(role, world) {
  const opened = world.sessions[role];
  const known = sessions[role] ?? opened[exec.vu.idInTest % opened.length];
  if (known && known.expiresAt - Date.now() > RENEW_BEFORE_MS) return known;
  const account = world.accounts[(exec.vu.idInTest + signIns * 7) % world.accounts.length];
  signIns += 1;
  sessions[role] = role === 'staff' ? signIn(STAFF.login, STAFF.password) : signIn(account, PASSWORD);
  return sessions[role];
}

/** An authenticated GET outside the measurement, for listing ids. */
export function list(path, token) {
  const reply = http.get(`${BASE_URL}${path}`, { headers: headers(token), tags: SETUP });
  if (reply.status !== 200) throw new Error(`GET ${path} answered ${reply.status}: ${String(reply.body).slice(0, 200)}`);
  return reply.json('data');
}

const query = (parameters = {}) => {
  const text = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return text.length > 0 ? `?${text.join('&')}` : '';
};

/** Performs one row once and records duration, sample and outcome under the row's tag. */
export function perform({ key, row, method, path }, world) {
  const { as, expect, prepare, request } = recipes[key];
  const tags = { row, kind: 'row' };
  const n = exec.scenario.iterationInTest;
  const token = as === 'nobody' ? undefined : session(as, world).token;
  const call = {
    world,
    n,
    unique: `${world.run.toString(36)}-${n.toString(36)}`,
    pick: (choices) => choices[Math.floor(Math.random() * choices.length)],
    signIn,
    create: (at, body) => {
      const reply = http.post(`${BASE_URL}${at}`, JSON.stringify(body), { headers: headers(token), tags: SETUP });
      if (reply.status !== 201) throw new Error(`POST ${at} answered ${reply.status}: ${String(reply.body).slice(0, 200)}`);
      return reply.json('data');
    },
  };
  if (prepare) call.given = prepare(call);
  const wanted = request(call);
  const url = `${BASE_URL}${path.replace(/\{(\w+)\}/g, (_, name) => wanted.path[name])}${query(wanted.query)}`;
  const body = wanted.body === undefined ? null : JSON.stringify(wanted.body);
  const reply = http.request(method, url, body, {
    headers: headers(wanted.token ?? token),
    tags: { ...tags, name: row },
    jar: new http.CookieJar(),
    responseCallback: http.expectedStatuses(expect),
  });
  samples.add(1, tags);
  errors.add(reply.status !== expect, tags);
  if (reply.status !== expect && complaints < REPORTED_FAILURES) {
    complaints += 1;
    console.error(`${row} answered ${reply.status}, not ${expect}: ${reply.error || String(reply.body).slice(0, 300)}`);
  }
}
