import { setTimeout as sleep } from "node:timers/promises";

/** Counts jobs until all have run; the clock starts with the first, so that starting up is not measured. */
export class Finish {
  #ran = 0;
  #first = 0;
  #started;
  #resolve;

  constructor(jobs) {
    this.jobs = jobs;
    this.allRan = new Promise((resolve) => (this.#resolve = resolve));
  }

  ran(count) {
    if (this.#ran === 0) {
      this.#started = performance.now();
      this.#first = count;
    }
    this.#ran += count;
    if (this.#ran >= this.jobs) this.#resolve();
  }

  /** Prints the result once `allCompleted` says that the database knows it too. */
  async report(name, allCompleted) {
    while (!(await allCompleted())) await sleep(5);
    const seconds = (performance.now() - this.#started) / 1000;
    const { maxRSS } = process.resourceUsage();
    const jobs = this.jobs - this.#first;
    console.log(JSON.stringify({ name, jobs, seconds, per_second: jobs / seconds, rss_mb: maxRSS / 1024 }));
  }
}
