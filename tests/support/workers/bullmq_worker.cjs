// A real BullMQ worker: one JSON line for each job that it has finished.
// node bullmq_worker.cjs HOST PORT QUEUE; the folder with bullmq is in NODE_PATH.
"use strict";

const { Worker } = require("bullmq");

const [host, port, queue] = process.argv.slice(2);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const worker = new Worker(queue, async () => "done", { connection, concurrency: 1 });

worker.on("completed", (job) => {
  const { id, name, data } = job;
  const { attempts, backoff } = job.opts;
  process.stdout.write(JSON.stringify({ id, name, data, attempts, backoff }) + "\n");
});
worker.on("error", (problem) => process.stderr.write(`${problem}\n`));
