/**
 * Requests as bytes, well-formed and not, each with the answers it must get and how often its mark may be set. `id=@` in a
 * case stands for the id of the attempt: a request for MARK counts as executed. What follows a fault on a connection must never be executed,
 * because a proxy in front may have seen it as the body of the request before.
 */
export interface RawRequest {
  name: string;
  /** Latin-1: a character is a byte. */
  bytes: string;
  /** Statuses in order. */
  answers: number[];
  /** What the server does with the connection then. `open`: it waits for more. */
  after: 'close' | 'open';
  /** Requests for MARK that are executed. */
  marks: number;
}

const MARK = '/chaos/mark?id=@';
const HOST = 'Host: shop\r\n';
const get = (headers = '', target = MARK): string => `GET ${target} HTTP/1.1\r\n${HOST}${headers}\r\n`;
const NEXT = get();
const post = (headers: string, body = ''): string => `POST ${MARK} HTTP/1.1\r\n${HOST}${headers}\r\n${body}`;

const good = (name: string, bytes: string, count = 1): RawRequest => ({
  name,
  bytes,
  answers: new Array<number>(count).fill(200),
  after: 'open',
  marks: count,
});
const last = (name: string, bytes: string, count = 1): RawRequest => ({ ...good(name, bytes, count), after: 'close' });
/** Refused before anything is executed, with the request that follows it. */
const bad = (name: string, bytes: string, status = 400): RawRequest => ({
  name,
  bytes: bytes + NEXT,
  answers: [status],
  after: 'close',
  marks: 0,
});
/** Not whole yet: the rest may come. */
const unfinishedOne = (name: string, bytes: string): RawRequest => ({ name, bytes, answers: [], after: 'open', marks: 0 });

const chunked = (body: string, headers = ''): string => post(`Transfer-Encoding: chunked\r\n${headers}`, body);
const sized = (value: string, body = 'hello'): string => post(`Content-Length: ${value}\r\n`, body);
const header = (line: string): string => get(`${line}\r\n`);

