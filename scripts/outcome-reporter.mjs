// A vitest reporter that writes the counts, and each skipped test with its reason, to $FLEETCAST_TEST_OUTCOME.
import { writeFileSync } from 'node:fs';

export default class OutcomeReporter {
  onTestRunEnd(modules, errors) {
    const outcome = { passed: 0, failed: 0, skipped: [], errors: errors.length };
    for (const module of modules) {
      let tests = 0;
      for (const test of module.children.allTests()) {
        tests += 1;
        const result = test.result();
        if (result.state === 'passed') outcome.passed += 1;
        else if (result.state === 'failed') outcome.failed += 1;
        else outcome.skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, why: result.note ?? '' });
      }
      if (tests === 0 && module.state() !== 'passed') outcome.failed += 1;
    }
    const path = process.env.FLEETCAST_TEST_OUTCOME;
    if (path) writeFileSync(path, JSON.stringify(outcome));
  }
}
