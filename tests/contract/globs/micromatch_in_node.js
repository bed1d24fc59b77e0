// Answers questions about micromatch, one JSON object a line; see micromatch_in_node.py.
const vm = require('vm');
const readline = require('readline');
const { createRequire } = require('module');

const micromatch = createRequire(process.argv[2] + '/package.json')('micromatch');

// Only code that runs inside vm can be stopped, so it calls back from there.
function limited(action) {
  globalThis.__action = action;
  try {
    return { ok: vm.runInThisContext('__action()', { timeout: 400 }) };
  } catch (error) {
    const stopped = error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    return { error: stopped ? 'TIMEOUT' : error.name };
  }
}

function answer({ patterns, paths, lists }) {
  if (lists) {
    const start = process.hrtime.bigint();
    const hits = lists.map((list) => micromatch.some(paths, list));
    return { ms: Number(process.hrtime.bigint() - start) / 1e6, hits };
  }
  return {
    some: limited(() => micromatch.some(paths, patterns)),
    each: paths.map((path) => limited(() => micromatch.some([path], patterns))),
    match: limited(() => micromatch(paths, patterns)),
  };
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n');
});
