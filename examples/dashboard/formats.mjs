// The two formats on the way: what Redis answers (RESP2), and what Fleetgraph publishes (msgpack).

/** The first answer in what was received: its value and where it ends, or its error; nothing while it is incomplete. */
export function answerIn(bytes, at = 0) {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const kind = String.fromCharCode(bytes[at]);
  const rest = bytes.toString("utf8", at + 1, line);
  let end = line + 2;
  if (kind === "-") return { error: rest };
  if (kind === "$") {
    const value = bytes.subarray(end, end + Number(rest));
    return value.length === Number(rest) ? { value, end: end + value.length + 2 } : undefined;
  }
  if (kind !== "*") return { value: rest, end };
  const value = [];
  while (value.length < Number(rest)) {
    const item = answerIn(bytes, end);
    if (item === undefined) return undefined;
    value.push(item.value);
    end = item.end;
  }
  return { value, end };
}

const SEALED = 50; // the extension type of what is encrypted

/** The value in msgpack. Of Fleetgraph's extension types it shows the plain form; binary data as base64. */
export function unpack(bytes) {
  let at = 0;
  const take = (size) => bytes.subarray(at, (at += size));
  const uint = (size) => take(size).reduce((sum, byte) => sum * 256 + byte, 0);
  const int = (size) => Number(BigInt.asIntN(size * 8, BigInt(`0x${take(size).toString("hex")}`)));
  const text = (size) => take(size).toString();
  const binary = (size) => take(size).toString("base64");
  const list = (size) => Array.from({ length: size }, value);
  const pair = () => [JSON.stringify(value()).replace(/^"|"$/g, ""), value()];
  const map = (size) => Object.fromEntries(Array.from({ length: size }, pair));
  const extension = (size) => {
    const type = int(1);
    const data = take(size);
    return type === SEALED ? "(encrypted)" : type < 0 ? data.toString("base64") : unpack(data);
  };
  function value() {
    const type = uint(1);
    if (type < 0x80) return type;
    if (type < 0x90) return map(type & 15);
    if (type < 0xa0) return list(type & 15);
    if (type < 0xc0) return text(type & 31);
    if (type >= 0xe0) return type - 256;
    if (type === 0xc0) return null;
    if (type <= 0xc3) return type === 0xc3;
    if (type <= 0xc6) return binary(uint(1 << (type - 0xc4)));
    if (type <= 0xc9) return extension(uint(1 << (type - 0xc7)));
    if (type === 0xca) return take(4).readFloatBE();
    if (type === 0xcb) return take(8).readDoubleBE();
    if (type <= 0xcf) return uint(1 << (type - 0xcc));
    if (type <= 0xd3) return int(1 << (type - 0xd0));
    if (type <= 0xd8) return extension(1 << (type - 0xd4));
    if (type <= 0xdb) return text(uint(1 << (type - 0xd9)));
    return type <= 0xdd ? list(uint(2 << (type - 0xdc))) : map(uint(2 << (type - 0xde)));
  }
  return value();
}
