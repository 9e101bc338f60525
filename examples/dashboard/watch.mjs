// Follows all runs of a fleet, and prints a line for each event: node watch.mjs [redis://[user:password@]host:port]
// Needs nothing but Node.js, and knows nothing but what docs/events.md says.
import net from "node:net";
import { answerIn, unpack } from "./formats.mjs";

const url = new URL(process.argv[2] ?? "redis://localhost:6379");
const redis = net.connect(Number(url.port || 6379), url.hostname);
const send = (...words) =>
  redis.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);

if (url.password) send("AUTH", url.username || "default", decodeURIComponent(url.password));
send("PSUBSCRIBE", "fleetgraph:run:*:events");

let received = Buffer.alloc(0);
redis.on("data", (data) => {
  received = Buffer.concat([received, data]);
  for (let answer; (answer = answerIn(received)); received = received.subarray(answer.end)) {
    if (answer.error) throw new Error(answer.error);
    const [kind, , channel, message] = answer.value;
    if (String(kind) === "psubscribe") console.error("watching"); // from now on nothing is missed
    if (String(kind) === "pmessage") print(String(channel).split(":")[2], unpack(message));
  }
});

function print(run, [last, events]) {
  events.forEach(([mode, ns, task, attempt, ts, payload], place) => {
    const seq = last - events.length + 1 + place;
    console.log(run, seq, mode, ns.join("|") || "-", task || "-", attempt, JSON.stringify(payload));
  });
}
