/** The tokens of programs without white space and comments, as JSON: `node tokens.mjs PROGRAM PROGRAM`. */

import { readFile } from "node:fs/promises";
import { argv, stdout } from "node:process";

import { tokenize } from "espree";

async function tokensOf(place) {
  const found = tokenize(await readFile(place, "utf-8"), { ecmaVersion: 2023, sourceType: "module" });
  return found.map(({ type, value }) => `${type} ${value}`);
}

stdout.write(JSON.stringify(await Promise.all(argv.slice(2).map(tokensOf))));
