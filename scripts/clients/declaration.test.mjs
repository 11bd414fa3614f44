// The types of the browser's client are those that TypeScript reads from its comments:
//
//   node --test scripts/clients/declaration.test.mjs
//   UPDATE=1 node scripts/clients/declaration.test.mjs     writes them anew
//
// scripts/clients/setup.sh installs TypeScript.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const cache = join(process.env.TASKLANE_CACHE ?? join(homedir(), ".cache", "tasklane"), "clients", "node");
const ts = createRequire(join(cache, "package.json"))("typescript");
const directory = fileURLToPath(new URL("../../client/browser/", import.meta.url));
const declaration = join(directory, "tasklane.d.ts");

/** Compiles files strictly and gives what TypeScript has to say. */
function compile(files, options) {
  const program = ts.createProgram(files, {
    strict: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"], types: [], ...options,
  });
  const emitted = program.emit();
  return [...ts.getPreEmitDiagnostics(program), ...emitted.diagnostics].map((d) => ts.flattenDiagnosticMessageText(d.messageText, "\n"));
}

test("the module's own types are right, and its declaration says the same", () => {
  const out = mkdtempSync(join(tmpdir(), "declaration-"));
  try {
    const wrong = compile([join(directory, "tasklane.js")], { allowJs: true, checkJs: true, declaration: true, emitDeclarationOnly: true, outDir: out });
    assert.deepEqual(wrong, []);
    const made = readFileSync(join(out, "tasklane.d.ts"), "utf8");
    if (process.env.UPDATE) writeFileSync(declaration, made);
    assert.equal(readFileSync(declaration, "utf8"), made, "write it anew: UPDATE=1 node scripts/clients/declaration.test.mjs");
  } finally {
    rmSync(out, { recursive: true });
  }
});

/** A program that uses the module, and what is said of it. */
function said(program) {
  const out = mkdtempSync(join(tmpdir(), "declaration-"));
  const file = join(out, "page.ts");
  writeFileSync(file, `import { connect, WatchError } from "${join(directory, "tasklane.js")}";\n${program}`);
  try {
    return compile([file], { noEmit: true });
  } finally {
    rmSync(out, { recursive: true });
  }
}

test("a page in TypeScript compiles", () => {
  assert.deepEqual(said(`
    const watch = connect({ userId: "alice", storage: sessionStorage, getToken: async () => "token" });
    const forget: () => void = watch.on("progress", (event) => console.log(event.progress?.percent.toFixed(1)));
    watch.on("open", (hello) => console.log(hello.recovered, hello.reason));
    watch.on("gap", (reason) => console.log(reason.length));
    watch.on("close", (error) => error instanceof WatchError && console.log(error.code));
    for await (const event of watch) if (event.status === "completed") break;
    forget();
    export {};
  `), []);
});

test("mistakes are found", () => {
  for (const [program, want] of [
    ['connect({ user_id: "alice" });', /user_id/],
    ['connect({ transport: "polling" });', /polling/],
    ['connect().on("progres", () => {});', /progres/],
    ['connect().on("gap", (reason) => reason.cursor);', /cursor/],
    ['connect().state === "opened";', /opened|overlap/],
  ]) {
    const found = said(program);
    assert.ok(found.some((text) => want.test(text)), `${program}: ${found}`);
  }
});
