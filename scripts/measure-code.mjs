#!/usr/bin/env node
// Measures the shape of src: files, lines, functions, and how many files import each.
//   node scripts/measure-code.mjs [--small] [COMMIT...]
// Without a commit the working tree is measured. --small lists the files of 40 lines or less that one file imports.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseSync } from '@swc/core';

const SMALL_LINES = 40;
const LONG_FUNCTION_LINES = 50;

const FUNCTIONS = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ClassMethod',
  'PrivateMethod',
  'MethodProperty',
  'Constructor',
]);

/** Every node below one, itself included. */
function* nodes(node) {
  if (Array.isArray(node)) {
    for (const each of node) yield* nodes(each);
  } else if (node !== null && typeof node === 'object') {
    if (typeof node.type === 'string') yield node;
    for (const each of Object.values(node)) yield* nodes(each);
  }
}

/** What one file says: its lines, the lines of its functions, and what it imports or passes on. */
function read(path) {
  const text = readFileSync(path);
  const tree = parseSync(text.toString(), { syntax: 'typescript', decorators: true });
  // swc counts bytes from 1, over all that a process has parsed.
  const start = tree.span.start - leading(text);
  const linesOf = ({ span }) => newlines(text.subarray(span.start - start, span.end - start)) + 1;
  const functions = [...nodes(tree.body)].filter(({ type }) => FUNCTIONS.has(type)).map(linesOf);
  const imports = tree.body
    .filter(({ source }) => source?.value.startsWith('.'))
    .map(({ source }) => join(dirname(path), source.value.replace(/\.js$/, '.ts')));
  return {
    lines: newlines(text),
    functions,
    imports,
  };
}

/** Bytes in front of the first statement, which the span of a module leaves out. */
function leading(text) {
  const code = /^(?:\s|\/\/[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(text.toString('latin1'));
  return code[0].length;
}

function newlines(bytes) {
  let count = 0;
  for (const byte of bytes) if (byte === 10) count++;
  return count;
}

function measure(root) {
  const names = readdirSync(join(root, 'src'), { recursive: true }).filter((name) => name.endsWith('.ts'));
  const files = new Map(names.map((name) => [join(root, 'src', name), read(join(root, 'src', name))]));
  const importers = new Map([...files.keys()].map((path) => [path, new Set()]));
  for (const [path, { imports }] of files) for (const imported of imports) importers.get(imported)?.add(path);
  const single = [...importers].filter(([, of]) => of.size === 1).map(([path]) => path);
  const small = single.filter((path) => files.get(path).lines <= SMALL_LINES);
  const all = [...files.values()];
  const lines = all.map((file) => file.lines).sort((a, b) => a - b);
  const functions = all.flatMap((file) => file.functions);
  return {
    small: small.map((path) => `${relative(root, path)} (${files.get(path).lines})`).sort(),
    row: [
      files.size,
      lines.reduce((sum, each) => sum + each, 0),
      lines[lines.length >> 1],
      lines.at(-1),
      functions.length,
      functions.filter((length) => length >= LONG_FUNCTION_LINES).length,
      single.length,
      small.length,
    ],
  };
}

/** Measures a commit by its files in a directory of their own. */
function measureCommit(commit) {
  const root = mkdtempSync(join(tmpdir(), 'strata-measure-'));
  try {
    const archive = execFileSync('git', ['archive', commit, 'src'], { maxBuffer: 1 << 28 });
    execFileSync('tar', ['x', '-C', root], { input: archive });
    return measure(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const args = process.argv.slice(2);
const commits = args.filter((each) => each !== '--small');
const measured = commits.length === 0 ? [['now', measure('.')]] : commits.map((c) => [c, measureCommit(c)]);
console.log(
  `| src at | files | lines | median file | longest file | functions | of ${LONG_FUNCTION_LINES} lines or more | files with one importer | of these ${SMALL_LINES} lines or less |`,
);
console.log('|---|---|---|---|---|---|---|---|---|');
for (const [name, { row }] of measured) console.log(`| ${name} | ${row.join(' | ')} |`);
if (args.includes('--small')) for (const [, { small }] of measured) console.log(small.join('\n'));