const wellFormed: RawRequest[] = [
  good('plain GET', NEXT),
  good('lower-case header names', `GET ${MARK} HTTP/1.1\r\nhost: shop\r\n\r\n`),
  good('odd case of header names', `GET ${MARK} HTTP/1.1\r\nhOsT: shop\r\n\r\n`),
  good('no blank behind the colon', `GET ${MARK} HTTP/1.1\r\nHost:shop\r\n\r\n`),
  good('blanks and tabs round a value', header('X-A: \t value \t ')),
  good('an empty value', header('X-A:')),
  good('a value in UTF-8', header('X-A: caf\xc3\xa9')),
  good('an empty line before the request', `\r\n${NEXT}`),
  good('two empty lines before the request', `\r\n\r\n${NEXT}`),
  good('an absolute target', get('', `http://shop${MARK}`)),
  good('an absolute target of another host', get('', `http://other${MARK}`)),
  good('an escape in the target', get('', `${MARK}&a=%6D%2F`)),
  good('a Host with a port', `GET ${MARK} HTTP/1.1\r\nHost: shop:8080\r\n\r\n`),
  good('a Host that is an IPv6 address', `GET ${MARK} HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n`),
  good('an empty Host', `GET ${MARK} HTTP/1.1\r\nHost:\r\n\r\n`),
  good('two requests in one go', NEXT + NEXT, 2),
  good('ten requests in one go', NEXT.repeat(10), 10),
  good('a body and the next request in one go', sized('5') + NEXT, 2),
  good('a body of no bytes', sized('0', '')),
  good('leading zeros in Content-Length', sized('005')),
  good('blanks round Content-Length', post('Content-Length:   5  \r\n', 'hello')),
  good('a body with a NUL', sized('5', 'he\0lo')),
  good('a body that looks like a request', sized(String(get('', '/chaos/mark?id=body').length), get('', '/chaos/mark?id=body'))),
  good('one chunk', chunked('5\r\nhello\r\n0\r\n\r\n')),
  good('chunks and the next request', chunked('5\r\nhello\r\n0\r\n\r\n') + NEXT, 2),
  good('no chunk but the last', chunked('0\r\n\r\n')),
  good('chunk sizes in upper and lower case', chunked('A\r\n0123456789\r\nb\r\n0123456789x\r\n0\r\n\r\n')),
  good('chunk sizes with leading zeros', chunked('0005\r\nhello\r\n000\r\n\r\n')),
  good('a chunk extension', chunked('5;name=value\r\nhello\r\n0\r\n\r\n')),
  good('a quoted chunk extension', chunked('5;name="a value"\r\nhello\r\n0\r\n\r\n')),
  good('a trailer', chunked('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n')),
  good('Transfer-Encoding in odd case', post('tRANSFER-eNCODING: ChunKed\r\n', '5\r\nhello\r\n0\r\n\r\n')),
  good('a GET with a body', `${get('Content-Length: 5\r\n')}hello${NEXT}`, 2),
  good('keep-alive said aloud', header('Connection: keep-alive')),
  good('an upgrade that is not taken', get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n')),
  good('headers of 15 KB', header(`X-A: ${'a'.repeat(15_000)}`)),
  good('a hundred headers', get(Array.from({ length: 100 }, (_, index) => `X-${index}: 1\r\n`).join(''))),
  good('HEAD', `HEAD ${MARK} HTTP/1.1\r\n${HOST}\r\n`),
  last('Connection: close', header('Connection: close')),
  last('Connection: close among others', header('Connection: foo, close')),
  last('HTTP/1.0', `GET ${MARK} HTTP/1.0\r\n\r\n`),
  last('HTTP/1.0 with a body', `POST ${MARK} HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello`),
  good('HTTP/1.0 that keeps the connection', `GET ${MARK} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`),
];

const unfinished: RawRequest[] = [
  unfinishedOne('nothing at all', ''),
  unfinishedOne('half a method', 'GE'),
  unfinishedOne('a request line', `GET ${MARK} HTTP/1.1\r\n`),
  unfinishedOne('headers without their end', `GET ${MARK} HTTP/1.1\r\n${HOST}`),
  unfinishedOne('empty lines only', '\r\n\r\n'),
  unfinishedOne('a body that is cut short', sized('10')),
  unfinishedOne('a chunk that is cut short', chunked('a\r\nhello')),
  unfinishedOne('chunks without the last', chunked('5\r\nhello\r\n')),
  unfinishedOne('a trailer without its end', chunked('5\r\nhello\r\n0\r\n')),
];

const requestLines: RawRequest[] = [
  bad('an unknown method', `FETCH ${MARK} HTTP/1.1\r\n${HOST}\r\n`),
  bad('a method in lower case', `get ${MARK} HTTP/1.1\r\n${HOST}\r\n`),
  bad('no target', `GET HTTP/1.1\r\n${HOST}\r\n`),
  bad('no version', `GET ${MARK}\r\n${HOST}\r\n`),
  bad('HTTP/0.9', `GET ${MARK} HTTP/0.9\r\n${HOST}\r\n`),
  bad('HTTP/1.2', `GET ${MARK} HTTP/1.2\r\n${HOST}\r\n`),
  bad('HTTP/3.0', `GET ${MARK} HTTP/3.0\r\n${HOST}\r\n`),
  bad('HTTP/11', `GET ${MARK} HTTP/11\r\n${HOST}\r\n`),
  bad('HTTP/1.10', `GET ${MARK} HTTP/1.10\r\n${HOST}\r\n`),
  bad('http/1.1 in lower case', `GET ${MARK} http/1.1\r\n${HOST}\r\n`),
  bad('another protocol', `GET ${MARK} HTCP/1.1\r\n${HOST}\r\n`),
  bad('a blank before the method', ` GET ${MARK} HTTP/1.1\r\n${HOST}\r\n`),
  bad('a blank in the target', `GET ${MARK} x HTTP/1.1\r\n${HOST}\r\n`),
  bad('a NUL in the target', `GET ${MARK}\0 HTTP/1.1\r\n${HOST}\r\n`),
  bad('a bare CR in the target', `GET ${MARK}\r HTTP/1.1\r\n${HOST}\r\n`),
  bad('a target without a slash', `GET chaos/mark?id=@ HTTP/1.1\r\n${HOST}\r\n`),
  bad('a bare LF behind the request line', `GET ${MARK} HTTP/1.1\n${HOST}\r\n`),
  bad('bare LF everywhere', `GET ${MARK} HTTP/1.1\nHost: shop\n\n`),
  bad('a bare CR behind the request line', `GET ${MARK} HTTP/1.1\r${HOST}\r\n`),
  bad('TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  bad('SSH', 'SSH-2.0-OpenSSH_9.2\r\n'),
  bad('SMTP', 'EHLO shop\r\n'),
  bad('the PROXY protocol', 'PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'),
  bad('noise', '\xff\xfe\xfd\xfc'),
  bad('CONNECT', `CONNECT shop:443 HTTP/1.1\r\n${HOST}\r\n`, 405),
  bad('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  bad('a target of 17 KB', get('', `${MARK}&a=${'a'.repeat(17_000)}`), 431),
];

const headers: RawRequest[] = [
  bad('no Host', `GET ${MARK} HTTP/1.1\r\n\r\n`),
  bad('two Hosts', get('Host: other\r\n')),
  bad('two equal Hosts', get(HOST)),
  bad('a Host with a blank', `GET ${MARK} HTTP/1.1\r\nHost: a b\r\n\r\n`),
  bad('a Host with a path', `GET ${MARK} HTTP/1.1\r\nHost: shop/x\r\n\r\n`),
  bad('a Host with a user', `GET ${MARK} HTTP/1.1\r\nHost: me@shop\r\n\r\n`),
  bad('two Hosts in one', `GET ${MARK} HTTP/1.1\r\nHost: a, b\r\n\r\n`),
  bad('a blank before the colon', `GET ${MARK} HTTP/1.1\r\nHost : shop\r\n\r\n`),
  bad('a blank in a header name', header('X A: 1')),
  bad('no colon', header('X-A')),
  bad('an empty header name', header(': 1')),
  bad('a NUL in a header name', header('X-\0A: 1')),
  bad('a NUL in a value', header('X-A: a\0b')),
  bad('a control character in a value', header('X-A: a\x01b')),
  bad('a DEL in a value', header('X-A: a\x7fb')),
  bad('a bare LF in the headers', get('X-A: 1\nX-B: 2\r\n')),
  bad('a bare LF that hides a header', get('X-A: 1\nTransfer-Encoding: chunked\r\n')),
  bad('a bare CR in a value', header('X-A: a\rb')),
  bad('a bare LF at the end of the headers', `GET ${MARK} HTTP/1.1\r\n${HOST}\n`),
  bad('a folded value', header('X-A: 1\r\n 2')),
  bad('a folded value with a tab', header('X-A: 1\r\n\t2')),
  bad('a folded first line', `GET ${MARK} HTTP/1.1\r\n X-A: 1\r\n${HOST}\r\n`),
  bad('a folded Transfer-Encoding', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')),
  bad('a header name in UTF-8', header('X-\xc3\xa9: 1')),
  bad('a header name in parentheses', header('(X): 1')),
  bad('headers of 17 KB', header(`X-A: ${'a'.repeat(17_000)}`), 431),
  bad('a header name of 17 KB', header(`${'a'.repeat(17_000)}: 1`), 431),
  bad('many headers of 17 KB in all', get('X-A: 0123456789\r\n'.repeat(1_400)), 431),
  bad('headers without end', `${get().slice(0, -2)}${'X-A: 0123456789\r\n'.repeat(4_000)}`, 431),
  bad('an expectation', header('Expect: a-miracle'), 417),
];

const framing: RawRequest[] = [
  bad('Content-Length and Transfer-Encoding', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')),
  bad('Transfer-Encoding and Content-Length', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n')),
  bad('Content-Length 0 and Transfer-Encoding', post('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')),
  bad('two Content-Lengths', post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello')),
  bad('two equal Content-Lengths', post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello')),
  bad('two Content-Lengths in one', sized('5, 5')),
  bad('a negative Content-Length', sized('-5')),
  bad('a Content-Length with a plus', sized('+5')),
  bad('a hexadecimal Content-Length', sized('0x5')),
  bad('a Content-Length with a point', sized('5.0')),
  bad('a Content-Length with an exponent', sized('5e0')),
  bad('a Content-Length with a blank', sized('5 5')),
  bad('a Content-Length with an underscore', sized('1_0')),
  bad('a Content-Length that is no number', sized('five')),
  bad('an empty Content-Length', sized('')),
  bad('a Content-Length over 64 bits', sized('18446744073709551616')),
  bad('a Content-Length over 64 bits that ends in 5', sized('36893488147419103237')),
  bad('an unknown Transfer-Encoding', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')),
  bad('identity', post('Transfer-Encoding: identity\r\n', 'hello')),
  bad('chunked, then identity', post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n')),
  bad('chunked in quotes', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n')),
  bad('chunked with a control character', post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n')),
  bad('chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')),
  bad('an empty Transfer-Encoding', post('Transfer-Encoding:\r\n', '0\r\n\r\n')),
  bad('Transfer-Encoding with a blank before the colon', post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n')),
  bad('two Transfer-Encodings, the last not chunked', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', '0\r\n\r\n')),
  bad('Transfer-Encoding in HTTP/1.0', `POST ${MARK} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  bad('a chunk size that is no number', chunked('x\r\nhello\r\n0\r\n\r\n')),
  bad('a negative chunk size', chunked('-5\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk size with 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk size with a plus', chunked('+5\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk size with an underscore', chunked('0_5\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk size with a blank before', chunked(' 5\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk size with a blank behind', chunked('5 \r\nhello\r\n0\r\n\r\n')),
  bad('an empty chunk size', chunked('\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk size over 64 bits', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')),
  bad('a chunk longer than its size', chunked('3\r\nhello\r\n0\r\n\r\n')),
  bad('a bare LF behind the chunk size', chunked('5\nhello\r\n0\r\n\r\n')),
  bad('a bare LF behind the chunk', chunked('5\r\nhello\n0\r\n\r\n')),
  bad('a bare CR behind the chunk size', chunked('5\rhello\r\n0\r\n\r\n')),
  bad('a bare LF in a chunk extension', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')),
  bad('a bare LF behind the last chunk', chunked('5\r\nhello\r\n0\n\n')),
  bad('a NUL in a chunk extension', chunked('5;a=\0\r\nhello\r\n0\r\n\r\n')),
  bad('chunk extensions of 17 KB', chunked(`5;${'a'.repeat(17_000)}\r\nhello\r\n0\r\n\r\n`), 413),
  bad('a trailer with a NUL', chunked('5\r\nhello\r\n0\r\nX: \0\r\n\r\n')),
  { ...bad('a request behind Connection: close', header('Connection: close')), answers: [200], marks: 1 },
];

/** The bytes of one attempt at a case. */
export const bytesFor = ({ bytes }: RawRequest, id: string): string => bytes.replaceAll('id=@', `id=${id}`);

export const RAW_REQUESTS: readonly RawRequest[] = [...wellFormed, ...unfinished, ...requestLines, ...headers, ...framing];
