import { readFileSync } from "node:fs";

import pg from "../node/pg.mjs";
import { cpuOfTree } from "./processes.mjs";
import { startServer } from "./server.mjs";

/** A PostgreSQL of the benchmark's own, with a database for each measurement, and what the server spends. */
export class Cluster {
  #server;
  #postmaster;
  #databases = 0;

  static async start(program) {
    const cluster = new Cluster();
    cluster.#server = await startServer(program);
    const [{ data_directory: folder }] = await cluster.ask(cluster.#server.url, "SHOW data_directory");
    cluster.#postmaster = Number(readFileSync(`${folder}/postmaster.pid`, "utf8").split("\n")[0]);
    return cluster;
  }

  stop() {
    return this.#server.stop();
  }

  async ask(url, ...query) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(...query)).rows;
    } finally {
      await client.end();
    }
  }

  async newDatabase() {
    const name = `bench_${++this.#databases}`;
    await this.ask(this.#server.url, `CREATE DATABASE ${name}`);
    return this.#server.url.replace("/crm?", `/${name}?`);
  }

  async dropDatabase(url) {
    const name = url.match(/\/(bench_\d+)\?/)[1];
    await this.ask(this.#server.url, `DROP DATABASE ${name} WITH (FORCE)`);
  }

  /** What the server would do sooner or later, so that it does not do it while something is measured. */
  async settle(url) {
    await this.ask(url, "VACUUM ANALYZE");
    await this.ask(url, "CHECKPOINT");
  }

  /** Bytes written to the log since the server was made. */
  async walBytes() {
    const [{ bytes }] = await this.ask(this.#server.url, "SELECT pg_current_wal_insert_lsn() - '0/0' AS bytes");
    return Number(bytes);
  }

  cpuSeconds() {
    return cpuOfTree(this.#postmaster);
  }
}
