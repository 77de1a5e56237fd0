/**
 * Jest reporter beside the default one: names the services whose tests were skipped, and leaves the counts of this run in the
 * file `TEST_REPORT`, where the runner adds up its runs. Plain JavaScript, because Jest does not transform reporters.
 */
const { writeFileSync } = require('node:fs');

const NEEDS = /\[needs ([\w-]+)\]/;

module.exports = class Report {
  onRunComplete(_contexts, results) {
    const missing = {};
    for (const file of results.testResults) {
      for (const test of file.testResults) {
        const service = NEEDS.exec(test.fullName)?.[1];
        if (service && test.status !== 'passed' && test.status !== 'failed') missing[service] = (missing[service] ?? 0) + 1;
      }
    }
    const report = {
      passed: results.numPassedTests,
      // A file that does not load has no tests to fail, and is a failure all the same.
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
      missing,
    };
    if (process.env.TEST_REPORT) writeFileSync(process.env.TEST_REPORT, JSON.stringify(report));
    else {
      for (const [service, count] of Object.entries(missing)) {
        process.stderr.write(`Skipped for want of ${service}: ${count} tests\n`);
      }
    }
  }
};
