// npm run docs:api: writes docs/api.md from the exports of src/index.ts and their docstrings.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const config = ts.getParsedCommandLineOfConfigFile(
  'tsconfig.build.json',
  {},
  {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (d) => {
      throw new Error(ts.flattenDiagnosticMessageText(d.messageText, '\n'));
    },
  },
);
const program = ts.createProgram(['src/index.ts'], config.options);
const checker = program.getTypeChecker();
const index = program.getSourceFile('src/index.ts');
const symbols = checker
  .getExportsOfModule(checker.getSymbolAtLocation(index))
  .sort((a, b) => (a.name < b.name ? -1 : 1));

const lines = [
  '# API reference',
  '',
  'Made from the docstrings of what `src/index.ts` exports, by `npm run docs:api`. What is not here is internal.',
  '',
];
for (const exported of symbols) {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const node = symbol.declarations?.[0];
  if (node === undefined) continue;
  const file = relative(root, node.getSourceFile().fileName);
  lines.push(`## ${exported.name}`, '', `\`${file}\``, '');
  const text = docs(symbol);
  if (text !== '') lines.push(text, '');
  lines.push('```ts', signature(symbol, node), '```', '');
  for (const member of members(symbol, node)) {
    const memberText = docs(member);
    if (memberText !== '') lines.push(`- **${member.name}**: ${memberText.replaceAll('\n', '\n  ')}`);
  }
  if (lines.at(-1) !== '') lines.push('');
}
writeFileSync('docs/api.md', `${lines.join('\n').trimEnd()}\n`);

function docs(symbol) {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim();
  const tags = symbol.getJsDocTags(checker).map(({ name, text: parts }) => {
    return `@${name} ${ts.displayPartsToString(parts).replace(/\s+/g, ' ')}`.trim();
  });
  return [text, ...tags].filter((part) => part !== '').join('\n');
}

/** What a declaration says without bodies, comments and private parts. */
function signature(symbol, node) {
  if (ts.isClassDeclaration(node)) {
    const type = checker.getDeclaredTypeOfSymbol(symbol);
    const heritage = (node.heritageClauses ?? []).map((clause) => ` ${clause.getText()}`).join('');
    const parameters = node.typeParameters?.map((p) => p.getText()).join(', ');
    const body = members(symbol, node)
      .filter((member) => member.valueDeclaration?.getSourceFile() === node.getSourceFile())
      .flatMap((member) => memberSignatures(member, type));
    const made = node.members.find(ts.isConstructorDeclaration);
    const making = made === undefined ? [] : [`  constructor(${made.parameters.map(oneLine).join(', ')});`];
    const name = `${symbol.name}${parameters === undefined ? '' : `<${parameters}>`}`;
    return [`class ${name}${heritage} {`, ...making, ...body, '}'].join('\n');
  }
  if (ts.isFunctionDeclaration(node)) {
    const type = checker.getTypeOfSymbol(symbol);
    return type
      .getCallSignatures()
      .map(
        (call) => `function ${symbol.name}${checker.signatureToString(call, node, ts.TypeFormatFlags.NoTruncation)};`,
      )
      .join('\n');
  }
  if (ts.isVariableDeclaration(node)) {
    const type = checker.typeToString(checker.getTypeOfSymbol(symbol), node);
    return `const ${symbol.name}: ${type};`;
  }
  return withoutComments(node.getText()).replace(/^export /, '');
}

function memberSignatures(member, owner) {
  const type = checker.getTypeOfSymbolAtLocation(member, owner.symbol.valueDeclaration);
  const calls = type.getCallSignatures();
  const flags = ts.TypeFormatFlags.NoTruncation;
  if (calls.length > 0 && member.flags & ts.SymbolFlags.Method) {
    return calls.map((call) => `  ${member.name}${checker.signatureToString(call, undefined, flags)};`);
  }
  return [`  readonly ${member.name}: ${checker.typeToString(type, undefined, flags)};`];
}

function members(symbol, node) {
  if (!ts.isClassDeclaration(node) && !ts.isInterfaceDeclaration(node)) return [];
  return checker
    .getDeclaredTypeOfSymbol(symbol)
    .getProperties()
    .filter((member) => {
      const declaration = member.declarations?.[0];
      const hidden =
        declaration &&
        ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);
      return (
        !hidden && !member.name.startsWith('__#') && !(declaration?.name && ts.isPrivateIdentifier(declaration.name))
      );
    });
}

function oneLine(node) {
  return withoutComments(node.getText()).replace(/\s+/g, ' ');
}

function withoutComments(text) {
  return text
    .replace(/\/\*\*[\s\S]*?\*\//g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .join('\n');
}
