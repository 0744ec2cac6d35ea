// The outcome of one run of the conformance suite, from the results it wrote: a line of counts, then a line for every check
// that failed. The suite's own exit status says less: under --requirements it leaves out checks that are not scored.
//
// Usage: judge.mjs RESULTS LOG EXPECTED_FAILURES SETUP [REQUIREMENTS]
//   RESULTS            the folder the suite wrote into: one folder for each scenario, with checks.json in it
//   LOG                what the suite printed, which says how many scenarios it meant to run
//   EXPECTED_FAILURES  scenarios that must not pass: a list for each setup
//   SETUP              how the server is served, a name in that file
//   REQUIREMENTS       the suite's list of what a revision requires; the counts are split by it
// A scenario passes if a check of it succeeded and none failed: those that find nothing to look at do not pass. A warning
// counts as a failure, as it does for the suite once it is given expected failures. Exit status: 0 all as expected,
// 1 otherwise.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const [results, log, expectedFailures, setup, requirements] = process.argv.slice(2);
const readYaml = (path) => parse(readFileSync(path, "utf8"));
const expected = new Set(readYaml(expectedFailures)[setup]);
const scored = requirements && new Set(readYaml(requirements).server);

/** The folders are named `server-SCENARIO-TIME`; a scenario that broke off has left no checks. */
function readScenario(folder) {
  const name = folder.replace(/^server-(.*)-\d{4}-\d\d-\d\dT[\dZ-]+$/, "$1");
  const file = join(results, folder, "checks.json");
  const checks = existsSync(file)
    ? JSON.parse(readFileSync(file, "utf8"))
    : [{ id: "scenario", status: "FAILURE", errorMessage: "it broke off; see the log" }];
  const failures = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  const successes = checks.filter(({ status }) => status === "SUCCESS").length;
  if (failures.length + successes === 0) {
    const reason = checks.map(({ errorMessage, details }) => errorMessage ?? details?.message).filter(Boolean).join("; ");
    failures.push({ id: "scenario", status: "FAILURE", errorMessage: `nothing was checked: ${reason}` });
  }
  return { name, failures, successes, isExpectedToFail: expected.has(name) };
}

/** "30 of 30 scored", counting those that are held to pass. */
function ratio(scenarios, what) {
  const held = scenarios.filter(({ isExpectedToFail }) => !isExpectedToFail);
  const passed = held.filter(({ failures }) => failures.length === 0).length;
  return `${passed} of ${held.length} ${what}`;
}

const planned = Number(/^Running .*?(\d+) (?:scenarios|tests)/m.exec(readFileSync(log, "utf8"))?.[1]);
const scenarios = existsSync(results) ? readdirSync(results).sort().map(readScenario) : [];
const sum = (count) => scenarios.reduce((total, scenario) => total + count(scenario), 0);

const counts = scored
  ? [
      ratio(scenarios.filter(({ name }) => scored.has(name)), "scored"),
      ratio(scenarios.filter(({ name }) => !scored.has(name)), "others"),
    ]
  : [ratio(scenarios, "scenarios")];
const failedAsExpected = sum(({ isExpectedToFail, failures }) => Number(isExpectedToFail && failures.length > 0));
if (failedAsExpected > 0) counts.push(`${failedAsExpected} expected to fail`);
counts.push(`${sum(({ successes }) => successes)} checks passed`);
console.log(counts.join(", "));

const complaints = [];
if (scenarios.length !== planned) complaints.push(`${planned} scenarios were planned, ${scenarios.length} have run`);
for (const name of scored ?? []) {
  if (!scenarios.some((scenario) => scenario.name === name)) complaints.push(`${name}: required, but it has not run`);
}
for (const { name, failures, isExpectedToFail } of scenarios) {
  if (isExpectedToFail && failures.length === 0) complaints.push(`${name}: passes, but is listed as an expected failure`);
  if (isExpectedToFail) continue;
  for (const { id, status, errorMessage } of failures) {
    complaints.push(`${name}: ${status.toLowerCase()} of ${id}: ${String(errorMessage).replaceAll(/\s+/g, " ").slice(0, 300)}`);
  }
}
complaints.forEach((complaint) => console.log(complaint));
process.exit(complaints.length === 0 ? 0 : 1);
