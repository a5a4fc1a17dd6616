/** How the viewer's modules are written. `npm run lint` holds them to it. */

import js from "@eslint/js";
import globals from "globals";

/** @param {Object<string, boolean>} names */
const absent = (names) => Object.fromEntries(Object.keys(names).map((name) => [name, "off"]));

export default [
  { ignores: ["**/node_modules/", "**/build/", "**/dist/", "**/.*/", "**/site/"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      complexity: ["error", 14],
      curly: ["error", "multi-line"],
      eqeqeq: ["error", "smart"],
      "max-depth": ["error", 4],
      "max-lines": ["error", { max: 350 }],
      "max-lines-per-function": ["error", { max: 50, skipBlankLines: true, skipComments: true }],
      "max-nested-callbacks": ["error", 4],
      "max-params": ["error", 5],
      "max-statements-per-line": ["error", { max: 1 }],
      "no-nested-ternary": "error",
      "no-self-compare": "error",
      "no-shadow": "error",
      "no-use-before-define": ["error", { functions: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "max-len": ["error", { code: 120 }],
      "one-var": ["error", "never"],
      "prefer-const": "error",
      "prefer-template": "error",
      semi: "error",
    },
  },
  {
    files: ["groundviz/render/*/static/**/*.js"],
    languageOptions: { globals: globals.browser },
    rules: {
      // The joining of the modules reads declarations and imports of these kinds alone.
      "no-restricted-syntax": [
        "error",
        "ImportDefaultSpecifier",
        "ImportNamespaceSpecifier",
        "ExportAllDeclaration",
        "ExportSpecifier",
        "ImportExpression",
        "Program > VariableDeclaration[kind!='const']",
        // What takes white space out of the program does not understand these.
        "TemplateLiteral TemplateLiteral",
      ],
    },
  },
  {
    // What is about numbers and words alone sees no page. It runs under node as well.
    files: ["groundviz/render/viewer/static/data/**/*.js"],
    languageOptions: {
      globals: { ...absent(globals.browser), ...globals["shared-node-browser"], createImageBitmap: "readonly" },
    },
  },
  {
    files: ["tests/**/*.mjs", "*.mjs"],
    languageOptions: { globals: globals.node },
  },
];
