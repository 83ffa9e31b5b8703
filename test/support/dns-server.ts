import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Resolve } from "../../src/egress/resolve.ts";

/**
 * What a name has: addresses of both kinds, or another name (a CNAME), whose records come along as a resolver's would.
 * `silence`: the question is never answered.
 */
export type Records = readonly string[] | "silence";

export type DnsServer = {
  /** Where it is, as `Resolver.setServers` takes it. */
  address: string;
  /** What a name has from now on; a function is asked anew for every look-up, the first one being 0. */
  set(name: string, records: Records | ((turn: number) => Records)): void;
  /** How often a name was looked up. */
  asked(name: string): number;
  /** Asks this server for both kinds of addresses, and keeps nothing. */
  resolve: Resolve;
  close(): void;
};

/** A real DNS server (RFC 1035, over UDP) on loopback, whose every answer has a time to live of 0. */
export async function startDnsServer(): Promise<DnsServer> {
  const names = new Map<string, (turn: number) => Records>();
  const turns = new Map<string, number>();

  function nextTurn(name: string, type: number): number {
    const key = `${type} ${name}`;
    const turn = turns.get(key) ?? 0;
    turns.set(key, turn + 1);
    return turn;
  }

  function find(name: string, type: number): Found[] | "silence" | null {
    const records = names.get(name)?.(nextTurn(name, type));
    if (records === undefined || records === "silence") return records ?? null;
    return records.flatMap((data) => {
      if (isIP(data) !== 0) return typeOf(data) === type ? [{ name, type, data }] : [];
      const further = find(data, type);
      return [{ name, type: CNAME, data }, ...(Array.isArray(further) ? further : [])];
    });
  }

  const socket = createSocket("udp4");
  socket.on("message", (packet, { address, port }) => {
    const { name, type } = readQuestion(packet);
    const found = find(name, type);
    if (found !== "silence") socket.send(writeAnswer(packet, found), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const address = `127.0.0.1:${socket.address().port}`;

  return {
    address,
    set(name, records) {
      names.set(name, typeof records === "function" ? records : () => records);
      for (const type of [A, AAAA]) turns.delete(`${type} ${name}`);
    },
    asked: (name) => turns.get(`${A} ${name}`) ?? 0,
    async resolve(host) {
      // A new one each time: a resolver remembers that a name has nothing of a kind.
      const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 1 });
      resolver.setServers([address]);
      const kinds = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      const addresses = kinds.flatMap((kind) => (kind.status === "fulfilled" ? kind.value : []));
      const [first] = kinds;
      if (addresses.length === 0 && first.status === "rejected") throw first.reason;
      return addresses.map((address) => ({ address, family: isIP(address) }));
    },
    close: () => socket.close(),
  };
}

type Found = { name: string; type: number; data: string };

const TIMEOUT_MS = 200;
const A = 1;
const CNAME = 5;
const AAAA = 28;
const HEADER_BYTES = 12;
const IN = 1;

const typeOf = (address: string) => (isIP(address) === 4 ? A : AAAA);

function readQuestion(packet: Buffer): { name: string; type: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: packet.readUInt16BE(at + 1) };
}

/** @param found null: there is no such name */
function writeAnswer(question: Buffer, found: readonly Found[] | null): Buffer {
  const end = question.indexOf(0, HEADER_BYTES) + 5;
  const answers = (found ?? []).map(writeRecord);
  const header = Buffer.from(question.subarray(0, HEADER_BYTES));
  // A response that recursion was available for, with code 3 for a name that does not exist.
  header.writeUInt16BE(found === null ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, question.subarray(HEADER_BYTES, end), ...answers]);
}

function writeRecord({ name, type, data }: Found): Buffer {
  const value = type === CNAME ? writeName(data) : addressBytes(data);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(IN, 2);
  fixed.writeUInt16BE(value.length, 8);
  return Buffer.concat([writeName(name), fixed, value]);
}

function writeName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function addressBytes(address: string): Buffer {
  return Buffer.from(ipaddr.parse(address).toByteArray());
}
