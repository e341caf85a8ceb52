// Reports node:test as the scripts do: `ok NAME` or `FAILED NAME: why`, at last `N passed, N failed`.

export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    if (type === 'test:pass' && !data.skip) {
      passed += 1;
      yield `ok ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
    }
    if (type === 'test:fail') {
      failed += 1;
      const { cause, message } = data.details.error;
      yield `FAILED ${data.name}: ${cause?.stack ?? cause ?? message}\n`;
    }
  }
  yield `${passed} passed, ${failed} failed\n`;
}
