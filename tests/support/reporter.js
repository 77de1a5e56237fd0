/**
 * Jest reporter beside the default one: names the services whose tests were skipped, and leaves the counts of this run and what
 * failed in the file `TEST_REPORT`, where the runner adds up its runs. Plain JavaScript, because Jest does not transform reporters.
 */
const { writeFileSync } = require('node:fs');
const { relative } = require('node:path');
const { stripVTControlCharacters } = require('node:util');

const NEEDS = /\[needs ([\w-]+)\]/;
/** Of one failure: what was expected, what came, and where. */
const MOST_LINES = 12;

const short = (message) =>
  stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.includes('node_modules'))
    .slice(0, MOST_LINES)
    .join('\n');

/** Each failed test, and each file that did not load, as one text: the file, the name, the message. */
function failuresOf({ testResults }) {
  return testResults.flatMap((file) => {
    const path = relative(process.cwd(), file.testFilePath);
    if (file.testExecError) return [`${path}\n${short(file.failureMessage ?? String(file.testExecError.message))}`];
    return file.testResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => `${path} › ${fullName}\n${short(failureMessages.join('\n'))}`);
  });
}

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
      failures: failuresOf(results),
    };
    if (process.env.TEST_REPORT) writeFileSync(process.env.TEST_REPORT, JSON.stringify(report));
    else {
      for (const [service, count] of Object.entries(missing)) {
        process.stderr.write(`Skipped for want of ${service}: ${count} tests\n`);
      }
    }
  }
};
